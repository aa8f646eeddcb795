"""``idol prep pack`` and ``idol prep unpack``: a dataset as a few large files, and back."""

from pathlib import Path
from typing import Annotated

import typer

from cli._output import Output

JsonOption = Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")]


def register(prep: typer.Typer) -> None:
    """Add both to ``idol prep``."""
    prep.command("pack", help="A prepared dataset as a few large tar files.")(_pack)
    prep.command("unpack", help="A packed dataset as a prepared one again.")(_unpack)


def _pack(
    data: Annotated[Path, typer.Argument(help="A prepared dataset.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the shards.")],
    shard_megabytes: Annotated[int, typer.Option(min=1, help="Largest shard, unless a clip alone is larger.")] = 1024,
    as_json: JsonOption = False,
) -> None:
    out = Output.of(json=as_json)
    from idol_prep.packing import pack

    with out.progress(None, "pack") as bar:
        shards = pack(
            data, output, shard_bytes=shard_megabytes << 20, progress=lambda done, total: bar.update(done, total=total)
        )
    out.line(f"packed: {output} ({shards} shards)")
    out.result({"dataset": data, "packed": output, "shards": shards})


def _unpack(
    packed: Annotated[Path, typer.Argument(help="What `idol prep pack` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Dataset folder.")],
    as_json: JsonOption = False,
) -> None:
    out = Output.of(json=as_json)
    from idol_prep.packing import unpack

    with out.progress(None, "unpack") as bar:
        clips = unpack(packed, output, progress=lambda done, total: bar.update(done, total=total))
    out.line(f"dataset: {output} ({clips} clips)")
    out.result({"packed": packed, "dataset": output, "clips": clips})

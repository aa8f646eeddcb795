"""``idol prep convert-hdnet``: the published TensorFlow checkpoints of HDNet as one safetensors file."""

from pathlib import Path
from typing import Annotated

import typer

from cli._output import Output


def register(prep: typer.Typer) -> None:
    """Add it to ``idol prep``."""
    prep.command("convert-hdnet", help="HDNet's TensorFlow checkpoints as safetensors; needs no TensorFlow.")(_convert)


def _convert(
    normal: Annotated[Path, typer.Argument(help="Normal network, such as .../model_1710000.ckpt (without .index).")],
    depth: Annotated[Path, typer.Argument(help="Depth network, such as .../model_1920000.ckpt (without .index).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path("hdnet.safetensors"),
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    out = Output.of(json=as_json)
    from idol_prep.annotators import hdnet

    hdnet.convert(normal, depth, output)
    out.line(f"written: {output}; use it with --depth hdnet --weights hdnet={output}")
    out.result({"written": output})

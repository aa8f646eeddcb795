"""``idol export``: what an existing sample can be turned into, without generating it again."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cli._output import Bar, Output


def register(app: typer.Typer) -> None:
    """Add ``idol export``."""
    app.command("export", help="Turn a sample into a 2.5D video, a page to turn by hand, or point clouds.")(_export)


def _export(
    sample: Annotated[Path, typer.Argument(help="What `idol generate` wrote.")],
    kinds: Annotated[str, typer.Argument(help="orbit (Fig. 1), viewer, ply, or several with a comma.")] = "orbit",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make again what is there already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    from idol_model.render import EXPORTS, export

    out = Output.of(json=as_json)
    wanted = [name.strip() for name in kinds.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in EXPORTS]
    if unknown or not wanted:
        raise ValueError(f"KINDS {kinds!r}: unknown; choose from {', '.join(EXPORTS)}")
    files = []
    for kind in wanted:
        with out.progress(None, kind) as bar:
            files.append(export(sample, kind, overwrite=overwrite, on_frame=_counting(bar)))
        out.line(str(files[-1]))
    out.result({"sample": sample, "files": files})


def _counting(bar: Bar) -> Callable[[int, int], None]:
    return lambda done, total: bar.update(done, total=total)

"""``idol prep annotators``: who can find poses, masks and depth, under which licence, and what is missing for it."""

from typing import Annotated

import typer

from cli._output import Output


def register(prep: typer.Typer) -> None:
    """Add it to ``idol prep``."""
    prep.command("annotators", help="What finds poses, masks and depth, and whether it is ready.")(_annotators)


def _annotators(
    fetch: Annotated[
        str | None,
        typer.Option(help="Download these published weights into the hub's cache; nothing else does."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    out = Output.of(json=as_json)
    from idol_prep import annotators
    from idol_prep.annotators import weights

    fetched = str(weights.fetch(fetch)) if fetch else None
    if fetched:
        out.line(f"{fetch}: {fetched}")
    rows = annotators.readiness()
    out.table(
        "Annotators",
        ["track", "name", "ready", "version", "licence", "commercial", "note"],
        [
            [
                row.info.kind,
                row.info.name,
                "yes" if row.ready else "no",
                row.info.version,
                row.info.licence,
                "yes" if row.info.commercial else "NO",
                row.info.note,
            ]
            for row in rows
        ],
    )
    for row in rows:
        if not row.ready:
            out.line(f"{row.info.kind} {row.info.name}: {row.missing}")
    listed = [row.info.to_dict() | {"ready": row.ready, "missing": row.missing} for row in rows]
    out.result({"annotators": listed, "fetched": fetched})

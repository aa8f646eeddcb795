"""``idol prep disco-tsv`` and ``idol prep export-tsv``: DisCo's TSV sets, in and out."""

from pathlib import Path
from typing import Annotated

import typer

from cli._output import Output
from cli._prep_options import Wanted, shared_options
from cli._prep_run import prepare_source


def register(prep: typer.Typer) -> None:
    """Add both to ``idol prep``."""
    prep.command("disco-tsv", help="A TSV set as DisCo publishes and makes them.")(_disco_tsv)
    prep.command("export-tsv", help="A prepared dataset as a TSV set for DisCo's training.")(_export_tsv)


@shared_options
def _disco_tsv(
    raw: Annotated[Path, typer.Argument(help="A YAML file, or a folder with some; their names begin with the split.")],
    *,
    wanted: Wanted,
) -> None:
    from idol_prep.sources.disco_tsv import DiscoTsvSource

    prepare_source(DiscoTsvSource.open(raw), raw, wanted)


def _export_tsv(
    data: Annotated[Path, typer.Argument(help="A prepared dataset.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for tables and YAML files.")],
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    out = Output.of(json=as_json)
    from idol_prep.tsv_export import export_tsv

    with out.progress(None, "export") as bar:
        rows = export_tsv(data, output, lambda done, total: bar.update(done, total=total))
    out.line(f"tables: {output} ({', '.join(f'{split} {count} rows' for split, count in rows.items())})")
    out.result({"dataset": data, "tables": output, "rows": rows})

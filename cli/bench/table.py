"""``idol bench table N``."""

from collections.abc import Sequence
from pathlib import Path

from cli import _defaults
from cli._output import Output
from cli.bench.documents import Block, Document, check_ending
from idol_eval import paper_values, results, tables


def show(out: Output, number: int, scores: Sequence[Path] | None, dataset: str | None, files: Sequence[Path]) -> None:
    """Print, write, hand over."""
    for file in files:
        check_ending(file)
    found = list(scores) if scores else _found()
    out.note(f"scores      {', '.join(map(str, found)) or 'none found under out/bench; name some with --scores'}")
    built = tables.build(number, results.read(found), _places(), dataset)
    Document(
        title=f"Table {number} of the paper",
        blocks=[Block(title=f"Table {number}. {one.title}", cells=one.cells(), remarks=_remarks(one)) for one in built],
        data={"tables": [one.to_json() for one in built]},
    ).show(out, files)


def _found() -> list[Path]:
    """Scores before costs: a row of scores knows more of its costs."""
    home = _defaults.OUT / "bench"
    return [file for name in ("scores.json", "costs.json") for file in sorted(home.glob(f"**/{name}"))]


def _places() -> tables.Places:
    """Which rows of the paper each of our recipes makes."""
    from idol_model import recipes

    return {
        name: [(place.table, place.row, place.dataset) for place in recipes.places(name)] for name in recipes.names()
    }


def _remarks(table: tables.Table) -> list[str]:
    said = [f"The paper's columns: {paper_values.MARK.removeprefix('paper: ')}."]
    said += [f"Not measured here: {'; '.join(table.gaps)}."] if table.gaps else []
    said += [f"Not comparable with these, in a table of its own: {', '.join(table.incomparable)}."] * bool(
        table.incomparable
    )
    return said + [
        f"Of no row shown (a name belongs to a row only within one --dataset): {', '.join(table.strangers)}."
    ] * bool(table.strangers)

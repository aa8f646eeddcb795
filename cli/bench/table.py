"""``idol bench table N``."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import quote

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
        blocks=[_block(one) for one in built],
        data={"tables": [one.to_json() for one in built]},
    ).show(out, files)


def _block(table: tables.Table) -> Block:
    return Block(
        title=f"Table {table.number}. {table.title}",
        cells=table.cells(),
        remarks=_remarks(table),
        below=partial(_measured, table),
    )


def _measured(table: tables.Table, file: Path) -> str:
    """Plots and worst clips for a page at ``file``, with links to the pages of the runs, which have the pictures."""
    from idol_eval.pages import measured_section

    found = table.measured
    pages = dict.fromkeys(Path(one.origin).with_name("scores.html") for one in found)
    looks = [(_address(one, file), f"worst and median clips, as pictures: {one}") for one in pages if one.is_file()]
    return measured_section([one.as_row() for one in found], table.metrics, looks)


def _address(page: Path, file: Path) -> str:
    """As a link in ``file``: folders that move together keep it."""
    return quote(Path(os.path.relpath(page.resolve(), file.resolve().parent)).as_posix())


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

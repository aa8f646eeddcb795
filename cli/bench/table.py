"""``idol bench table N``."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from cli import _defaults
from cli._output import Output
from cli.bench.deliver import check_ending, write_text
from idol_eval import paper_values, tables
from idol_eval.latex import plain_table
from idol_eval.pages import page, table_html
from idol_eval.report import table_markdown


def show(out: Output, number: int, scores: Sequence[Path] | None, dataset: str | None, files: Sequence[Path]) -> None:
    """Print, write, hand over."""
    for file in files:
        check_ending(file)
    found = list(scores) if scores else sorted((_defaults.OUT / "bench").glob("**/scores.json"))
    out.note(f"scores      {', '.join(map(str, found)) or 'none found under out/bench; name some with --scores'}")
    built = tables.build(number, tables.read_scores(found), _places(), dataset)
    for one in built:
        out.table(f"Table {number}. {one.title}", *one.cells())
        for text in _remarks(one):
            out.line(text)
    for file in files:
        write_text(file, _text(built, check_ending(file)))
        out.line(str(file))
    out.result({"tables": [one.to_json() for one in built]})


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


def _text(built: Sequence[tables.Table], ending: str) -> str:
    if ending == ".json":
        return json.dumps({"tables": [one.to_json() for one in built]}, indent=2) + "\n"
    parts = [(f"Table {one.number}. {one.title}", one.cells(), _remarks(one)) for one in built]
    if ending == ".md":
        blocks = [
            f"## {title}\n\n{table_markdown(*cells)}\n\n" + "\n".join(f"- {text}" for text in said)
            for title, cells, said in parts
        ]
        return "\n\n".join(blocks) + "\n"
    if ending == ".tex":
        return "\n".join(plain_table(title, *cells, said) for title, cells, said in parts)
    body = "".join(
        f"<h2>{escape(title)}</h2>{table_html(*cells)}<ul>{''.join(f'<li>{escape(text)}</li>' for text in said)}</ul>"
        for title, cells, said in parts
    )
    return page(f"Table {built[0].number} of the paper", body)

"""What ``idol bench`` shows and writes at the end: tables, files by their endings, JSON."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli._output import Output
from cli.bench.documents import check_ending, write_text
from idol_eval import paper_values
from idol_eval import report as writing
from idol_eval.complexity import Complexity
from idol_eval.protocol import Protocol
from idol_eval.row import Row
from idol_eval.sheets import Panel

_PAPER_NAMES = ("IDOL",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What is wanted. ``folder`` None writes nothing of its own accord; ``files`` are told apart by their endings."""

    folder: Path | None = None
    files: Sequence[Path] = ()
    paper: int | None = 1

    @property
    def has_page(self) -> bool:
        """Whether an HTML page will be written."""
        return self.folder is not None or any(file.suffix.lower() == ".html" for file in self.files)


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """All there is to tell; ``record`` goes into the JSON as it is."""

    rows: Sequence[Row]
    protocol: Protocol
    reference: dict[str, Any]
    record: dict[str, Any] = field(default_factory=dict)
    costs: Complexity | None = None
    panels: Sequence[Panel] = ()


def deliver(out: Output, found: Findings, report: Report) -> None:
    """Tables on the terminal, files, JSON."""
    paper = _paper_rows(report.paper)
    out.table("Scores", *writing.cells(found.rows, writing.BRIEF))
    for text in writing.remarks(found.rows):
        out.line(text)
    _show_intervals(out, found.rows)
    if found.costs is not None:
        out.table("Cost", *writing.complexity_cells(found.costs))
    if paper:
        out.table(paper_values.MARK.capitalize(), *writing.cells(paper))
    result = writing.to_json([*found.rows, *paper], found.protocol, found.reference) | found.record
    if found.costs is not None:
        result["complexity"] = dataclasses.asdict(found.costs)
    pages = _Pages(found, paper, result)
    own = [] if report.folder is None else [report.folder / f"scores.{ending}" for ending in ("md", "json", "html")]
    for file in (*report.files, *own):
        write_text(file, pages.text(file))
        out.line(str(file))
    out.result(result)


def _show_intervals(out: Output, rows: Sequence[Row]) -> None:
    """Of measured rows alone; files have all."""
    measured = [row for row in rows if row.kind == "measured"]
    headings, lines = writing.uncertainty_cells(measured, writing.BRIEF)
    if lines:
        out.table("How sure they are", headings, lines)
    for text in writing.interval_remarks(measured):
        out.line(text)


class _Pages:
    """The same findings in every format."""

    def __init__(self, found: Findings, paper: Sequence[Row], result: dict[str, Any]) -> None:
        self._found, self._paper, self._result = found, paper, result

    def text(self, file: Path) -> str:
        """The page for ``file``'s ending. Raises ValueError for an unknown one."""
        found, ending = self._found, check_ending(file)
        if ending == ".json":
            return json.dumps(self._result, indent=2) + "\n"
        if ending == ".md":
            return writing.markdown(found.rows, found.protocol, found.costs, self._paper)
        if ending == ".tex":
            from idol_eval.latex import scores_table

            return scores_table(found.rows, found.protocol)
        from idol_eval.pages import scores_page

        return scores_page(found.rows, found.protocol, self._paper, found.panels)


def _paper_rows(table: int | None) -> list[Row]:
    """The paper's own method in table 1, every row of the other tables."""
    if table is None:
        return []
    return paper_values.as_rows(paper_values.select(table, names=_PAPER_NAMES if table == 1 else ()))

"""Tables 1 to 8: the paper's rows as printed, with the cells that were measured beside them and every gap named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from idol_eval import paper_values
from idol_eval.catalogue import BY_KEY, Metric
from idol_eval.comparable import Result, groups
from idol_eval.paper_values import PaperRow

Places: TypeAlias = Mapping[str, Sequence[tuple[int, str, str | None]]]
"""Where a measured row belongs: its recipe to (table, the paper's row, dataset)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One row of the paper and what was measured for it; ``measured`` None is a gap."""

    paper: PaperRow
    measured: Result | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of the paper. ``lines`` are of one group of comparable rows; ``strangers`` fit no line of it."""

    number: int
    title: str
    metrics: tuple[Metric, ...]
    lines: tuple[Line, ...]
    incomparable: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()

    @property
    def gaps(self) -> list[str]:
        """Rows that nobody has measured here."""
        return [_name(line.paper) for line in self.lines if line.measured is None]

    @property
    def measured(self) -> list[Result]:
        """What was measured, each once; one may stand in several lines."""
        found = [line.measured for line in self.lines if line.measured is not None]
        return list({(one.origin, one.name): one for one in found}.values())

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Headings and lines: for each metric the paper's number, then ours."""
        heads = [head for metric in self.metrics for head in (f"{metric.heading} paper", "ours")]
        return ["row", *heads, "ours made with"], [self._line(line) for line in self.lines]

    def to_json(self) -> dict[str, Any]:
        """The same as data."""
        return {
            "format": "idol-table",
            "version": 1,
            "table": self.number,
            "title": self.title,
            "mark": paper_values.MARK,
            "rows": [
                {
                    "row": line.paper.name,
                    "dataset": line.paper.dataset,
                    "depth": line.paper.depth,
                    "note": line.paper.note,
                    "paper": dict(line.paper.values),
                    "measured": None if line.measured is None else dict(line.measured.row),
                    "origin": None if line.measured is None else line.measured.origin,
                }
                for line in self.lines
            ],
            "gaps": self.gaps,
            "incomparable": list(self.incomparable),
            "strangers": list(self.strangers),
        }

    def _line(self, line: Line) -> list[str]:
        ours = {} if line.measured is None else line.measured.values
        numbers = [
            _written(metric, values.get(metric.key)) for metric in self.metrics for values in (line.paper.values, ours)
        ]
        return [_name(line.paper), *numbers, _made_with(line.measured)]


def build(
    number: int, results: Sequence[Result] = (), places: Places | None = None, dataset: str | None = None
) -> list[Table]:
    """Table ``number``, once for each group of comparable results (once with gaps alone where there are none).

    A result belongs to the rows that ``places`` lists for it, or to the one of its own name where the lines shown are
    of one dataset.

    Raises:
        ValueError: no such table or dataset in it.
    """
    rows, given = paper_values.select(number, dataset), places or {}
    alone = len({row.dataset for row in rows}) == 1
    present = {key for row in rows for key in row.values}
    telling = [result for result in results if present & set(result.values)]
    known = [result for result in telling if any(_fits(result, row, given, alone) for row in rows)]
    strangers = tuple(f"{one.name} ({one.origin})" for one in telling if one not in known)
    several = groups(known) or [[]]
    said = tuple(f"{one.name} ({one.origin})" for group in several for one in group) if len(several) > 1 else ()
    metrics = tuple(metric for metric in BY_KEY.values() if metric.key in present)
    return [
        Table(
            number=number,
            title=rows[0].title,
            metrics=metrics,
            lines=tuple(
                Line(paper=row, measured=next((one for one in group if _fits(one, row, given, alone)), None))
                for row in rows
            ),
            incomparable=tuple(one for one in said if one not in {f"{own.name} ({own.origin})" for own in group}),
            strangers=strangers,
        )
        for group in several
    ]


def _fits(result: Result, row: PaperRow, places: Places, one_dataset: bool) -> bool:
    """By the row's name alone only where the table is of one dataset: a name does not say of which it is."""
    own = (row.table, row.name, row.dataset if not one_dataset else None)
    listed = [
        (table, name, dataset if not one_dataset else None) for table, name, dataset in places.get(result.recipe, ())
    ]
    return result.name == row.label or own in listed or (one_dataset and result.name == row.name)


def _name(row: PaperRow) -> str:
    return row.name + (f", {row.dataset}" if row.dataset else "")


def _written(metric: Metric, value: float | None) -> str:
    return "-" if value is None else format(value, metric.form)


def _made_with(result: Result | None) -> str:
    if result is None:
        return "not measured"
    weights = dict.fromkeys(one["weights"] for one in result.row["extractors"].values())
    costs = [result.row["cost"]["rule"]] if "cost" in result.row else []
    networks = [", ".join(weights) or "no networks"] if result.row["counts"] else []
    return "; ".join([result.row["protocol"]["id"], *networks, *(one for one in costs if networks)])

"""Tables 1 to 8 of the paper, as data. They stand beside measured rows and are never mixed with them."""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType

from idol_eval.row import Row

MARK = "paper: other data and weights, not comparable with measured rows"
"""What every such row says of itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperRow:
    """One printed line. ``values`` by metric key; ``depth_mse`` is the column called L2."""

    table: int
    title: str
    dataset: str | None
    depth: str | None
    name: str
    values: MappingProxyType[str, float]
    note: str = ""

    @property
    def label(self) -> str:
        """Name and place in the paper: ``IDOL (paper, Table 1, tiktok)``."""
        place = f"paper, Table {self.table}" + (f", {self.dataset}" if self.dataset else "")
        return f"{self.name} ({place})"


@lru_cache(maxsize=1)
def rows() -> tuple[PaperRow, ...]:
    """All lines, in the paper's order."""
    text = resources.files("idol_eval").joinpath("paper_values.json").read_text(encoding="utf-8")
    return tuple(
        PaperRow(
            table=table["table"],
            title=table["title"],
            dataset=table["dataset"],
            depth=table["depth"],
            name=row["name"],
            values=MappingProxyType(row["values"]),
            note=row.get("note", ""),
        )
        for table in json.loads(text)["tables"]
        for row in table["rows"]
    )


def select(table: int, dataset: str | None = None, names: tuple[str, ...] = ()) -> list[PaperRow]:
    """The lines of one table, of one dataset and of some methods where these are given.

    Raises:
        ValueError: no such line.
    """
    found = [
        row
        for row in rows()
        if row.table == table and dataset in (None, row.dataset) and (not names or row.name in names)
    ]
    if not found:
        raise ValueError(f"the paper has no such row: table {table}, dataset {dataset}, methods {names or 'any'}")
    return found


def as_rows(chosen: list[PaperRow]) -> list[Row]:
    """For a table of measured rows, each with `MARK`."""
    return [
        Row(
            name=row.label,
            kind="paper",
            values=dict(row.values),
            notes=tuple(text for text in (MARK, row.note) if text),
        )
        for row in chosen
    ]

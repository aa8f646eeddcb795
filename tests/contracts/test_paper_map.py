"""The map from paper to code leads somewhere, and past no equation or table."""

import re
from pathlib import Path

HOME = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (HOME / "docs" / "paper_map.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and "`" in line
]


def test_every_row_names_a_file_and_what_is_in_it() -> None:
    for _, file, names in ROWS:
        text = (HOME / file.strip("`")).read_text(encoding="utf-8")
        for name in re.findall(r"`([^`]+)`", names):
            assert re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", text), f"{file} has no {name}"


def test_every_equation_and_table_of_the_paper_has_a_row() -> None:
    told = " ".join(place for place, _, _ in ROWS)
    numbers = {kind: set() for kind in ("Eq", "Tab")}
    for kind, first, last in re.findall(r"(Eq|Tab)\. (\d)(?:-(\d))?", told):
        numbers[kind] |= set(range(int(first), int(last or first) + 1))
    assert numbers["Eq"] >= set(range(1, 9))
    assert numbers["Tab"] >= set(range(1, 9))

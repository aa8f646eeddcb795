"""May two rows stand side by side? Only where everything that decides a number is the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from idol_eval.row import Row
from idol_eval.versions import DECIDING

_FREE = ("id", "summary", "source")
"""Words about a protocol that decide nothing; two ids with the same fields are the same protocol."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One row of a ``scores.json``, with all that it stands on. ``origin`` says which file."""

    name: str
    origin: str
    row: Mapping[str, Any]
    reference: Mapping[str, Any]
    versions: Mapping[str, str]

    @property
    def values(self) -> dict[str, float | None]:
        """Numbers by metric; ``"inf"`` becomes infinity again."""
        return {key: None if value is None else float(value) for key, value in self.row["values"].items()}

    @property
    def recipe(self) -> str:
        """The recipe as whose row it counts; empty where it counts as none."""
        own = self.row.get("recipe")
        return self.name if own is None else own

    def as_row(self) -> Row:
        """The numbers again as they were scored: values, intervals with how they came about, clips."""
        clips = self.row.get("per_clip", ())
        return Row(
            name=self.name,
            kind="measured",
            values=self.values,
            intervals={key: (low, high) for key, (low, high) in self.row.get("intervals", {}).items()},
            statistics=dict(self.row.get("statistics", {})),
            per_clip=tuple({key: one if key == "id" else float(one) for key, one in clip.items()} for clip in clips),
        )


def differences(one: Result, two: Result) -> list[str]:
    """What two rows differ in; empty where they are comparable.

    Protocol, extractors with their weights' hashes, counts, the reference's content, versions (eval.md 5.3).
    """
    found = [
        f"{name}: {first!r} and {second!r}"
        for name, first, second in _pairs(_identity(one), _identity(two))
        if first != second
    ]
    return sorted(found)


def groups(results: Sequence[Result]) -> list[list[Result]]:
    """Rows that may be compared, together; in order of appearance."""
    found: list[list[Result]] = []
    for result in results:
        home = next((group for group in found if not any(differences(one, result) for one in group)), None)
        if home is None:
            found.append([result])
        else:
            home.append(result)
    return found


def _identity(result: Result) -> dict[str, Any]:
    protocol = {f"protocol.{key}": value for key, value in result.row["protocol"].items() if key not in _FREE}
    networks = {f"extractor.{key}": value for key, value in result.row["extractors"].items()}
    counts = {f"counts.{key}": value for key, value in result.row["counts"].items() if key != "seeds"}
    truth = result.row.get("truth") or result.reference.get("content", result.reference.get("path"))
    one = {"reference": truth, "lossy": result.row.get("lossy")}
    costs = {f"cost.{key}": value for key, value in result.row.get("cost", {}).items()}
    versions = {f"versions.{key}": result.versions.get(key) for key in DECIDING}
    return protocol | networks | counts | {key: own for key, own in one.items() if own is not None} | costs | versions


def _pairs(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Fields of both; an extractor or a cost that only one has decides none of the other's numbers.

    Rows of costs alone have no protocol and no reference.
    """
    return [
        (key, one.get(key), two.get(key))
        for key in {*one, *two}
        if (key in one and key in two) or key.startswith("versions.")
    ]

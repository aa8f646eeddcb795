"""Measured rows of files: ``scores.json`` of `idol bench`, ``costs.json`` of `idol bench cost`."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from idol_eval.comparable import Result
from idol_eval.complexity import Complexity, table_values
from idol_eval.samples import SampleError
from idol_eval.versions import versions

SCORES, COSTS = "idol-scores", "idol-costs"


def costs_json(costs: Mapping[str, Complexity]) -> dict[str, Any]:
    """What `read` takes as rows of Table 7: costs by name of recipe."""
    rows = [{"recipe": name, **asdict(cost)} for name, cost in costs.items()]
    return {"format": COSTS, "version": 1, "versions": versions(), "rows": rows}


def read(files: Iterable[Path]) -> list[Result]:
    """Measured rows of all ``files``; rows of a checkpoint carry its costs as values too.

    Raises:
        SampleError: a file of another kind.
    """
    found: list[Result] = []
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            reader = {SCORES: _scores, COSTS: _costs}.get(content["format"])
            if reader is None:
                raise ValueError(f"format {content['format']!r}")
            found += reader(content, str(file))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SampleError(
                f"{file}: holds no scores of `idol bench` ({error}); give a scores.json or costs.json"
            ) from error
    return found


def _scores(content: Mapping[str, Any], origin: str) -> Iterator[Result]:
    cost = content.get("complexity")
    about = {"reference": content["reference"], "versions": content["versions"], "origin": origin}
    for row in content["rows"]:
        if row["kind"] == "measured":
            own = row if cost is None else row | {"values": row["values"] | table_values(cost), "cost": _rule(cost)}
            yield Result(name=row["name"], row=own, **about)


def _costs(content: Mapping[str, Any], origin: str) -> Iterator[Result]:
    rows: Sequence[Mapping[str, Any]] = content["rows"]
    for row in rows:
        about = {"protocol": {"id": row["rule"]}, "extractors": {}, "counts": {}, "values": table_values(row)}
        yield Result(
            name=row["recipe"],
            row=about | {"cost": _rule(row)},
            reference={},
            versions=content["versions"],
            origin=origin,
        )


def _rule(cost: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a cost beside the model."""
    return {key: cost[key] for key in ("rule", "frames", "steps", "device", "threads", "memory_kind")}

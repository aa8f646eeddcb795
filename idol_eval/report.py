"""Rows as JSON, as Markdown and as the cells of a table. Nothing is printed here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from idol_eval.catalogue import BY_KEY, FEATURE_FAMILIES, Metric
from idol_eval.complexity import Complexity
from idol_eval.protocol import Protocol
from idol_eval.row import Row
from idol_eval.versions import versions

_EMPTY = "-"
_EARLIER = "Intervals of files from before this was recorded: percentiles of bootstrap draws over videos, too narrow."
BRIEF: tuple[str, ...] = (
    "fid_fvd",
    "fvd",
    "depth_mse",
    "depth_fg_mse",
    "silhouette_iou",
    "align_outline",
    "align_edges",
    "pck_10",
    "fid",
    "psnr",
    "ssim",
    "video_change",
    "depth_change",
)
"""Columns of a terminal's table; JSON and Markdown have all."""


def to_json(rows: Sequence[Row], protocol: Protocol, reference: Mapping[str, Any]) -> dict[str, Any]:
    """The whole result. Every row of ours carries the protocol; an infinite value is written as ``"inf"``."""
    return {
        "format": "idol-scores",
        "version": 1,
        "protocol": protocol.to_dict(),
        "reference": dict(reference),
        "versions": versions(),
        "rows": [_row_json(row, protocol) for row in rows],
    }


def columns(rows: Sequence[Row], keys: Sequence[str] | None = None) -> list[Metric]:
    """The metrics that any row has, in the catalogue's order; only those of ``keys`` where given."""
    present = {key for row in rows for key in row.values}
    return [metric for metric in BY_KEY.values() if metric.key in present and (keys is None or metric.key in keys)]


def cells(rows: Sequence[Row], keys: Sequence[str] | None = None) -> tuple[list[str], list[list[str]]]:
    """Headings and lines of text for a table: the row's name, then its numbers (``-`` where it has none), then the
    weights behind its features.
    """
    shown = columns(rows, keys)
    lines = [
        [row.name, *(_written(metric, row.values.get(metric.key)) for metric in shown), _weights(row)] for row in rows
    ]
    return ["row", *(metric.heading for metric in shown), "weights"], lines


def remarks(rows: Sequence[Row]) -> list[str]:
    """What rows left out and what else is to be known of them, each text once with the rows it is about."""
    about: dict[str, list[str]] = {}
    for row in rows:
        for text in (*row.left_out, *row.notes):
            about.setdefault(text, []).append(row.name)
    return [f"{text} [{', '.join(names)}]" for text, names in about.items()]


def uncertainty_cells(rows: Sequence[Row], keys: Sequence[str] | None = None) -> tuple[list[str], list[list[str]]]:
    """Headings and one line for each value (of ``keys``, where given) that has an interval, a spread or a limit."""
    lines = []
    for row in rows:
        for metric in columns([row], keys):
            low, high = row.intervals.get(metric.key, (None, None))
            spread, limit = row.spreads.get(metric.key), row.limits.get(metric.key)
            if low is None and spread is None and limit is None:
                continue
            interval = _EMPTY if low is None else f"{_written(metric, low)} to {_written(metric, high)}"
            endless = _EMPTY if limit is None else _written(metric, limit.limit)
            value, std = (_written(metric, one) for one in (row.values.get(metric.key), spread))
            lines.append([row.name, metric.title, value, interval, std, endless])
    return ["row", "metric", "value", "95 % over videos", "std", "endless samples"], lines


def interval_remarks(rows: Sequence[Row]) -> list[str]:
    """What the rows' intervals cover and what they do not, for the kinds of interval that there are."""
    texts: dict[str, None] = {}
    for row in rows:
        recorded = row.statistics.get("intervals", {})
        for kind in dict.fromkeys("frechet" if key in FEATURE_FAMILIES else "means" for key in row.intervals):
            texts[recorded.get(kind, _EARLIER)] = None
    return list(texts)


def complexity_cells(found: Complexity) -> tuple[list[str], list[list[str]]]:
    """Headings and the lines of a table of parts and costs."""
    lines = [[name, f"{count / 1e6:.2f} M"] for name, count in found.parameters.items()]
    lines.append(["all parameters", f"{sum(found.parameters.values()) / 1e6:.2f} M"])
    if found.flops_per_step is not None:
        lines.append([f"FLOPs per denoising step ({found.rule})", f"{found.flops_per_step / 1e9:.2f} G"])
    if found.seconds is not None:
        spread = "" if found.spread is None else f" ± {found.spread / 2:.2g}"
        lines.append(
            [f"seconds for {found.frames} frames, {found.steps} steps ({found.device})", f"{found.seconds:.2f}{spread}"]
        )
    if found.peak_memory_mb is not None:
        lines.append([f"peak memory ({found.memory_kind})", f"{found.peak_memory_mb:.0f} MB"])
    return ["cost", "value"], lines


def markdown(
    rows: Sequence[Row], protocol: Protocol, complexity: Complexity | None = None, paper: Sequence[Row] = ()
) -> str:
    """A page: the table, the protocol, what was left out, notes, costs; the paper's rows in a table of their own."""
    blocks = [table_markdown(*cells(rows)), protocol_text(protocol, rows)]
    if any(row.intervals or row.spreads or row.limits for row in rows):
        blocks += ["How sure they are:", table_markdown(*uncertainty_cells(rows)), *interval_remarks(rows)]
    said = remarks(rows)
    if said:
        blocks.append("\n".join(f"- {text}" for text in said))
    if complexity is not None:
        blocks.append(table_markdown(*complexity_cells(complexity)))
    if paper:
        blocks += [
            "The paper's numbers: other data and other weights, no line to compare with.",
            table_markdown(*cells(paper)),
        ]
    return "\n\n".join(blocks) + "\n"


def _row_json(row: Row, protocol: Protocol) -> dict[str, Any]:
    record = asdict(row)
    record["values"] = {key: _number(value) for key, value in row.values.items()}
    record["per_clip"] = [{key: _number(value) for key, value in clip.items()} for clip in row.per_clip]
    return record if row.kind == "paper" else record | {"protocol": protocol.to_dict(), "versions": versions()}


def _number(value: Any) -> Any:
    """JSON has no infinity; the PSNR of identical clips is one."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _written(metric: Metric, value: float | None) -> str:
    return _EMPTY if value is None else format(value, metric.form)


def _weights(row: Row) -> str:
    """Which weights the row's feature distances stand on."""
    if row.kind == "paper":
        return "the paper's"
    return ", ".join(dict.fromkeys(text["weights"] for text in row.extractors.values())) or _EMPTY


def table_markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    rule = ["---", *("---:" for _ in headings[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in (headings, rule, *lines))


def protocol_text(protocol: Protocol, rows: Sequence[Row]) -> str:
    """How the numbers came about, in one line."""
    size = "as they are" if protocol.size is None else f"centred square at {protocol.size} x {protocol.size}"
    counts = next((row.counts for row in rows if row.counts), {})
    used = {text["name"]: text["weights"] for row in rows for text in row.extractors.values()}
    counted = ", ".join(f"{number} {name.removesuffix('_n')}" for name, number in counts.items())
    networks = "; ".join(f"{name} with {weights}" for name, weights in used.items()) or "none"
    return (
        f"Protocol {protocol.id}: snippets of {protocol.snippet} frames, stride {protocol.stride}, "
        f"{protocol.windows} window, padding {protocol.padding}, container {protocol.container}, "
        f"{protocol.covariance} covariance; frames {size}; "
        f"{counted}. Extractors: {networks}."
    )

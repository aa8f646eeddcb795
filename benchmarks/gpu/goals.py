"""What the figures were to reach, and what they reached."""

from collections.abc import Mapping
from typing import Any

Figures = Mapping[str, Mapping[str, Any]]


def goals(parts: Mapping[str, Figures]) -> list[dict[str, Any]]:
    """Each goal with its value; None where a figure for it is missing. ``met`` follows."""
    rows = parts.get("table7", {})
    joint, single, two = (_found(rows, f"{name}: bf16") for name in ("idol", "video-only", "separate"))
    products = _found(rows, "matrix products").get("flop_per_second", {}).get("bf16")
    memory = _found(parts.get("training_memory", {}), "idol-24gb, stage video")
    plain = joint.get("without guidance", {})
    return [
        _goal("8 RGB-D frames, 50 steps, no guidance, bf16 (s)", plain.get("seconds"), most=0.8),
        _goal("share of the measured bf16 matrix rate", _ratio(plain.get("flop_rate"), products), least=0.4),
        _goal("seconds, joint over single stream", _over(joint, single, "seconds"), most=2.05),
        _goal("seconds, joint over two networks", _over(joint, two, "seconds"), most=0.91),
        _goal("memory, joint over two networks", _over(joint, two, "peak_gb"), most=0.70),
        _goal("idol-24gb, video stage (GB with its optimiser)", memory.get("with_its_optimizer_gb"), most=24.0),
    ]


def _goal(name: str, value: float | None, most: float | None = None, least: float | None = None) -> dict[str, Any]:
    wanted = f"at most {most:g}" if most is not None else f"at least {least:g}"
    met = None if value is None else (value <= most if most is not None else value >= (least or 0.0))
    return {"goal": name, "wanted": wanted, "value": value, "met": met}


def _found(figures: Figures, name: str) -> Mapping[str, Any]:
    return figures.get(name, {}).get("values") or {}


def _over(one: Mapping[str, Any], other: Mapping[str, Any], key: str) -> float | None:
    return _ratio(*(row.get("without guidance", {}).get(key) for row in (one, other)))


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one and other else None

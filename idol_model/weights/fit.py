"""Strict loading: what a file holds must find its place, and what stays as it was initialised must be expected to."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from idol_model.unet.sharing import shared_name

_NAMED = 3
"""How many weights an error names before it only counts."""


class WeightsError(ValueError):
    """Pre-trained weights do not fit the recipe; the message names part and weights. Nothing is loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What one part took from a file: names of our parameters, and those that keep their initialisation."""

    part: str
    source: str
    filled: tuple[str, ...]
    fresh: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A network of ours and what is to fill it, both streams of a separate network alike.

    ``weights`` go by the names of the shared network. ``may_stay`` are marks of parameters that the source cannot have;
    all others must be filled.
    """

    name: str
    module: nn.Module
    weights: Mapping[str, Tensor]
    may_stay: tuple[str, ...] = ()


def load(source: str, *parts: Part) -> list[Fit]:
    """Fill all parts from ``source``, or none.

    Raises:
        WeightsError: a weight without a place, a place without a weight, or another shape; nothing is changed.
    """
    fillings = [_filling(part, source) for part in parts]
    for part, filling in zip(parts, fillings, strict=True):
        part.module.load_state_dict(filling, strict=False)
    return [
        Fit(part=part.name, source=source, filled=tuple(filling), fresh=_fresh(part))
        for part, filling in zip(parts, fillings, strict=True)
    ]


def _fresh(part: Part) -> tuple[str, ...]:
    """Names of our parameters that the weights do not have."""
    return tuple(name for name in part.module.state_dict() if shared_name(name) not in part.weights)


def _filling(part: Part, source: str) -> dict[str, Tensor]:
    """The weights by our own names, all of which fit."""
    own, weights = part.module.state_dict(), part.weights
    theirs = {name: shared_name(name) for name in own}
    faults = {
        "has no place for": sorted(set(weights) - set(theirs.values())),
        "gets nothing for": [name for name in _fresh(part) if not any(mark in name for mark in part.may_stay)],
        "has another shape for": [
            f"{name} ({tuple(weights[theirs[name]].shape)}, not {tuple(value.shape)})"
            for name, value in own.items()
            if theirs[name] in weights and weights[theirs[name]].shape != value.shape
        ],
    }
    told = [f"{what} {_listed(names)}" for what, names in faults.items() if names]
    if told:
        raise WeightsError(
            f"{source}: {part.name} {'; '.join(told)}; nothing was loaded. Set the recipe's sizes to those of the "
            "weights, or leave this source out of weights"
        )
    return {name: weights[source_name] for name, source_name in theirs.items() if source_name in weights}


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more

"""Strict loading: what a file holds must find its place, and what stays as it was initialised must be expected to."""

from collections.abc import Iterable, Mapping
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


def load(module: nn.Module, weights: Mapping[str, Tensor], named: tuple[str, str], may_stay: Iterable[str] = ()) -> Fit:
    """Fill ``module`` from ``weights``, both streams of a separate network alike.

    Args:
        module: a network of ours.
        weights: by the names of the shared network.
        named: the part and the source, for messages.
        may_stay: marks of parameters that the source cannot have; all others must be filled.

    Raises:
        WeightsError: a weight without a place, a place without a weight, or another shape; nothing is changed.
    """
    own, (part, source) = module.state_dict(), named
    marks = tuple(may_stay)
    theirs = {name: shared_name(name) for name in own}
    fresh = [name for name in own if theirs[name] not in weights]
    faults = {
        "has no place for": sorted(set(weights) - set(theirs.values())),
        "gets nothing for": [name for name in fresh if not any(mark in name for mark in marks)],
        "has another shape for": [
            f"{name} ({tuple(weights[theirs[name]].shape)}, not {tuple(value.shape)})"
            for name, value in own.items()
            if theirs[name] in weights and weights[theirs[name]].shape != value.shape
        ],
    }
    told = [f"{what} {_listed(names)}" for what, names in faults.items() if names]
    if told:
        raise WeightsError(
            f"{source}: {part} {'; '.join(told)}; nothing was loaded. Set the recipe's sizes to those of the weights, "
            "or leave this source out of weights"
        )
    filled = {name: weights[source_name] for name, source_name in theirs.items() if source_name in weights}
    module.load_state_dict(filled, strict=False)
    return Fit(part=part, source=source, filled=tuple(filled), fresh=tuple(fresh))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more

"""Learning rates of a stage."""

import math
from collections.abc import Callable

from idol_model.recipe import Decay, Stage


def rate(stage: Stage, step: int) -> float:
    """Learning rate of a step: up in a line over the warm-up, then down to 0 in a line or half a cosine."""
    warm = max(1, round(stage.warmup * stage.steps))
    if step < warm:
        return stage.lr * (step + 1) / warm
    gone = (step - warm) / max(1, stage.steps - warm)
    return stage.lr * _DECAYS[stage.decay](gone)


_DECAYS: dict[Decay, Callable[[float], float]] = {
    "linear": lambda gone: 1 - gone,
    "cosine": lambda gone: 0.5 * (1 + math.cos(math.pi * gone)),
}
"""Share of the rate that is left, by the share of the steps that is gone."""

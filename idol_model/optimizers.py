"""Optimisers by name, and their state as named tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from idol_model.recipe import OptimizerKind, Stage

Named = list[tuple[str, nn.Parameter]]
Move = Callable[[Tensor, Tensor], Tensor]
"""``move(value, like)``: the value where and as the parameter ``like`` is kept."""


@dataclass(frozen=True, slots=True)
class OptimizerChoice:
    """How an optimiser is made, and the bytes of state it keeps for each trained number."""

    make: Callable[[list[nn.Parameter], Stage], torch.optim.Optimizer]
    bytes_each: float
    package: str = "torch"
    """Where it comes from."""


def _adamw(parameters: list[nn.Parameter], stage: Stage) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=stage.lr, betas=stage.betas, weight_decay=stage.weight_decay, fused=True)


def _adamw_8bit(parameters: list[nn.Parameter], stage: Stage) -> torch.optim.Optimizer:
    from bitsandbytes.optim import AdamW8bit  # pyright: ignore[reportMissingImports]

    return AdamW8bit(parameters, lr=stage.lr, betas=stage.betas, weight_decay=stage.weight_decay)


def _sgd(parameters: list[nn.Parameter], stage: Stage) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=stage.lr, weight_decay=stage.weight_decay)


OPTIMIZERS: dict[OptimizerKind, OptimizerChoice] = {
    "adamw": OptimizerChoice(_adamw, 8),
    # Two moments of a byte, and for every 256 numbers a scale of four bytes each.
    "adamw_8bit": OptimizerChoice(_adamw_8bit, 2 + 2 * 4 / 256, "bitsandbytes"),
    "sgd": OptimizerChoice(_sgd, 0),
}


def made(kind: OptimizerKind, named: Named, stage: Stage) -> torch.optim.Optimizer:
    """The optimiser of a stage's parameters."""
    return OPTIMIZERS[kind].make([parameter for _, parameter in named], stage)


def check_present(kind: OptimizerKind) -> None:
    """Raises ValueError where the optimiser's package is not installed."""
    package = OPTIMIZERS[kind].package
    if find_spec(package) is None:
        raise ValueError(f"optimizer={kind}: needs {package}; pip install {package}, or set optimizer=adamw")


def state_tensors(named: Named, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state by parameter name: ``<name>/exp_avg`` and so on; whole numbers become int64 scalars.

    Tables that several parameters share are given to each, since a file holds no tensor twice.
    """
    state: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, parameter in named:
        for key, value in optimizer.state.get(parameter, {}).items():
            tensor = value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.int64)
            state[f"{name}/{key}"] = tensor.clone() if id(tensor) in seen else tensor
            seen.add(id(tensor))
    return state


def load_state(named: Named, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], move: Move) -> None:
    """Put back what `state_tensors` gave."""
    parameters = dict(named)
    for key, tensor in tensors.items():
        name, _, field = key.rpartition("/")
        optimizer.state[parameters[name]][field] = _restored(tensor, parameters[name], move)


def _restored(tensor: Tensor, like: Tensor, move: Move) -> Any:
    whole_number = tensor.ndim == 0 and tensor.dtype == torch.int64
    return tensor.item() if whole_number else move(tensor, like)

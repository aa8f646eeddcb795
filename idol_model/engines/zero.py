"""Gradient descent through DeepSpeed's ZeRO (Rajbhandari et al. 2020), its state as named tensors of the run.

DeepSpeed lays all weights in one row and gives each process a stretch of it; the optimiser knows that stretch alone.
"""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, distributed, nn

from idol_model import optimizers
from idol_model.chance import Chance
from idol_model.engines.descent import NotFinite, check_finite
from idol_model.objective import Losses
from idol_model.optimizers import Named
from idol_model.recipe import Stage

if TYPE_CHECKING:
    from idol_model.engines.partitioned import Partitioned

BUCKET = 50_000_000
"""Numbers that are sent at once; a process holds twice as many beside its weights in the backward pass."""


class ZeroDescent:
    """ZeRO's second stage. It forgets a gradient that is not finite without a step; here that is an error."""

    scaler = None

    def __init__(self, engine: "Partitioned", module: nn.Module, named: Named, stage: Stage) -> None:
        self._engine, self._named = engine, named
        _check_layout(named)
        self._optimizer = optimizers.made(engine.optimizer, named, stage)
        with redirect_stdout(sys.stderr):  # it prints, and stdout is the caller's
            import deepspeed  # pyright: ignore[reportMissingImports]

            self._zero, *_ = deepspeed.initialize(
                model=_Total(module.train()),
                optimizer=self._optimizer,
                config=_settings(stage, engine),
                dist_init_required=False,
            )
        self._reached = torch.zeros(len(named), dtype=torch.int32)
        self._hooks = [
            parameter.register_post_accumulate_grad_hook(partial(self._reach, number))
            for number, (_, parameter) in enumerate(named)
        ]
        self._idle: list[nn.Parameter] = []

    def add(self, batch: Any, chance: Chance, share: float, *, last: bool) -> Losses:
        self._zero.set_gradient_accumulation_boundary(last)
        total, losses = self._zero(batch, chance)
        self._zero.backward(total * share)
        return losses

    def step(self, rate: float, values: Mapping[str, Tensor]) -> dict[str, float]:
        """As for other engines: parameters without a gradient keep their values, without decay.

        Raises:
            NotFinite: nothing was moved.
        """
        from deepspeed.utils import safe_set_full_fp32_param  # pyright: ignore[reportMissingImports]

        read = self._engine.mean(values)
        check_finite(read)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._idle = self._without_gradient()
        kept = [parameter.detach().clone() for parameter in self._idle]
        self._zero.step()
        if not self._zero.was_step_applied():
            raise NotFinite([])
        for parameter, value in zip(self._idle, kept, strict=True):
            parameter.data.copy_(value)
            safe_set_full_fp32_param(parameter, value)
        return read

    def state(self) -> dict[str, Tensor]:
        from deepspeed.utils import safe_get_full_optimizer_state  # pyright: ignore[reportMissingImports]

        stretch = self._stretch
        held = self._optimizer.state[stretch]
        idle = {id(parameter) for parameter in self._idle}
        tensors: dict[str, Tensor] = {}
        for name, parameter in self._named:
            for field, value in held.items() if id(parameter) not in idle else ():
                divided = value.shape == stretch.shape
                whole = safe_get_full_optimizer_state(parameter, field) if divided else value.clone()
                if self._engine.main:
                    tensors[f"{name}/{field}"] = whole.cpu()
        return tensors

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Raises ValueError: parameters have made different numbers of steps, which one row of weights cannot."""
        parameters, stretch = dict(self._named), self._stretch
        held = self._optimizer.state[stretch]
        for key, tensor in tensors.items():
            name, _, field = key.rpartition("/")
            if field == "step":
                _check_step(name, tensor, held.setdefault(field, tensor.to(stretch.device, copy=True)))
            else:
                _put(parameters[name], held.setdefault(field, torch.zeros_like(stretch)), tensor)

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._zero.destroy()
        del self._zero, self._optimizer
        for _, parameter in self._named:
            parameter.data = parameter.data.clone()  # its own storage again, not a stretch of the row
        self._engine.accelerator.free_memory()

    @property
    def _stretch(self) -> Tensor:
        """The part of the row that this process steps."""
        return self._optimizer.param_groups[0]["params"][0]

    def _reach(self, number: int, parameter: Tensor) -> None:
        del parameter
        self._reached[number] = 1

    def _without_gradient(self) -> list[nn.Parameter]:
        """Parameters that no process has a gradient for in this step."""
        reached = self._reached.to(self._engine.device, copy=True)
        self._reached.zero_()
        distributed.all_reduce(reached, op=distributed.ReduceOp.MAX)
        return [parameter for (_, parameter), any_ in zip(self._named, reached.tolist(), strict=True) if not any_]


class _Total(nn.Module):
    """A module that hands out the loss first: DeepSpeed looks for the output it will be given back."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: Any, chance: Chance) -> tuple[Tensor, Losses]:
        losses: Losses = self.module(batch, chance)
        return losses.total, losses


def _settings(stage: Stage, engine: "Partitioned") -> dict[str, Any]:
    """DeepSpeed's own configuration. Batches, rates and precision stay the trainer's."""
    zero: dict[str, Any] = {"stage": 2, "reduce_bucket_size": BUCKET, "allgather_bucket_size": BUCKET}
    if engine.offload:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": engine.device.type == "cuda"}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_clipping": stage.clip_norm or 0.0,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }


def _check_layout(named: Named) -> None:
    for name, parameter in named:
        if not parameter.is_contiguous():
            raise ValueError(f"engine deepspeed: {name} has its channels last, which a row loses; omit --channels-last")


def _check_step(name: str, step: Tensor, held: Tensor) -> None:
    if step.item() != held.item():
        raise ValueError(
            f"engine deepspeed: {name} has made {step.item():g} steps and others {held.item():g}, but all are stepped "
            "as one; continue with --engine ddp or fsdp"
        )


def _put(parameter: nn.Parameter, stretch: Tensor, whole: Tensor) -> None:
    """Copy what this process steps of a parameter from a tensor of its shape into a tensor like the stretch."""
    mapping: Any = getattr(parameter, "_hp_mapping", None)
    if mapping is not None:
        target, source = mapping.hp_fragment_address, mapping.lp_fragment_address
        part = whole.flatten()[source.start : source.start + source.numel]
        stretch[target.start : target.start + target.numel].copy_(part)

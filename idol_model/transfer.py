"""Batches from the CPU to a device: copied beside the kernels of the step before where a GPU can do that."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def moved(batch: Any, device: torch.device, dtype: torch.dtype | None = None) -> Any:
    """The batch with its tensors on ``device``, those of real numbers in ``dtype`` where it is given.

    A copy to an NVIDIA GPU from pinned memory (`staged`) returns at once. It lies in the stream before the kernels that
    use the batch, so they wait for it, and torch hands pinned memory out again only when the copy from it is done.
    """
    beside = device.type == "cuda"
    return _each_tensor(batch, lambda x: x.to(device, dtype if x.is_floating_point() else None, non_blocking=beside))


def staged(batch: Any, device: torch.device) -> Any:
    """The batch where ``device`` can copy it from by itself: pinned for an NVIDIA GPU, as it is for others.

    Pinning copies too: the thread that makes batches is the place for it.
    """
    return _each_tensor(batch, Tensor.pin_memory) if device.type == "cuda" else batch


def _each_tensor(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(batch, Tensor):
        return change(batch)
    fields = {name: getattr(batch, name) for name in batch.__dataclass_fields__}
    return type(batch)(**{name: change(v) if isinstance(v, Tensor) else v for name, v in fields.items()})

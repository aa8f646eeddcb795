"""Where networks run. Nothing is asked of torch before an annotator asks for its device."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from idol_prep.schema import DataError

if TYPE_CHECKING:
    import torch

ON_CPU = 8
"""Frames that travel together without a GPU: batches gain a CPU nothing, and small ones keep its cache."""
_GPU_BYTES_A_FRAME = 256 << 20
"""What the largest of the networks takes for one frame, by a wide margin."""
_MOST = 64


class Device:
    """A device by name: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``: an NVIDIA GPU where torch sees one.

    Raises `DataError` when it is used, where a GPU was named and none is there: nothing falls back to the CPU. Apple's
    ``mps`` is taken by its name only, with a warning: nothing of this project was ever run there.
    """

    def __init__(self, name: str = "auto") -> None:
        self.name = name
        self._torch: torch.device | None = None

    @property
    def torch(self) -> torch.device:
        """The device as torch names it."""
        if self._torch is None:
            self._torch = _resolved(self.name)
        return self._torch

    @property
    def frames_at_once(self) -> int:
        """How many frames a batch has: as many as the NVIDIA GPU's free memory holds; 8 elsewhere."""
        if self._torch is None or self._torch.type != "cuda":
            return ON_CPU
        import torch

        free, _ = torch.cuda.mem_get_info(self._torch)
        return max(ON_CPU, min(_MOST, free // _GPU_BYTES_A_FRAME // ON_CPU * ON_CPU))


def _resolved(name: str) -> torch.device:
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DataError(f"unknown device {name!r}; choose auto, cpu, cuda, cuda:1 or mps") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DataError(f"device {name}: torch sees {torch.cuda.device_count()} GPUs; install its driver, or use cpu")
    if device.type == "mps":
        if not torch.backends.mps.is_available():
            raise DataError("device mps: torch sees no Apple GPU here; use cpu")
        warnings.warn("device mps: never tried by this project; compare a result with --device cpu first")
    return device

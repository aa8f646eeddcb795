"""Where networks run and in which numbers: one answer for training, generation, benchmark and inspection.

``auto`` is an NVIDIA GPU where torch sees one, else the CPU. Apple's ``mps`` is taken by its name only, with a warning:
nothing of this project was ever run there, and its arithmetic is not the CPU's.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
DtypeName = Literal["auto", "fp32", "bf16", "fp16"]

DTYPES: dict[str, str] = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""Our short names, as a recipe's ``precision`` has them, and torch's."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where weights lie and in which type; ``why`` says how the type came about."""

    device: torch.device
    dtype: torch.dtype
    why: str = ""

    @property
    def dtype_name(self) -> str:
        """``float32``, ``bfloat16`` or ``float16``."""
        return dtype_name(self.dtype)

    def __str__(self) -> str:
        return f"{self.device.type}, {self.dtype_name}{self.why and f' ({self.why})'}"


def place(device: DeviceName = "auto", dtype: DtypeName = "auto") -> Placement:
    """Device and type for running a trained model, both checked; float32 is then exact on a GPU (no TF32).

    Raises:
        ValueError: the device is not there, or cannot do the type.
    """
    chosen = find_device(device)
    numbers, why = _default_dtype(chosen) if dtype == "auto" else (dtype, "")
    check_dtype(numbers, chosen)
    allow_tf32(chosen, False)
    return Placement(chosen, _torch_dtype(numbers), why)


def find_device(name: DeviceName = "auto") -> torch.device:
    """The device of that name; nothing falls back to the CPU.

    Raises:
        ValueError: it is not on this machine.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here; run `idol doctor`, or use --device cpu")
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError("--device mps: torch sees no Apple GPU here; use --device cpu")
        warnings.warn("device mps: never tried by this project; compare a result with --device cpu first")
    return torch.device(name)


def check_dtype(name: str, device: torch.device) -> None:
    """Refuse a type that a device cannot do, and say where it is slow.

    Raises:
        ValueError: fp16 on the CPU; bf16 on a GPU without it.
    """
    import torch

    if device.type == "cpu" and name == "fp16":
        raise ValueError("precision=fp16 needs a GPU; use bf16 or fp32")
    if device.type == "cuda" and name == "bf16" and not has_bf16():
        card = torch.cuda.get_device_name(device)
        raise ValueError(f"precision=bf16: {card} has no instructions for it; use fp16 or fp32")
    if device.type == "cpu" and name == "bf16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        warnings.warn("precision=bf16: this processor has no instructions for it and is faster with fp32")


def has_bf16() -> bool:
    """Whether the GPU multiplies bfloat16 by itself (NVIDIA from Ampere on), not by emulation."""
    import torch

    return torch.cuda.is_bf16_supported(including_emulation=False)


def allow_tf32(device: torch.device, allowed: bool) -> None:
    """Whether float32 products of an NVIDIA GPU may be rounded to TF32 (10 bits behind the point).

    torch by itself allows it in convolutions and not in matrix products. Elsewhere there is no TF32 to speak of.
    """
    import torch

    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = allowed
        torch.backends.cudnn.allow_tf32 = allowed


def dtype_name(dtype: torch.dtype) -> str:
    """``float32`` of ``torch.float32``."""
    return str(dtype).removeprefix("torch.")


def _default_dtype(device: torch.device) -> tuple[str, str]:
    if device.type != "cuda":
        return "fp32", ""
    if has_bf16():
        return "bf16", "this card's default; --dtype fp32 is exact"
    return "fp32", "this card has no bf16"


def _torch_dtype(name: str) -> torch.dtype:
    import torch

    return getattr(torch, DTYPES[name])

"""ONNX Runtime sessions on the device that was asked for, or none."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators.device import Device
from idol_prep.schema import DataError

MISSING = 'ONNX Runtime is missing; install it with: pip install "idol-video-depth[dwpose]"'
_GPU, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class OnnxNetwork:
    """One network from a file. Raises `DataError` for a damaged file, and where a GPU was asked for and is not used."""

    def __init__(self, file: Path, device: Device) -> None:
        ort = _load()
        provider = provider_for(device, ort.get_available_providers())
        options = ort.SessionOptions()
        options.log_severity_level = 3
        if provider == _CPU:
            options.intra_op_num_threads = max(1, _torch_threads())
        try:
            self._session = ort.InferenceSession(str(file), options, providers=[provider])
        except Exception as error:
            raise DataError(f"{file}: ONNX Runtime cannot load it ({str(error).splitlines()[0]})") from error
        check_in_use(provider, self._session.get_providers())
        self._input = self._session.get_inputs()[0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its input."""
        height, width = self._input.shape[-2:]
        return int(height), int(width)

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Its outputs for a batch [N,3,H,W]; one at a time where the file fixes the batch's size to 1."""
        if self._input.shape[0] != 1 or len(batch) == 1:
            return self._session.run(None, {self._input.name: batch})
        singles = [self._session.run(None, {self._input.name: one[None]}) for one in batch]
        return [np.concatenate(outputs) for outputs in zip(*singles, strict=True)]


def provider_for(device: Device, available: list[str]) -> str:
    """The provider for a device. Raises `DataError` where there is none for a GPU: a CPU is 100 times slower."""
    if device.torch.type == "cpu":
        return _CPU
    if _GPU not in available:
        raise DataError(
            f"device {device.name}: this ONNX Runtime has no {_GPU}, only {', '.join(available)}; "
            "install onnxruntime-gpu (and remove onnxruntime), or choose --device cpu"
        )
    return _GPU


def check_in_use(wanted: str, used: list[str]) -> None:
    """Raise `DataError` where the session runs on something else than it was made for."""
    if wanted not in used:
        raise DataError(
            f"ONNX Runtime could not start its {wanted} and would run on {', '.join(used)}; "
            "check CUDA and cuDNN, or choose --device cpu"
        )


def missing() -> str:
    """What is not installed; empty where nothing is missing."""
    return "" if version() else MISSING


def version() -> str:
    """The installed ONNX Runtime's version, empty where there is none."""
    for name in ("onnxruntime-gpu", "onnxruntime"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def _torch_threads() -> int:
    import torch

    return torch.get_num_threads()


def _load() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(MISSING) from error
    return onnxruntime

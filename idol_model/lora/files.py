"""LoRA files in diffusers' format: ``pytorch_lora_weights.safetensors``, names beginning with the network's.

A file holds ``unet.<layer>.lora_A.weight`` [rank, in] and ``unet.<layer>.lora_B.weight`` [out, rank] for every layer
that it updates, the same for ``pose_control``, and rank and alpha in its header.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers.loaders.lora_base import LORA_ADAPTER_METADATA_KEY, LORA_WEIGHT_NAME_SAFE
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

NETWORKS = ("unet", "pose_control")
"""Networks that a LoRA may update."""
FILE, FOLDER, CODEC = LORA_WEIGHT_NAME_SAFE, "lora", "codec"
"""The file; where a run keeps it, beside ``model/``; a codec that was tuned with it, in that folder."""
_NAME = re.compile(rf"({'|'.join(NETWORKS)})\.(.+)\.lora_([AB])\.weight")
_NAMED = 3


class LoraError(ValueError):
    """A file that is not a LoRA, or is one of another model; the message names file, layers and fix."""


@dataclass(frozen=True, slots=True)
class LoraFile:
    """The content of a LoRA file. ``metadata`` is what peft's configuration was, by network; None where unknown."""

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: dict[str, Any] | None = None

    @classmethod
    def read(cls, path: Path) -> "LoraFile":
        """Raises `LoraError` where the file is damaged or holds no LoRA."""
        try:
            with safe_open(path, framework="pt") as opened:
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
                header = opened.metadata() or {}
        except SafetensorError as error:
            raise LoraError(f"{path}: damaged, or not safetensors ({error}); copy it again") from error
        described = header.get(LORA_ADAPTER_METADATA_KEY)
        return cls(path, tensors, json.loads(described) if described else None)

    @property
    def networks(self) -> list[str]:
        """Names of the networks that it updates."""
        return [name for name in NETWORKS if any(key.startswith(f"{name}.") for key in self.tensors)]

    def check(self, parts: Mapping[str, nn.Module]) -> None:
        """Compare with the networks that it is to update.

        Raises:
            LoraError: a tensor is not LoRA's, has no layer there, or has a layer of another size.
        """
        layers = {name: dict(parts[name].named_modules()) for name in self.networks}
        found = (fault for name, tensor in self.tensors.items() for fault in _faults(name, tensor, layers))
        faults = list(dict.fromkeys(found))  # a layer has two tensors
        if not self.tensors:
            faults = ["it is empty"]
        if faults:
            more = f", and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
            raise LoraError(
                f"{self.path}: does not fit this checkpoint: {'; '.join(faults[:_NAMED])}{more}; load it on the "
                "checkpoint that it was trained from"
            )


def located(name: str | Path, **hub: Any) -> Path:
    """The LoRA file that a name stands for: the file, the one in a folder, or that of a hub id.

    Raises:
        FileNotFoundError: there is none.
    """
    given, wanted = Path(name), hub.pop("weight_name", None) or FILE
    if given.is_file():
        return given
    # A run's folder holds its LoRA one level below.
    for folder in (given, given / FOLDER):
        if (folder / wanted).is_file():
            return folder / wanted
    if given.is_dir() or not re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)):
        raise FileNotFoundError(f"{name}: no LoRA ({wanted}) here; name the file, its folder or the run that made it")
    return _downloaded(str(name), wanted, hub)


def codec_beside(file: Path) -> Path | None:
    """The folder of the codec that was tuned together with a LoRA, where there is one."""
    folder = file.parent / CODEC
    return folder if (folder / "config.json").is_file() else None


def _downloaded(repo_id: str, name: str, hub: dict[str, Any]) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repo_id, name, **hub))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise FileNotFoundError(
            f"{repo_id}: no such file or folder here, and the hub has given no {name} ({type(error).__name__}); "
            "check the name"
        ) from error


def _faults(name: str, tensor: Tensor, layers: Mapping[str, Mapping[str, nn.Module]]) -> Iterator[str]:
    """What is wrong with one tensor of a file, in a few words."""
    found = _NAME.fullmatch(name)
    if found is None:
        yield f"{name} is not a LoRA tensor of {' or '.join(NETWORKS)}"
        return
    network, layer, side = found.groups()
    module = layers[network].get(layer)
    if module is None:
        yield f"{network} has no layer {layer}"
        return
    axis, what = (1, "inputs") if side == "A" else (0, "outputs")
    # A layer that carries a LoRA already holds its own weight one level deeper.
    own: Any = getattr(module, "base_layer", module)
    if tensor.shape[axis] != own.weight.shape[axis]:
        yield f"{network}.{layer} has {own.weight.shape[axis]} {what}, the file {tensor.shape[axis]}"

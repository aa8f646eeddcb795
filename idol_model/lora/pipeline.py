"""LoRA on a pipeline, with the methods that diffusers' users know: load, scale, fuse, unload, save."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from diffusers.loaders.lora_base import LoraBaseMixin
from torch import Tensor, nn

from idol_model.lora.files import NETWORKS, LoraError, LoraFile, located


class LoraLoading(LoraBaseMixin):
    """`load_lora_weights` and `save_lora_weights` for a pipeline of ours; diffusers adds ``set_adapters`` and so on.

    >>> pipe.load_lora_weights("runs/finetune-mine/lora", adapter_name="mine")
    >>> pipe.set_adapters("mine", 0.8)
    """

    _lora_loadable_modules: ClassVar[list[str]] = list(NETWORKS)

    def load_lora_weights(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, source: str | os.PathLike | Mapping[str, Tensor], adapter_name: str | None = None, **hub: Any
    ) -> None:
        """Add a LoRA to U-Net and pose network, at full strength.

        Args:
            source: a file, a folder or run that holds one, a hub id, or tensors by name.
            adapter_name: for `set_adapters`; numbered where it is left out.
            hub: ``weight_name``, and what `huggingface_hub.hf_hub_download` takes.

        Raises:
            FileNotFoundError: there is no such file.
            idol_model.lora.files.LoraError: it is of another model, or damaged; nothing is changed.
        """
        found = _read(source, hub)
        found.check({name: getattr(self, name) for name in NETWORKS})
        name = adapter_name or self._free_name()
        for network in found.networks:
            part: Any = getattr(self, network)
            given = {"prefix": network, "adapter_name": name, "metadata": found.metadata, "_pipeline": self}
            with warnings.catch_warnings():
                # Several LoRA files on one network are what was asked for.
                warnings.filterwarnings("ignore", message="Already found a `peft_config`")
                part.load_lora_adapter(dict(found.tensors), **given)

    @classmethod
    def save_lora_weights(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        save_directory: str | os.PathLike,
        *,
        metadata: Mapping[str, dict | None] | None = None,
        **layers: Mapping[str, Tensor],
    ) -> None:
        """Write ``pytorch_lora_weights.safetensors``; ``layers`` are the tensors of each network, as ``unet=...``."""
        tensors: dict[str, Any] = {name: dict(values) for name, values in layers.items()}
        cls._save_lora_weights(save_directory, tensors, dict(metadata or {}))

    def check_no_lora(self, doing: str) -> None:
        """Raises `LoraError` where layers are attached; ``doing`` is what needs plain networks."""
        attached = sorted(self._attached())
        if attached:
            raise LoraError(
                f"{doing}: LoRA layers are attached ({', '.join(attached)}); put them into the weights with "
                f"fuse_lora(components={list(NETWORKS)}) and unload_lora_weights(), or take them off with the latter"
            )

    def _attached(self) -> set[str]:
        """Names of the adapters on the networks."""
        return {name for network in NETWORKS for name in getattr(getattr(self, network), "peft_config", {})}

    def _free_name(self) -> str:
        taken = self._attached()
        return next(name for number in range(len(taken) + 1) if (name := f"default_{number}") not in taken)


def save(networks: Mapping[str, nn.Module], folder: Path) -> None:
    """Write the LoRA layers (``default``) of the networks that have some."""
    from peft import get_peft_model_state_dict

    having: dict[str, Any] = {name: network for name, network in networks.items() if hasattr(network, "peft_config")}
    # Plain tensors: what is loaded again must not depend on how they lay in memory.
    layers = {
        name: {key: value.detach().cpu().contiguous() for key, value in get_peft_model_state_dict(network).items()}
        for name, network in having.items()
    }
    metadata = {name: _described(network.peft_config["default"].to_dict()) for name, network in having.items()}
    LoraLoading.save_lora_weights(folder, metadata=metadata, **layers)


def _described(config: dict[str, Any]) -> dict[str, Any]:
    """peft's configuration in an order that is always the same."""
    return {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}


def _read(source: str | os.PathLike | Mapping[str, Tensor], hub: dict[str, Any]) -> LoraFile:
    if isinstance(source, Mapping):
        return LoraFile(Path("LoRA"), source)
    return LoraFile.read(located(os.fspath(source), **hub))

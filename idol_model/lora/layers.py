"""LoRA layers in a model that is trained: put in place, saved as a file of their own, merged into the weights.

A run asks `adaptation` what its recipe wants; the answer without LoRA does nothing.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from diffusers.loaders.peft import PeftAdapterMixin
from torch import nn

from idol_model.lora.config import LoraConfig
from idol_model.lora.files import CODEC, FOLDER, NETWORKS
from idol_model.lora.pipeline import save
from idol_model.unet.sharing import shared_name


class WholeWeights:
    """No LoRA: the weights themselves are trained."""

    def __init__(self, config: LoraConfig) -> None:
        self.config = config

    def check_present(self) -> None:
        """Raises ValueError where a package is missing."""

    def attach(self, model: nn.Module) -> None:
        """Give the model its LoRA layers; only these require gradients afterwards."""

    def finish(self, model: Any, run: Path, *, codec: bool) -> None:
        """Save the LoRA of a trained model in the run's folder and merge it into the weights.

        With ``codec`` the codec was trained too, and is saved beside it.
        """


class LowRank(WholeWeights):
    """LoRA layers in every network that has layers of the names in `LoraConfig.targets`."""

    def check_present(self) -> None:
        if find_spec("peft") is None:
            raise ValueError("lora.rank: needs peft; pip install 'idol-video-depth[lora]', or set lora.rank=0")

    def attach(self, model: nn.Module) -> None:
        from peft import LoraConfig as PeftConfig

        model.requires_grad_(False)
        found = {network: self._targets(network) for network in _networks(model)}
        if not any(found.values()):
            raise ValueError(
                f"lora.targets: neither network has a linear layer named {', '.join(self.config.targets)}; "
                "name others, such as to_q"
            )
        for network, names in found.items():
            if names:
                own = self.config
                adapter = PeftConfig(r=own.rank, lora_alpha=cast(int, own.scaling), target_modules=names)
                # peft moves new layers to their base's device, which tensors without content cannot be (`memory_plan`).
                with torch.device("meta"):
                    network.add_adapter(adapter)
                _give_content(network)

    def finish(self, model: Any, run: Path, *, codec: bool) -> None:
        if codec:
            model.codec.save_pretrained(run / FOLDER / CODEC)
        save({name: getattr(model, name) for name in NETWORKS}, run / FOLDER)
        for network in _networks(model):
            if hasattr(network, "peft_config"):
                network.fuse_lora()
                network.unload_lora()

    def _targets(self, network: nn.Module) -> list[str]:
        """Full names of the layers, those of a stream's own network included."""
        linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
        return [name for name in linear if f".{shared_name(f'{name}.weight')}".endswith(self._endings)]

    @property
    def _endings(self) -> tuple[str, ...]:
        return tuple(f".{target}.weight" for target in self.config.targets)


def adaptation(config: LoraConfig) -> WholeWeights:
    """What a recipe's LoRA does to a model."""
    return _KINDS[config.rank > 0](config)


def _give_content(network: nn.Module) -> None:
    """Have each LoRA layer where its base layer is, and initialised as peft does it: the update begins at zero."""
    from peft.tuners.lora import LoraLayer

    for layer in network.modules():
        if isinstance(layer, LoraLayer):
            device = next(layer.get_base_layer().parameters()).device
            for part in (layer.lora_A, layer.lora_B):
                linear: Any = part["default"]
                linear.weight = nn.Parameter(torch.empty_like(linear.weight, device=device))
            layer.reset_lora_parameters("default", True)


def _networks(model: nn.Module) -> Iterator[Any]:
    for name in NETWORKS:
        network = getattr(model, name)
        assert isinstance(network, PeftAdapterMixin)
        yield network


_KINDS: dict[bool, type[WholeWeights]] = {False: WholeWeights, True: LowRank}

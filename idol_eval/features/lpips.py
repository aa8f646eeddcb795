"""LPIPS v0.1: distance of unit-length features of a classifier's layers, weighted by learned heads (Zhang et al. 2018).

The heads (6 kB) come with the package, with their licence; the classifier's weights are a local file of torchvision.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from idol_eval.features import random_weights
from idol_eval.features import weights as weight_files
from idol_eval.features.weights import Published, Weights

Backbone = Literal["alex", "vgg"]
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Spec:
    build: str
    layers: tuple[int, ...]
    """Numbers of the ReLUs whose outputs are compared."""
    known: Published


_SPECS: dict[Backbone, _Spec] = {
    "alex": _Spec(
        build="alexnet",
        layers=(1, 4, 7, 9, 11),
        known=Published(file="alexnet-owt-7be5be79.pth", sha256="7be5be79"),
    ),
    "vgg": _Spec(
        build="vgg16",
        layers=(3, 8, 15, 22, 29),
        known=Published(file="vgg16-397923af.pth", sha256="397923af"),
    ),
}


class Lpips:
    """Mean distance of frames, 0 for identical ones. Not divided into patches, frames at their own size."""

    def __init__(self, backbone: Backbone, network: nn.Module, weights: Weights) -> None:
        self.backbone, self.weights = backbone, weights
        self._layers = network.get_submodule("features")
        self._wanted = _SPECS[backbone].layers
        self._heads = _heads(backbone)

    @classmethod
    def load(cls, backbone: Backbone, file: Path | None = None, *, seed: int = 0) -> "Lpips":
        """With the classifier's weights of ``file``, or with random ones of ``seed``.

        Raises:
            ValueError: another backbone; `WeightsError` where the file does not fit.
            FileNotFoundError: no such file.
        """
        from torchvision import models

        if backbone not in _SPECS:
            raise ValueError(f"LPIPS has no backbone {backbone!r}; choose one of {', '.join(_SPECS)}")
        spec = _SPECS[backbone]
        with torch.device("meta"):
            network = getattr(models, spec.build)()
        if file is not None:
            return cls(backbone, network, weight_files.load(network, file, (spec.known,)))
        return cls(backbone, random_weights.fill(network, seed), Weights(label=random_weights.label(seed)))

    def describe(self) -> dict[str, object]:
        """What a row records."""
        return {
            "name": f"lpips-{self.backbone}",
            "layer": "v0.1, all five",
            "resize": "none",
            "values": "-1..1",
            "precision": "float32",
            "device": "cpu",
            **self.weights.describe(),
        }

    @torch.inference_mode()
    def __call__(self, pred: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
        """LPIPS of uint8 [L, H, W, 3], mean over frames. Raises ValueError where shapes differ."""
        if pred.shape != target.shape:
            raise ValueError(f"LPIPS: frames of {pred.shape} against {target.shape}; give equal sizes and counts")
        return float(np.mean([self._frame(a, b) for a, b in zip(pred, target, strict=True)]))

    def _frame(self, pred: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
        x = torch.from_numpy(np.stack([pred, target])).movedim(-1, 1) / 127.5 - 1
        x = (x - torch.tensor(_SHIFT).view(3, 1, 1)) / torch.tensor(_SCALE).view(3, 1, 1)
        total, heads = 0.0, iter(self._heads)
        for number, layer in enumerate(self._layers.children()):
            x = layer(x)
            if number in self._wanted:
                unit = x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
                total += float(((unit[0] - unit[1]).square() * next(heads)[:, None, None]).sum(dim=0).mean())
            if number == self._wanted[-1]:
                break
        return total


def _heads(backbone: Backbone) -> list[Tensor]:
    from safetensors.torch import load

    content = resources.files("idol_eval").joinpath(f"assets/lpips/{backbone}.safetensors").read_bytes()
    return [tensor for _, tensor in sorted(load(content).items())]

"""Named feature extractors: pictures and snippets to vectors.

``EXTRACTORS`` lists them; `load` makes one ready, from a local weight file or with seeded random weights.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from idol_eval.features.extractor import Extractor, ExtractorSpec, Precision
from idol_eval.features.i3d import I3D
from idol_eval.features.inception import FidInception
from idol_eval.features.resize import RESIZERS
from idol_eval.features.resnet3d import ResNet3d50
from idol_eval.features.weights import Published, Weights, WeightsError

__all__ = ["EXTRACTORS", "RESIZERS", "Extractor", "ExtractorSpec", "Precision", "Weights", "WeightsError", "load"]

ACTIVITYNET_MEAN = (114.7748, 107.7354, 99.4750)
"""RGB mean that the 3D ResNet was trained with, in 0..255."""


def _signed(x_LCHW: Tensor) -> Tensor:
    return x_LCHW / 127.5 - 1


def _about_128(x_LCHW: Tensor) -> Tensor:
    return (x_LCHW - 128) / 128


def _less_mean(x_LCHW: Tensor) -> Tensor:
    return x_LCHW - torch.tensor(ACTIVITYNET_MEAN).view(3, 1, 1)


_I3D_FILES = (
    Published(file="i3d_pretrained_400.pt", git_blob="a867b87ac3a9097d200598b1d48a1b890d8ec744"),
    Published(
        file="rgb_imagenet.pt",
        sha256="2609088c2e8c868187c9921c50bc225329a9057ed75e76120e0b4a397a2c7538",
        git_blob="73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a",
        comparable=False,  # the released I3D; published FVDs use the other one
    ),
)


def _i3d(pool: tuple[int, int, int]) -> ExtractorSpec:
    size = "x".join(str(side) for side in pool)
    return ExtractorSpec(
        name=f"i3d-{size}",
        takes="snippets",
        build=partial(I3D, pool),
        side=224,
        resize="bicubic-antialias",
        scale=_signed,
        values="-1..1",
        dimensions=400,
        layer=f"logits, pool {size}",
        batch=2,
        known=_I3D_FILES,
    )


def _inception(name: str, resize: str, scale: Callable[[Tensor], Tensor], values: str) -> ExtractorSpec:
    return ExtractorSpec(
        name=name,
        takes="frames",
        build=FidInception,
        side=299,
        resize=resize,
        scale=scale,
        values=values,
        dimensions=2048,
        layer="pool3",
        batch=8,
        known=(Published(file="pt_inception-2015-12-05-6726825d.pth", sha256="6726825d"),),
    )


EXTRACTORS: dict[str, ExtractorSpec] = {
    spec.name: spec
    for spec in (
        _inception("inception-fid", "bilinear", _signed, "-1..1"),
        _inception("inception-fid-tf", "bilinear-corner", _about_128, "(x - 128) / 128"),
        _i3d((1, 7, 7)),
        _i3d((2, 7, 7)),
        ExtractorSpec(
            name="resnet3d-50",
            takes="snippets",
            build=ResNet3d50,
            side=112,
            resize="bicubic-antialias",
            scale=_less_mean,
            values="0..255 less the ActivityNet mean",
            dimensions=2048,
            layer="average pooling before fc",
            batch=2,
            input_range=127.5,
        ),
    )
}
"""``inception-fid`` as pytorch-fid, ``inception-fid-tf`` as TensorFlow's graph and torch-fidelity prepare frames."""


def load(
    name: str,
    file: Path | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    resize: str | None = None,
    precision: Precision = "float32",
) -> Extractor:
    """The extractor called ``name``, with the weights of ``file`` or with random ones of ``seed``.

    ``resize`` takes another way to its size than its own (`RESIZERS`).

    Raises:
        ValueError: unknown name or way; `WeightsError` where the file does not fit.
        FileNotFoundError: no such file.
    """
    spec = _named(name, resize)
    return Extractor.load(spec, file, seed=seed, device=device, precision=precision)


def _named(name: str, resize: str | None) -> ExtractorSpec:
    if name not in EXTRACTORS:
        raise ValueError(f"unknown extractor {name!r}; choose one of {', '.join(EXTRACTORS)}")
    if resize is not None and resize not in RESIZERS:
        raise ValueError(f"unknown resizing {resize!r}; choose one of {', '.join(RESIZERS)}")
    return replace(EXTRACTORS[name], resize=resize or EXTRACTORS[name].resize)

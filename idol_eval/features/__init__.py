"""Named feature extractors: pictures and snippets to vectors.

``EXTRACTORS`` lists them; `load` makes one ready, from a local weight file or with seeded random weights.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from idol_eval.features import resize
from idol_eval.features.extractor import Extractor, ExtractorSpec, Feed
from idol_eval.features.i3d import I3D
from idol_eval.features.inception import FidInception
from idol_eval.features.resnet3d import ResNet3d50
from idol_eval.features.weights import Published, Weights, WeightsError

__all__ = ["EXTRACTORS", "Extractor", "ExtractorSpec", "Feed", "Weights", "WeightsError", "load"]

ACTIVITYNET_MEAN = (114.7748, 107.7354, 99.4750)
"""RGB mean that the 3D ResNet was trained with, in 0..255."""


def _for_inception(frames_LHW3: NDArray[np.uint8]) -> Tensor:
    return resize.bilinear(frames_LHW3, 299) / 127.5 - 1


def _for_i3d(frames_LHW3: NDArray[np.uint8]) -> Tensor:
    return resize.bicubic_antialias(frames_LHW3, 224) / 127.5 - 1


def _for_resnet3d(frames_LHW3: NDArray[np.uint8]) -> Tensor:
    mean = torch.tensor(ACTIVITYNET_MEAN).view(3, 1, 1)
    return resize.bicubic_antialias(frames_LHW3, 112) - mean


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
        prepare=_for_i3d,
        dimensions=400,
        resize="224x224 bicubic antialias, float, squashed",
        layer=f"logits, pool {size}",
        batch=2,
        known=_I3D_FILES,
    )


EXTRACTORS: dict[str, ExtractorSpec] = {
    spec.name: spec
    for spec in (
        ExtractorSpec(
            name="inception-fid",
            takes="frames",
            build=FidInception,
            prepare=_for_inception,
            dimensions=2048,
            resize="299x299 bilinear, no antialias, float, squashed",
            layer="pool3",
            batch=8,
            known=(Published(file="pt_inception-2015-12-05-6726825d.pth", sha256="6726825d"),),
        ),
        _i3d((1, 7, 7)),
        _i3d((2, 7, 7)),
        ExtractorSpec(
            name="resnet3d-50",
            takes="snippets",
            build=ResNet3d50,
            prepare=_for_resnet3d,
            dimensions=2048,
            resize="112x112 bicubic antialias, float, squashed",
            layer="average pooling before fc",
            batch=2,
            input_range=127.5,
        ),
    )
}


def load(name: str, file: Path | None = None, *, seed: int = 0, device: str = "cpu") -> Extractor:
    """The extractor called ``name``, with the weights of ``file`` or with random ones of ``seed``.

    Raises:
        ValueError: unknown name; `WeightsError` where the file does not fit.
        FileNotFoundError: no such file.
    """
    if name not in EXTRACTORS:
        raise ValueError(f"unknown extractor {name!r}; choose one of {', '.join(EXTRACTORS)}")
    return Extractor.load(EXTRACTORS[name], file, seed=seed, device=device)

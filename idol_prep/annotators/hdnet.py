"""Human depth by HDNet, the paper's: from the picture, the person's mask, and his DensePose.

DensePose is the dataset's where it ships it (TikTok), else that of an annotator.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idol_prep.annotators.protocol import AnnotatorInfo, Batch
from idol_prep.schema import DataError, Polarity, Scope

if TYPE_CHECKING:
    from idol_prep.annotators import Setting


class HDNetDepth:
    """Depth over the person, in the network's own units, larger is farther."""

    polarity: ClassVar[Polarity] = "distance"
    scope: ClassVar[Scope] = "person"

    def __init__(self, setting: Setting) -> None:
        self.info = describe()
        self._device = setting.device.torch
        self._densepose = setting.densepose
        self._network = load(setting.weights.require("hdnet")).to(self._device)

    def reset(self) -> None:
        """Begin a clip; the network itself carries nothing over."""
        if self._densepose is not None:
            self._densepose.reset()

    def close(self) -> None:
        """Let the networks go."""
        self._network = None
        if self._densepose is not None:
            self._densepose.close()

    def depth(self, batch: Batch) -> NDArray[np.float32]:
        """Depth [L,H,W]; NaN off the mask. Pictures go through the network at the size it was trained on."""
        import torch

        from idol_prep.annotators._hdnet_network import SIDE

        if batch.mask is None:
            raise DataError("depth by HDNet needs a mask")
        size = batch.mask.shape[1:]
        rgb = _scaled(batch.frames, SIDE, Image.Resampling.BICUBIC)
        densepose = _scaled(self._body_surface(batch), SIDE, Image.Resampling.NEAREST)
        mask = _scaled(batch.mask, SIDE, Image.Resampling.NEAREST) > 0
        planes = [torch.from_numpy(part).permute(0, 3, 1, 2).float().to(self._device) for part in (rgb, densepose)]
        with torch.inference_mode():
            found = self._network(*planes, torch.from_numpy(mask).to(self._device))  # type: ignore[misc]
        return _at_size(found.cpu().numpy(), mask, batch.mask > 0, (size[0], size[1]))

    def _body_surface(self, batch: Batch) -> NDArray[np.uint8]:
        """The source's DensePose [L,H,W,3], or the annotator's."""
        if "densepose" in batch.shipped:
            return batch.shipped["densepose"]
        if self._densepose is None:
            raise DataError("depth by HDNet needs DensePose, which this source does not ship; choose another --depth")
        return self._densepose.densepose(batch)


def convert(normal: Path, depth: Path, out: Path) -> None:
    """Write the published TensorFlow checkpoints as one safetensors file. Needs no TensorFlow."""
    from safetensors.torch import save_file

    from idol_prep.annotators._hdnet_network import from_tensorflow

    save_file(from_tensorflow(normal, depth).state_dict(), out, metadata={"format": "hdnet", "licence": "MIT"})


def load(file: Path) -> Any:
    """The network from what `convert` wrote. Raises `DataError` for another file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from idol_prep.annotators._hdnet_network import HDNet

    try:
        state = load_file(file)
        network = HDNet(tuple(_widths(state)))
        network.load_state_dict(state)
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise DataError(f"{file}: holds no HDNet ({error}); make it with `idol prep convert-hdnet`") from error
    return network.eval()


def describe() -> AnnotatorInfo:
    """Version and licence."""
    return AnnotatorInfo(
        name="hdnet",
        kind="depth",
        version="1",
        licence="MIT",
        source="https://github.com/yasaminjafarian/HDNet_TikTok (convert-hdnet)",
        note="human depth; from DensePose, the dataset's or else by annotator densepose",
    )


def _widths(state: dict) -> list[int]:
    return [len(state[f"depth.convs.{index}.beta"]) for index in (0, 3, 4, 5, 6)]


def _scaled(pictures: NDArray[np.uint8], side: int, method: Image.Resampling) -> NDArray[np.uint8]:
    if pictures.shape[1:3] == (side, side):
        return np.ascontiguousarray(pictures)
    return np.stack([np.asarray(Image.fromarray(one).resize((side, side), method)) for one in pictures])


def _at_size(
    depth: NDArray[np.float32], mask: NDArray[np.bool_], wanted: NDArray[np.bool_], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Depth at the crop's size; values mix within the person alone."""
    from idol_prep.crop import cut_depth

    person = np.where(mask, depth, np.float32(np.nan))
    if size != depth.shape[1:]:
        whole = (0.0, 0.0, float(depth.shape[2]), float(depth.shape[1]))
        person = np.stack([cut_depth(one, whole, size) for one in person])
    return np.where(wanted, person, np.float32(np.nan))

"""What a codec alone makes of true pictures: no model that decodes through it does better than about this."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from idol_model import codecs, data, pictures
from idol_model.codecs import Codec
from idol_model.recipe import Recipe
from idol_prep import colormap
from idol_prep.schema import Clip, Dataset, Split

CLIPS, FRAMES = 8, 8
"""The most clips that are looked at, and frames of each."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """PSNR in dB of pictures that were encoded and decoded again: mean over clips, each from its squared error.

    ``idol bench`` prints the same as the row "codec ceiling", there over all frames.
    """

    psnr: float
    split: Split
    clips: int
    frames: int


def ceiling(codec: Codec, recipe: Recipe, dataset: Dataset) -> Ceiling:
    """Measured on frames spread evenly over clips, held-out ones where the data set has any."""
    split = held_out(dataset)
    records = dataset.records(split)
    chosen = [records[at] for at in _spread(len(records), CLIPS)]
    scores = [_clip_psnr(codec, recipe, dataset.clip(record.id)) for record in chosen]
    frames = sum(min(record.frames, FRAMES) for record in chosen)
    return Ceiling(float(np.mean(scores)), split, len(chosen), frames)


def held_out(dataset: Dataset) -> Split:
    """The split that is kept from training: ``test`` or ``val``, and ``train`` where there is neither."""
    named: Sequence[Split] = ("test", "val")
    found: list[Split] = [split for split in named if len(dataset.records(split))]
    return found[0] if found else "train"


def load_codec(recipe: Recipe, folder: Path) -> Codec:
    """The codec of a finished checkpoint alone."""
    return type(codecs.build(recipe.codec)).from_pretrained(str(folder / "codec")).eval()


@torch.no_grad()
def through(codec: Codec, video_LHW3: NDArray[np.uint8], depth_LHW3: NDArray[np.uint8], streams: int) -> NDArray:
    """Frames, uint8 [L, H, W, 3], encoded and decoded; a joint codec needs their coloured depth beside them."""
    x_MBLCHW = pictures.signed(np.stack([video_LHW3, depth_LHW3])[:, None]).to(next(codec.parameters()))
    y_LCHW = codec.decode_clips(codec.encode_clips(x_MBLCHW, streams))[0, 0].float()
    levels_LCHW = ((y_LCHW.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return levels_LCHW.movedim(1, -1).cpu().numpy()


def _clip_psnr(codec: Codec, recipe: Recipe, clip: Clip) -> float:
    """Of up to `FRAMES` frames; infinite where they come back unchanged."""
    at = _spread(clip.record.frames, FRAMES)
    true_LHW3 = np.concatenate([pictures.resize_pictures(clip.frames(i, i + 1), recipe.data.size) for i in at])
    depth_LHW3 = np.concatenate([_depth(clip, recipe, i) for i in at])
    made_LHW3 = through(codec, true_LHW3, depth_LHW3, recipe.unet.streams)
    error = float(np.mean((made_LHW3.astype(np.float64) - true_LHW3) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def _depth(clip: Clip, recipe: Recipe, frame: int) -> NDArray[np.uint8]:
    read = data.clip_depth if recipe.makes_depth else data.no_depth
    return colormap.encode(read(clip, recipe.data, frame, frame + 1), recipe.data.colormap)


def _spread(of: int, most: int) -> list[int]:
    return np.unique(np.linspace(0, of - 1, min(of, most)).round().astype(int)).tolist()

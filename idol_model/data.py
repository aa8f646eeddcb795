"""A prepared clip as what the model takes: `clip_inputs` gives pictures, `clip_batch` gives tensors.

Training, benchmark and generation all come through here, so they cannot differ in crop, mask or colour. A clip's
foreground and background references are its first frame, as in DisCo.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from idol_model import pictures
from idol_model.recipe import DataConfig
from idol_model.types import ClipBatch
from idol_prep import colormap, pose
from idol_prep.schema import Clip

BackgroundKind = Literal["reference", "plate"]


class DataShortage(ValueError):
    """A clip lacks what the recipe needs; the message names the clip, the track and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipInputs:
    """One window of a clip as pictures of side ``S = DataConfig.size``.

    frames, poses: uint8 [L, S, S, 3]. depth: float32 [L, S, S] in [0, 1] (`DepthRange.normalise`; the clip's record
    says which end is near). foreground: uint8 [H, W, 4], the clip's whole first frame with alpha 0 where it is not the
    person. background: uint8 [S, S, 4], alpha 0 where the person was cut out, opaque for a clean plate.
    """

    id: str
    frames: NDArray[np.uint8]
    depth: NDArray[np.float32]
    poses: NDArray[np.uint8]
    foreground: NDArray[np.uint8]
    background: NDArray[np.uint8]


def clip_inputs(
    clip: Clip,
    data: DataConfig,
    *,
    start: int = 0,
    stop: int | None = None,
    background: BackgroundKind | None = None,
) -> ClipInputs:
    """Frames ``start:stop`` of ``clip`` with their conditions.

    Without ``background`` the recipe decides; a recipe that mixes both kinds is given the reference.

    Raises:
        DataShortage: the clip has no depth, no clean plate where one is asked for, or nobody in its first frame.
    """
    kind = background or ("plate" if data.background == "plate" else "reference")
    foreground, reference = clip_references(clip)
    return ClipInputs(
        id=clip.record.id,
        frames=pictures.resize_pictures(clip.frames(start, stop), data.size),
        depth=clip_depth(clip, data, start, stop),
        poses=clip_poses(clip, data.size, start, stop),
        foreground=foreground,
        background=pictures.resize_background(clip_plate(clip) if kind == "plate" else reference, data.size),
    )


def clip_references(clip: Clip) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The first frame cut in two, each uint8 [H, W, 4]: the person alone, and the picture without the person."""
    frame, person = clip.frames(0, 1)[0], clip.mask(0, 1)[0] > 0
    if not person.any():
        raise DataShortage(f"clip {clip.record.id}: nobody in its first frame, so no foreground; leave the clip out")
    return pictures.with_alpha(frame, person), pictures.with_alpha(frame, ~person)


def clip_plate(clip: Clip) -> NDArray[np.uint8]:
    """The clean plate, uint8 [H, W, 3]."""
    plate = clip.background()
    if plate is None:
        raise DataShortage(f"clip {clip.record.id}: no clean plate (background.png); set data.background=reference")
    return plate


def clip_depth(clip: Clip, data: DataConfig, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
    """Normalised depth, float32 [L, S, S] in [0, 1]."""
    if clip.record.depth is None:
        raise DataShortage(f"clip {clip.record.id}: no depth track; prepare it again with a depth annotator")
    values = clip.record.depth.normalise(
        clip.depth(start, stop),
        clip.mask(start, stop),
        person=data.person_depth,
        background=data.background_depth,
    )
    return pictures.resize_values(values, data.size)


def clip_poses(clip: Clip, size: int, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
    """Rendered poses of the clip's centred square, uint8 [L, S, S, 3]."""
    top, left, side = pictures.centre_square(clip.record.height, clip.record.width)
    keypoints = clip.keypoints(start, stop)
    moved = dataclasses.replace(keypoints, xy=keypoints.xy - np.array([left, top], dtype=np.float32))
    return pose.render(moved, size=(size, size), source_size=(side, side))


def clip_batch(
    clips: Sequence[ClipInputs],
    data: DataConfig,
    look: pictures.ForegroundLook,
    left_out: Sequence[bool] = (),
) -> ClipBatch:
    """Collate windows of equal length into one batch on the CPU, depth coloured by the recipe's map.

    ``left_out`` marks clips whose foreground is dropped (all zero), for classifier-free guidance.
    """
    foregrounds = np.stack([pictures.crop_foreground(clip.foreground, look.input_size) for clip in clips])
    coloured = np.stack([colormap.encode(clip.depth, data.colormap) for clip in clips])
    return ClipBatch(
        ids=tuple(clip.id for clip in clips),
        video_BLCHW=pictures.signed(np.stack([clip.frames for clip in clips])),
        depth_BLCHW=pictures.signed(coloured),
        pose_BLCHW=pictures.unsigned(np.stack([clip.poses for clip in clips])),
        foreground_BCHW=drop_foregrounds(pictures.foreground_tensor(foregrounds, look), left_out),
        background_BCHW=pictures.background_tensor(np.stack([clip.background for clip in clips])),
    )


def drop_foregrounds(foreground_BCHW: Tensor, left_out: Sequence[bool]) -> Tensor:
    """Zero the foregrounds marked in ``left_out``; none are when it is empty."""
    if not any(left_out):
        return foreground_BCHW
    keep_B = ~torch.tensor(tuple(left_out))
    return foreground_BCHW * keep_B.view(-1, 1, 1, 1)

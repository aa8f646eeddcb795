"""A prepared clip as what the model takes: `clip_inputs` gives pictures, `clip_batch` gives tensors.

Training, benchmark and generation all come through here, so they cannot differ in crop, mask or colour. A clip's
foreground and background references are its first frame, as in DisCo.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from idol_model import pictures
from idol_model.inputs import ClipInputs
from idol_model.recipe import DataConfig
from idol_model.types import ClipBatch
from idol_prep import colormap, pose
from idol_prep.schema import Clip

BackgroundKind = Literal["reference", "plate"]


class DataShortage(ValueError):
    """A clip lacks what the recipe needs; the message names the clip, the track and the fix."""


def clip_inputs(
    clip: Clip,
    data: DataConfig,
    *,
    start: int = 0,
    stop: int | None = None,
    background: BackgroundKind | None = None,
    reference: int = 0,
    tracks: "Tracks | None" = None,
) -> ClipInputs:
    """Frames ``start:stop`` of ``clip`` with their conditions, those of frame number ``reference``.

    Without ``background`` the recipe decides; a recipe that mixes both kinds is given the reference. ``tracks`` says
    how depth and poses are read, where a recipe uses only some of them.

    Raises:
        DataShortage: the clip has no depth, no clean plate where one is asked for, or nobody in its first frame.
    """
    kind = background or ("plate" if data.background == "plate" else "reference")
    tracks = tracks or Tracks()
    foreground, surroundings = clip_references(clip, reference)
    return ClipInputs(
        id=clip.record.id,
        frames=pictures.resize_pictures(clip.frames(start, stop), data.size),
        depth=tracks.depth(clip, data, start, stop),
        poses=tracks.poses(clip, data, start, stop),
        foreground=foreground,
        background=pictures.resize_background(clip_plate(clip) if kind == "plate" else surroundings, data.size),
    )


def still_inputs(key: str, picture: NDArray[np.uint8], person: NDArray[np.bool_], data: DataConfig) -> ClipInputs:
    """One picture [H, W, 3] and where its person is [H, W] as a window of one frame, without depth and poses.

    Raises:
        DataShortage: there is nobody.
    """
    if not person.any():
        raise DataShortage(f"picture {key}: nobody in it, so no foreground; leave the picture out")
    return ClipInputs(
        id=key,
        frames=pictures.resize_pictures(picture[None], data.size),
        depth=_no_depth(1, data),
        poses=_no_poses(1, data),
        foreground=pictures.with_alpha(picture, person),
        background=pictures.resize_background(pictures.with_alpha(picture, ~person), data.size),
    )


def clip_references(clip: Clip, number: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A frame cut in two, each uint8 [H, W, 4]: the person alone, and the picture without the person."""
    frame, person = clip.frames(number, number + 1)[0], clip.mask(number, number + 1)[0] > 0
    if not person.any():
        which = "its first frame" if number == 0 else f"frame {number}"
        raise DataShortage(f"clip {clip.record.id}: nobody in {which}, so no foreground; leave the clip out")
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


def clip_poses(
    clip: Clip, size: int, start: int = 0, stop: int | None = None, style: pose.RenderStyle = "body"
) -> NDArray[np.uint8]:
    """Rendered poses of the clip's centred square, uint8 [L, size, size, 3].

    Raises:
        DataShortage: hands and face are to be drawn, and the clip has none.
    """
    top, left, side = pictures.centre_square(clip.record.height, clip.record.width)
    keypoints = clip.keypoints(start, stop)
    if style == "whole_body" and keypoints.format not in pose.WHOLE_BODY_FORMATS:
        raise DataShortage(
            f"clip {clip.record.id}: has {keypoints.format} keypoints, without the hands and face of data.pose=dwpose; "
            "prepare it with a whole-body pose annotator, or set data.pose=openpose"
        )
    moved = dataclasses.replace(keypoints, xy=keypoints.xy - np.array([left, top], dtype=np.float32))
    return pose.render(moved, size=(size, size), source_size=(side, side), style=style)


def styled_poses(clip: Clip, data: DataConfig, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
    """`clip_poses` as the recipe draws them."""
    return clip_poses(clip, data.size, start, stop, POSE_STYLES[data.pose])


def no_depth(clip: Clip, data: DataConfig, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
    """The background's depth everywhere, for recipes that have none: nothing is read."""
    return _no_depth(_length(clip, start, stop), data)


def no_poses(clip: Clip, data: DataConfig, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
    """Empty pose pictures, for recipes without a pose network: nothing is read."""
    return _no_poses(_length(clip, start, stop), data)


@dataclass(frozen=True, slots=True)
class Tracks:
    """How depth and poses of a clip are read: as they are, or not at all where a recipe has no use for them."""

    depth: Callable[[Clip, DataConfig, int, int | None], NDArray[np.float32]] = clip_depth
    poses: Callable[[Clip, DataConfig, int, int | None], NDArray[np.uint8]] = styled_poses


def _length(clip: Clip, start: int, stop: int | None) -> int:
    return (clip.record.frames if stop is None else stop) - start


def _no_depth(frames: int, data: DataConfig) -> NDArray[np.float32]:
    return np.full((frames, data.size, data.size), data.background_depth, dtype=np.float32)


def _no_poses(frames: int, data: DataConfig) -> NDArray[np.uint8]:
    return np.zeros((frames, data.size, data.size, 3), dtype=np.uint8)


POSE_STYLES: dict[str, pose.RenderStyle] = {"openpose": "body", "dwpose": "whole_body"}
"""How the poses of `DataConfig.pose` are drawn."""


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

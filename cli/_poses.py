"""The POSES argument: what it is, and its poses.

It may be a folder of rendered pose pictures, a video of them, a folder of OpenPose JSON files, a prepared clip, or a
video (or pictures) of a person who dances. Whether pictures are drawn poses or photographs is decided by
`cli._pose_frames.is_drawing` on the first frames that show anything, said aloud, and overridden by ``--poses-are``.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from cli import _pictures
from cli._output import Output
from cli._pose_frames import Poses, View, drawn_box, is_drawing, joined

Are = Literal["auto", "maps", "video"]

_FPS = 30.0
"""Frames a second where the source does not say."""
_LOOKED_AT = 300
_VOTES = 8


class PosesError(ValueError):
    """Poses that cannot be used; the message names the file or folder and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frames:
    """Pictures in order, drawn or photographed, uint8 [H, W, 3] each; ``expected`` is what the container promises."""

    path: Path
    kind: str
    fps: float
    expected: int | None
    read: Callable[[], Iterator[Any]]

    def first(self, frames: int | None) -> "Frames":
        """The first ``frames`` of them; what lies behind is not even read."""
        if frames is None:
            return self
        expected = frames if self.expected is None else min(frames, self.expected)
        return replace(self, expected=expected, read=lambda: islice(self.read(), frames))


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What a checkpoint takes for a pose: square pictures of ``size`` pixels, bodies alone or whole bodies."""

    size: int
    style: Literal["body", "whole_body"] = "body"


def open_poses(path: Path, look: Look, are: Are, out: Output, most: int | None = None) -> Poses:
    """The poses of ``path`` as pictures that look as they should, the first ``most`` of them.

    Raises FileNotFoundError, PosesError, PictureError or idol_prep's errors, each naming the file and the fix.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder of poses")
    if (path / "clip.json").is_file():
        return _of_clip(path, look).first(most)
    if path.is_dir() and not _pictures_in(path):
        return _of_json(path, _bodies(path, look)).first(most)
    frames = _frames(path).first(most)
    if _drawn(frames, are, out):
        return _of_maps(frames, look.size, out)
    return _of_people(frames, _bodies(path, look), out)


def _bodies(path: Path, look: Look) -> int:
    """The size, where bodies are enough."""
    if look.style != "body":
        raise PosesError(
            f"{path}: gives bodies alone, and this checkpoint was trained on poses with hands and face; give drawn "
            "poses of that kind, or a prepared clip with whole-body keypoints"
        )
    return look.size


def _frames(path: Path) -> Frames:
    if path.is_dir():
        files = _pictures_in(path)
        return Frames(path=path, kind="pictures", fps=_FPS, expected=len(files), read=lambda: _read_pictures(files))
    if path.suffix.lower() in _pictures.SUFFIXES:
        return Frames(path=path, kind="a picture", fps=_FPS, expected=1, read=lambda: _read_pictures([path]))
    if path.suffix.lower() == ".json":
        raise PosesError(f"{path}: one JSON file is no sequence; name its folder")
    from idol_prep.video import probe, read_video

    info = probe(path)
    return Frames(path=path, kind="a video", fps=info.fps, expected=info.frames, read=lambda: read_video(path))


def _pictures_in(folder: Path) -> list[Path]:
    """Picture files in the order of the numbers in their names."""
    found = (file for file in folder.iterdir() if file.suffix.lower() in _pictures.SUFFIXES)
    return sorted((file for file in found if not file.name.startswith(".")), key=_natural)


def _natural(file: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.name)]


def _read_pictures(files: list[Path]) -> Iterator[Any]:
    first = None
    for file in files:
        rgba = _pictures.read_rgba(file)
        first = first or rgba.shape
        if rgba.shape != first:
            raise PosesError(
                f"{file}: {rgba.shape[1]} x {rgba.shape[0]} pixels, but {files[0].name} has {first[1]} x {first[0]}; "
                "all pose pictures must have one size"
            )
        yield rgba[..., :3] * (rgba[..., 3:] > 127)  # what is transparent shows nobody


def _drawn(frames: Frames, are: Are, out: Output) -> bool:
    """Whether these are drawn poses."""
    if are != "auto":
        out.note(f"poses       {frames.kind} of {'drawn poses' if are == 'maps' else 'a person'}, as you say")
        return are == "maps"
    votes = islice((vote for vote in map(is_drawing, islice(frames.read(), _LOOKED_AT)) if vote is not None), _VOTES)
    counted = list(votes)
    drawn = 2 * sum(counted) >= len(counted)
    what, other = ("drawn poses (colours on black)", "video") if drawn else ("a person (no drawing on black)", "maps")
    out.note(f"poses       {frames.kind} of {what}; if not, say --poses-are {other}")
    return drawn


def _of_maps(frames: Frames, size: int, out: Output) -> Poses:
    """Drawn poses: looked through once for their extent, read again when they are needed."""
    count, empty, box, height, width = 0, 0, None, 1, 1
    with out.progress(frames.expected, "reading poses") as bar:
        for picture in frames.read():
            drawn = drawn_box(picture)
            count, empty, box = count + 1, empty + (drawn is None), joined(box, drawn)
            height, width = picture.shape[:2]
            bar.update(count)
    _check_whole(frames, count)
    if box is None:
        raise PosesError(f"{frames.path}: nobody is drawn in any of its {count} frames; give poses with a person")
    view = View.around(height, width, box)
    return Poses(
        kind=f"{frames.kind} of drawn poses",
        view=view.name,
        frames=count,
        empty=empty,
        fps=frames.fps,
        read=lambda: (view.cut(picture, size) for picture in frames.read()),
    )


def _of_people(frames: Frames, size: int, out: Output) -> Poses:
    """A person's poses, found frame by frame."""
    from cli._people import find_poses

    height, width = next(frames.read()).shape[:2]
    with out.progress(frames.expected, "finding poses") as bar:
        keypoints = find_poses(frames.read(), lambda done: bar.update(done))
    _check_whole(frames, len(keypoints.xy))
    box = _joints_box(frames.path, keypoints)
    view = View.around(height, width, box)
    return _of_keypoints(keypoints, view, size, f"{frames.kind} of a person, poses found by MediaPipe", frames.fps)


def _of_json(folder: Path, size: int) -> Poses:
    """OpenPose's JSON files. They do not tell the picture's size, so the view is a square around all joints."""
    if (folder / "dataset.json").is_file():
        raise PosesError(f"{folder}: is a whole dataset; name one of its clips, {folder}/clips/ID")
    if not any(folder.glob("*.json")):
        raise PosesError(f"{folder}: no poses in it (pictures, OpenPose JSON files or a prepared clip)")
    from idol_prep.pose import from_openpose_json

    keypoints = from_openpose_json(folder)
    top, left, bottom, right = _joints_box(folder, keypoints)
    side = max(1, round(1.2 * max(bottom - top, right - left)))
    view = View((top + bottom - side) // 2, (left + right - side) // 2, side, "the square around all joints")
    return _of_keypoints(keypoints, view, size, "OpenPose JSON files", _FPS)


def _of_clip(folder: Path, look: Look) -> Poses:
    """A prepared clip, in the view that training takes of it."""
    from idol_model.data import clip_poses
    from idol_prep.schema import Clip

    clip = Clip.open(folder)
    keypoints = clip.keypoints()
    _joints_box(folder, keypoints)

    def read() -> Iterator[Any]:
        for start in range(0, clip.record.frames, 8):
            yield from clip_poses(clip, look.size, start, min(start + 8, clip.record.frames), look.style)

    return Poses(
        kind="prepared clip",
        view="the centred square",
        frames=clip.record.frames,
        empty=_empty(keypoints),
        fps=clip.record.fps,
        read=read,
    )


def _of_keypoints(keypoints: Any, view: View, size: int, kind: str, fps: float) -> Poses:
    import numpy as np

    from idol_prep.pose import render

    moved = replace(keypoints, xy=keypoints.xy - np.array([view.left, view.top], dtype=np.float32))

    def read() -> Iterator[Any]:
        for number in range(len(moved)):
            one = moved.window(number, number + 1)
            yield render(one, size=(size, size), source_size=(view.side, view.side))[0]

    return Poses(kind=kind, view=view.name, frames=len(moved), empty=_empty(keypoints), fps=fps, read=read)


def _joints_box(path: Path, keypoints: Any) -> tuple[int, int, int, int]:
    """The box around all joints that are seen."""
    seen = keypoints.xy[_drawn_joints(keypoints)]
    if len(seen) == 0:
        raise PosesError(f"{path}: no person in any of its {len(keypoints.xy)} frames; give poses of a person")
    (left, top), (right, bottom) = seen.min(axis=0), seen.max(axis=0)
    return int(top), int(left), int(bottom) + 1, int(right) + 1


def _empty(keypoints: Any) -> int:
    return int((~_drawn_joints(keypoints).any(axis=(1, 2))).sum())


def _drawn_joints(keypoints: Any) -> Any:
    """bool [L, P, K]: the joints that the renderer draws."""
    from idol_prep.pose.render import SCORE_THRESHOLD

    return keypoints.score >= SCORE_THRESHOLD


def _check_whole(frames: Frames, count: int) -> None:
    """A truncated file may decode without an error and yet hold less than it says."""
    if frames.expected is not None and count < 0.97 * frames.expected - 2:
        raise PosesError(
            f"{frames.path}: breaks off after {count} of {frames.expected} frames; copy it again, or cut it there"
        )

"""Raw material for tests of preparation: synthetic dancers, which MediaPipe sees as people, as videos and as TikTok."""

from functools import cache
from pathlib import Path

import av
import numpy as np
from PIL import Image

from idol_prep.annotators import mediapipe_pose
from idol_prep.sources.synthetic import SyntheticClip, make_clip
from idol_prep.video import write_mp4

FRAMES, SIDE = 12, 128


@cache
def dancer(seed: int = 0, frames: int = FRAMES, side: int = SIDE) -> SyntheticClip:
    """A dancer whose pose, mask and depth are known exactly."""
    return make_clip([seed, 0, 0], (side, side), frames, 12.0)


def write_dancer_video(path: Path, seed: int = 0, frames: int = FRAMES, fps: float = 12.0) -> Path:
    """A dancer as an H.264 file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mp4(path, dancer(seed, frames).frames, fps)
    return path


def write_empty_video(path: Path, frames: int = FRAMES) -> Path:
    """A video of a smooth wall, nobody in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wall = np.broadcast_to(np.linspace(60, 180, SIDE).astype(np.uint8)[:, None, None], (SIDE, SIDE, 3))
    write_mp4(path, np.stack([wall] * frames), 12.0)
    return path


def write_broken_video(path: Path, frames: int = 40, keep: float = 0.6) -> Path:
    """A Matroska video of a dancer, cut off after a part of its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width = stream.height = SIDE
        stream.pix_fmt, stream.codec_context.gop_size = "yuv420p", 4
        stream.options = {"tune": "zerolatency"}
        for picture in dancer(0, frames).frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def write_sequence(folder: Path, seed: int = 0, frames: int = FRAMES, depth: str | None = None) -> Path:
    """A dancer as one sequence of the TikTok layout; ``depth`` is a suffix for shipped depth in millimetres."""
    clip = dancer(seed, frames)
    for name in ("images", "masks", "densepose", *(["depth"] if depth else [])):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index in range(frames):
        file = f"{index + 1:04d}.png"
        Image.fromarray(clip.frames[index]).save(folder / "images" / file)
        Image.fromarray(np.repeat(clip.mask[index][..., None] * np.uint8(255), 3, -1)).save(folder / "masks" / file)
        Image.fromarray(np.zeros_like(clip.frames[index])).save(folder / "densepose" / file)
        if depth:
            write_depth(folder / "depth" / f"{index + 1:04d}{depth}", clip.depth[index])
    return folder


def write_depth(path: Path, metres: np.ndarray) -> None:
    """Depth in metres as a file of millimetres, 0 where there is none."""
    millimetres = np.nan_to_num(metres * 1000)
    match path.suffix:
        case ".png":
            Image.fromarray(millimetres.round().astype(np.uint16)).save(path)
        case ".npy":
            np.save(path, millimetres.astype(np.float32))
        case _:
            np.savetxt(path, millimetres, delimiter=",", fmt="%.2f")


def without_mediapipe() -> bool:
    """Whether the extra ``prep`` is missing; such tests are skipped then."""
    return bool(mediapipe_pose.missing())

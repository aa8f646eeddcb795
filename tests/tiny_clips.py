"""Small clip folders of every kind that the benchmark reads: one moving disc as dataset, samples, pictures, videos."""

import json
from pathlib import Path

import av
import numpy as np
from PIL import Image

from idol_prep.pose import Keypoints
from idol_prep.schema import ClipRecord, Dataset, DatasetWriter, DepthTrack
from idol_prep.video import write_ffv1

HEIGHT, WIDTH = 24, 32


def disc(seed: int, frames: int = 3, height: int = HEIGHT, width: int = WIDTH) -> dict[str, np.ndarray]:
    """Frames uint8 [L,H,W,3], mask uint8 [L,H,W], depth in metres [L,H,W] (NaN outside), plate uint8 [H,W,3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    plate = np.stack([x * 3, y * 4, np.full_like(x, 60 + 20 * (seed % 5))], axis=-1).astype(np.uint8)
    colour, row = rng.integers(120, 256, 3), rng.integers(8, height - 8)
    centres = 6 + np.arange(frames) * 2 + rng.integers(0, 4)
    inside = np.stack([(y - row) ** 2 + (x - centre) ** 2 <= 25 for centre in centres])
    ripple = np.stack([2 + 0.1 * np.hypot(y - row, x - centre) for centre in centres])
    return {
        "frames": np.where(inside[..., None], colour.astype(np.uint8), plate),
        "mask": inside.astype(np.uint8),
        "depth": np.where(inside, ripple, np.nan).astype(np.float32),
        "plate": plate,
    }


def dataset(
    root: Path,
    splits: dict[str, str],
    frames: int = 3,
    scores: dict[str, dict] | None = None,
    plates: bool = True,
    **size: int,
) -> Dataset:
    """A prepared dataset; ``splits`` maps clip ids to their split, ``scores`` to their quality figures."""
    writer = DatasetWriter(root, recipe={"kind": "disc"})
    for seed, (id, split) in enumerate(splits.items()):
        one = disc(seed, frames, **size)
        points = np.full((frames, 1, 18, 2), 12, np.float32)
        writer.write_clip(
            ClipRecord(
                id=id,
                split=split,  # type: ignore[arg-type]
                source=f"disc {seed}",
                fps=12,
                scores=(scores or {}).get(id, {}),
            ),
            frames=one["frames"],
            mask=one["mask"],
            keypoints=Keypoints(xy=points, score=np.ones((frames, 1, 18), np.float32)),
            depth=DepthTrack(values=one["depth"], polarity="distance", scope="person"),
            background=one["plate"] if plates else None,
        )
    return writer.finish()


def normalised(truth: Dataset, id: str) -> np.ndarray:
    """The clip's depth in [0, 1] by the default range."""
    clip = truth.clip(id)
    assert clip.record.depth is not None
    return clip.record.depth.normalise(clip.depth(), clip.mask())


def sample(folder: Path, frames: np.ndarray, depth: np.ndarray, changes: dict | None = None) -> Path:
    """A sample folder as `idol generate` writes it, without the previews."""
    folder.mkdir(parents=True)
    write_ffv1(folder / "frames.mkv", frames, "rgb", 12)
    write_ffv1(folder / "depth.mkv", np.rint(depth * 65535).astype(np.uint16), "gray16", 12)
    record = {
        "format": "idol-sample",
        "version": 1,
        "id": folder.name,
        "frames": len(frames),
        "height": frames.shape[1],
        "width": frames.shape[2],
        "fps": 12,
        "depth": {"polarity": "distance", "person": [0.0, 0.75], "background": 1.0},
    }
    (folder / "sample.json").write_text(json.dumps(record | (changes or {})))
    return folder


def samples(home: Path, truth: Dataset, noise: int = 0) -> Path:
    """Samples that are the truth, or differ from it by up to ``noise`` levels and a hundredth of the depth."""
    rng = np.random.default_rng(0)
    for record in truth.records():
        frames, depth = truth.clip(record.id).frames(), normalised(truth, record.id)
        if noise:
            frames = np.clip(frames.astype(int) + rng.integers(-noise, noise + 1, frames.shape), 0, 255).astype(
                np.uint8
            )
            depth = np.clip(depth + 0.01 * rng.normal(size=depth.shape), 0, 1)
        sample(home / record.id, frames, depth)
    return home


def pictures(home: Path, truth: Dataset, suffix: str = ".png") -> Path:
    """One folder of numbered pictures a clip, with depth and mask folders."""
    for record in truth.records():
        clip = truth.clip(record.id)
        tracks = {
            "": clip.frames(),
            "depth": np.rint(normalised(truth, record.id) * 65535).astype(np.uint16),
            "mask": clip.mask() * 255,
        }
        for name, track in tracks.items():
            folder = home / record.id / name
            folder.mkdir(parents=True, exist_ok=True)
            for number, frame in enumerate(track, start=8):  # 8, 9, 10: order by number, not by text
                Image.fromarray(frame).save(folder / f"{number}{suffix if name == '' else '.png'}")
    return home


def videos(home: Path, truth: Dataset, suffix: str = ".mkv") -> Path:
    """One video file a clip, with companions for depth and mask."""
    home.mkdir(parents=True)
    for record in truth.records():
        clip = truth.clip(record.id)
        if suffix == ".mkv":
            write_ffv1(home / f"{record.id}.mkv", clip.frames(), "rgb", 12)
        else:
            encode(home / f"{record.id}{suffix}", clip.frames(), {".mp4": "libx264", ".gif": "gif"}[suffix])
        codes = np.rint(normalised(truth, record.id) * 65535).astype(np.uint16)
        write_ffv1(home / f"{record.id}.depth.mkv", codes, "gray16", 12)
        write_ffv1(home / f"{record.id}.mask.mkv", clip.mask(), "gray", 12)
    return home


def encode(file: Path, frames: np.ndarray, codec: str, rate: int = 12) -> Path:
    """Any video file, with PyAV."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = frames.shape[2], frames.shape[1]
        stream.pix_fmt = {"libx264": "yuv420p", "gif": "rgb8"}[codec]
        for array in frames:
            frame = av.VideoFrame.from_ndarray(array, "rgb24").reformat(format=stream.pix_fmt)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file

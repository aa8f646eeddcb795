"""How fast training data comes, and what it waits for: latent caches, prepared clips, still pictures in shards.

python benchmarks/loader.py [--clips 48] [--readers 1 2] [--steps 5000] [--json]

All data is made here (dancers at 256 x 256 and at 128 x 128, noise as stills). Rates are over the second of two
passes, with the files in the page cache: by the clock, and by processor time of all threads, which other work on the
machine changes less and which the goals are held to. Beside them stands what the ``demo`` model consumes on the same
machine in the same run: its image and video step on random latents, by processor time on one thread. The
parts of a cached clip's time are timed one by one, so that the table says what limits it. Memory: resident pages over
thousands of steps of the cache, by a straight line through the later half.
"""

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch

from idol_model import latents, recipes
from idol_model.chance import Chance
from idol_model.diffusion import Diffusion
from idol_model.feed.clips import TrainingClips
from idol_model.feed.faults import FaultLog
from idol_model.feed.feed import Feed, LatentCollate, Origin, PictureCollate
from idol_model.feed.sources import CacheSource, Reading
from idol_model.feed.stills import TrainingStills
from idol_model.model import IdolModel
from idol_model.objective import JointDenoising
from idol_model.recipe import Recipe, Stage
from idol_model.types import LatentBatch
from idol_prep._still_shard import EncodedStill, StillRecord
from idol_prep.schema import Dataset
from idol_prep.sources import synthetic
from idol_prep.stills import StillWriter, encode_picture

GOAL_CLIPS, GOAL_TIMES = 300, 2
_STAGE = Stage(name="video", steps=10_000, frames=8, batch_size=8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    home = Path(tempfile.mkdtemp(prefix="idol-loader-"))
    try:
        figures = measure(home, chosen.clips, chosen.readers, chosen.steps)
    finally:
        shutil.rmtree(home)
    if chosen.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:<64}{value:12.3f}")
    fast = max(figures[f"cache 256, {readers} readers, samples/s of a core"] for readers in chosen.readers)
    return 0 if fast >= GOAL_CLIPS and figures["cache 128 over demo's video step"] >= GOAL_TIMES else 1


def measure(home: Path, clips: int, readers: list[int], steps: int) -> dict[str, float]:
    """All figures by name."""
    demo, large = recipes.get("demo"), _large()
    stills = _stills(home / "stills", 256)
    figures: dict[str, float] = {}
    for recipe in (large, demo):
        synthetic.generate(home / str(recipe.data.size), clips, 1, size=(recipe.data.size,) * 2, frames=16)
    cached = {recipe.data.size: _cached(home, recipe) for recipe in (large, demo)}
    direct = {recipe.data.size: TrainingClips.of(_dataset(home, recipe)) for recipe in (large, demo)}
    for count in readers:
        for size, (source, encoder, recipe) in cached.items():
            feed = _feed(source, recipe, LatentCollate(encoder), count)
            figures |= _rate(f"cache {size}, {count} readers", feed, 30)
            pictures = PictureCollate(recipe.data, encoder)
            feed = _feed(direct[size].source(Reading.of(recipe)), recipe, pictures, count)
            figures |= _rate(f"prepared clips {size}, {count} readers", feed, 2)
        haop = dataclasses.replace(recipes.get("haop"), foreground=large.foreground)
        feed = _feed(stills.source(Reading.of(haop)), haop, PictureCollate(haop.data, cached[256][1]), count, frames=1)
        figures |= _rate(f"stills 256 with HAOP, {count} readers", feed, 8)
    figures |= _parts(cached[256][0], LatentCollate(cached[256][1]))
    figures |= _consumed(demo)
    for what in ("cache 128", "prepared clips 128"):
        best = max(figures[f"{what}, {count} readers, samples/s of a core"] for count in readers)
        figures[f"{what} over demo's video step"] = best / figures["demo's video step, clips/s of a core"]
    figures |= _memory(_feed(cached[128][0], demo, LatentCollate(cached[128][1]), 2), steps)
    return figures


def _large() -> Recipe:
    """The latents of Stable Diffusion's codec at 256 x 256: 4 channels of 32 x 32; the codec's values do not matter."""
    recipe = recipes.get("demo")
    codec = dataclasses.replace(recipe.codec, latent_channels=4, width=8, depth=1)
    unet, pose = (dataclasses.replace(part, in_channels=4) for part in (recipe.unet, recipe.pose_control))
    data = dataclasses.replace(recipe.data, size=256)
    return dataclasses.replace(recipe, codec=codec, unet=unet, pose_control=pose, data=data)


def _dataset(home: Path, recipe: Recipe) -> Dataset:
    return Dataset.open(home / str(recipe.data.size))


def _cached(home: Path, recipe: Recipe) -> tuple[CacheSource, object, Recipe]:
    clips, model = TrainingClips.of(_dataset(home, recipe)), IdolModel.from_recipe(recipe)
    how = {"data": recipe.data, "tracks": Reading.of(recipe).tracks, "encoders": latents.Encoders.of(model)}
    made_from = latents.LatentSource(dataset=clips.dataset, ids=clips.ids, **how)
    return CacheSource("cache", latents.open_cache(home / "latents", made_from)), model.foreground, recipe


def _stills(root: Path, count: int) -> TrainingStills:
    """Noise at COCO's size, 256 of them in two shards: reading them costs what reading photographs as PNG costs."""
    writer = StillWriter(root, groups=2, recipe={"kind": "noise"}, info={"source": {"name": "noise"}})
    for group in range(2):
        writer.write_group(group, (_still(group * count // 2 + i) for i in range(count // 2)))
    done = writer.finish()
    assert done is not None
    return TrainingStills(done)


def _still(number: int) -> EncodedStill:
    small = np.random.default_rng(number).integers(0, 256, (60, 80, 3), np.uint8)
    picture, mask = np.kron(small, np.ones((8, 8, 1), np.uint8)), np.zeros((480, 640), np.uint8)
    mask[60:420, 240:400] = 255
    record = StillRecord(key=f"n{number}", source=str(number), height=480, width=640, box=(240, 60, 400, 420))
    return EncodedStill(record=record, suffix=".png", picture=encode_picture(picture), mask=encode_picture(mask))


def _feed(source, recipe: Recipe, collate, readers: int, frames: int = 8) -> Feed:
    stage = dataclasses.replace(_STAGE, frames=frames)
    log = FaultLog(Path(tempfile.gettempdir()) / "no-faults-are-expected.jsonl", 0)
    return Feed(Origin([source], [1.0], log), recipe, stage, collate, readers)


def _rate(name: str, feed: Feed, batches: int) -> dict[str, float]:
    """Samples a second of the clock, and of one core's time."""
    for _ in range(2):
        clock, core = perf_counter(), process_time()
        for step in range(batches):
            feed.batch(feed.plan.step(step))
        samples = batches * _STAGE.batch_size
        rates = {
            f"{name}, samples/s by the clock": samples / (perf_counter() - clock),
            f"{name}, samples/s of a core": samples / (process_time() - core),
        }
    return rates


def _parts(source: CacheSource, collate: LatentCollate) -> dict[str, float]:
    """Milliseconds a clip of 8 x 256 x 256 in each part, on one thread."""
    feed = _feed(source, _large(), list, 1)
    windows = feed.plan.step(7)
    samples = [source.sample(window) for window in windows]
    parts = {
        "drawing": lambda: feed.plan.step(7),
        "copying out of the maps": lambda: [source.sample(window) for window in windows],
        "joining to a batch": lambda: collate(samples, [False] * len(samples)),
    }
    return {f"a cached clip: {part}, ms": _each(work, 50) / len(windows) for part, work in parts.items()}


def _each(work: Callable[[], object], times: int) -> float:
    work()
    began = process_time()
    for _ in range(times):
        work()
    return (process_time() - began) / times * 1e3


def _consumed(recipe: Recipe) -> dict[str, float]:
    """Clips and pictures a second that the demo's steps take on random latents, forward and backward."""
    model, objective = IdolModel.from_recipe(recipe), JointDenoising(recipe.objective, Diffusion(recipe.diffusion))
    rates = {}
    for stage in recipe.stages:
        batch = _random_batch(recipe, stage)
        seconds = _each(lambda batch=batch: _step(objective, model, batch), 1) / 1e3
        rates[f"demo's {stage.name} step, clips/s of a core"] = stage.batch_size / seconds
    return rates


def _step(objective: JointDenoising, model: IdolModel, batch: LatentBatch) -> None:
    objective(model, batch, Chance.of((0,), range(len(batch.ids)))).total.backward()
    model.zero_grad(set_to_none=True)


def _random_batch(recipe: Recipe, stage: Stage) -> LatentBatch:
    clips, frames, size = stage.batch_size, stage.frames, recipe.data.size
    latent = (recipe.codec.latent_channels, size // 8, size // 8)
    side = recipe.foreground.size
    return LatentBatch(
        ids=("random",) * clips,
        z_SBLCHW=torch.randn(2, clips, frames, *latent),
        background_BCHW=torch.randn(clips, *latent),
        pose_BLCHW=torch.rand(clips, frames, 3, size, size),
        foreground=torch.randn(clips, 3, side, side),
    )


def _memory(feed: Feed, steps: int) -> dict[str, float]:
    """Resident anonymous pages over the steps: pages of the maps are the system's and can be taken back."""
    taken = []
    for step in range(steps):
        feed.batch(feed.plan.step(step))
        if step % 50 == 0:
            taken.append((step, _anonymous()))
    later = np.array(taken[len(taken) // 2 :])
    slope = np.polyfit(later[:, 0], later[:, 1], 1)[0]
    return {"memory at the end, MB": later[-1, 1] / 1e6, f"slope over {steps} steps, bytes a step": float(slope)}


def _anonymous() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status: has no RssAnon; the memory is measured on Linux")


if __name__ == "__main__":
    sys.exit(main())

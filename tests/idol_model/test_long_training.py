"""What takes minutes: kills at random moments, one clip learnt by heart, memory over thousands of steps, ablations."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_recipes
import torch
from safetensors.torch import load_file
from tiny_training import dancers, run, tiny

from idol_model import data, recipes
from idol_model.codecs import ConvCodecConfig
from idol_model.foreground import ConvForegroundConfig
from idol_model.pipeline import IdolPipeline
from idol_model.pose_control import ControlNetConfig
from idol_model.recipe import CodecStage, Recipe
from idol_model.run_state import Progress
from idol_model.training import TrainOptions, train
from idol_model.unet import UNetConfig
from idol_prep.schema import Dataset
from idol_prep.sources import synthetic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

KILLS = 20
CHILD = """
import json, sys
from pathlib import Path
from idol_model.recipe import Recipe
from idol_model.training import TrainOptions, train
recipe, data, folder = sys.argv[1:]
print("ready", flush=True)
options = TrainOptions(device="cpu", preview_every=7, watchers=("tensorboard",), command=["test"])
train(Recipe.from_dict(json.loads(Path(recipe).read_text())), Path(data), Path(folder), options)
"""


def killable() -> Recipe:
    """Saves at every step, so that many moments lie inside a checkpoint's writing."""
    recipe = tiny(steps=60, save_every=1)
    return dataclasses.replace(recipe, sampling=dataclasses.replace(recipe.sampling, steps=1))


def started(recipe: Path, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(recipe), str(dancers()), str(folder)]
    here = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.Popen(command, env=here, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout as said:
        assert said.readline() == "ready\n"
    return child


def weights(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted((folder / "model").glob("*/*.safetensors"))
    return {f"{file.parent.name}.{name}": value for file in files for name, value in load_file(file).items()}


def test_killed_at_twenty_random_moments_it_ends_bit_for_bit_the_same(tmp_path) -> None:
    recipe, chance, killed = tmp_path / "recipe.json", random.Random(0), 0
    recipe.write_text(json.dumps(killable().to_dict()))
    whole, began = started(recipe, tmp_path / "whole"), time.monotonic()
    assert whole.wait() == 0
    longest = (time.monotonic() - began) / 14
    while killed < KILLS and not (tmp_path / "run" / "model").exists():
        child = started(recipe, tmp_path / "run")
        time.sleep(chance.uniform(0.2, longest))
        child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
    assert killed == KILLS, "the run ended before it was killed often enough: make it longer"
    assert started(recipe, tmp_path / "run").wait() == 0
    ours, theirs = weights(tmp_path / "run"), weights(tmp_path / "whole")
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.mark.parametrize(
    "name",
    ["separate", "shared", "coupled", "xattn", "idol", "no-pretraining", "after-hap", "haop", "hap"],
)
def test_the_ablations_of_tables_4_to_6_train_twenty_steps(name: str, tmp_path) -> None:
    recipe = tiny_recipes.tiny(name)
    stages = tuple(dataclasses.replace(stage, steps=20, batch_size=2, lr=1e-4) for stage in recipe.stages)
    model = run(dataclasses.replace(recipe, stages=stages), tmp_path)
    assert all(torch.isfinite(value).all() for value in IdolPipeline.from_pretrained(model).unet.state_dict().values())


def test_memory_does_not_grow_over_five_thousand_steps(tmp_path) -> None:
    seen: list[tuple[int, int]] = []

    def report(progress: Progress) -> None:
        if progress.stage == "image" and progress.done % 100 == 0:
            status = Path("/proc/self/status").read_text()
            seen.append((progress.done, 1024 * int(status.split("RssAnon:")[1].split()[0])))

    recipe = tiny(codec_stage=None, cached=False, save_every=1000, log_every=100)
    recipe = dataclasses.replace(recipe, stages=(dataclasses.replace(recipe.stages[0], steps=5000, batch_size=1),))
    train(recipe, dancers(), tmp_path, TrainOptions(device="cpu", report=report, command=["test"]))
    steps, held = np.array(seen[10:]).T  # what is made once is made in the first thousand
    slope = np.polyfit(steps, held, 1)[0]
    print(f"{slope:.1f} bytes a step; {held[-1] / 1e6:.0f} MB")
    assert slope * 100_000 < 50e6


def test_one_clip_is_learnt_by_heart(tmp_path) -> None:
    synthetic.generate(tmp_path / "one", 1, 5, size=(32, 32), frames=8)
    model = train(by_heart(), tmp_path / "one", tmp_path / "run", TrainOptions(device="cpu", command=["test"]))
    pipe = IdolPipeline.from_pretrained(model)
    clip = Dataset.open(tmp_path / "one").clip(Dataset.open(tmp_path / "one").records("train")[0].id)
    true = data.clip_inputs(clip, pipe.recipe.data)
    made = pipe(foreground=true.foreground, background=true.background, poses=true.poses, seed=0)
    depth_mse = float(np.mean((made.depth - true.depth) ** 2))
    psnr = -10 * np.log10(np.mean((made.video / 255 - true.frames / 255.0) ** 2))
    print(f"depth MSE {depth_mse:.5f}, PSNR {psnr:.2f} dB")
    assert depth_mse < 0.002
    assert psnr > 25


def by_heart() -> Recipe:
    """A small model on 32 x 32 pictures of 8 frames: its codec, then video alone."""
    net = {"widths": (32, 64), "depth": 1, "attention": (True, True), "tokens": 32, "heads": 4, "groups": 8}
    demo = recipes.get("demo")
    video = dataclasses.replace(demo.stages[-1], steps=1500, frames=8, batch_size=1, lr=1e-3, cache_latents=True)
    return dataclasses.replace(
        demo,
        unet=UNetConfig(**net, in_channels=8),
        pose_control=ControlNetConfig(**net, in_channels=8, hint_widths=(8, 16, 32)),
        foreground=ConvForegroundConfig(tokens=32, width=16, depth=1, size=32, factor=8),
        codec=ConvCodecConfig(latent_channels=8, width=32, depth=2, patch=2),
        data=dataclasses.replace(demo.data, size=32, background="reference", foreground_dropout=0.0),
        codec_stage=CodecStage(steps=1500, batch_size=8, lr=2e-3, pictures=64),
        stages=(video,),
        save_every=1000,
    )

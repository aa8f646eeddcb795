"""The benchmark against the packages in use, on the same clips, in one run: rates, ratios, and that numbers agree.

python benchmarks/evaluation.py [--videos 2] [--frames 24] [--side 256]

Weights are random everywhere (what is timed does not depend on them). FVD: ours against cd-fvd's class on 16-frame
snippets, with its own resizing and batches of 16. Three metrics (FVD and FID-FVD on every 8-frame window, FID on every
frame): ours in one pass over PNG files against one after another, each decoding and resizing every window anew, as the
scripts in use do; there I3D is cd-fvd's class with the pool that eight frames need, Inception pytorch-fid's, the 3D
ResNet torchvision's blocks in their usual memory layout, and roots are SciPy's. Memory: how far ours rises from a few
clips to three times as many. Processor time, one thread, so that other work on the machine matters less.
"""

import argparse
import platform
import resource
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import torch
from PIL import Image
from torch import nn

from idol_eval import BenchConfig, features, open_set, pair, score
from idol_eval.bench import SampleCandidate
from idol_eval.features import random_weights
from idol_eval.features.inception import FidInception
from idol_eval.features.resnet3d import ResNet3d50

WINDOW = 8


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    value = call()
    return value, time.process_time() - began


def matrix_root_distance(a: np.ndarray, b: np.ndarray) -> float:
    s1, s2 = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(s1 @ s2).real
    return float(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(s1 + s2 - 2 * root))


def their_i3d(pool: int) -> nn.Module:
    from cdfvd.third_party.i3d import pytorch_i3d

    network = pytorch_i3d.InceptionI3d(400, in_channels=3).eval()
    network.avg_pool = nn.AvgPool3d((pool, 7, 7), stride=1)
    return network


def fvd_rate(side: int) -> None:
    from cdfvd.third_party.i3d.utils import preprocess_i3d

    clips = np.random.default_rng(0).integers(0, 256, (8, 16, side, side, 3), dtype=np.uint8)
    theirs, ours = their_i3d(2), features.load("i3d-2x7x7")

    def one() -> None:
        with torch.inference_mode():
            theirs(preprocess_i3d(clips))

    def two() -> None:
        for clip in clips:
            ours.snippets(clip, [0], 16)

    seconds = [min(timed(call)[1] for _ in range(3)) / len(clips) for call in (one, two)]
    print(
        f"FVD, 16 frames: cd-fvd {seconds[0]:.3f} s a clip, ours {seconds[1]:.3f}: {seconds[0] / seconds[1]:.2f} times"
    )


def write_clips(home: Path, videos: int, frames: int, side: int) -> None:
    for name, seed in (("true", 0), ("made", 1)):
        rng = np.random.default_rng(seed)
        for video in range(videos):
            folder = home / name / f"v{video}"
            folder.mkdir(parents=True)
            base = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((side, side), 3)
            for number in range(frames):
                noisy = np.asarray(base).astype(int) + rng.integers(-12, 13, (side, side, 3))
                Image.fromarray(np.roll(noisy.clip(0, 255), number, 1).astype(np.uint8)).save(
                    folder / f"{number:04}.png"
                )


def decoded(files: list[Path]) -> np.ndarray:
    return np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])


def resized(frames: np.ndarray, side: int) -> np.ndarray:
    """PIL on float channels, as DisCo's scripts."""
    channels = [
        [Image.fromarray(f[..., c].astype(np.float32)).resize((side, side), 3) for c in range(3)] for f in frames
    ]
    return np.stack([np.stack([np.asarray(one) for one in frame], axis=-1) for frame in channels])


@torch.inference_mode()
def peers(home: Path, frames: int) -> dict[str, float]:
    """Each metric by itself, each window read anew."""
    from pytorch_fid import inception as theirs

    with torch.device("meta"):
        own, resnet = FidInception(), ResNet3d50()
    random_weights.fill(own, 0)
    theirs.load_state_dict_from_url = lambda *_, **__: own.state_dict()
    inception = theirs.InceptionV3([3]).eval()
    random_weights.fill(resnet, 0, 127.5)
    i3d = their_i3d(1)
    mean = np.array(features.ACTIVITYNET_MEAN, np.float32)
    found: dict[str, list[np.ndarray]] = {"fvd": [], "fid_fvd": [], "fid": []}
    for name in ("made", "true"):
        rows: dict[str, list[np.ndarray]] = {key: [] for key in found}
        for folder in sorted((home / name).iterdir()):
            files = sorted(folder.iterdir())
            for at in range(frames - WINDOW + 1):
                x = resized(decoded(files[at : at + WINDOW]), 224) / 127.5 - 1
                rows["fvd"].append(i3d(torch.from_numpy(x).permute(3, 0, 1, 2)[None].float()).numpy().reshape(1, -1))
            for at in range(frames - WINDOW + 1):
                x = resized(decoded(files[at : at + WINDOW]), 112) - mean
                rows["fid_fvd"].append(resnet(torch.from_numpy(x).permute(3, 0, 1, 2)[None].float()).numpy())
            for at in range(0, frames, 50):
                x = torch.from_numpy(decoded(files[at : at + 50])).permute(0, 3, 1, 2).float() / 255
                rows["fid"].append(inception(x)[0].flatten(1).numpy())
        for key, own_rows in rows.items():
            found[key].append(np.concatenate(own_rows).astype(np.float64))
    return {key: matrix_root_distance(*sides) for key, sides in found.items()}


def ours(home: Path) -> dict[str, float | None]:
    true, made = open_set(home / "true"), open_set(home / "made")
    candidate = SampleCandidate.of("made", made, pair(made, true))
    config = BenchConfig(families=("fid_fvd", "fvd", "fid"), bootstrap=0)
    return score([candidate], true, true.ids, config)[0].values


def three_metrics(videos: int, frames: int, side: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_clips(home, videos, frames, side)
        (mine, fast), (other, slow) = timed(lambda: ours(home)), timed(lambda: peers(home, frames))
    print(
        f"three metrics, {videos} videos x {frames} frames a side, stride 1: one after another {slow:.1f} s, "
        f"ours {fast:.1f} s: {slow / fast:.2f} times"
    )
    for key in ("fid", "fid_fvd"):  # cd-fvd's class has random weights of its own
        print(f"  {key}: ours {mine[key]:.6g}, theirs {other[key]:.6g}")


def memory(side: int) -> None:
    """Peak resident memory after a few clips, and after three times as many."""
    peaks = []
    for videos in (2, 6):
        with tempfile.TemporaryDirectory() as folder:
            write_clips(Path(folder), videos, 9, side)
            ours(Path(folder))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(f"memory: {peaks[0]:.0f} MB after 2 clips, {peaks[1]:.0f} MB after 6 more")


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("videos", 2), ("frames", 24), ("side", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, one thread, processor time")
    memory(given.side)
    fvd_rate(given.side)
    three_metrics(given.videos, given.frames, given.side)


if __name__ == "__main__":
    main()

"""A trained run becomes the checkpoint that the package ships: half precision, with its training set's mean depth.

    python scripts/ship_checkpoint.py runs/demo/model data/dancers idol_model/assets/demo

The mean depth is the baseline "mean depth of the training set" of ``idol bench``, which is then known without the data.
"""

import argparse
import shutil
from pathlib import Path

import torch

from idol_eval import baselines, geometry
from idol_eval.readers import PreparedSet
from idol_model import IdolPipeline

LIMIT_MB = 30


def ship(model: Path, data: Path, out: Path) -> float:
    """Write the shipped checkpoint to ``out`` (replaced) and return its size in MB."""
    pipe = IdolPipeline.from_pretrained(model)
    shutil.rmtree(out, ignore_errors=True)
    pipe.to(torch.float16).save_pretrained(out)
    clips = PreparedSet(data, split="train")
    mean = baselines.mean_depth(clips, geometry.fitting(pipe.size))
    (out / "baselines").mkdir()
    about = (len(clips.ids), clips.dataset.content_hash, clips.depth_polarity)
    baselines.save_mean_depth(out / "baselines" / "mean_depth.npz", mean, *about)
    return sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 1e6


def main() -> None:
    """Parse the three folders, ship, and refuse a checkpoint that is too large to ship."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="model folder of a finished run")
    parser.add_argument("data", type=Path, help="prepared clips that the run was trained on")
    parser.add_argument("out", type=Path, help="folder of the shipped checkpoint")
    given = parser.parse_args()
    size = ship(given.model, given.data, given.out)
    print(f"{given.out}: {size:.1f} MB")
    if size > LIMIT_MB:
        raise SystemExit(f"{size:.1f} MB are more than the {LIMIT_MB} MB that may ship; train a narrower recipe")


if __name__ == "__main__":
    main()

"""What scores must react to: noise, blur, frames in another order."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_clips

from idol_eval import BenchConfig, open_set, score
from idol_eval.catalogue import choose
from idol_prep.schema import Dataset


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("reactions") / "data"
    return tiny_clips.dataset(root, dict.fromkeys("ab", "test"), frames=9)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def distances(truth: Dataset, changed, cache: Path) -> dict[str, float]:
    """FVD and FID of clips that ``changed`` made from the true frames."""

    class Changed:
        name, kind, compares_features = "changed", "measured", True

        def answer(self, truth):
            return replace(truth, video=changed(truth.video, np.random.default_rng(0)))

    true = open_set(truth.root)
    config = BenchConfig(families=choose("fvd,fid"), bootstrap=0)
    return score([Changed()], true, true.ids, config, cache=cache)[0].values  # type: ignore[list-item, return-value]


def noise(level: int):
    def change(video: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.clip(video + rng.normal(0, level, video.shape), 0, 255).astype(np.uint8)

    return change


def blur(width: int):
    def change(video: np.ndarray, _: np.random.Generator) -> np.ndarray:
        import torch
        from torch.nn import functional as F

        x = torch.from_numpy(video).movedim(-1, 1).float()
        y = F.avg_pool2d(x, width, 1, width // 2, count_include_pad=False)
        return y.movedim(1, -1).round().to(torch.uint8).numpy()

    return change


def shuffled(part: int):
    """The first ``part`` frames in another order."""

    def change(video: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        order = np.arange(len(video))
        order[:part] = rng.permutation(part)
        return video[order]

    return change


@pytest.mark.parametrize(
    "ladder",
    [
        pytest.param([noise(0), noise(10), noise(60)], id="noise"),
        pytest.param([blur(1), blur(3), blur(9)], id="blur", marks=pytest.mark.slow),
    ],
)
def test_worse_pictures_score_worse(truth: Dataset, cache: Path, ladder: list) -> None:
    found = [distances(truth, change, cache) for change in ladder]
    for family in ("fvd", "fid"):
        values = [one[family] for one in found]
        assert values[0] < 1e-9
        assert values == sorted(values)
        assert values[1] > 1e-6


@pytest.mark.slow  # shuffled frames of one kind: tests/idol_eval/test_bench.py
def test_shuffled_frames_are_seen_by_fvd_alone(truth: Dataset, cache: Path) -> None:
    """And the more of them, the more."""
    found = [distances(truth, shuffled(part), cache) for part in (1, 4, 9)]
    values = [one["fvd"] for one in found]
    assert values == sorted(values)
    assert values[0] < 1e-9 < 1e-4 < values[-1]
    assert max(one["fid"] for one in found) < 1e-9

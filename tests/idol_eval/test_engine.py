"""What scores must not depend on, and shards that join to the last digit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_clips
from numpy.testing import assert_allclose

from idol_eval import IDOL_8, BenchConfig, open_set, pair, score
from idol_eval.bench import Row, SampleCandidate
from idol_eval.catalogue import choose
from idol_eval.concluding import conclude
from idol_eval.config import BenchConfig as Config
from idol_eval.evidence import Evidence, joined
from idol_eval.gathering import Work, gather
from idol_eval.protocol import named
from idol_eval.samples import SampleError
from idol_eval.shards import EVIDENCE, FEATURES, Shard, find, merge
from idol_eval.store import FeatureStore, clip_key, content_key
from idol_prep.schema import Dataset

ALL = BenchConfig(families=choose("all,-lpips,-pose,-fid_fvd"), bootstrap=20, workers=0)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("engine") / "data"
    return tiny_clips.dataset(root, dict.fromkeys("abc", "test"), frames=9)


@pytest.fixture(scope="module")
def noisy(truth: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clips.samples(tmp_path_factory.mktemp("noisy") / "set", truth, noise=20)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def candidate(home: Path, truth: Dataset) -> SampleCandidate:
    mine = open_set(home)
    return SampleCandidate.of("mine", mine, pair(mine, open_set(truth.root)))


@pytest.fixture(scope="module")
def whole(truth: Dataset, noisy: Path, cache: Path) -> Row:
    true = open_set(truth.root)
    return score([candidate(noisy, truth)], true, true.ids, ALL, cache=cache)[0]


def same(one: Row, two: Row, error: float = 1e-10) -> None:
    assert one.values.keys() == two.values.keys()
    for key, value in one.values.items():
        assert_allclose(value, two.values[key], rtol=error, atol=1e-12, err_msg=key)  # type: ignore[arg-type]
    assert one.counts == two.counts


def test_rows_have_intervals_and_counts(whole: Row) -> None:
    assert whole.counts == {
        "clips": 3,
        "frames": 27,
        "fid_n": 27,
        "fvd_n": 6,
        "kid_subset": 27,
        "kid_subsets": 1,
        "kvd_subset": 6,
        "kvd_subsets": 1,
    }
    for key in ("fvd", "fid", "psnr", "depth_mse", "align_edges"):
        low, high = whole.intervals[key]
        value = whole.values[key]
        assert value is not None
        assert low <= value <= high
        assert low < high
    assert whole.extractors["fvd"]["resize"] == "bicubic-antialias to 224 x 224"


@pytest.mark.parametrize("workers", [1, 2])
def test_order_of_clips_and_workers_do_not_matter(
    truth: Dataset, noisy: Path, cache: Path, whole: Row, workers: int
) -> None:
    true = open_set(truth.root)
    config = replace(ALL, workers=workers)
    same(score([candidate(noisy, truth)], true, ["c", "a", "b"], config, cache=cache)[0], whole)


def test_nothing_is_computed_twice(
    truth: Dataset, noisy: Path, cache: Path, whole: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features come from the store by content; the files of another name are found too."""
    from idol_eval import gathering

    monkeypatch.setattr(gathering, "clip_features", lambda *_: pytest.fail("computed again"))
    true = open_set(truth.root)
    same(score([candidate(noisy, truth)], true, true.ids, ALL, cache=cache)[0], whole)


def shards_of(truth: Dataset, noisy: Path, home: Path, cache: Path, count: int) -> list[Path]:
    true = open_set(truth.root)
    folders = []
    for number in range(1, count + 1):
        shard = Shard(number, count)
        folder = home / shard.folder
        store = FeatureStore(folder / FEATURES, [cache])
        work = Work(reference=true, ids=true.ids, here=shard.of(true.ids), store=store)
        evidence = gather([candidate(noisy, truth)], work, ALL)
        for keys in (evidence.truth, *(row.keys for row in evidence.rows)):
            for own in keys.values():
                for key in own.values():
                    store.put(key, np.array(store[key]))
        evidence.save(folder / EVIDENCE)
        folders.append(folder)
    return folders


@pytest.mark.parametrize("count", [2, 3])
def test_shards_in_any_order_equal_the_whole(
    truth: Dataset, noisy: Path, cache: Path, whole: Row, tmp_path: Path, count: int
) -> None:
    """To the last digit, intervals too."""
    folders = shards_of(truth, noisy, tmp_path, cache, count)
    assert find([tmp_path]) == folders
    for order in (folders, folders[::-1]):
        merged = merge(order, Config(bootstrap=20))
        assert merged.rows[0].values == whole.values
        assert merged.rows[0].intervals == whole.intervals
        assert merged.rows[0].counts == whole.counts
        assert merged.rows[0].truth == whole.truth
        assert merged.protocol == ALL.protocol


def test_shards_that_do_not_belong_together(truth: Dataset, noisy: Path, cache: Path, tmp_path: Path) -> None:
    one, two = shards_of(truth, noisy, tmp_path, cache, 2)
    with pytest.raises(SampleError, match=r"1 of 3 clips are in no shard \(b\)"):
        merge([one], Config())
    with pytest.raises(SampleError, match="clip a is in another shard too"):
        merge([one, one], Config())
    content = json.loads((two / EVIDENCE).read_text())
    content["versions"]["platform"] = "another kernel"
    (two / EVIDENCE).write_text(json.dumps(content))
    assert len(merge([one, two], Config()).rows) == 1
    content["versions"]["torch"] = "0.1"
    (two / EVIDENCE).write_text(json.dumps(content))
    with pytest.raises(SampleError, match=r"versions\.torch is .* and '0\.1'"):
        merge([one, two], Config())
    content["protocol"]["stride"] = 4
    (two / EVIDENCE).write_text(json.dumps(content))
    with pytest.raises(SampleError, match=r"shard-2-of-2: is of another benchmark .* protocol\.stride is 1 and 4"):
        merge([one, two], Config())
    (two / EVIDENCE).write_text("{")
    with pytest.raises(SampleError, match="is no shard of a benchmark"):
        merge([one, two], Config())
    with pytest.raises(SampleError, match="holds no shard"):
        find([tmp_path / "elsewhere"])
    with pytest.raises(SampleError, match="no shards to merge"):
        joined([], [])


def test_rows_know_what_the_truth_was(truth: Dataset) -> None:
    """Not by its path: another pixel, or another value of depth, is another truth."""
    clip = open_set(truth.root).read("a")
    assert clip.video is not None
    assert clip.depth is not None
    assert clip_key(clip) == clip_key(replace(clip, id="other"))
    for track in ("video", "depth"):
        changed = getattr(clip, track).copy()
        changed.flat[5] = 1 - changed.flat[5]
        assert clip_key(replace(clip, **{track: changed})) != clip_key(clip)


def test_bfloat16s_error_is_told_of_kept_features_too(truth: Dataset, noisy: Path, tmp_path: Path) -> None:
    """The first run measures it, the second computes nothing."""
    true = open_set(truth.root)
    config = BenchConfig(families=("fid",), bootstrap=0, precision="bfloat16", protocol=IDOL_8.custom(frames=2))
    rows = [replace(candidate(noisy, truth), frames=2)]
    first, second = (score(rows, true, ["a"], config, cache=tmp_path)[0].notes for _ in range(2))
    assert [note for note in first if "bfloat16 features differ from float32 by 0." in note]
    assert second == first


def test_evidence_survives_its_file(truth: Dataset, noisy: Path, cache: Path, whole: Row, tmp_path: Path) -> None:
    true = open_set(truth.root)
    store = FeatureStore(cache)
    evidence = gather([candidate(noisy, truth)], Work(reference=true, ids=true.ids, here=true.ids, store=store), ALL)
    evidence.save(tmp_path / "evidence.json")
    same(conclude(Evidence.load(tmp_path / "evidence.json"), store, ALL)[0], whole, 0)


@pytest.mark.parametrize(
    ("text", "said"), [("3/2", "1 to N"), ("0/2", "1 to N"), ("x", "write I/N"), ("2/8", "there are 1 clips")]
)
def test_shard_texts(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Shard.parse(text).of(["a"])


def test_damaged_features_are_named(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.put("x", np.zeros((2, 3), np.float32))
    assert store["x"].shape == (2, 3)
    (tmp_path / "x.npy").write_bytes(b"half")
    with pytest.raises(SampleError, match=r"x\.npy: is damaged"):
        store.get("x")
    with pytest.raises(SampleError, match="features y are not in"):
        store["y"]
    frames = np.zeros((2, 2, 2, 3), np.uint8)
    assert content_key(frames, {"a": 1}) != content_key(frames, {"a": 2}) != content_key(frames + 1, {"a": 2})
    assert content_key(frames, {}) != content_key(frames.reshape(1, 4, 2, 3), {})


def test_depth_with_gaps_is_refused_by_clip(truth: Dataset, tmp_path: Path) -> None:
    home = tiny_clips.videos(tmp_path / "set", truth)
    for id in "abc":
        depth = tiny_clips.normalised(truth, id)
        (home / f"{id}.depth.mkv").unlink()
        np.save(home / f"{id}.depth.npy", np.where(depth == 1, np.nan, depth) if id == "b" else depth)
    true = open_set(truth.root)
    for family in ("depth", "silhouette", "temporal"):
        config = BenchConfig(families=choose(family), bootstrap=0)
        with pytest.raises(SampleError, match="clip b: depth of the sample holds NaN or infinity, first in frame 0"):
            score([candidate(home, truth)], true, true.ids, config)
    assert score([candidate(home, truth)], true, true.ids, BenchConfig(families=choose("psnr")))[0].values["psnr"]
    (home / "a.depth.npy").write_bytes(b"no array")
    with pytest.raises(SampleError, match=r"a\.depth\.npy: cannot be read as an array"):
        score([candidate(home, truth)], true, true.ids, config)


def test_families_beyond_the_protocol_are_named(truth: Dataset, noisy: Path, cache: Path) -> None:
    config = BenchConfig(protocol=named("stylegan-v").custom(snippet=9), families=choose("fid_fvd,lpips,psnr"))
    true = open_set(truth.root)
    row = score([candidate(noisy, truth)], true, true.ids, config, cache=cache)[0]
    assert [*row.values] == ["psnr"]
    assert row.left_out[0].startswith("fid_fvd: not part of protocol custom-snippet-9")
    assert row.left_out[1].startswith("lpips: needs a classifier's weights")

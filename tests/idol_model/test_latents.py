"""The latent cache gives what encoding on the spot gives, and is never stale."""

import dataclasses
import json
import resource
import signal

import numpy as np
import pytest
import torch
from tiny_training import FRAMES, dancers, tiny

from idol_model.feed.clips import TrainingClips
from idol_model.feed.sources import CacheSource, ClipSource
from idol_model.latents import LatentCache, LatentSource, cache_key
from idol_model.model import IdolModel
from idol_model.windows import WindowPlan
from idol_prep.schema import Dataset


def source(**data_changes) -> LatentSource:
    torch.manual_seed(0)
    recipe = tiny()
    clips = TrainingClips.of(Dataset.open(dancers()))
    config = dataclasses.replace(recipe.data, **data_changes)
    return LatentSource(dataset=clips.dataset, ids=clips.ids, data=config, model=IdolModel.from_recipe(recipe))


def test_cached_batches_equal_encoded_pictures(tmp_path):
    made = source()
    recipe = dataclasses.replace(tiny(), data=made.data)
    cached = CacheSource(LatentCache.open(tmp_path, made), made.model)
    direct = ClipSource(TrainingClips.of(made.dataset), recipe, made.model)
    assert cached.lengths == direct.lengths == (FRAMES,) * 4
    plan = WindowPlan(cached.lengths, 8, 2, made.data, seed=5)
    for step in range(6):
        fast, slow = cached.batch(plan.step(step)), made.model.encode(direct.batch(plan.step(step)))
        assert fast.ids == slow.ids
        for name in ("z_SBLCHW", "background_BCHW", "pose_BLCHW", "foreground_BCHW"):
            assert torch.allclose(getattr(fast, name), getattr(slow, name), atol=1e-5), name


def test_it_is_built_once_and_read_again(tmp_path):
    LatentCache.open(tmp_path, source())
    (folder,) = tmp_path.iterdir()
    stamp = (folder / "latents.npy").stat().st_mtime_ns
    LatentCache.open(tmp_path, source(), lambda done, total: pytest.fail("built again"))
    assert (folder / "latents.npy").stat().st_mtime_ns == stamp


def test_other_weights_data_or_settings_have_another_key(tmp_path):
    first = source()
    keys = {cache_key(first), cache_key(source(colormap="gray")), cache_key(source(background="plate"))}
    moved = source()
    with torch.no_grad():
        next(moved.model.codec.parameters()).add_(1e-3)
    keys.add(cache_key(moved))
    other = dataclasses.replace(first, dataset=Dataset.open(dancers(seed=4)))
    keys.add(cache_key(other))
    assert len(keys) == 5
    assert cache_key(source()) == cache_key(first)


def test_a_cache_of_other_weights_is_replaced(tmp_path):
    LatentCache.open(tmp_path, source())
    moved = source()
    with torch.no_grad():
        next(moved.model.codec.parameters()).add_(0.1)
    LatentCache.open(tmp_path, moved)
    assert [path.name for path in tmp_path.iterdir()] == [cache_key(moved)]


def test_a_build_that_breaks_off_leaves_nothing(tmp_path):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LatentCache.open(tmp_path, source(), stop)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_met_before_work_and_leaves_nothing(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OSError, match=r"no room for .*cache_latents=false"):
            LatentCache.open(tmp_path, source(), lambda done, total: pytest.fail("work was done"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(tmp_path.iterdir()) == []


def test_the_index_lists_every_clip(tmp_path):
    made = source()
    LatentCache.open(tmp_path, made)
    index = json.loads((tmp_path / cache_key(made) / "index.json").read_text())
    assert index["ids"] == list(made.ids)
    assert np.load(tmp_path / cache_key(made) / "poses.npy", mmap_mode="r").any()

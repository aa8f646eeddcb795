"""The latent cache gives what encoding on the spot gives, and is never stale."""

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from forked import forked
from tiny_training import FRAMES, dancers, tiny

from idol_model import latents
from idol_model.feed.clips import TrainingClips
from idol_model.feed.faults import FaultLog
from idol_model.feed.feed import Feed, LatentCollate, Origin, PictureCollate
from idol_model.feed.sources import CacheSource, Reading, Source
from idol_model.foreground import ClipForegroundConfig
from idol_model.latents import Encoders, LatentSource, cache_key, open_cache
from idol_model.model import IdolModel
from idol_model.processes import ProcessMissing, Together
from idol_model.recipe import Recipe
from idol_prep.schema import Dataset


def source(recipe: Recipe | None = None, **data_changes) -> LatentSource:
    recipe = recipe or tiny()
    clips = TrainingClips.of(Dataset.open(dancers()))
    config = dataclasses.replace(recipe.data, **data_changes)
    how = {"tracks": Reading.of(recipe).tracks, "encoders": Encoders.of(model(recipe))}
    return LatentSource(dataset=clips.dataset, ids=clips.ids, data=config, **how)


def model(recipe: Recipe) -> IdolModel:
    torch.manual_seed(0)
    return IdolModel.from_recipe(recipe)


def with_clip() -> Recipe:
    """A recipe whose foreground encoder has a frozen part."""
    tiny_clip = ClipForegroundConfig(tokens=16, hidden=16, layers=1, heads=2, patch=8, size=16)
    return dataclasses.replace(tiny(), foreground=tiny_clip)


@pytest.mark.parametrize("recipe", [tiny(), with_clip()], ids=["trained", "frozen"])
def test_cached_batches_equal_encoded_pictures(tmp_path, recipe):
    recipe = recipe.override(["data.foreground_dropout=0.3"])
    made = source(recipe)
    stage, faults = dataclasses.replace(recipe.stages[1], frames=8, batch_size=2), FaultLog(tmp_path / "faults", 0)

    def feed(source: Source, collate) -> Feed:
        return Feed(Origin([source], [1.0], faults), recipe, stage, collate)

    cached = feed(CacheSource("cache", open_cache(tmp_path, made)), LatentCollate(made.encoders.foreground))
    clips = TrainingClips.of(made.dataset).source(Reading.of(recipe))
    direct = feed(clips, PictureCollate(recipe.data, made.encoders.foreground))
    assert cached.plan.items == direct.plan.items == 4
    left_out, encoder = 0, model(recipe)
    for step in range(6):
        windows = cached.plan.step(step)
        left_out += sum(window.foreground_left_out for window in windows)
        fast, slow = cached.batch(windows).latents(), encoder.encode(direct.batch(windows))
        assert fast.ids == slow.ids
        for name in ("z_SBLCHW", "background_BCHW", "pose_BLCHW", "foreground"):
            assert torch.allclose(getattr(fast, name), getattr(slow, name), atol=1e-5), name
    assert left_out > 0


def test_a_frozen_encoder_is_kept_up_to_its_trained_projection(tmp_path):
    made = source(with_clip())
    cache = open_cache(tmp_path, made)
    folder = tmp_path / cache_key(made)
    assert np.load(folder / "foregrounds.npy", mmap_mode="r").shape == (4, 5, 16)
    assert made.encoders.foreground.projection.weight.requires_grad
    assert cache.lengths == (FRAMES,) * 4


def test_it_is_built_once_and_read_again(tmp_path):
    open_cache(tmp_path, source())
    folder = tmp_path / cache_key(source())
    stamp = (folder / "latents.npy").stat().st_mtime_ns
    open_cache(tmp_path, source(), lambda done, total: pytest.fail("built again"))
    assert (folder / "latents.npy").stat().st_mtime_ns == stamp


def changed(recipe: Recipe | None, change) -> LatentSource:
    made = source(recipe)
    with torch.no_grad():
        change(made)
    return made


def other_weights(part: str):
    return lambda made: next(getattr(made.encoders, part).parameters()).add_(1e-3)


def test_each_part_of_what_a_cache_is_made_from_has_another_key():
    first = source(with_clip())
    others = {
        "codec's weights": changed(with_clip(), other_weights("codec")),
        "codec's buffers": changed(with_clip(), lambda made: made.encoders.codec.scale.mul_(2)),
        "encoder's frozen weights": changed(with_clip(), other_weights("foreground")),
        "encoder's kind": source(),
        "data": dataclasses.replace(first, dataset=Dataset.open(dancers(seed=4))),
        "clips": dataclasses.replace(first, ids=first.ids[1:]),
        "size": source(with_clip(), size=16),
        "colours": source(with_clip(), colormap="gray"),
        "depth of the person": source(with_clip(), person_depth=(0.0, 0.5)),
        "depth of the background": source(with_clip(), background_depth=0.9),
        "background": source(with_clip(), background="plate"),
        "poses": source(with_clip(), pose="dwpose"),
        "tracks": dataclasses.replace(
            first,
            tracks=Reading.of(dataclasses.replace(tiny(), unet=dataclasses.replace(tiny().unet, streams=1))).tracks,
        ),
    }
    keys = {name: cache_key(made) for name, made in others.items()} | {"first": cache_key(first)}
    assert len(set(keys.values())) == len(keys), keys


def test_what_changes_no_value_has_the_same_key():
    first = source(with_clip())
    trained = changed(with_clip(), lambda made: made.encoders.foreground.projection.weight.add_(1))
    for same in (source(with_clip()), trained, source(with_clip(), foreground_dropout=0.5, most_faults=3.0)):
        assert cache_key(same) == cache_key(first)


def test_a_cache_of_other_weights_goes_and_those_in_use_stay(tmp_path):
    first, second = source(), source(background="plate")
    stale = changed(None, other_weights("codec"))
    for made in (first, second, stale):
        open_cache(tmp_path, made)
    latents.remove_others(tmp_path, [first, second])
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {cache_key(first), cache_key(second)}


KILLED = """
import os, sys
from pathlib import Path
sys.path[:0] = {path!r}
from test_latents import source
from idol_model.latents import build
build._NOTED_EVERY = 1
def die(done, total):
    if done == 3:
        os.kill(os.getpid(), 9)
build.open_cache(Path({root!r}), source(), die)
"""


def test_a_build_that_broke_off_goes_on_where_it_stood(tmp_path):
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_cache(tmp_path, source(), stop)
    assert not (tmp_path / cache_key(source())).exists()
    seen = []
    open_cache(tmp_path, source(), lambda done, total: seen.append(done))
    assert seen == [4]  # what was made is noted before it ends


@pytest.mark.slow
def test_a_killed_build_goes_on_where_it_stood(tmp_path):
    code = KILLED.format(path=sys.path, root=str(tmp_path / "killed"))
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}"}
    done = subprocess.run([sys.executable, "-c", code], cwd=here, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    seen = []
    open_cache(tmp_path / "killed", source(), lambda done, total: seen.append(done))
    assert seen == [4]
    whole = open_cache(tmp_path / "whole", source())
    for name in ("latents", "poses", "foregrounds", "backgrounds"):
        ours, theirs = (
            np.load(tmp_path / which / cache_key(source()) / f"{name}.npy") for which in ("killed", "whole")
        )
        assert np.array_equal(ours, theirs), name
    assert whole.lengths == (FRAMES,) * 4


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_three_processes_make_what_one_makes_also_after_one_of_them_broke_off(tmp_path):
    made = source()
    whole = content(open_cache(tmp_path / "one", made).folder)
    root = tmp_path / "three"

    def until_the_last_fails(group: Together) -> None:
        def stop(done: int, total: int) -> None:
            if group.rank == 2:
                raise KeyboardInterrupt

        open_cache(root, made, stop, group)

    def again(group: Together) -> list[int]:
        seen: list[int] = []
        open_cache(root, made, lambda done, total: seen.append(done), group)
        return seen

    (tmp_path / "first").mkdir()
    said = forked(3, tmp_path / "first", until_the_last_fails, timeout=2.0)
    assert isinstance(said[2], KeyboardInterrupt)
    assert isinstance(said[0], ProcessMissing)
    assert "the clips of each process: rank 2 did not come" in str(said[0])
    (building,) = root.glob("*.building")
    with (building / "latents.npy").open("r+b") as file:  # what is done is not made again
        file.seek(200)  # a latent of the first clip
        file.write(b"mark")
    assert forked(2, tmp_path, again) == [[], [4]]
    ours = content(root / cache_key(made))
    assert ours.keys() == whole.keys()
    assert [name for name in ours if ours[name] != whole[name]] == ["latents.npy"]
    assert ours["latents.npy"] == whole["latents.npy"][:200] + b"mark" + whole["latents.npy"][204:]


def test_a_cache_begun_by_an_earlier_version_goes_on(tmp_path):
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_cache(tmp_path, source(), stop)
    (note,) = tmp_path.glob("*/done-0.json")
    (note.parent / "done.json").write_text(json.dumps({"done": 3, "unreadable": {}}))
    note.unlink()
    seen = []
    open_cache(tmp_path, source(), lambda done, total: seen.append(done))
    assert seen == [4]


def test_a_second_process_waits_for_the_first(tmp_path):
    made = source()
    with FileLock(tmp_path / f"{cache_key(made)}.lock"):
        waiting = threading.Thread(target=open_cache, args=(tmp_path, made))
        waiting.start()
        time.sleep(0.3)
        assert not (tmp_path / cache_key(made)).exists()
    waiting.join()
    assert (tmp_path / cache_key(made)).is_dir()


def test_a_full_disk_is_met_before_work_and_leaves_nothing(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OSError, match=r"no room for .*cache_latents=false"):
            open_cache(tmp_path, source(), lambda done, total: pytest.fail("work was done"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_the_index_lists_every_clip(tmp_path):
    made = source()
    open_cache(tmp_path, made)
    index = json.loads((tmp_path / cache_key(made) / "index.json").read_text())
    assert index["ids"] == list(made.ids)
    assert np.load(tmp_path / cache_key(made) / "poses.npy", mmap_mode="r").any()

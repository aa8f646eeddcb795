"""The loop: rates, running means, what a run leaves behind, what it refuses."""

import dataclasses
import json
import math

import pytest
import torch
from filelock import FileLock
from PIL import Image
from tiny_training import Stop, dancers, run, tiny
from torch import nn

from idol_model import checkpoint, engines
from idol_model.device import check_dtype
from idol_model.engines.descent import NotFinite
from idol_model.model import IdolModel
from idol_model.objective import Losses
from idol_model.pipeline import IdolPipeline
from idol_model.rates import rate
from idol_model.recipe import Stage
from idol_model.run_state import RunMismatch
from idol_model.trainer import TrainingStopped, ahead
from idol_model.training import TrainOptions, train


def test_rate_rises_in_a_line_then_falls_to_nothing():
    line = Stage(name="s", steps=100, lr=1.0, warmup=0.1)
    assert [rate(line, step) for step in (0, 4, 9, 10, 55)] == pytest.approx([0.1, 0.5, 1.0, 1.0, 0.5])
    assert rate(line, 99) == pytest.approx(1 / 90)
    wave = dataclasses.replace(line, decay="cosine")
    assert rate(wave, 55) == pytest.approx(0.5)
    assert rate(wave, 99) < rate(line, 99)


def test_batches_come_in_order_and_errors_come_through():
    assert list(ahead(lambda step: step * 10, range(3, 6))) == [(3, 30), (4, 40), (5, 50)]
    assert list(ahead(lambda step: step, range(4, 4))) == []

    def broken(step: int) -> int:
        if step == 1:
            raise ValueError("clip x is damaged")
        return step

    with pytest.raises(ValueError, match="clip x"):
        list(ahead(broken, range(5)))


def test_a_run_leaves_a_pipeline_a_log_and_its_origin(tmp_path):
    recipe = tiny()
    model = run(recipe, tmp_path)
    pipe = IdolPipeline.from_pretrained(model)
    assert pipe.recipe == recipe
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["step"]) for line in lines] == [
        (stage, step) for stage in ("codec", "image", "video") for step in range(1, 5)
    ]
    assert {"total", "denoise_video", "denoise_depth", "xattn", "motion", "lr", "seconds"} <= set(lines[-1])
    assert json.loads((tmp_path / "recipe.json").read_text()) == recipe.to_dict()
    origin = json.loads((tmp_path / "run.json").read_text())
    assert origin["packages"]["torch"] == torch.__version__.split("+")[0]
    assert len(origin["data"][0]["content_hash"]) == 64
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["video-000002", "video-000004"]


def test_cache_or_not_the_run_is_the_same(tmp_path):
    weights = [
        IdolPipeline.from_pretrained(run(tiny(cached=cached, steps=2), tmp_path / str(cached))).unet.state_dict()
        for cached in (True, False)
    ]
    # Where a gradient is nothing but rounding, Adam moves a weight by its full rate one way or the other.
    close = [torch.isclose(weights[0][name], weights[1][name], atol=1e-4).flatten() for name in weights[0]]
    assert torch.cat(close).float().mean() > 0.999


def test_the_codec_ends_calibrated(tmp_path):
    codec = IdolPipeline.from_pretrained(run(tiny(steps=1), tmp_path)).codec
    assert not torch.equal(codec.scale, torch.ones_like(codec.scale))


def test_frozen_parameters_stay_and_are_free_again_in_the_next_stage(tmp_path):
    recipe = tiny(steps=2)
    first, second = recipe.stages
    chain = dataclasses.replace(recipe, codec_stage=None, stages=(dataclasses.replace(first, frozen=("unet",)), second))
    with pytest.raises(Stop):
        run(chain, tmp_path, stop_at=("video", 1))
    torch.manual_seed(chain.seed)
    begin = IdolModel.from_recipe(chain).state_dict()
    saved = checkpoint.newest(tmp_path / "checkpoints")
    assert saved is not None
    after = saved.tensors("model")
    assert all(torch.equal(begin[name], after[name]) for name in begin if name.startswith("unet."))
    assert any(not torch.equal(begin[name], after[name]) for name in begin if name.startswith("foreground."))
    run(chain, tmp_path)
    final = IdolPipeline.from_pretrained(tmp_path / "model").unet.state_dict()
    assert any(not torch.equal(begin[f"unet.{name}"], value) for name, value in final.items())


def test_no_number_stops_before_the_weights_move(tmp_path):
    recipe = tiny(codec_stage=None)
    first = dataclasses.replace(recipe.stages[0], lr=1e30, clip_norm=None, warmup=0.0, steps=20)
    with pytest.raises(TrainingStopped, match=r"stage image, step \d+: .*not a number .clips: dancer-"):
        run(dataclasses.replace(recipe, stages=(first,), save_every=1), tmp_path)
    saved = checkpoint.newest(tmp_path / "checkpoints")
    assert saved is not None
    assert saved.position.stage == "image"


def test_a_gradient_without_a_number_under_a_loss_with_one_moves_nothing():
    class Root(nn.Linear):
        def forward(self, batch, chance):
            return Losses(super().forward(batch).abs().sqrt().sum(), {})

    net = Root(3, 1, bias=False)
    before = net.weight.detach().clone()
    descent = engines.start("ddp", tiny(), "cpu").descent(net, list(net.named_parameters()), Stage(name="s", steps=1))
    assert descent.add(torch.zeros(2, 3), None, 1.0, last=True).total == 0
    with pytest.raises(NotFinite, match="the gradient is not a number"):
        descent.step(0.1, {"total": torch.zeros(())})
    assert torch.equal(net.weight, before)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_term_without_a_number_under_a_gradient_with_one_moves_nothing(bad: float):
    net = nn.Linear(3, 1)
    before = net.weight.detach().clone()
    descent = engines.start("ddp", tiny(), "cpu").descent(net, list(net.named_parameters()), Stage(name="s", steps=1))
    net(torch.ones(2, 3)).sum().backward()
    with pytest.raises(NotFinite, match="motion is not a number"):
        descent.step(0.1, {"total": torch.ones(()), "motion": torch.tensor(bad)})
    assert torch.equal(net.weight, before)
    assert descent.step(0.1, {"total": torch.ones(())}) == {"total": 1.0}
    assert not torch.equal(net.weight, before)


def test_another_recipe_or_other_data_is_refused_by_name(tmp_path):
    with pytest.raises(Stop):
        run(tiny(), tmp_path, stop_at=("codec", 3))
    with pytest.raises(RunMismatch, match=r"stages\.1\.lr: was 0\.0003, now 0\.5"):
        run(tiny().override(["stages.1.lr=0.5"]), tmp_path)
    with pytest.raises(RunMismatch, match="other data"):
        run(tiny(), tmp_path, data=dancers(seed=4))
    run(tiny().override(["log_every=2"]), tmp_path)


def test_impossible_machines_are_refused(tmp_path):
    with pytest.raises(ValueError, match="torch sees no GPU here"):
        train(tiny(), dancers(), tmp_path, TrainOptions(device="cuda"))
    with pytest.raises(ValueError, match="precision=fp16 needs a GPU"):
        train(tiny(precision="fp16"), dancers(), tmp_path, TrainOptions(device="cpu"))


def test_looking_at_a_run_changes_nothing_in_it(tmp_path):
    recipe = tiny(steps=2)
    recipe = dataclasses.replace(recipe, sampling=dataclasses.replace(recipe.sampling, steps=2))
    plain = run(recipe, tmp_path / "plain")
    options = TrainOptions(device="cpu", preview_every=1, command=["test"])
    watched = train(recipe, dancers(), tmp_path / "watched", options)
    before, after = (IdolPipeline.from_pretrained(folder).unet.state_dict() for folder in (plain, watched))
    assert all(torch.equal(before[name], after[name]) for name in before)
    sheets = sorted(path.name for path in (tmp_path / "watched" / "previews").iterdir())
    assert sheets == ["image-000001.png", "image-000002.png", "video-000001.png", "video-000002.png"]
    with Image.open(tmp_path / "watched" / "previews" / sheets[0]) as sheet:
        assert sheet.size == (7 * 32, 4 * 32)
    lines = [json.loads(line) for line in (tmp_path / "watched" / "previews.jsonl").read_text().splitlines()]
    assert all(0 < line["depth_mse"] < 1 for line in lines)


def test_two_trainings_cannot_share_a_folder(tmp_path):
    with pytest.raises(Stop):
        run(tiny(), tmp_path, stop_at=("codec", 3))
    with FileLock(tmp_path / ".lock"), pytest.raises(RunMismatch, match="another process is training here"):
        run(tiny(), tmp_path)
    run(tiny(), tmp_path)


def test_a_run_from_before_a_field_existed_continues(tmp_path):
    with pytest.raises(Stop):
        run(tiny(), tmp_path, stop_at=("codec", 3))
    kept = json.loads((tmp_path / "recipe.json").read_text())
    del kept["unet"]["sharing"]
    (tmp_path / "recipe.json").write_text(json.dumps(kept))
    run(tiny(), tmp_path)
    kept["unet"]["colour"] = "red"
    (tmp_path / "recipe.json").write_text(json.dumps(kept))
    with pytest.raises(RunMismatch, match=r"another version of idol_model .*unet\.colour"):
        run(tiny(), tmp_path)


@pytest.mark.skipif(torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor has bf16 instructions")
def test_bf16_without_instructions_for_it_is_said():
    with pytest.warns(UserWarning, match="faster with fp32"):
        check_dtype("bf16", torch.device("cpu"))

"""Where networks run and in which numbers: what is chosen, what is refused, and that bf16 gives nearly the same."""

import json
import warnings

import numpy as np
import pytest
import torch
from tiny_generation import background, drawn_poses, person, shared
from tiny_training import dancers, tiny
from typer.testing import CliRunner

from cli.main import build_app
from idol_model import IdolPipeline
from idol_model.device import allow_tf32, check_dtype, find_device, place
from idol_model.inspection import inspect
from idol_model.outputs import VideoOutput
from idol_model.samples import SampleInfo, SampleWriter
from idol_model.training import TrainOptions, train
from idol_model.transfer import moved, staged
from idol_model.types import CachedBatch
from idol_prep.annotators.device import Device
from idol_prep.schema import DataError, Dataset

CPU = torch.device("cpu")


@pytest.fixture
def apple(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


@pytest.fixture
def nvidia(monkeypatch):
    """A card without bf16 instructions; `has_bf16` is what the test makes of it."""
    found = {"bf16": False}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla V100")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: found["bf16"])
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield found
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_everywhere(name, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"--device {name}: torch sees no .*GPU here; .*use --device cpu"):
        train(tiny(), dancers(), tmp_path / "run", TrainOptions(device=name))
    assert not (tmp_path / "run").exists()
    with pytest.raises(DataError, match=f"device {name}: torch sees"):
        _ = Device(name).torch
    for command in (["bench"], ["bench", "cost"], ["inspect"], ["demo"]):
        result = CliRunner().invoke(build_app(), [*command, "--device", name])
        assert (result.exit_code, f"--device {name}: torch sees no" in result.stderr) == (2, True), command


def test_an_apple_gpu_is_taken_by_its_name_alone_and_with_a_word(apple):
    assert find_device("auto") == CPU
    with pytest.warns(UserWarning, match="device mps: never tried by this project"):
        assert find_device("mps").type == "mps"
    annotators = Device("mps")
    with pytest.warns(UserWarning, match="device mps: never tried by this project"):
        assert annotators.torch.type == "mps"
    assert annotators.frames_at_once == 8
    with pytest.warns(UserWarning, match="never tried"):
        assert str(place("mps")) == "mps, float32"


def test_a_gpu_computes_in_bf16_where_it_can(nvidia):
    assert str(place()) == "cuda, float32 (this card has no bf16)"
    with pytest.raises(ValueError, match="precision=bf16: Tesla V100 has no instructions for it; use fp16 or fp32"):
        place("cuda", "bf16")
    assert place("cuda", "fp16").dtype == torch.float16
    nvidia["bf16"] = True
    assert str(place()) == "cuda, bfloat16 (this card's default; --dtype fp32 is exact)"
    assert str(place("cuda", "fp32")) == "cuda, float32"


def test_a_processor_computes_in_float32_unless_told():
    assert str(place("cpu")) == "cpu, float32"
    with pytest.raises(ValueError, match="precision=fp16 needs a GPU"):
        place("cpu", "fp16")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a processor without instructions for it
        assert place("cpu", "bf16").dtype == torch.bfloat16
        check_dtype("bf16", CPU)


def test_float32_is_exact_unless_tf32_is_asked_for(nvidia):
    torch.backends.cudnn.allow_tf32 = True  # as torch begins
    place("cuda", "fp32")
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == (False, False)
    allow_tf32(torch.device("cuda"), True)
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == (True, True)
    allow_tf32(CPU, False)
    assert torch.backends.cudnn.allow_tf32


@pytest.fixture(scope="module")
def low(tmp_path_factory):
    """The tiny pipeline in bf16, as diffusers users load it."""
    folder = tmp_path_factory.mktemp("bf16") / "ckpt"
    shared().save_pretrained(folder)
    return IdolPipeline.from_pretrained(folder, dtype=torch.bfloat16)


def made(pipe):
    """Two windows, the second one tied to the first one's latents."""
    return pipe(person(), background(), drawn_poses(11), num_inference_steps=2, guidance_scale=1.0)


def test_bf16_is_nearly_float32_and_its_latents_stay_float32(low, monkeypatch):
    step, seen = low.scheduler.step, set()

    def watched(prediction, t, z, **settings):
        seen.add((prediction.dtype, z.dtype))
        return step(prediction, t, z, **settings)

    monkeypatch.setattr(low.scheduler, "step", watched)
    exact, found = made(shared()), made(low)
    for name in ("video", "depth_rgb"):
        off = np.abs(getattr(found, name).astype(int) - getattr(exact, name))
        assert 0 < off.mean() < 2, name
    assert np.isfinite(found.depth).all()
    assert seen == {(torch.float32, torch.float32)}


def test_bf16_comes_by_to_and_by_the_older_word_too(low):
    folder = low.name_or_path
    turned = IdolPipeline.from_pretrained(folder).to(torch.bfloat16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        older = IdolPipeline.from_pretrained(folder, torch_dtype=torch.bfloat16)
    for pipe in (turned, older):
        for part in ("unet", "pose_control", "codec", "foreground"):
            ours, theirs = getattr(pipe, part).state_dict(), getattr(low, part).state_dict()
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs), part


def test_a_sample_says_what_it_was_computed_in(low, tmp_path):
    for pipe, dtype in ((shared(), "float32"), (low, "bfloat16")):
        info = SampleInfo.of(pipe, {"path": "p", "sha256": "0"}, id="dance", fps=24.0)
        with SampleWriter(tmp_path / dtype, info) as writer:
            writer.append(VideoOutput(video=drawn_poses(2)))
            writer.finish({"seconds": 1.0})
        assert json.loads((tmp_path / dtype / "sample.json").read_text())["dtype"] == dtype


def test_inspection_in_bf16_is_nearly_that_in_float32(low):
    data = Dataset.open(dancers())
    clip = data.clip(data.records()[0].id)
    exact, found = inspect(shared(), clip, time=300), inspect(low, clip, time=300)
    for ours, theirs in zip(found.blocks, exact.blocks, strict=True):
        assert ours.l_xattn == pytest.approx(theirs.l_xattn, rel=0.1)
        assert np.isfinite(ours.l_mo)


def cached_batch() -> CachedBatch:
    return CachedBatch(
        ids=("a",),
        z_SBLCHW=torch.rand(2, 1, 1, 4, 4, 4),
        background_BCHW=torch.rand(1, 4, 4, 4),
        poses_BLHW3=torch.randint(255, (1, 1, 8, 8, 3), dtype=torch.uint8),
        foreground=torch.rand(1, 3, 8, 8),
    )


def test_a_batch_keeps_its_integers_when_its_type_changes():
    batch = cached_batch()
    assert staged(batch, CPU) is batch
    low = moved(batch, CPU, torch.bfloat16)
    assert (low.ids, low.z_SBLCHW.dtype, low.poses_BLHW3.dtype) == (("a",), torch.bfloat16, torch.uint8)
    assert torch.equal(moved(batch, CPU).z_SBLCHW, batch.z_SBLCHW)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_pinned_batches_arrive_whole_though_their_memory_is_used_again():
    device, sums = torch.device("cuda"), []
    for number in range(50):
        batch = staged(torch.full((1 << 22,), float(number)), device)
        assert batch.is_pinned()
        sums.append(moved(batch, device).sum())
        del batch
    assert [float(value) for value in sums] == [float(number << 22) for number in range(50)]

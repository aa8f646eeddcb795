"""DPT, Depth Anything and MiDaS's own code: real classes, tiny or random weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from idol_prep import annotators
from idol_prep.annotators import midas_original
from idol_prep.annotators._hub_model import load_model, load_processor
from idol_prep.annotators._stored import stored_tensors
from idol_prep.annotators.device import Device
from idol_prep.annotators.frame_depth import enlarged
from idol_prep.annotators.protocol import Batch, DepthAnnotator
from idol_prep.annotators.weights import Weights
from idol_prep.schema import DataError


def write_dpt(folder):
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    config = DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=8,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        is_hybrid=False,
    )
    DPTForDepthEstimation(config).save_pretrained(folder)
    DPTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def write_depth_anything(folder):
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=14,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
    )
    DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    DPTImageProcessor(size={"height": 42, "width": 42}, ensure_multiple_of=14, keep_aspect_ratio=True).save_pretrained(
        folder
    )
    return folder


@pytest.mark.parametrize(
    ("name", "weights", "write"),
    [("midas", "dpt", write_dpt), ("depth_anything", "depth-anything", write_depth_anything)],
)
def test_batches_give_what_their_frames_give_alone(tmp_path, name, weights, write):
    folder = write(tmp_path / "model")
    setting = annotators.Setting(weights=Weights({weights: folder}), device=Device("cpu"))
    made = annotators.create_depth(name, setting)
    assert isinstance(made, DepthAnnotator)
    assert (made.polarity, made.scope) == ("inverse", "frame")
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    together = made.depth(Batch(frames=frames))
    assert together.shape == (3, 64, 64)
    assert together.dtype == np.float32
    alone = np.concatenate([made.depth(Batch(frames=frames[[index]])) for index in range(3)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert set(annotators.describe("depth", name, setting.weights).weights) == {"model.safetensors"}


def test_missing_weights_are_not_made_up(tmp_path):
    folder = write_dpt(tmp_path / "model")
    state = load_file(folder / "model.safetensors")
    state.pop("head.head.0.weight")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"1 weights are missing or of another shape, such as head\.head\.0\.weight"):
        annotators.create_depth("midas", annotators.Setting(weights=Weights({"dpt": folder}), device=Device("cpu")))


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(DataError, match="has no preprocessor files"):
        annotators.create_depth("midas", annotators.Setting(weights=Weights({"dpt": tmp_path}), device=Device("cpu")))


def test_code_in_a_model_folder_is_not_run(tmp_path, monkeypatch):
    """Nor is anybody asked whether it may be: an answer would be read from the terminal in the middle of a run."""
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    folder = write_dpt(tmp_path / "dpt")
    marker = tmp_path / "it-ran"
    code = f"open({str(marker)!r}, 'w')\nfrom transformers import DPTConfig as C, DPTImageProcessor as P\n"
    (folder / "own.py").write_text(code)
    for name, auto in (("config.json", "AutoConfig"), ("preprocessor_config.json", "AutoImageProcessor")):
        told = json.loads((folder / name).read_text())
        told |= {"auto_map": {auto: "own.C" if auto == "AutoConfig" else "own.P"}, "model_type": "own"}
        (folder / name).write_text(json.dumps(told | {"image_processor_type": "Own"}))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    for load, kind in ((load_processor, AutoImageProcessor), (load_model, AutoModelForDepthEstimation)):
        with pytest.raises(DataError, match=str(folder)):
            load(kind, folder)
    assert not marker.exists()


class _Code:
    """A pickle that runs a command as it is read."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


@pytest.mark.parametrize("kind", ["code", "program", "junk", "list"])
def test_weight_files_are_read_as_tensors_alone(tmp_path, kind):
    """In one line, whatever else the file is: of every annotator whose weights torch wrote."""
    file, marker = tmp_path / "weights.pth", tmp_path / "it-ran"
    if kind == "program":
        torch.jit.script(torch.nn.Linear(1, 1)).save(str(file))
    elif kind == "junk":
        file.write_bytes(b"junk")
    else:
        torch.save(_Code(marker) if kind == "code" else [torch.zeros(1)], file)
    with pytest.raises(DataError, match=r"weights\.pth: (is no plain file of tensors|holds no tensors by name)"):
        stored_tensors(file)
    assert not marker.exists()


def test_no_annotator_reads_weight_files_past_the_checks():
    """Pickles in one place, programs in the one that checks their hash first."""
    sources = {file.name: file.read_text() for file in Path(annotators.__file__).parent.rglob("*.py")}
    for call, home in (
        ("torch.load(", "_stored.py"),
        ("jit.load(", "densepose.py"),
        ("from_pretrained(", "_hub_model.py"),
    ):
        assert [name for name, source in sources.items() if call in source] == [home]


@pytest.mark.slow
@pytest.mark.skipif(bool(midas_original.missing()), reason="needs the extra openpose")
def test_midas_by_its_own_code(tmp_path):
    torch.manual_seed(0)
    network = midas_original.build()
    torch.save(network.state_dict(), tmp_path / "dpt_hybrid.pt")
    weights = Weights({"midas-original": tmp_path / "dpt_hybrid.pt"})
    made = annotators.create_depth("midas_original", annotators.Setting(weights=weights, device=Device("cpu")))
    frame = np.asarray(Image.linear_gradient("L").resize((48, 48)).convert("RGB"))
    depth = made.depth(Batch(frames=frame[None]))
    assert depth.shape == (1, 48, 48)
    assert np.isfinite(depth).all()
    shown = torch.from_numpy(midas_original.network_input(frame))[None]
    with torch.inference_mode():
        expected = network.eval()(shown)
    assert tuple(expected.shape) == (1, 384, 384)
    np.testing.assert_allclose(depth, enlarged(expected, (48, 48)), atol=1e-4)


def test_midas_sees_multiples_of_32():
    assert midas_original.network_input(np.zeros((90, 160, 3), np.uint8)).shape == (3, 384, 672)

"""DWPose's two stages with ONNX files made here: known boxes and joints must come out where they were put."""

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from idol_prep import annotators  # noqa: E402
from idol_prep.annotators import _onnx, _yolox, dwpose  # noqa: E402
from idol_prep.annotators.device import Device  # noqa: E402
from idol_prep.annotators.protocol import Batch  # noqa: E402
from idol_prep.annotators.weights import Weights  # noqa: E402
from idol_prep.schema import DataError  # noqa: E402


def write_constant(path: Path, size: tuple[int, int], outputs: dict[str, np.ndarray], batch: int | str = 1) -> Path:
    """A network that answers with fixed numbers, whatever it sees, repeated for each picture of the batch."""
    nodes, tensors = [helper.make_node("Shape", ["input"], ["shape"], start=0, end=1)], []
    for name, value in outputs.items():
        rest = numpy_helper.from_array(np.array(value.shape, np.int64), f"{name}_rest")
        tensors += [numpy_helper.from_array(value.astype(np.float32)[None], f"{name}_value"), rest]
        nodes.append(helper.make_node("Concat", ["shape", f"{name}_rest"], [f"{name}_shape"], axis=0))
        nodes.append(helper.make_node("Expand", [f"{name}_value", f"{name}_shape"], [name]))
    shown = helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, *size])
    results = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *value.shape]) for name, value in outputs.items()
    ]
    graph = helper.make_graph(nodes, "constant", [shown], results, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def yolox_answer(boxes: list[tuple[float, float, float, float]], side: int = 640) -> np.ndarray:
    """Raw output [cells,85] for boxes (left, top, right, bottom on the canvas), scores falling from 0.9."""
    raw = np.zeros(((side // 8) ** 2 + (side // 16) ** 2 + (side // 32) ** 2, 85), np.float32)
    for number, (left, top, right, bottom) in enumerate(boxes):
        x, y = (left + right) / 2 / 8, (top + bottom) / 2 / 8
        row = int(y) * (side // 8) + int(x)
        raw[row, :6] = x - int(x), y - int(y), np.log((right - left) / 8), np.log((bottom - top) / 8), 1, 0
        raw[row, 5] = 0.9 - 0.1 * number
    return raw


def simcc_answer(places: np.ndarray) -> dict[str, np.ndarray]:
    """Distributions with their peaks at places [133,2] of the input of 288 x 384."""
    columns, rows = np.zeros((133, 576), np.float32), np.zeros((133, 768), np.float32)
    at = np.arange(133)
    columns[at, (places[:, 0] * 2).astype(int)] = 0.8
    rows[at, (places[:, 1] * 2).astype(int)] = 0.6
    rows[132] = 0
    return {"simcc_x": columns, "simcc_y": rows}


PLACES = np.random.default_rng(0).integers(4, 280, (133, 2)).astype(float)


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> annotators.Setting:
    """Two people on a frame of 320 x 240 (drawn twice as large on the canvas), a third box that repeats the first."""
    folder = tmp_path_factory.mktemp("dwpose")
    boxes = [(100, 80, 220, 400), (400, 100, 500, 420), (112, 84, 224, 396)]
    named = {
        "yolox": write_constant(folder / "yolox_l.onnx", (640, 640), {"output": yolox_answer(boxes)}),
        "dwpose": write_constant(folder / "dw-ll_ucoco_384.onnx", (384, 288), simcc_answer(PLACES), "batch"),
    }
    return annotators.Setting(weights=Weights(named), device=Device("cpu"))


def test_joints_come_out_where_they_were_put(setting):
    pose, _ = annotators.create_pair("dwpose", "dataset", setting)
    track = pose.pose(Batch(frames=np.zeros((3, 240, 320, 3), np.uint8)))
    found = track.keypoints
    assert found.format == "wholebody133"
    assert found.xy.shape == (3, 2, 133, 2)
    # the first box is 60 x 160 around (80, 120); a quarter larger and 3:4 it is 150 x 200
    expected = np.array([80 - 75, 120 - 100]) + PLACES * (150 / 288)
    np.testing.assert_allclose(found.xy[2, 0, :132], expected[:132], atol=1e-3)
    np.testing.assert_allclose(found.score[2, 0, :132], 0.6)
    assert found.score[0, 0, 132] == 0
    assert found.xy[0, 0, 132].tolist() == [-1, -1]


def test_info_names_both_files(setting):
    info = annotators.describe("pose", "dwpose", setting.weights)
    assert set(info.weights) == {"yolox_l.onnx", "dw-ll_ucoco_384.onnx"}
    assert info.commercial


def test_frames_without_people_are_gaps(tmp_path, setting):
    empty = write_constant(tmp_path / "yolox.onnx", (640, 640), {"output": yolox_answer([])})
    weights = Weights({**setting.weights.named, "yolox": empty})
    pose, _ = annotators.create_pair("dwpose", "dataset", annotators.Setting(weights=weights, device=Device("cpu")))
    assert not pose.pose(Batch(frames=np.zeros((2, 64, 64, 3), np.uint8))).keypoints.score.any()


def test_letterbox_keeps_proportions_and_order():
    frame = np.zeros((20, 40, 3), np.uint8)
    frame[..., 0] = 200
    shown, scale = _yolox.letterboxed(frame, (64, 64))
    assert scale == pytest.approx(1.6)
    assert shown[:, 10, 10].tolist() == [0, 0, 200]
    assert shown[:, 40, 10].tolist() == [114, 114, 114]


def test_cutting_out_is_an_affine_view():
    frame = np.zeros((100, 100, 3), np.uint8)
    frame[40:60, 30:50] = 255
    shown = dwpose.cut_out(frame, np.array([20, 30, 50, 70], np.float32), (40, 30))
    light = shown[0] > 0
    assert light[10:30, 10:30].mean() == 1
    assert light.sum() == 400
    np.testing.assert_allclose(dwpose.widened(np.array([0, 0, 60, 20], np.float32), (40, 30)), [-7.5, -40, 67.5, 60])


def test_a_gpu_that_was_asked_for_is_used_or_refused():
    class Gpu(Device):
        @property
        def torch(self):
            import torch

            return torch.device("cuda")

    with pytest.raises(DataError, match="this ONNX Runtime has no CUDAExecutionProvider, only CPU"):
        _onnx.provider_for(Gpu("cuda"), ["CPUExecutionProvider"])
    assert _onnx.provider_for(Gpu("cuda"), ["CUDAExecutionProvider", "CPUExecutionProvider"]).startswith("CUDA")
    with pytest.raises(DataError, match="could not start its CUDAExecutionProvider"):
        _onnx.check_in_use("CUDAExecutionProvider", ["CPUExecutionProvider"])


def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="device cuda: torch sees 0 GPUs"):
        _ = Device("cuda").torch
    with pytest.raises(DataError, match="unknown device 'gpu'"):
        _ = Device("gpu").torch


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no network")
    with pytest.raises(DataError, match=r"a\.onnx: ONNX Runtime cannot load it"):
        _onnx.OnnxNetwork(tmp_path / "a.onnx", Device("cpu"))

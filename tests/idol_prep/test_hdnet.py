"""The HDNet port against TensorFlow's own answer (tests/idol_prep/assets/hdnet, by scripts/hdnet_reference.py)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from idol_prep import annotators
from idol_prep.annotators import _hdnet_network as port
from idol_prep.annotators import hdnet
from idol_prep.annotators._tf_checkpoint import read_checkpoint
from idol_prep.annotators.device import Device
from idol_prep.annotators.protocol import Batch
from idol_prep.annotators.weights import Weights
from idol_prep.schema import DataError

ASSETS = Path(__file__).parent / "assets" / "hdnet"
WIDTHS = (4, 6, 8, 8, 10)


@pytest.fixture(scope="module")
def network() -> port.HDNet:
    return port.from_tensorflow(ASSETS / "normal", ASSETS / "depth", WIDTHS)


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    return dict(np.load(ASSETS / "reference.npz"))


def planes(*pictures: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(picture).permute(2, 0, 1)[None].float() for picture in pictures]


def test_the_checkpoint_is_read_without_tensorflow():
    tensors = read_checkpoint(ASSETS / "depth")
    assert tensors["global_step"].shape == ()
    assert tensors["hourglass_stack_fused_depth_prediction/conv1/weights"].shape == (3, 3, 9, 4)
    assert len(tensors) == 1 + 17 * 4 + 2
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())


def test_depth_is_tensorflows(network, reference):
    mask = torch.from_numpy(reference["mask"])[None]
    with torch.inference_mode():
        found = network(*planes(reference["rgb"], reference["densepose"]), mask)[0].numpy()
    assert reference["depth"].std() > 0.1
    np.testing.assert_allclose(found, reference["depth"], atol=2e-4)


def test_a_batch_gives_what_its_pictures_give_alone(network):
    rng = np.random.default_rng(0)
    pictures = torch.from_numpy(rng.integers(0, 256, (3, 6, 32, 48)).astype(np.float32))
    mask = torch.from_numpy(rng.random((3, 32, 48)) > 0.3)
    with torch.inference_mode():
        together = network(pictures[:, :3], pictures[:, 3:], mask)
        alone = torch.cat([network(pictures[[i], :3], pictures[[i], 3:], mask[[i]]) for i in range(3)])
    assert (together - alone).abs().max() <= 1e-5


def test_doubling_is_the_legacy_one():
    x = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
    assert port.doubled(x)[0, 0].tolist() == [[1, 2, 3, 3], [3, 4, 5, 5], [5, 6, 7, 7], [5, 6, 7, 7]]


def test_sizes_are_those_of_the_published_networks():
    with torch.device("meta"):
        network = port.HDNet()
    counts = [sum(p.numel() for p in part.parameters()) / 1e6 for part in (network.normal, network.depth)]
    assert counts == pytest.approx([28.361, 28.364], abs=0.001)


@pytest.fixture(scope="module")
def annotator(network, tmp_path_factory):
    file = tmp_path_factory.mktemp("hdnet") / "hdnet.safetensors"
    save_file(network.state_dict(), file)
    return annotators.create_depth("hdnet", annotators.Setting(weights=Weights({"hdnet": file}), device=Device("cpu")))


def test_depth_covers_the_person(annotator):
    rng = np.random.default_rng(0)
    mask = np.zeros((2, 96, 96), np.uint8)
    mask[:, 20:70, 30:60] = 1
    frames, densepose = (rng.integers(0, 256, (2, 96, 96, 3), np.uint8) for _ in range(2))
    depth = annotator.depth(Batch(frames=frames, shipped={"densepose": densepose}, mask=mask))
    np.testing.assert_array_equal(np.isfinite(depth), mask > 0)
    assert (annotator.polarity, annotator.scope) == ("distance", "person")


def test_missing_densepose_is_named(annotator):
    batch = Batch(frames=np.zeros((1, 16, 16, 3), np.uint8), mask=np.ones((1, 16, 16), np.uint8))
    with pytest.raises(DataError, match="needs DensePose, which this source does not ship"):
        annotator.depth(batch)


def test_other_files_are_refused(tmp_path, network):
    with pytest.raises(DataError, match=r"absent\.index: no such file"):
        read_checkpoint(tmp_path / "absent")
    (tmp_path / "junk.index").write_bytes(b"junk" * 30)
    with pytest.raises(DataError, match="damaged, or no TensorFlow checkpoint"):
        read_checkpoint(tmp_path / "junk")
    with pytest.raises(DataError, match="is no checkpoint of this HDNet network"):
        port.from_tensorflow(ASSETS / "normal", ASSETS / "depth")
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(DataError, match="holds no HDNet"):
        hdnet.load(tmp_path / "a.safetensors")


def test_tiktok_brings_densepose_where_hdnet_asks_for_it(tmp_path, network, monkeypatch):
    import numbered

    from idol_prep.pipeline import PrepOptions, prepare
    from idol_prep.schema import Dataset
    from idol_prep.sources.tiktok import TikTokSource

    monkeypatch.setattr(annotators, "ENTRIES", dict(annotators.ENTRIES))
    numbered.register()
    for name in ("00001", "00002"):
        folder = numbered.write_sequence(tmp_path / "raw" / name, list(range(1, 13)))
        (folder / "densepose").mkdir()
    for number in range(1, 12):
        picture = Image.fromarray(numbered.picture(number))
        picture.save(tmp_path / "raw" / "00001" / "densepose" / f"{number:04d}.png")
    save_file(network.state_dict(), tmp_path / "hdnet.safetensors")
    options = PrepOptions(
        size=64, pose="numbered", mask="numbered", depth="hdnet", weights={"hdnet": tmp_path / "hdnet.safetensors"}
    )
    summary = prepare(TikTokSource.open(tmp_path / "raw", densepose=True), tmp_path / "out", options)
    (record,) = Dataset.open(tmp_path / "out").records()
    assert (record.id, record.frames, record.scores["skipped_frames"]) == ("00001", 11, 1)
    assert set(record.annotators["depth"]["weights"]) == {"hdnet.safetensors"}
    assert "holds no DensePose" in summary.rejected["00002"]

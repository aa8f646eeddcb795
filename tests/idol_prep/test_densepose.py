"""DensePose by a TorchScript network of the published interface, and HDNet fed by it."""

import hashlib
import json

import numbered
import numpy as np
import pytest
import tiny_clips
import tiny_densepose
import torch
from safetensors.torch import save_file
from tiny_densepose import frame, mask_of
from torch import Tensor, nn
from typer.testing import CliRunner

from idol_prep import annotators
from idol_prep.annotators import _hdnet_network, densepose
from idol_prep.annotators._densepose_charts import PARTS, Charts, picture
from idol_prep.annotators.device import Device
from idol_prep.annotators.protocol import Batch, DensePoseAnnotator
from idol_prep.annotators.weights import Weights
from idol_prep.schema import DataError, Dataset

LEFT, RIGHT = (10, 20, 50, 84), (70, 4, 100, 90)
"""Where people stand."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    network = _hdnet_network.HDNet((2, 2, 2, 2, 2))
    save_file(network.state_dict(), folder / "hdnet.safetensors")
    return {"hdnet": folder / "hdnet.safetensors", "densepose": tiny_densepose.write(folder / "dp.torchscript")}


@pytest.fixture(scope="module")
def annotator(weights) -> DensePoseAnnotator:
    return annotators.create_densepose("densepose", annotators.Setting(weights=Weights(weights), device=Device("cpu")))


def batch(*frames: np.ndarray, masks: list[np.ndarray]) -> Batch:
    return Batch(frames=np.stack(frames), mask=np.stack(masks))


def test_layout_is_that_of_densepose_files(annotator):
    """V, U and part as RGB, all three nothing off the person, within the person's box."""
    assert isinstance(annotator, DensePoseAnnotator)
    shown = frame(LEFT)
    found = annotator.densepose(batch(shown, masks=[mask_of(LEFT)]))
    assert (found.shape, found.dtype) == ((1, 96, 128, 3), np.uint8)
    v, u, part = np.moveaxis(found[0], -1, 0)
    assert part.max() <= PARTS
    assert len(np.unique(part)) > 4
    assert not v[part == 0].any()
    assert not u[part == 0].any()
    assert 0 < u[part > 0].mean() < v[part > 0].mean() < 255
    body = part > 0
    assert not (body & (mask_of(LEFT) == 0)).any()
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert np.abs(np.subtract(edges, LEFT)).max() <= 1


def test_resampling_against_plain_loops():
    """Bilinear between pixel centres, the likeliest part where the body is, U and V of that part times 255."""
    rng = np.random.default_rng(0)
    coarse, fine, u, v = (rng.normal(size=(1, count, 6, 5)) for count in (15, PARTS + 1, PARTS + 1, PARTS + 1))
    box = (3.7, -2.4, 14.2, 8.9)
    tensors = [torch.from_numpy(maps).float() for maps in (coarse, fine, u, v)]
    charts = Charts(boxes=torch.tensor([box]), coarse=tensors[0], fine=tensors[1], u=tensors[2], v=tensors[3])
    found = picture(charts, 0, (9, 12))
    left, top, width, height = 3, -2, 10, 11
    expected = np.zeros((9, 12, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            if not (0 <= top + y < 9 and 0 <= left + x < 12):
                continue
            at = (y + 0.5) * 6 / height - 0.5, (x + 0.5) * 5 / width - 0.5
            if _between(coarse[0], *at).argmax() == 0:
                continue
            part = int(_between(fine[0], *at).argmax())
            if part:
                uv = [np.clip(_between(maps[0], *at)[part], 0, 1) * 255 for maps in (u, v)]
                expected[top + y, left + x] = uv[1], uv[0], part
    assert (expected[..., 2] > 0).sum() > 40
    np.testing.assert_array_equal(found[..., 2], expected[..., 2])
    assert np.abs(found.astype(int) - expected).max() <= 1
    for beyond in ((12.0, 3.0, 19.0, 8.0), (2.0, 11.5, 9.0, 14.0), (-9.0, -9.0, -2.0, -2.0)):
        away = Charts(boxes=torch.tensor([beyond]), coarse=tensors[0], fine=tensors[1], u=tensors[2], v=tensors[3])
        assert not picture(away, 0, (9, 12)).any()


def _between(maps: np.ndarray, y: float, x: float) -> np.ndarray:
    """Values [C] of maps [C,h,w] at a place, edges repeated."""
    height, width = maps.shape[1:]
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    above = maps[:, y0, x0] * (1 - (x - x0)) + maps[:, y0, x1] * (x - x0)
    below = maps[:, y1, x0] * (1 - (x - x0)) + maps[:, y1, x1] * (x - x0)
    return above * (1 - (y - y0)) + below * (y - y0)


def test_of_several_people_the_one_with_the_mask_is_taken(annotator):
    """Also where another is surer and larger, and touches it."""
    both = frame(RIGHT, LEFT)
    assert annotator.charts(both).boxes[0, 0] == pytest.approx(RIGHT[0], abs=1)
    for own, other in ((LEFT, RIGHT), (RIGHT, LEFT)):
        mask = mask_of(own)
        mask[40:50] |= mask_of(other)[40:50]
        part = annotator.densepose(batch(both, masks=[mask]))[0, ..., 2]
        assert (part > 0)[mask_of(own) > 0].mean() > 0.6
        assert not part[mask_of(other) > 0].any()


def test_nobody_is_nothing(annotator):
    empty, elsewhere = np.zeros((96, 128), np.uint8), mask_of(RIGHT)
    frames = [frame(None), frame(LEFT), frame(LEFT)]
    found = annotator.densepose(batch(*frames, masks=[mask_of(LEFT), empty, elsewhere]))
    assert not found.any()


def test_a_batch_gives_what_its_frames_give_alone(annotator):
    frames, masks = [frame(LEFT), frame(RIGHT, LEFT), frame(None, RIGHT)], [mask_of(LEFT)] * 2 + [mask_of(RIGHT)]
    together = annotator.densepose(batch(*frames, masks=masks))
    assert together.any(axis=(1, 2, 3)).all()
    for index in range(3):
        alone = annotator.densepose(batch(frames[index], masks=[masks[index]]))
        np.testing.assert_array_equal(together[index], alone[0])


def test_the_network_sees_bgr_at_its_own_size():
    shown, scale = densepose.network_input(np.full((90, 160, 3), (250, 100, 5), np.uint8))
    assert (shown.shape, scale) == ((3, 512, 960), pytest.approx(512 / 90))
    assert shown[:, 0, 0].tolist() == shown[:, -1, -1].tolist() == [5, 100, 250]


@pytest.mark.parametrize("stated", [None, "0" * 64, ""])
def test_a_program_that_nobody_vouches_for_is_not_opened(tmp_path, monkeypatch, stated):
    """TorchScript can do anything as it is opened, so the hash comes first: for a run, for readiness, for a plan."""
    file = tiny_densepose.write(tmp_path / "dp.torchscript", trusted=False)
    if stated is not None:
        (tmp_path / "dp.torchscript.sha256").write_text(stated)
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("it was opened"))
    setting = annotators.Setting(weights=Weights({"densepose": file}), device=Device("cpu"))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    complaint = f"this one (SHA-256 {digest}) is not " + ("what dp.torchscript.sha256 states" if stated else "a publi")
    with pytest.raises(DataError) as refused:
        annotators.create_densepose("densepose", setting)
    assert complaint in str(refused.value)
    with pytest.raises(DataError, match=digest):
        annotators.check_weights([("densepose", "densepose")], setting.weights)
    (row,) = (one for one in annotators.readiness(setting.weights) if one.info.kind == "densepose")
    assert complaint in row.missing


def test_a_published_file_needs_no_word(tmp_path, monkeypatch):
    file = tiny_densepose.write(tmp_path / "dp.torchscript", trusted=False)
    monkeypatch.setitem(densepose.KNOWN, hashlib.sha256(file.read_bytes()).hexdigest(), "tiny")
    assert densepose.load(file)(torch.zeros(3, 64, 64, dtype=torch.uint8))[0].shape == (0, 4)
    assert all(len(digest) == 64 for digest in densepose.KNOWN)


class _Named(nn.Module):
    """The same answer by names, as the other public export gives it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = tiny_densepose.TinyDensePose()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        boxes, coarse, fine, u, v = self.inner(image)
        named = {"pred_boxes": boxes, "pred_densepose_coarse_segm": coarse, "pred_densepose_fine_segm": fine}
        named["pred_densepose_u"], named["pred_densepose_v"] = u, v
        return named


class _Other(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image[:2].float()


def test_named_answers_are_read_too_and_other_networks_refused(tmp_path, annotator):
    def made(file):
        setting = annotators.Setting(weights=Weights({"densepose": file}), device=Device("cpu"))
        return annotators.create_densepose("densepose", setting)

    shown = batch(frame(LEFT), masks=[mask_of(LEFT)])
    named = made(tiny_densepose.write(tmp_path / "named.torchscript", _Named()))
    np.testing.assert_array_equal(named.densepose(shown), annotator.densepose(shown))
    with pytest.raises(DataError, match="is no DensePose network \\(it gives no pred_boxes"):
        made(tiny_densepose.write(tmp_path / "other.torchscript", _Other())).densepose(shown)
    fewer = tiny_densepose.write(tmp_path / "fewer.torchscript", tiny_densepose.TinyDensePose(parts=14))
    with pytest.raises(DataError, match="no DensePose network of 24 parts"):
        made(fewer).densepose(shown)
    junk = tmp_path / "junk.torchscript"
    junk.write_bytes(b"junk")
    (tmp_path / "junk.torchscript.sha256").write_text(hashlib.sha256(b"junk").hexdigest())
    with pytest.raises(DataError, match="is no TorchScript file"):
        densepose.load(junk)


def test_hdnet_asks_for_it_where_the_source_has_none(weights, annotator):
    setting = annotators.Setting(weights=Weights(weights), device=Device("cpu"))
    helped = annotators.create_depth("hdnet", setting, annotators.densepose_for("hdnet"))
    alone = annotators.create_depth("hdnet", setting)
    shown = batch(frame(LEFT, RIGHT), masks=[mask_of(LEFT)])
    shipped = {"densepose": annotator.densepose(shown)}
    expected = alone.depth(Batch(frames=shown.frames, mask=shown.mask, shipped=shipped))
    np.testing.assert_array_equal(helped.depth(shown), expected)
    nothing = {"densepose": np.zeros_like(shipped["densepose"])}
    other = alone.depth(Batch(frames=shown.frames, mask=shown.mask, shipped=nothing))
    assert np.nanmax(np.abs(expected - other)) > 1e-3
    # what a source ships comes first
    np.testing.assert_array_equal(helped.depth(Batch(frames=shown.frames, mask=shown.mask, shipped=nothing)), other)


def test_who_needs_it():
    assert annotators.densepose_for("hdnet") == "densepose"
    assert annotators.densepose_for("hdnet", lambda track: track == "densepose") == ""
    assert annotators.densepose_for("midas") == ""


@pytest.mark.parametrize(("folders", "maker"), [((), "densepose"), (("densepose",), "")])
def test_tiktok_without_body_surfaces_is_a_source_without_them(tmp_path, folders, maker):
    from idol_prep.sources.tiktok import TikTokSource

    numbered.write_sequence(tmp_path / "00001", [1, 2])
    for name in folders:
        (tmp_path / "00001" / name).mkdir()
    source = TikTokSource.open(tmp_path, densepose=True)
    assert annotators.densepose_for("hdnet", source.ships) == maker
    assert source.clips()[0].densepose == (not maker)


def idol(*words: object):
    from cli.main import build_app

    return CliRunner().invoke(build_app(), [str(word) for word in words])


@pytest.fixture
def videos(tmp_path, monkeypatch):
    monkeypatch.setattr(annotators, "ENTRIES", dict(annotators.ENTRIES))
    numbered.register()
    (tmp_path / "raw").mkdir()
    tiny_clips.encode(tmp_path / "raw" / "a.mp4", np.stack([numbered.picture(n) for n in range(8)]), "libx264")
    return tmp_path / "raw"


def test_any_video_with_hdnet(tmp_path, videos, weights):
    named = [part for name, file in weights.items() for part in ("--weights", f"{name}={file}")]
    words = ("prep", "folder", videos, "-o", tmp_path / "out", "--depth", "hdnet", "--size", 64, "--device", "cpu")
    words = (*words, "--pose", "numbered", "--mask", "numbered", *named)
    done = idol(*words)
    assert done.exit_code == 0, done.output
    assert "hdnet, from body surfaces by densepose" in done.stderr
    dataset = Dataset.open(tmp_path / "out")
    (record,) = dataset.records()
    assert record.frames == 8
    clip = dataset.clip(record.id)
    assert np.isfinite(clip.depth()[clip.mask() > 0]).all()
    told = json.loads((tmp_path / "out" / "dataset.json").read_text())["annotators"]["densepose"]
    assert told["weights"] == {"dp.torchscript": hashlib.sha256(weights["densepose"].read_bytes()).hexdigest()}
    assert (told["name"], told["licence"]) == ("densepose", "CC-BY-SA-3.0 (weights)")
    assert record.annotators["densepose"] == told


@pytest.mark.parametrize("words", [("--dry-run",), ()])
def test_all_that_is_missing_is_named_before_work_starts(tmp_path, videos, weights, words):
    words = ("prep", "folder", videos, "-o", tmp_path / "out", "--depth", "hdnet", "--mask", "numbered", *words)
    words = (*words, "--pose", "numbered")
    done = idol(*words)
    assert done.exit_code == 2
    assert "the weights hdnet are not here" in done.stderr
    assert "the weights densepose are not here: `idol prep annotators --fetch densepose`" in done.stderr
    done = idol(*words, "--weights", f"hdnet={weights['hdnet']}")
    assert done.exit_code == 2
    assert "the weights hdnet" not in done.stderr
    assert "the weights densepose are not here" in done.stderr
    assert not (tmp_path / "out").exists()

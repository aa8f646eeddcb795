"""Protocols as data: windows, padding and containers do what their names say."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from idol_eval import IDOL_8
from idol_eval.containers import gif, mp4
from idol_eval.features import load
from idol_eval.protocol import Protocol, ProtocolError, named, protocols
from idol_eval.samples import SampleError
from idol_eval.windows import clip_features


def test_protocols_are_data(tmp_path: Path) -> None:
    assert [*protocols()] == ["idol-8", "disco-png-16", "disco-gif-16", "stylegan-v"]
    assert protocols()["idol-8"] == IDOL_8
    own = {"id": "mine", "snippet": 10, "extractors": {"fvd": "i3d-2x7x7"}, "resize": {}}
    (tmp_path / "mine.json").write_text(json.dumps(own))
    assert named(str(tmp_path / "mine.json")).starts(12) == [0, 1, 2]
    assert Protocol.from_dict(named("stylegan-v").to_dict()) == named("stylegan-v")
    for content, said in (
        ('{"id": "x", "snipet": 3}', "has no field 'snipet'"),
        ("[]", "is no protocol"),
        ('{"id": "idol-8", "snippet": 4}', "calls itself idol-8 and differs"),
    ):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(ProtocolError, match=said):
            named(str(tmp_path / "bad.json"))
    with pytest.raises(ProtocolError, match="is none of idol-8, disco-png-16"):
        named("fvd")


def test_padding_repeats_the_last_frame() -> None:
    padded = IDOL_8.custom(padding="repeat-last", stride=4)
    assert (padded.padded(5), padded.padded(8), padded.padded(9), padded.padded(13)) == (8, 8, 12, 16)
    assert padded.starts(9) == [0, 4]
    assert padded.starts(3) == [0]
    assert IDOL_8.custom(windows="first").starts(20) == [0]


def test_windows_through_extractors() -> None:
    """Short clips padded, first windows, first frames of windows, and averages over a container's repeats."""
    frames = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), dtype=np.uint8)
    network = load("resnet3d-50")
    long = np.concatenate([frames[:5], np.repeat(frames[4:5], 3, axis=0)])
    padded = clip_features(network, "fid_fvd", frames[:5], IDOL_8.custom(padding="repeat-last"), "x")
    assert_allclose(padded, network.snippets(long, [0], 8), rtol=1e-6)
    shown = gif(frames[:8])
    assert shown.shape == (64, 16, 16, 3)
    emulated = clip_features(network, "fid_fvd", frames[:8], IDOL_8.custom(container="gif-3fps"), "x")
    pieces = network.snippets(shown, range(0, 64, 8), 8)
    assert_allclose(emulated, pieces.mean(axis=0, keepdims=True), rtol=1e-5, atol=1e-6)
    pictures = load("inception-fid")
    starts = clip_features(pictures, "fid", frames, IDOL_8.custom(fid_frames="window-starts"), "x")
    assert_allclose(starts, pictures.frames(frames[:2]), rtol=1e-5, atol=1e-5)
    with pytest.raises(SampleError, match="clip x: 5 frames are too few for snippets of 8"):
        clip_features(network, "fid_fvd", frames[:5], IDOL_8, "x")


def test_containers_lose_what_they_are_known_to_lose() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (16, 33, 31, 3), dtype=np.uint8)
    errors = [np.abs(found[:: len(found) // 16].astype(int) - frames).mean() for found in (gif(frames), mp4(frames))]
    assert mp4(frames).shape == frames.shape
    assert errors[0] > 0.5
    assert errors[1] > 2

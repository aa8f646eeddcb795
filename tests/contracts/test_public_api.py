"""The names that other people's code may rely on: they are there, documented, and do what their one line says."""

import inspect

import numpy as np
import pytest
import torch


def public() -> dict[str, object]:
    from idol_eval import depth_metrics, frechet_distance
    from idol_model import IdolPipeline, losses
    from idol_prep import colormap

    return {
        "IdolPipeline.from_pretrained": IdolPipeline.from_pretrained,
        "losses.cost_volume": losses.cost_volume,
        "losses.motion_field": losses.motion_field,
        "losses.motion_consistency": losses.motion_consistency,
        "losses.cross_attention_consistency": losses.cross_attention_consistency,
        "colormap.encode": colormap.encode,
        "colormap.decode": colormap.decode,
        "frechet_distance": frechet_distance,
        "depth_metrics": depth_metrics,
    }


@pytest.mark.parametrize("name", public())
def test_public_names_say_shapes_and_errors(name: str) -> None:
    text = inspect.getdoc(public()[name]) or ""
    assert len(text) > 80, f"{name} needs a docstring"
    if name != "IdolPipeline.from_pretrained":
        assert "[" in text, f"{name}: the docstring gives no shape or range"


def test_depth_goes_through_colours_and_back() -> None:
    from idol_prep import colormap

    depth = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    value, residual = colormap.decode(colormap.encode(depth, "hot"), "hot")
    assert np.allclose(value, depth, atol=1 / 510)
    assert not residual.any()


def test_depth_metrics_of_a_constant_error() -> None:
    from idol_eval import depth_metrics

    truth = np.full((2, 4, 4), 0.5, dtype=np.float32)
    scores = depth_metrics(truth + 0.1, truth)
    assert scores["mse"] == pytest.approx(0.01, rel=1e-5)
    assert scores["rmse"] == pytest.approx(0.1, rel=1e-5)
    with pytest.raises(ValueError, match="mask"):
        depth_metrics(truth, truth, mask=np.zeros_like(truth, dtype=bool))


def test_frechet_distance_of_a_known_case() -> None:
    from idol_eval import frechet_distance

    a = np.array([[0.0, 0], [2, 0], [0, 2], [2, 2]])
    b = np.array([[1.0, 1], [5, 1], [1, 3], [5, 3]])
    assert frechet_distance(a, b) == pytest.approx(19 / 3, abs=1e-12)


def test_identical_streams_have_no_motion_loss() -> None:
    from idol_model.losses import motion_consistency

    features = torch.randn(1, 3, 9, 4)
    assert motion_consistency(features, features).item() == 0

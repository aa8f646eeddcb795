"""Part *metrics*: how fast FVD's and FID's networks make features, in float32 and bf16, beside the peers' classes."""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu.compare import error, without_tf32
from benchmarks.gpu.figures import Figure, Skip
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.timing import timed
from idol_eval import features

_OURS = {"FVD": "i3d-2x7x7", "FID": "inception-fid"}
_SHAPES = {"FVD": (16, 3, 16, 224, 224), "FID": (128, 3, 299, 299)}
_TOY = {"FVD": (1, 3, 16, 224, 224), "FID": (1, 3, 299, 299)}


def figures(setting: Setting) -> Iterator[Figure]:
    """Both networks of ours, then the peers'."""
    for name in _OURS:
        yield Figure(f"{name}: ours", partial(_ours, setting, name), 4)
    yield Figure("FVD: cd-fvd", partial(_theirs, setting, "FVD", "cdfvd", _cdfvd), 3)
    yield Figure("FID: pytorch-fid", partial(_theirs, setting, "FID", "pytorch_fid", _pytorch_fid), 3)


def _ours(setting: Setting, name: str) -> dict[str, Any]:
    """Features of noise with random weights: rates, and what bf16 changes about them."""
    without_tf32()
    x = _noise(setting, name)
    found, answers = {"batch": len(x), "weights": "random"}, {}
    for label, precision in {"fp32": "float32", "bf16": "bfloat16"}.items():
        if setting.rehearse and label == "bf16" and name == "FVD":
            continue  # minutes on a processor without such instructions
        network = features.load(_OURS[name], device=setting.device, precision=precision)._network  # type: ignore[arg-type]
        found[label], answers[label] = _measured(network, x.to(getattr(torch, precision)), setting.device)
    if len(answers) == 2:
        found["bf16_error"] = error([answers["bf16"]], [answers["fp32"]])
    return found


def _theirs(setting: Setting, name: str, package: str, build: Callable[[], nn.Module]) -> dict[str, Any]:
    if find_spec(package) is None:
        raise Skip(f"{package} is not installed")
    without_tf32()
    network, x = build().to(setting.device).eval(), _noise(setting, name)
    return {"batch": len(x), "weights": "random", "fp32": _measured(network, x, setting.device)[0]}


@torch.inference_mode()
def _measured(network: nn.Module, x: Tensor, device: str) -> tuple[dict[str, Any], Tensor]:
    answers: list[Any] = []
    took = timed(lambda: answers.append(network(x)), device, runs=3, most=4)
    answer = answers[-1][0] if isinstance(answers[-1], list) else answers[-1]
    return took.to_dict() | {"per_second": len(x) / took.seconds}, answer.float()


def _noise(setting: Setting, name: str) -> Tensor:
    shape = (_TOY if setting.rehearse else _SHAPES)[name]
    form = torch.channels_last_3d if len(shape) == 5 else torch.channels_last
    drawn = torch.rand(shape, generator=torch.Generator().manual_seed(3)) * 2 - 1
    return drawn.to(setting.device).to(memory_format=form)


def _cdfvd() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cdfvd.third_party.i3d import pytorch_i3d

    network = pytorch_i3d.InceptionI3d(400, in_channels=3)
    network.avg_pool = nn.AvgPool3d((2, 7, 7), stride=1)
    return network


def _pytorch_fid() -> nn.Module:
    from pytorch_fid import inception as theirs

    from idol_eval.features import random_weights
    from idol_eval.features.inception import FidInception

    with torch.device("meta"):
        own = FidInception()
    random_weights.fill(own, 0)
    theirs.load_state_dict_from_url = lambda *_, **__: own.state_dict()  # it would ask a server
    return theirs.InceptionV3([3], resize_input=False, normalize_input=False)

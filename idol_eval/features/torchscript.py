"""TorchScript I3D (``i3d_torchscript.pt`` of StyleGAN-V) as a plain file of tensors, checked by what it computes.

Names inside such a file are its author's; units come in the network's order, so tensors are matched by order and shape.
Whether that was right is then measured: both networks must give the same logits.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from idol_eval.features.i3d import I3D, Unit
from idol_eval.features.weights import Published, WeightsError, identify

KNOWN = Published(file="i3d_torchscript.pt", git_blob="93daef59c7ae0e9e8f76225521407e60cbafa6aa")
_TOLERANCE = 1e-4
_FRAMES, _SIDE = 16, 224
"""Sixteen frames: there both poolings agree."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Converted:
    """``difference`` is the largest one of the logits, relative to the largest logit."""

    source: str
    tensors: int
    difference: float


def convert(file: Path, target: Path, *, trust: bool = False) -> Converted:
    """Write ``target`` (safetensors) from ``file``. A TorchScript file is a program: only the published one is run,
    unless ``trust``.

    Raises:
        FileNotFoundError: no such file.
        WeightsError: another file than the published one, no TorchScript, another network, or other logits.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such weight file")
    if target.suffix != ".safetensors":
        raise WeightsError(f"{target}: name a file that ends in .safetensors")
    known = identify(file, (KNOWN,))
    if not known.comparable and not trust:
        raise WeightsError(f"{file}: is not the published {KNOWN.file} ({known.label}); --trust runs it all the same")
    script = _opened(file)
    network = _filled(script.state_dict(), file)
    difference = _difference(script, network)
    if difference > _TOLERANCE:
        raise WeightsError(f"{file}: its logits differ by {difference:.1e}, so its tensors mean something else")
    from safetensors.torch import save_file

    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, target, {"source": known.label, "sha256": known.sha256})
    return Converted(source=known.label, tensors=len(state), difference=difference)


def _opened(file: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch retires the format; the published file stays one
            return torch.jit.load(str(file), map_location="cpu").eval()
    except RuntimeError as error:
        raise WeightsError(f"{file}: is no TorchScript file ({str(error).splitlines()[0]})") from error


def _filled(state: Mapping[str, Tensor], file: Path) -> I3D:
    """Our network with the tensors of ``state``, unit by unit."""
    with torch.device("meta"):
        network = I3D()
    given = iter([(name, tensor) for name, tensor in state.items() if tensor.is_floating_point()])
    own = {name: _unit_state(unit, given, file) for name, unit in _units(network)}
    left = next(given, None)
    if left is not None:
        raise WeightsError(f"{file}: is no I3D of 400 classes: {left[0]} is left over")
    whole = {f"{name}.{part}": tensor for name, parts in own.items() for part, tensor in parts.items()}
    network.load_state_dict(whole, strict=True, assign=True)
    return network.float().eval().requires_grad_(False)  # type: ignore[return-value]


def _units(network: nn.Module) -> Iterator[tuple[str, Unit]]:
    yield from ((name, part) for name, part in network.named_modules() if isinstance(part, Unit))


def _unit_state(unit: Unit, given: Iterator[tuple[str, Tensor]], file: Path) -> dict[str, Tensor]:
    """Convolution, then the normalisation's parts by their names' endings (a missing scale is 1)."""
    found = {"conv3d.weight": _next(given, unit.conv3d.weight.shape, file)}
    if unit.bn is None:
        return found | {"conv3d.bias": _next(given, (unit.conv3d.out_channels,), file)}
    shape = (unit.conv3d.out_channels,)
    parts = ("weight", "bias", "running_mean", "running_var")
    found |= {f"bn.{part}": _next(given, shape, file) for part in parts}
    return found | {"bn.num_batches_tracked": torch.zeros((), dtype=torch.int64)}


def _next(given: Iterator[tuple[str, Tensor]], shape: tuple[int, ...], file: Path) -> Tensor:
    name, tensor = next(given, ("the end of the file", torch.empty(0)))
    if tuple(tensor.squeeze().shape) != tuple(torch.empty(shape, device="meta").squeeze().shape):
        raise WeightsError(
            f"{file}: is no I3D of 400 classes: {name} is {tuple(tensor.shape)}, expected {tuple(shape)}"
        )
    return tensor.detach().reshape(shape).float()


@torch.inference_mode()
def _difference(script: Any, network: nn.Module) -> float:
    x = torch.linspace(0, 90, 3 * _FRAMES * _SIDE * _SIDE).reshape(1, 3, _FRAMES, _SIDE, _SIDE).sin()
    try:
        theirs = script(x, rescale=False, resize=False, return_features=True)
    except RuntimeError:
        theirs = script(x)
    mine = network(x)
    return float((theirs.reshape(mine.shape) - mine).abs().max() / mine.abs().max())

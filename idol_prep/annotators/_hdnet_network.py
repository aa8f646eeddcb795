"""HDNet (Jafarian and Park, CVPR 2021): surface normals, then depth, of a dressed person; an exact PyTorch port.

Two hourglasses of one shape. What a port must keep, and others lost: batch norm runs on the statistics of the picture
at hand (training mode, batch 1), which is instance norm, and so a batch gives what its pictures give alone; enlarging
is TensorFlow 1's bilinear, without half-pixel centres; the outermost skip leaves behind the third convolution.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from idol_prep.annotators._tf_checkpoint import read_checkpoint
from idol_prep.schema import DataError

WIDTHS = (64, 128, 256, 512, 1024)
SIDE = 256
"""Pixels of the pictures it was trained on."""
_EPSILON = 1e-3


class Convolution(nn.Module):
    """3 x 3, norm over each picture's channel, ReLU; the norm has an offset and no scale."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.beta = nn.Parameter(torch.zeros(channels_out))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return functional.relu(functional.instance_norm(self.conv(x_NCHW), bias=self.beta, eps=_EPSILON))


class Hourglass(nn.Module):
    """Pictures [N,C,H,W] to maps [N,c,H,W]; sides are multiples of 16."""

    def __init__(self, channels_in: int, channels_out: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        a, b, c, d, e = widths
        steps = [(channels_in, a), (a, a), (a, a), (a, b), (b, c), (c, d), (d, e), (e, e), (e, d)]
        steps += [(2 * d, d), (d, c), (2 * c, c), (c, b), (2 * b, b), (b, a), (2 * a, a), (a, a)]
        self.convs = nn.ModuleList([Convolution(*step) for step in steps])
        self.out = nn.Conv2d(a, channels_out, 1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        skips = [self._through(x_NCHW, 0, 3)]
        for index in (3, 4, 5):
            skips.append(self.convs[index](functional.max_pool2d(skips[-1], 2)))
        x = self._through(functional.max_pool2d(skips[-1], 2), 6, 9)
        for index, skip in zip((9, 11, 13, 15), reversed(skips), strict=True):
            x = self._through(torch.cat([doubled(x), skip], dim=1), index, index + 2)
        return self.out(x)

    def _through(self, x: Tensor, start: int, stop: int) -> Tensor:
        for index in range(start, stop):
            x = self.convs[index](x)
        return x


class HDNet(nn.Module):
    """RGB and DensePose of a person to his depth, larger is farther."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.normal = Hourglass(3, 3, widths)
        self.depth = Hourglass(9, 1, widths)

    def forward(self, rgb_NCHW: Tensor, densepose_NCHW: Tensor, mask_NHW: Tensor) -> Tensor:
        """Depth [N,H,W], meaningful inside the mask.

        ``rgb`` and ``densepose`` are 0 to 255 as they are; DensePose in the order of its files' channels (V, U, part).
        """
        inside = mask_NHW[:, None]
        rgb = torch.where(inside, rgb_NCHW, torch.full_like(rgb_NCHW, 255.0))
        normal = self.normal(rgb)
        normal = torch.where(inside, normal / normal.norm(dim=1, keepdim=True), torch.zeros_like(normal))
        return self.depth(torch.cat([rgb, normal, densepose_NCHW], dim=1))[:, 0]


def doubled(x_NCHW: Tensor) -> Tensor:
    """Twice the size: even pixels are the old ones, odd ones the mean of their neighbours, the last is repeated."""
    for dim in (2, 3):
        length = x_NCHW.shape[dim]
        last = x_NCHW.narrow(dim, length - 1, 1)
        behind = torch.cat([x_NCHW.narrow(dim, 1, length - 1), last], dim)
        x_NCHW = torch.stack([x_NCHW, (x_NCHW + behind) / 2], dim + 1).flatten(dim, dim + 1)
    return x_NCHW


def from_tensorflow(normal: Path, depth: Path, widths: tuple[int, ...] = WIDTHS) -> HDNet:
    """HDNet with the weights of two TensorFlow checkpoints (paths without ``.index``). Raises `DataError`."""
    network = HDNet(widths)
    for hourglass, prefix in ((network.normal, normal), (network.depth, depth)):
        state = _renamed(read_checkpoint(prefix), prefix)
        try:
            hourglass.load_state_dict(state)
        except RuntimeError as error:
            raise DataError(f"{prefix}: is no checkpoint of this HDNet network ({error})") from error
    return network.eval()


def _renamed(tensors: dict, prefix: Path) -> dict[str, Tensor]:
    """TensorFlow's ``SCOPE/conv7/{weights,biases,beta}`` as the port's names, kernels with channels first."""
    scopes = [name.removesuffix("/conv1/weights") for name in tensors if name.endswith("/conv1/weights")]
    if len(scopes) != 1:
        raise DataError(f"{prefix}: holds no hourglass (no SCOPE/conv1/weights among {len(tensors)} tensors)")
    state = {}
    for number in range(1, 19):
        home = f"convs.{number - 1}.conv" if number < 18 else "out"
        parts = {"weights": f"{home}.weight", "biases": f"{home}.bias"}
        parts |= {"beta": f"convs.{number - 1}.beta"} if number < 18 else {}
        for old, new in parts.items():
            name = f"{scopes[0]}/conv{number}/{old}"
            if name not in tensors:
                raise DataError(f"{prefix}: has no tensor {name}")
            tensor = torch.from_numpy(tensors[name].copy())
            state[new] = tensor.permute(3, 2, 0, 1).contiguous() if old == "weights" else tensor
    return state

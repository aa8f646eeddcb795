"""A DensePose network of the published interface with random weights: a TorchScript program that finds by colour.

Reddish pixels are the surest person, bluish ones another. Parts, U and V are random functions of a person's colours, so
they differ from pixel to pixel; the body is where his own colour is.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
import torchvision  # noqa: F401 - its operators are called below, as the published file calls them
from torch import Tensor, nn
from torch.nn import functional

SIDE = 112
PARTS = 24


class TinyDensePose(nn.Module):
    """BGR uint8 [3,h,w] to boxes [n,4], coarse [n,2,112,112], fine, U, V [n,25,112,112]."""

    def __init__(self, parts: int = PARTS) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.maps = nn.Conv2d(3, 3 * (parts + 1), 1)
        with torch.no_grad():
            for weight in self.maps.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator))
        middles = torch.tensor([0.0, 0.3, 0.6]).repeat_interleave(parts + 1)
        self.maps.bias = nn.Parameter(middles)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        blue, red = image[0].float(), image[2].float()
        boxes, bodies, looks = [torch.zeros(0, 4)], [torch.zeros(0, 1, 112, 112)], [torch.zeros(0, 3, 112, 112)]
        for own in [(red > 150), (blue > 150) & (red < 100)]:
            rows, columns = torch.where(own.any(dim=1))[0], torch.where(own.any(dim=0))[0]
            if rows.numel() > 0:
                top, bottom = int(rows[0]), int(rows[-1]) + 1
                left, right = int(columns[0]), int(columns[-1]) + 1
                boxes.append(torch.tensor([[float(left), float(top), float(right), float(bottom)]]))
                body = own[top:bottom, left:right][None, None].float()
                look = image[:, top:bottom, left:right][None].float() / 255
                bodies.append(functional.interpolate(body, [112, 112], mode="bilinear"))
                look = functional.interpolate(look, [112, 112], mode="bilinear")
                looks.append(look - look.mean(dim=[2, 3], keepdim=True))
        found, body = torch.cat(boxes), torch.cat(bodies)
        kept = torch.ops.torchvision.nms(found, torch.linspace(1.0, 0.5, len(found)), 0.99)
        fine, u, v = self.maps(torch.cat(looks)[kept]).chunk(3, dim=1)
        return found[kept], torch.cat([1 - body, body], dim=1)[kept], fine, u, v


def write(file: Path, network: nn.Module | None = None, *, trusted: bool = True) -> Path:
    """The network as a TorchScript file; ``trusted`` states its hash beside it, as `sha256sum` does."""
    torch.jit.script(network or TinyDensePose()).save(str(file))
    if trusted:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        file.with_name(f"{file.name}.sha256").write_text(f"{digest}  {file.name}\n")
    return file


def frame(red: tuple[int, int, int, int] | None, blue: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """A dark picture RGB [96,128,3] with people as boxes (left, top, right, bottom) of changing colours."""
    shown = np.full((96, 128, 3), 20, np.uint8)
    down, across = np.mgrid[:96, :128]
    for box, channel in ((red, 0), (blue, 2)):
        if box is not None:
            left, top, right, bottom = box
            inside = np.s_[top:bottom, left:right]
            shown[inside][..., channel] = 220
            shown[inside][..., 1] = (down * 5 % 180)[inside]
            shown[inside][..., 2 - channel] = (across * 3 % 70)[inside]
    return shown


def mask_of(box: tuple[int, int, int, int]) -> np.ndarray:
    """The box as labels [96,128]."""
    mask = np.zeros((96, 128), np.uint8)
    left, top, right, bottom = box
    mask[top:bottom, left:right] = 1
    return mask

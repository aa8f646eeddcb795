"""Batch normalisations folded into the convolutions before them: the same features, one pass over memory fewer."""

from itertools import pairwise

import torch
from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
_NORMALISATIONS = (nn.BatchNorm2d, nn.BatchNorm3d)


def fold_normalisations(network: nn.Module) -> nn.Module:
    """``network`` with every batch normalisation that directly follows a convolution folded into it, in place.

    A pair is what follows each other among one module's children. For evaluation alone; returns the network.
    """
    for parent in list(network.modules()):
        for (_, first), (name, second) in pairwise(list(parent.named_children())):
            if isinstance(first, _CONVOLUTIONS) and isinstance(second, _NORMALISATIONS):
                _fold(first, second)
                setattr(parent, name, nn.Identity())
    return network


def _fold(convolution: nn.Conv2d | nn.Conv3d, norm: nn.BatchNorm2d | nn.BatchNorm3d) -> None:
    """y = g (W x - m) / sqrt(v + eps) + b as one convolution, computed in float64."""
    scale = _double(norm.weight) / (_double(norm.running_var) + norm.eps).sqrt()
    shift = _double(norm.bias) - _double(norm.running_mean) * scale
    if convolution.bias is not None:
        shift = shift + _double(convolution.bias) * scale
    weight = _double(convolution.weight) * scale.view(-1, *(1,) * (convolution.weight.ndim - 1))
    convolution.weight = _fixed(weight)
    convolution.bias = _fixed(shift)


def _double(tensor: Tensor | None) -> Tensor:
    assert tensor is not None  # these networks' normalisations all have weights and statistics
    return tensor.detach().double()


def _fixed(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.to(torch.float32), requires_grad=False)

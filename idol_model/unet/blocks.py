"""The blocks of a network: what is computed again in the backward pass, or split over processes, as one."""

from functools import partial

from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import nn
from torch.utils.checkpoint import checkpoint

from idol_model.unet.coupling import Coupling
from idol_model.unet.layers import ResBlock, SpatialTransformer

_BLOCKS = (ResBlock, SpatialTransformer, AnimateDiffTransformer3D, Coupling)


def blocks(net: nn.Module) -> list[nn.Module]:
    """Residual blocks, transformers, motion modules and couplings of ``net``, none inside another."""
    found = (module for module in net.modules() if isinstance(module, _BLOCKS))
    return [module for module in found if next(module.parameters(), None) is not None]


def recompute(net: nn.Module) -> None:
    """Hold only the inputs of each block for the backward pass and compute the rest again (Chen et al. 2016).

    Gradients stay what they are; the forward pass is made twice.
    """
    for block in blocks(net):
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)

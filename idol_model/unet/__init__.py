"""The denoiser: one forward over diffusers' leaf layers, with sockets for everything that varies."""

from idol_model.unet.dual_modal import DualModalUNet, UNetConfig
from idol_model.unet.taps import NO_TAPS, Taps

__all__ = ["NO_TAPS", "DualModalUNet", "Taps", "UNetConfig"]

"""Pose networks: what the pose sequence adds to the U-Net."""

from typing import Any

from idol_model.pose_control.controlnet import ControlNetConfig, PoseControlNet
from idol_model.pose_control.none import NoPose, NoPoseConfig
from idol_model.pose_control.t2i_adapter import PoseAdapter, T2IAdapterConfig
from idol_model.unet.control import NO_CONTROL, Control

PoseControlConfig = ControlNetConfig | T2IAdapterConfig | NoPoseConfig
PoseControl = PoseControlNet | PoseAdapter | NoPose

_NETWORKS: dict[type, Any] = {
    ControlNetConfig: PoseControlNet,
    T2IAdapterConfig: PoseAdapter,
    NoPoseConfig: NoPose,
}


def build(config: PoseControlConfig) -> PoseControl:
    """The pose network of a configuration, freshly initialised."""
    return _NETWORKS[type(config)].of(config)


__all__ = [
    "NO_CONTROL",
    "Control",
    "ControlNetConfig",
    "NoPose",
    "NoPoseConfig",
    "PoseAdapter",
    "PoseControl",
    "PoseControlConfig",
    "PoseControlNet",
    "T2IAdapterConfig",
    "build",
]

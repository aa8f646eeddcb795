"""Pose networks: what the pose sequence adds to the U-Net."""

from idol_model.pose_control.control import NO_CONTROL, Control
from idol_model.pose_control.controlnet import ControlNetConfig, PoseControlNet
from idol_model.pose_control.none import NoPose, NoPoseConfig

PoseControlConfig = ControlNetConfig | NoPoseConfig
PoseControl = PoseControlNet | NoPose


def build(config: PoseControlConfig) -> PoseControl:
    """The pose network of a configuration, freshly initialised."""
    return PoseControlNet.of(config) if isinstance(config, ControlNetConfig) else NoPose.of(config)


__all__ = [
    "NO_CONTROL",
    "Control",
    "ControlNetConfig",
    "NoPose",
    "NoPoseConfig",
    "PoseControl",
    "PoseControlConfig",
    "PoseControlNet",
    "build",
]

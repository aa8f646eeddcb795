"""No pose: the do-nothing pose network, for pre-training (Sec. 3.3)."""

from dataclasses import dataclass
from typing import Literal

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders.peft import PeftAdapterMixin
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor

from idol_model.pose_control.hints import ReadsPixels
from idol_model.unet.control import NO_CONTROL, Control


@dataclass(frozen=True, kw_only=True, slots=True)
class NoPoseConfig:
    """Nothing to size."""

    kind: Literal["none"] = "none"


class NoPose(ModelMixin, ConfigMixin, PeftAdapterMixin, ReadsPixels):
    """Adds nothing to the U-Net."""

    @register_to_config
    def __init__(self) -> None:
        super().__init__()
        # diffusers asks every component for a device and a weight file; an empty buffer has both.
        self.register_buffer("nothing", torch.zeros(0))

    @classmethod
    def of(cls, config: NoPoseConfig) -> "NoPose":
        del config
        return cls()

    @apply_forward_hook
    def prepare(self, pose_BLCHW: Tensor) -> Tensor:
        """The pose as it is; nobody reads it."""
        return pose_BLCHW

    def forward(
        self, z_SBLCHW: Tensor, t_B: Tensor, tokens_BTD: Tensor, background_BCHW: Tensor, pose_BLCHW: Tensor
    ) -> Control:
        """The empty control."""
        del z_SBLCHW, t_B, tokens_BTD, background_BCHW, pose_BLCHW
        return NO_CONTROL

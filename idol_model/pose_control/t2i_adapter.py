"""The pose T2I-Adapter (Tab. 3): reads the pose alone, once, and speaks into the U-Net's down stages.

It knows neither the noise nor the time, so its features are the same at every denoising step and for all streams.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders.peft import PeftAdapterMixin
from diffusers.models.adapter import FullAdapter
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor

from idol_model.config import from_dict, to_dict
from idol_model.pose_control.hints import ReadsPixels
from idol_model.types import Layout
from idol_model.unet.control import Control
from idol_model.unet.signal import over_streams


@dataclass(frozen=True, kw_only=True, slots=True)
class T2IAdapterConfig:
    """Sizes of the adapter; widths are those of the U-Net's stages."""

    kind: Literal["t2i_adapter"] = "t2i_adapter"
    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    depth: int = 2
    """Residual blocks of a stage."""
    factor: int = 8
    """How many pixels a latent is wide."""


class PoseAdapter(ModelMixin, ConfigMixin, PeftAdapterMixin, ReadsPixels):
    """Parameter names are those of `diffusers.T2IAdapter`; its last convolutions start as they are drawn."""

    @register_to_config
    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.sizes = from_dict(T2IAdapterConfig, sizes)
        own = self.sizes
        self.adapter = FullAdapter(3, list(own.widths), own.depth, own.factor)

    @classmethod
    def of(cls, config: T2IAdapterConfig) -> "PoseAdapter":
        """The adapter of a configuration, freshly initialised."""
        return cls(to_dict(config))

    @apply_forward_hook
    def prepare(self, pose_BLCHW: Tensor) -> tuple[Tensor, ...]:
        """Pose pictures in [0, 1] to the features of each stage, [B*L, C, h, w]; all the adapter's work."""
        return tuple(self.adapter(pose_BLCHW.flatten(0, 1)))

    def forward(
        self,
        z_SBLCHW: Tensor,
        t_B: Tensor,
        tokens_BTD: Tensor,
        background_BCHW: Tensor,
        features: tuple[Tensor, ...],
    ) -> Control:
        """What to add to the U-Net; ``features`` is what `prepare` returned."""
        del t_B, tokens_BTD, background_BCHW
        layout = Layout(*z_SBLCHW.shape[:3])
        return Control(stages=tuple(over_streams(feature, layout) for feature in features))

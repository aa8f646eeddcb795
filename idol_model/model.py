"""The parts of IDOL put together: codec, foreground encoder, pose network, U-Net."""

from torch import Tensor, nn, no_grad, stack
from torch.nn import Parameter

from idol_model import codecs, foreground, pose_control
from idol_model.recipe import Recipe
from idol_model.types import ClipBatch, LatentBatch
from idol_model.unet import NO_TAPS, DualModalUNet, Taps


class IdolModel(nn.Module):
    """epsilon_theta(z_t, t, f, b, p; y) of Eq. 2 with everything around it. The codec is never trained here."""

    def __init__(
        self,
        unet: DualModalUNet,
        pose_control: pose_control.PoseControl,
        foreground: foreground.Foreground,
        codec: codecs.Codec,
    ) -> None:
        super().__init__()
        self.unet, self.pose_control, self.foreground = unet, pose_control, foreground
        self.codec = codec.requires_grad_(False)

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> "IdolModel":
        """A freshly initialised model; seed torch before."""
        return cls(
            DualModalUNet.of(recipe.unet),
            pose_control.build(recipe.pose_control),
            foreground.build(recipe.foreground),
            codecs.build(recipe.codec),
        )

    def tokens(self, foreground: Tensor) -> Tensor:
        """Condition tokens [B, T, D] of what the foreground encoder has read (`LatentBatch.foreground`)."""
        return self.foreground.project(foreground)

    @no_grad()
    def encode(self, batch: ClipBatch) -> LatentBatch:
        """The batch behind the codec and the encoder's frozen part; stream order as in `idol_model.types`."""
        pictures_MBLCHW = stack([batch.video_BLCHW, batch.depth_BLCHW])
        return LatentBatch(
            ids=batch.ids,
            z_SBLCHW=self.codec.encode_clips(pictures_MBLCHW, self.streams),
            background_BCHW=self.codec.encode_picture(batch.background_BCHW),
            pose_BLCHW=batch.pose_BLCHW,
            foreground=self.foreground.read(batch.foreground_BCHW),
        )

    @property
    def streams(self) -> int:
        """Streams the U-Net denoises together."""
        return self.unet.sizes.streams

    def forward(
        self,
        z_SBLCHW: Tensor,
        t_B: Tensor,
        tokens_BTD: Tensor,
        background_BCHW: Tensor,
        pose_BLCHW: Tensor,
        taps: Taps = NO_TAPS,
    ) -> Tensor:
        """One denoising call from pose pictures; samplers that call it many times prepare the pose once instead."""
        hint = self.pose_control.prepare(self.pose_control.read(pose_BLCHW, self.codec))
        control = self.pose_control(z_SBLCHW, t_B, tokens_BTD, background_BCHW, hint)
        return self.unet(z_SBLCHW, t_B, tokens_BTD, background_BCHW, control, taps)

    def trainable(self) -> list[tuple[str, Parameter]]:
        """Named parameters that stages choose from (`idol_model.selection`): all that require gradients."""
        return [(name, parameter) for name, parameter in self.named_parameters() if parameter.requires_grad]

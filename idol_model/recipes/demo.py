"""The recipe of the shipped checkpoint: the paper's model, narrower, on synthetic dancers, on two CPU cores."""

from functools import partial

from idol_model.codecs import ConvCodecConfig
from idol_model.diffusion import DiffusionConfig
from idol_model.foreground import ConvForegroundConfig
from idol_model.pose_control import ControlNetConfig
from idol_model.recipe import CodecStage, DataConfig, Recipe, Stage
from idol_model.recipes.idol import TERMS
from idol_model.sampling import SamplingConfig
from idol_model.unet import UNetConfig

_SIZES = {
    "in_channels": 16,
    "widths": (96, 128, 128),
    "depth": 1,
    "attention": (False, True, True),
    "tokens": 128,
    "heads": 2,
    "groups": 16,
}

_stage = partial(Stage, warmup=0.05, decay="cosine", weight_decay=1e-2, clip_norm=1.0, ema=0.998, cache_latents=True)


def demo() -> Recipe:
    """128 x 128, 8 frames, zero terminal SNR with velocity prediction; what each choice gave is in docs/results.md."""
    return Recipe(
        name="demo",
        summary="the shipped checkpoint: 128 x 128 synthetic dancers, trained on two CPU cores",
        unet=UNetConfig(**_SIZES),
        pose_control=ControlNetConfig(**_SIZES, hint_widths=(16, 32, 64, 96)),
        foreground=ConvForegroundConfig(tokens=128, width=64, depth=2, size=64, factor=8),
        codec=ConvCodecConfig(latent_channels=16, width=48, depth=2),
        diffusion=DiffusionConfig(
            prediction="v_prediction", zero_terminal_snr=True, spacing="trailing", frame_noise="shared"
        ),
        objective=TERMS,
        data=DataConfig(size=128, background="mixed", foreground_dropout=0.05),
        sampling=SamplingConfig(steps=4),
        precision="fp32",
        save_every=250,
        codec_stage=CodecStage(steps=4000, batch_size=8, lr=2e-3, edge_weight=0.5),
        stages=(
            _stage(name="image", steps=6000, frames=1, batch_size=8, lr=5e-4),
            _stage(name="video", steps=400, frames=8, batch_size=2, lr=3e-4),
        ),
    )

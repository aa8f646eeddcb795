"""The rows of the paper's tables, each as its difference from the main recipe (Tab. 1-6 and 8)."""

from dataclasses import replace

from idol_model.codecs import JointKlCodecConfig
from idol_model.objective import ObjectiveConfig
from idol_model.pose_control import ControlNetConfig, T2IAdapterConfig
from idol_model.recipe import CodecStage, DataConfig, Recipe
from idol_model.recipes.idol import TERMS, haop, idol
from idol_model.unet import UNetConfig

_WITHOUT_TERMS = ObjectiveConfig(w_mo=0.0, w_xattn=0.0)
_VIDEO_ALONE = {"streams": 1, "coupling": "none"}


def hap() -> Recipe:
    """DisCo's pre-training, which Tab. 6 compares with."""
    recipe = haop()
    data = replace(recipe.data, augment="hap")
    return replace(
        recipe, name="hap", summary="pre-training on single pictures as the parent system does it (Tab. 6)", data=data
    )


def midas() -> Recipe:
    """Tab. 2: whole-frame MiDaS depth in grey."""
    return replace(
        idol(), name="midas", summary="whole-frame MiDaS depth in grey (Tab. 2)", data=DataConfig(colormap="gray")
    )


def animatediff() -> Recipe:
    """Tab. 3, row 2: AnimateDiff's pre-trained motion modules in place of the handcrafted layers."""
    recipe = idol()
    return replace(
        recipe,
        name="animatediff",
        summary="AnimateDiff's motion modules for time (Tab. 3, row 2)",
        unet=UNetConfig(temporal="animatediff"),
        pose_control=ControlNetConfig(temporal="none"),
        weights=(*recipe.weights, "animatediff-v1-5-2"),
    )


def dwpose() -> Recipe:
    """Tab. 3, row 3: and poses with hands and face."""
    return replace(
        animatediff(),
        name="dwpose",
        summary="AnimateDiff, and poses with hands and face (Tab. 3, row 3)",
        data=DataConfig(pose="dwpose"),
    )


def t2i_adapter() -> Recipe:
    """Tab. 3, row 4: and a T2I-Adapter instead of the ControlNet."""
    recipe = dwpose()
    return replace(
        recipe,
        name="t2i-adapter",
        summary="AnimateDiff, hands and face, T2I-Adapter (Tab. 3, row 4)",
        pose_control=T2IAdapterConfig(),
        weights=(*recipe.weights, "t2i-adapter-openpose"),
    )


def separate() -> Recipe:
    """Tab. 4, row 1: a network for the video and one for the depth."""
    return replace(
        idol(),
        name="separate",
        summary="a network for each modality, no coupling, denoising alone (Tab. 4, row 1)",
        unet=UNetConfig(sharing="separate", coupling="none"),
        pose_control=ControlNetConfig(sharing="separate"),
        objective=_WITHOUT_TERMS,
    )


def shared() -> Recipe:
    """Tab. 4, row 2: one network for both."""
    return replace(
        idol(),
        name="shared",
        summary="one network for both modalities, no coupling, denoising alone (Tab. 4, row 2)",
        unet=UNetConfig(coupling="none"),
        objective=_WITHOUT_TERMS,
    )


def coupled() -> Recipe:
    """Tab. 4, row 3, which is row 1 of Tab. 5 and of Tab. 8: with cross-modal attention, denoising alone."""
    return replace(
        idol(),
        name="coupled",
        summary="with cross-modal attention, denoising alone (Tab. 4, row 3)",
        objective=_WITHOUT_TERMS,
    )


def xattn() -> Recipe:
    """Tab. 5, row 2, which is row 4 of Tab. 8: with L_xattn."""
    return replace(
        idol(),
        name="xattn",
        summary="with L_xattn, without L_mo (Tab. 5, row 2)",
        objective=replace(TERMS, w_mo=0.0),
    )


def maps_averaged() -> Recipe:
    """Tab. 8, row 2: both streams use the mean of their cross-attention maps."""
    return replace(
        coupled(),
        name="maps-averaged",
        summary="one cross-attention map, the mean (Tab. 8, row 2)",
        unet=UNetConfig(cross_maps="averaged"),
    )


def maps_video() -> Recipe:
    """Tab. 8, row 3: both streams use the video's map."""
    return replace(
        coupled(),
        name="maps-video",
        summary="one cross-attention map, the video's (Tab. 8, row 3)",
        unet=UNetConfig(cross_maps="video"),
    )


def no_pretraining() -> Recipe:
    """Tab. 6, row 1."""
    return replace(idol(), name="no-pretraining", summary="without pre-training (Tab. 6, row 1)", init_from=None)


def after_hap() -> Recipe:
    """Tab. 6, row 2."""
    return replace(
        idol(), name="after-hap", summary="after the parent's pre-training (Tab. 6, row 2)", init_from="runs/hap"
    )


def mm_diffusion() -> Recipe:
    """Tab. 1, row MM-Diffusion (App. B): a U-Net for each modality, joined by random-shift attention."""
    return replace(
        separate(),
        name="mm-diffusion",
        summary="MM-Diffusion on this backbone: two networks, random-shift attention (Tab. 1)",
        unet=UNetConfig(sharing="separate", coupling="random_shift"),
    )


def ldm3d() -> Recipe:
    """Tab. 1, row LDM3D (App. B): one stream, decoded into video and depth by a joint autoencoder, fine-tuned first."""
    return replace(
        idol(),
        name="ldm3d",
        summary="LDM3D on this backbone: one stream, joint RGB-D autoencoder (Tab. 1)",
        unet=UNetConfig(**_VIDEO_ALONE),
        pose_control=ControlNetConfig(streams=1),
        codec=JointKlCodecConfig(),
        codec_stage=CodecStage(steps=20_000, batch_size=32, lr=1e-5),
        objective=_WITHOUT_TERMS,
    )


def video_only() -> Recipe:
    """Tab. 1, row DisCo: the video alone after DisCo's own pre-training; depth is estimated from what it generates."""
    return replace(
        after_hap(),
        name="video-only",
        summary="the video alone, as the parent system (Tab. 1, row DisCo)",
        unet=UNetConfig(**_VIDEO_ALONE),
        pose_control=ControlNetConfig(streams=1),
        objective=_WITHOUT_TERMS,
    )


def midas_mm_diffusion() -> Recipe:
    """Tab. 2, row MM-Diffusion."""
    return replace(
        mm_diffusion(),
        name="midas-mm-diffusion",
        summary="MM-Diffusion with whole-frame MiDaS depth in grey (Tab. 2)",
        data=midas().data,
    )


def midas_ldm3d() -> Recipe:
    """Tab. 2, row LDM3D."""
    return replace(
        ldm3d(), name="midas-ldm3d", summary="LDM3D with whole-frame MiDaS depth in grey (Tab. 2)", data=midas().data
    )


def midas_video_only() -> Recipe:
    """Tab. 2, row DisCo: trains as `video_only` does; MiDaS estimates depth from what it generates."""
    return replace(
        video_only(),
        name="midas-video-only",
        summary="the video alone, on data with MiDaS depth (Tab. 2, row DisCo)",
        data=midas().data,
    )

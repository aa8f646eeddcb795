"""Published weights a run can start from: where they are, what they may be used for, what they fill."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from idol_model.weights import loaders
from idol_model.weights_names import WeightsName


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A hub repository. ``files`` are the patterns of what is needed of it; ``parts`` folders that must be there."""

    repo: str
    fills: str
    licence: str
    files: tuple[str, ...]
    parts: tuple[str, ...]
    load: loaders.Loader

    @property
    def command(self) -> str:
        """What brings the files, without anything else of the repository."""
        return " ".join(["hf download", self.repo, *(f"--include '{pattern}'" for pattern in self.files)])


_OPENRAIL = "CreativeML OpenRAIL-M: read its use restrictions"
_WHOLE = ("config.json", "*.safetensors")
_UNET_VAE = ("unet/config.json", "unet/*.safetensors", "vae/config.json", "vae/*.safetensors")

SOURCES: Mapping[WeightsName, Source] = {
    "sd-image-variations": Source(
        repo="lambdalabs/sd-image-variations-diffusers",
        fills="U-Net, ControlNet encoder, autoencoder, CLIP ViT-L/14 with projection",
        licence=_OPENRAIL,
        files=("unet/*", "vae/*", "image_encoder/*"),
        parts=("unet", "vae", "image_encoder"),
        load=loaders.image_variations,
    ),
    "sd-1.4": Source(
        repo="CompVis/stable-diffusion-v1-4",
        fills="U-Net, ControlNet encoder, autoencoder",
        licence=_OPENRAIL,
        files=_UNET_VAE,
        parts=("unet", "vae"),
        load=loaders.stable_diffusion,
    ),
    "sd-1.5": Source(
        repo="stable-diffusion-v1-5/stable-diffusion-v1-5",
        fills="U-Net, ControlNet encoder, autoencoder",
        licence=_OPENRAIL,
        files=_UNET_VAE,
        parts=("unet", "vae"),
        load=loaders.stable_diffusion,
    ),
    "clip-vit-l14": Source(
        repo="openai/clip-vit-large-patch14",
        fills="CLIP ViT-L/14 with projection",
        licence="see the model card",
        files=("config.json", "model.safetensors"),
        parts=(),
        load=loaders.clip_vision,
    ),
    "controlnet-openpose": Source(
        repo="lllyasviel/control_v11p_sd15_openpose",
        fills="pose ControlNet",
        licence="OpenRAIL: see the model card",
        files=("config.json", "diffusion_pytorch_model.safetensors"),
        parts=(),
        load=loaders.controlnet,
    ),
    "t2i-adapter-openpose": Source(
        repo="TencentARC/t2iadapter_openpose_sd14v1",
        fills="pose T2I-Adapter",
        licence="see the model card",
        files=_WHOLE,
        parts=(),
        load=loaders.t2i_adapter,
    ),
    "animatediff-v1-5-2": Source(
        repo="guoyww/animatediff-motion-adapter-v1-5-2",
        fills="AnimateDiff motion modules, with one in the middle",
        licence="see the model card",
        files=_WHOLE,
        parts=(),
        load=loaders.motion_adapter,
    ),
    "animatediff-v1-5-3": Source(
        repo="guoyww/animatediff-motion-adapter-v1-5-3",
        fills="AnimateDiff motion modules, none in the middle",
        licence="see the model card",
        files=_WHOLE,
        parts=(),
        load=loaders.motion_adapter,
    ),
}


def find(name: WeightsName) -> Path | None:
    """The local folder of a source, or None; nothing is downloaded here."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    source = SOURCES[name]
    try:
        folder = Path(snapshot_download(source.repo, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    whole = all((folder / part).is_dir() for part in source.parts) and any(folder.rglob("*.json"))
    return folder if whole else None


def require(name: WeightsName) -> Path:
    """As `find`.

    Raises:
        FileNotFoundError: not on this machine; the message names the command that brings it.
    """
    folder = find(name)
    if folder is None:
        raise FileNotFoundError(
            f"pre-trained weights {name} are not on this machine: bring them with `idol weights get {name}` "
            f"(or `{SOURCES[name].command}`), or start from nothing with --set 'weights=[]'"
        )
    return folder

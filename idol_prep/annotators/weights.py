"""Where published weights of annotators are: named by the user, or in the hub's cache. Nothing is fetched unasked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from idol_prep._files import file_hash
from idol_prep.schema import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Weights on the hub: files of a repository, or (``files`` empty) the whole of it as a model folder."""

    repo: str
    files: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"https://huggingface.co/{self.repo}"


PUBLISHED: dict[str, Published] = {
    "openpose": Published(repo="lllyasviel/Annotators", files=("body_pose_model.pth",)),
    "yolox": Published(repo="yzd-v/DWPose", files=("yolox_l.onnx",)),
    "dwpose": Published(repo="yzd-v/DWPose", files=("dw-ll_ucoco_384.onnx",)),
    "grounding-dino": Published(repo="IDEA-Research/grounding-dino-tiny"),
    "sam": Published(repo="facebook/sam-vit-huge"),
    "groundingdino-original": Published(repo="ShilongLiu/GroundingDINO", files=("groundingdino_swint_ogc.pth",)),
    "bert": Published(repo="google-bert/bert-base-uncased"),
    "sam-original": Published(repo="ybelkada/segment-anything", files=("checkpoints/sam_vit_h_4b8939.pth",)),
    "sam2": Published(repo="facebook/sam2.1-hiera-small"),
    "dpt": Published(repo="Intel/dpt-hybrid-midas"),
    "midas-original": Published(repo="lllyasviel/Annotators", files=("dpt_hybrid-midas-501f0c75.pt",)),
    "depth-anything": Published(repo="depth-anything/Depth-Anything-V2-Small-hf"),
    "densepose": Published(
        repo="LayerNorm/DensePose-TorchScript-with-hint-image", files=("densepose_r50_fpn_dl.torchscript",)
    ),
}
ONLY_LOCAL: dict[str, str] = {
    "hdnet": "convert the published TensorFlow checkpoints with `idol prep convert-hdnet`",
}
"""Weights that no hub has, and what to do."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Finds weights by name. ``named`` are the user's own paths."""

    named: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, path in self.named.items():
            if name not in PUBLISHED and name not in ONLY_LOCAL:
                known = ", ".join([*PUBLISHED, *ONLY_LOCAL])
                raise DataError(f"unknown weights {name!r}; choose from {known}")
            if not path.exists():
                raise DataError(f"--weights {name}={path}: no such file or folder")

    def find(self, name: str) -> Path | None:
        """File or folder of these weights, None where they are not here."""
        return self.named.get(name) or (_cached(PUBLISHED[name]) if name in PUBLISHED else None)

    def require(self, name: str) -> Path:
        """The same. Raises `DataError` that says how to come by them."""
        path = self.find(name)
        if path is None:
            raise DataError(how_to_get(name))
        return path


def how_to_get(name: str) -> str:
    """One line on weights that are not here."""
    if name in ONLY_LOCAL:
        return f"the weights {name} are not here: {ONLY_LOCAL[name]}, then --weights {name}=FILE"
    url = PUBLISHED[name].url
    return f"the weights {name} are not here: `idol prep annotators --fetch {name}` ({url}), or --weights {name}=PATH"


def fetch(name: str) -> Path:
    """Download published weights into the hub's cache; the only place that does. Returns where they are."""
    from huggingface_hub import hf_hub_download, snapshot_download

    if name not in PUBLISHED:
        raise DataError(how_to_get(name) if name in ONLY_LOCAL else f"unknown weights {name!r}")
    published = PUBLISHED[name]
    if not published.files:
        kinds = ["*.json", "*.txt", "*.safetensors"]
        return Path(snapshot_download(published.repo, allow_patterns=kinds))
    return Path(hf_hub_download(published.repo, published.files[0]))


def hashes(path: Path) -> dict[str, str]:
    """SHA-256 of a weight file, or of the weight files in a model folder, by file name."""
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    return {file.name: _hash(file, file.stat().st_mtime_ns) for file in files}


@cache
def _hash(file: Path, changed: int) -> str:
    del changed
    return file_hash(file)


def _cached(published: Published) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(published.repo, published.files[0] if published.files else "config.json")
    if not isinstance(found, str):
        return None
    return Path(found) if published.files else Path(found).parent

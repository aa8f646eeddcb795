"""Load a checkpoint for generating, scoring or looking inside, the same way everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli._output import Output, mode_in_force

if TYPE_CHECKING:
    from idol_model.device import Placement
    from idol_model.pipeline import IdolPipeline


@dataclass(frozen=True, slots=True)
class LoraChoice:
    """A LoRA as it is named: a file, a folder or a hub id, and how much of its update is added."""

    name: str
    scale: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "LoraChoice":
        """``NAME`` or ``NAME=SCALE``; what is there under the whole text is taken as it is."""
        name, equals, scale = text.rpartition("=")
        if not equals or Path(text).exists():
            return cls(text)
        try:
            return cls(name, float(scale))
        except ValueError:
            raise ValueError(f"--lora {text}: {scale!r} is not a number; write NAME=SCALE, as {name}=0.8") from None


def load(path: Path, where: "Placement", loras: Sequence[LoraChoice] = ()) -> "tuple[IdolPipeline, dict[str, Any]]":
    """The pipeline on a device and in a type, and what a sample's record says of its checkpoint."""
    from diffusers.utils import logging

    from idol_model import loading
    from idol_model.allocator import keep_freed_memory
    from idol_model.pipeline import IdolPipeline
    from idol_model.provenance import checkpoint_hash

    logging.disable_progress_bar()
    if where.device.type == "cpu":
        keep_freed_memory()
    folder = loading.resolve(path)
    pipe = IdolPipeline.from_pretrained(folder, dtype=where.dtype)
    if pipe.recipe.makes_depth and not pipe.knows_polarity:
        Output(mode_in_force()).warn(
            f"{path}: does not say which end of its training data's depth is near; by its colormap "
            f"{pipe.recipe.data.colormap} it counts as {pipe.depth_polarity}"
        )
    added = _add(pipe, loras)
    return pipe.to(where.device), {"path": str(path), "sha256": checkpoint_hash(folder), **added}


def _add(pipe: "IdolPipeline", loras: Sequence[LoraChoice]) -> dict[str, Any]:
    """Put LoRA files on a pipeline; what a sample's record says of them, nothing where there are none."""
    rows = [_added(pipe, lora, f"lora_{number}") for number, lora in enumerate(loras)]
    if rows:
        pipe.set_adapters([f"lora_{number}" for number in range(len(rows))], [row["scale"] for row in rows])
    return {"lora": rows} if rows else {}


def _added(pipe: "IdolPipeline", lora: LoraChoice, name: str) -> dict[str, Any]:
    """One LoRA, and the codec that was tuned with it."""
    from idol_model.lora.files import codec_beside, located
    from idol_model.provenance import checkpoint_hash, file_hash

    file = located(lora.name)
    pipe.load_lora_weights(file, adapter_name=name)
    row = {"path": str(file), "sha256": file_hash(file), "scale": lora.scale}
    codec = codec_beside(file)
    if codec is None:
        return row
    pipe.register_modules(codec=type(pipe.codec).from_pretrained(str(codec)).to(dtype=pipe.unet.dtype).eval())
    return {**row, "codec_sha256": checkpoint_hash(codec)}

"""Load a checkpoint for generating, scoring or looking inside, the same way everywhere."""

from pathlib import Path
from typing import TYPE_CHECKING

from cli._output import Output, mode_in_force

if TYPE_CHECKING:
    from idol_model.device import Placement
    from idol_model.pipeline import IdolPipeline


def load(path: Path, where: "Placement") -> "tuple[IdolPipeline, dict[str, str]]":
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
    pipe = IdolPipeline.from_pretrained(folder, dtype=where.dtype).to(where.device)
    if pipe.recipe.makes_depth and not pipe.knows_polarity:
        Output(mode_in_force()).warn(
            f"{path}: does not say which end of its training data's depth is near; by its colormap "
            f"{pipe.recipe.data.colormap} it counts as {pipe.depth_polarity}"
        )
    return pipe, {"path": str(path), "sha256": checkpoint_hash(folder)}

"""Which parameters a stage trains, and how many there are of each part.

Counts come from the modules themselves, built on the meta device: nothing is allocated and nothing is written down.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from idol_model.lora.layers import adaptation
from idol_model.model import IdolModel
from idol_model.recipe import CodecStage, CodecTrained, Recipe, Stage, Trained

TEMPORAL, MOTION, COUPLING = ".temporal", "motion_modules", "coupling"
"""Marks, in parameter names, of the temporal layers, handcrafted or AnimateDiff's, and of what joins the streams."""

ADDED = ("class_embedding", "conv_background")
"""Marks of what the paper's counts leave out: the modality label and the background's input convolution."""

LORA = "lora_"
"""Mark of LoRA layers, which they leave out too."""

TRAINED: dict[Trained, Callable[[str], bool]] = {
    "all": lambda name: True,
    "transformers": lambda name: not name.startswith("unet.") or any(mark in name for mark in _ATTRIBUTES),
    "temporal": lambda name: TEMPORAL in name or MOTION in name,
}
"""By name of the parameter. ``transformers`` is DisCo's selection for pre-training, which the paper calls freezing the
ResBlocks; the background's convolution trains with it, since nothing else could read the background."""

CODEC_TRAINED: dict[CodecTrained, Callable[[str], bool]] = {
    "all": lambda name: True,
    "decoder": lambda name: any(mark in f".{name}" for mark in (".decoder.", ".post_quant_conv.")),
}
"""By name of the codec's parameter."""

_ATTRIBUTES = ("transformer_blocks", "conv_background")

Named = list[tuple[str, nn.Parameter]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSelection:
    """One stage before it runs: its length and the parameters it trains or leaves, by part."""

    name: str
    steps: int
    batch_size: int
    trained: dict[str, int]
    frozen: dict[str, int]


def meta_model(recipe: Recipe) -> IdolModel:
    """The recipe's model as it is trained, without storage."""
    with torch.device("meta"):
        model = IdolModel.from_recipe(recipe)
        adaptation(recipe.lora).attach(model)
    return model


def chosen_by(stage: Stage, trainable: Named) -> Named:
    """Those of ``trainable`` that a stage trains."""
    wanted = TRAINED[stage.trains]
    return [
        (name, parameter)
        for name, parameter in trainable
        if wanted(name) and not any(part in name for part in stage.frozen)
    ]


def select(model: nn.Module, trainable: Sequence[str], stage: Stage) -> frozenset[str]:
    """Let exactly those of the parameters named in ``trainable`` require gradients that the stage trains.

    Returns their names.

    Raises:
        ValueError: nothing is left to train.
    """
    free = set(trainable)
    named = [(name, parameter) for name, parameter in model.named_parameters() if name in free]
    chosen = chosen_by(stage, named)
    if not chosen:
        raise ValueError(
            f"stage {stage.name}: trains={stage.trains!r} with frozen={list(stage.frozen)} leaves nothing to train"
        )
    for _, parameter in named:
        parameter.requires_grad_(False)
    for _, parameter in chosen:
        parameter.requires_grad_(True)
    return frozenset(name for name, _ in chosen)


def select_codec(codec: nn.Module, config: CodecStage) -> frozenset[str]:
    """Let exactly those parameters of a codec require gradients that its training moves; returns their names."""
    wanted = CODEC_TRAINED[config.trains]
    for name, parameter in codec.named_parameters():
        parameter.requires_grad_(wanted(name))
    return frozenset(name for name, _ in codec.named_parameters() if wanted(name))


def part_counts(model: IdolModel) -> dict[str, int]:
    """Parameters of each part of the model (its direct children)."""
    return {name: count(child.named_parameters()) for name, child in model.named_children()}


def paper_counts(model: IdolModel) -> dict[str, int]:
    """The counts that the paper and its parent system report (Tab. 7; ``docs/conventions.md``).

    ``unet_2d``: the U-Net without temporal layers, coupling and `ADDED`. ``unet_3d``: with temporal layers.
    ``pose_control``: the pose network with its temporal layers. ``together``: both. ``with_coupling``: and the
    attention between the streams.
    """
    unet, pose = list(model.unet.named_parameters()), list(model.pose_control.named_parameters())
    own = [(name, p) for name, p in unet if COUPLING not in name and not _is_ours(name)]
    pose_own = [(name, p) for name, p in pose if not _is_ours(name)]
    coupling = count((name, p) for name, p in unet if COUPLING in name and LORA not in name)
    together = count(own) + count(pose_own)
    return {
        "unet_2d": count((name, p) for name, p in own if TEMPORAL not in f".{name}" and MOTION not in name),
        "unet_3d": count(own),
        "pose_control": count(pose_own),
        "together": together,
        "with_coupling": together + coupling,
    }


def stage_selections(model: IdolModel, recipe: Recipe) -> list[StageSelection]:
    """Trained and frozen counts of every stretch of the run, the codec's own training first where there is one."""
    selections = []
    if recipe.codec_stage is not None:
        wanted = CODEC_TRAINED[recipe.codec_stage.trains]
        codec = {id(parameter) for name, parameter in model.codec.named_parameters() if wanted(name)}
        selections.append(_selection(model, codec, recipe.codec_stage, "codec"))
    for stage in recipe.stages:
        trained = {id(parameter) for _, parameter in chosen_by(stage, model.trainable())}
        selections.append(_selection(model, trained, stage, stage.name))
    return selections


def count(parameters: Iterable[tuple[str, nn.Parameter]]) -> int:
    """Numbers held by named parameters."""
    return sum(parameter.numel() for _, parameter in parameters)


def _is_ours(name: str) -> bool:
    return any(mark in name for mark in (*ADDED, LORA))


def _selection(model: IdolModel, trained: set[int], stage: Stage | CodecStage, name: str) -> StageSelection:
    return StageSelection(
        name=name,
        steps=stage.steps,
        batch_size=stage.batch_size,
        trained=_by_part(model, trained, wanted=True),
        frozen=_by_part(model, trained, wanted=False),
    )


def _by_part(model: IdolModel, trained: set[int], *, wanted: bool) -> dict[str, int]:
    return {
        name: count((key, p) for key, p in child.named_parameters() if (id(p) in trained) is wanted)
        for name, child in model.named_children()
    }

"""A recipe: everything that decides a training run, as one value that is saved with what it made."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from idol_model import config
from idol_model.augment import AugmentKind
from idol_model.codecs import CodecConfig, JointKlCodecConfig, KlCodecConfig
from idol_model.diffusion import DiffusionConfig
from idol_model.foreground import ClipForegroundConfig, ForegroundConfig
from idol_model.lora import LoraConfig
from idol_model.objective import ObjectiveConfig
from idol_model.pose_control import ControlNetConfig, NoPoseConfig, PoseControlConfig
from idol_model.sampling import SamplingConfig
from idol_model.unet import UNetConfig
from idol_model.weights_names import WeightsName

Decay = Literal["linear", "cosine"]
OptimizerKind = Literal["adamw", "adamw_8bit", "sgd"]
"""`idol_model.optimizers.OPTIMIZERS`."""
CodecTrained = Literal["all", "decoder"]
"""The whole codec; what comes after the latents, which then stay what they are."""
Calibration = Literal["anew", "kept"]
Trained = Literal["all", "transformers", "temporal"]
"""Everything; all but the U-Net's ResBlocks and what else lies outside its transformer blocks; temporal layers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """How prepared clips become batches."""

    size: int = 256
    """Side of the square pictures, in pixels."""
    colormap: Literal["hot", "gray"] = "hot"
    """How depth becomes a picture (Sec. 4: HDNet hot, MiDaS gray)."""
    person_depth: tuple[float, float] = (0.0, 0.75)
    """Where a person's nearest and farthest point lie in [0, 1]; the background keeps its own value."""
    background_depth: float = 1.0
    """Depth of everything that is not the person (Sec. 4: a constant)."""
    background: Literal["reference", "plate", "mixed"] = "reference"
    """The background picture: the first frame without its person, the clean plate, or either with equal chance."""
    pose: Literal["openpose", "dwpose"] = "openpose"
    """What is drawn of a pose: the body, or body, hands and face (Tab. 3)."""
    augment: AugmentKind = "none"
    """Picture augmentation of pre-training (Sec. 3.3)."""
    foreground_dropout: float = 0.0
    """Chance that a clip's foreground is left out, for classifier-free guidance."""
    most_faults: float = 0.01
    """How many clips or pictures may be unreadable before training stops: a share of all below 1, a number from 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CodecStage:
    """Training of the recipe's own codec, before the diffusion stages."""

    steps: int
    batch_size: int = 16
    lr: float = 1e-3
    warmup: float = 0.05
    edge_weight: float = 0.0
    """Weight of the difference between picture gradients."""
    pictures: int = 8192
    """How many pictures are drawn from the clips and held in memory; 8192 of 128 x 128 take 0.4 GB."""
    trains: CodecTrained = "all"
    """Which of its parts are trained."""
    calibration: Calibration = "anew"
    """Whether the scale of the latents is set anew at the end, or kept as a denoiser knows it already."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stage of the chain (App. B): its length, its rate, what it trains."""

    name: str
    steps: int
    frames: int = 8
    """Frames of a window; 1 is the image stage, in which temporal layers do nothing."""
    batch_size: int = 1
    """Windows of a step, over all processes."""
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 1e-3
    warmup: float = 0.1
    """Share of the steps in which the rate rises from 0."""
    decay: Decay = "linear"
    clip_norm: float | None = None
    """Largest norm of the gradient; larger ones are scaled down to it."""
    ema: float = 0.0
    """Decay of the weights' running mean; 0 keeps none."""
    trains: Trained = "all"
    """Which parameters are trained (`idol_model.selection.TRAINED`)."""
    frozen: tuple[str, ...] = ()
    """Of these, parameters whose name contains one of these are not."""
    cache_latents: bool = False
    """Encode every picture once and keep the latents (only without picture augmentation)."""

    @property
    def most_norm(self) -> float:
        """The largest norm of the gradient, infinite where none is set."""
        return math.inf if self.clip_norm is None else self.clip_norm


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryConfig:
    """What trades time for memory. Results differ by rounding alone, so it may change when a run continues."""

    micro_batch: int | Mapping[str, int] | None = None
    """Windows that go through the networks at once on one device: one number for every stage, or a number by the name
    of the stage (``{"image": 8, "video": 1}``). None, and a stage that is not named, take a process's share of a step
    whole."""
    recompute: bool = False
    """Hold the inputs of blocks alone and compute the rest again in the backward pass (`idol_model.unet.blocks`)."""
    offload: bool = False
    """Keep the optimiser's state in the CPU's memory and step there (engine deepspeed alone)."""

    def __post_init__(self) -> None:
        for name, windows in self._named.items():
            if windows < 1:
                field = f"memory.micro_batch{name and '.'}{name}"
                raise ValueError(f"{field}: {windows} is not at least 1; leave it out (null) to take a step whole")

    def windows_at_once(self, stage: str) -> int | None:
        """Of the stage with that name; None takes a process's share of a step whole."""
        return self._named.get(stage, self._named.get(""))

    @property
    def _named(self) -> Mapping[str, int]:
        """By name of the stage; under the empty name what holds for all."""
        if isinstance(self.micro_batch, Mapping):
            return self.micro_batch
        return {} if self.micro_batch is None else {"": self.micro_batch}

    @property
    def named_stages(self) -> tuple[str, ...]:
        """Stages with a number of their own."""
        return tuple(name for name in self._named if name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One training run. ``name`` is the registry's; ``summary`` says what it reproduces."""

    name: str
    summary: str
    unet: UNetConfig = field(default_factory=UNetConfig)
    pose_control: PoseControlConfig = field(default_factory=ControlNetConfig)
    foreground: ForegroundConfig = field(default_factory=ClipForegroundConfig)
    codec: CodecConfig = field(default_factory=KlCodecConfig)
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    data: DataConfig = field(default_factory=DataConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    codec_stage: CodecStage | None = None
    stages: tuple[Stage, ...] = ()
    lora: LoraConfig = field(default_factory=LoraConfig)
    """Whether LoRA layers are trained in place of the weights."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    optimizer: OptimizerKind = "adamw"
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    seed: int = 42
    log_every: int = 10
    save_every: int = 500
    weights: tuple[WeightsName, ...] = ()
    """Published weights the run starts from, loaded one after another (`idol_model.weights`)."""
    init_from: str | None = None
    """Loaded over those: the folder of an earlier run, a diffusers folder of Stable Diffusion, or its single file."""

    def __post_init__(self) -> None:
        stages = ["codec"] * (self.codec_stage is not None) + [stage.name for stage in self.stages]
        for name in self.memory.named_stages:
            if name not in stages:
                raise ValueError(f"memory.micro_batch.{name}: no stage of that name; choose from {', '.join(stages)}")

    @property
    def window(self) -> int:
        """Frames that are generated at once."""
        return self.sampling.frames or max((stage.frames for stage in self.stages), default=8)

    @property
    def makes_depth(self) -> bool:
        """Whether both modalities come out: each has a stream, or one stream holds both."""
        return self.unet.streams > 1 or isinstance(self.codec, JointKlCodecConfig)

    @property
    def reads_poses(self) -> bool:
        """Whether poses go in at all."""
        return not isinstance(self.pose_control, NoPoseConfig)

    def override(self, assignments: Sequence[str]) -> "Recipe":
        """A copy with ``field=value`` assignments applied; raises `idol_model.config.ConfigError`."""
        return config.override(self, assignments)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return config.to_dict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Recipe":
        """The recipe that `to_dict` wrote; raises `idol_model.config.ConfigError`."""
        return config.from_dict(Recipe, data)

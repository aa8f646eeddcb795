"""From a checkpoint and data to the recipe of a fine-tuning, each choice with its reason.

A choice names the recipe's field, so that ``field=value`` may overrule it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from idol_model import config
from idol_model.codecs import ConvCodecConfig, JointKlCodecConfig, KlCodecConfig
from idol_model.codecs.ceiling import Ceiling
from idol_model.feed.training_data import TrainingData
from idol_model.finetuning.base import Base
from idol_model.lora import LoraConfig
from idol_model.recipe import CodecStage, Recipe, Stage

StageKind = Literal["auto", "image", "video"]
CodecWish = Literal["auto", "keep", "decoder", "all"]
ENOUGH = 28.0
"""dB; a codec that reaches this on the data is left as it is."""
VISITS, LEAST, MOST = 30, 150, 2000
"""How often every window is seen, and the bounds of the steps that follow."""

_RATE = {False: 1.0, True: 3.0}
"""The rate as a part of the one that the checkpoint was trained with: for the weights themselves, for LoRA."""

_CODEC_WITH: dict[bool, tuple[Literal["decoder", "all"], str]] = {
    False: ("all", ""),
    True: ("decoder", "; its latents stay, so that the LoRA fits the checkpoint's own codec"),
}
"""What of the codec is tuned, and why, without LoRA and with it."""

_CODEC_STAGES = {
    ConvCodecConfig: CodecStage(steps=600, batch_size=8, lr=1e-3, edge_weight=0.5, pictures=512),
    KlCodecConfig: CodecStage(steps=1000, batch_size=4, lr=1e-5, pictures=512),
    JointKlCodecConfig: CodecStage(steps=1000, batch_size=4, lr=1e-5, pictures=512),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user asks for; what is left out is chosen. ``assignments`` are ``field=value`` and come last."""

    stage: StageKind = "auto"
    codec: CodecWish = "auto"
    lora: int = 0
    """Rank; 0 tunes the weights themselves."""
    assignments: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What choices are made from. ``ceiling`` is None for pictures, which have no clips to measure on."""

    base: Base
    lengths: tuple[int, ...]
    """Frames of every training clip or picture."""
    plates: bool
    """Whether every clip has a clean plate."""
    ceiling: Ceiling | None

    @classmethod
    def of(cls, base: Base, data: TrainingData, ceiling: Ceiling | None) -> "Facts":
        """Asked of the manifests alone."""
        lengths = [length for part in data.clips for length in part.lengths]
        pictures = data.items - len(lengths)
        plates = bool(data.clips) and not pictures and all(part.has_plates for part in data.clips)
        return cls(base=base, lengths=(*lengths, *[1] * pictures), plates=plates, ceiling=ceiling)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One choice: the recipe's field, its value in the end, and why."""

    field: str
    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The recipe, and what was chosen for it."""

    recipe: Recipe
    chosen: tuple[Chosen, ...]


def plan(facts: Facts, wishes: Wishes) -> Plan:
    """The recipe for ``facts`` as the user wishes it.

    Raises:
        ValueError: the checkpoint cannot be trained in the stage asked for, or no clip is long enough for it.
        idol_model.config.ConfigError: an assignment does not fit.
    """
    made = _Maker(facts, wishes)
    recipe = made.recipe()
    final = recipe.override(wishes.assignments)
    _check_frames(final, max(facts.lengths))
    before, after = config.to_dict(recipe), config.to_dict(final)
    asked = {assignment.partition("=")[0].strip() for assignment in wishes.assignments}
    chosen = [
        Chosen(field, _at(after, field), reason if _at(before, field) == _at(after, field) else "asked for")
        for field, reason in made.reasons.items()
    ]
    known = {one.field for one in chosen}
    chosen += [Chosen(field, _at(after, field), "asked for") for field in sorted(asked - known)]
    return Plan(final, tuple(chosen))


class _Maker:
    """Makes the choices one after another and keeps their reasons by field."""

    def __init__(self, facts: Facts, wishes: Wishes) -> None:
        self._facts, self._wishes, self._base = facts, wishes, facts.base.recipe
        self.reasons: dict[str, str] = {}

    def recipe(self) -> Recipe:
        base = self._base
        return replace(
            base,
            name="finetune",
            summary=f"{self._facts.base.init_from}, tuned on other data",
            weights=(),
            init_from=self._facts.base.init_from,
            stages=(self._stage(),),
            lora=self._lora(),
            codec_stage=self._codec(),
            data=replace(base.data, background=self._background()),
            # What the checkpoint knows of time stays in use, also where single pictures are trained.
            sampling=replace(base.sampling, frames=base.window),
            save_every=min(base.save_every, 100),
        )

    def _stage(self) -> Stage:
        frames = self._frames()
        like = _nearest(self._base.stages, frames)
        windows = max(1, sum(length // frames for length in self._facts.lengths))
        batch = min(like.batch_size, windows)
        wanted = round(VISITS * windows / batch)
        steps = min(max(wanted, LEAST), MOST)
        bound = "" if steps == wanted else f", at {'least' if steps == LEAST else 'most'} {steps}"
        part = _RATE[self._wishes.lora > 0]
        self.reasons["stages.0.batch_size"] = (
            f"as the checkpoint's {like.name} stage" if batch == like.batch_size else f"the data hold {windows} windows"
        )
        self.reasons["stages.0.steps"] = f"each of {windows} windows about {VISITS} times{bound}"
        kind = "LoRA" if self._wishes.lora else "trained weights"
        self.reasons["stages.0.lr"] = f"{part:g} times the checkpoint's {like.lr:g}, for {kind}"
        name = "video" if frames > 1 else "image"
        return replace(like, name=name, frames=frames, batch_size=batch, steps=steps, lr=part * like.lr, frozen=())

    def _frames(self) -> int:
        """Frames of a window: 1 is the image stage."""
        longest = self._base.window
        clips = sum(length >= longest for length in self._facts.lengths)
        choose = {"auto": self._by_length, "image": self._images, "video": self._video}[self._wishes.stage]
        frames, reason = choose(longest, clips)
        self.reasons["stages.0.name"] = self.reasons["stages.0.frames"] = reason
        return frames

    def _by_length(self, longest: int, clips: int) -> tuple[int, str]:
        if longest == 1:
            return 1, "the checkpoint knows single pictures"
        if clips == 0:
            return 1, f"no clip has the {longest} frames of a window"
        return longest, f"{clips} of {len(self._facts.lengths)} clips have the {longest} frames of a window"

    def _images(self, longest: int, clips: int) -> tuple[int, str]:
        del longest, clips
        return 1, "asked for"

    def _video(self, longest: int, clips: int) -> tuple[int, str]:
        if longest == 1:
            raise ValueError("--stage video: the checkpoint knows single pictures only; leave the stage out")
        del clips
        return longest, "asked for"

    def _background(self) -> Literal["reference", "plate"]:
        if self._facts.plates:
            self.reasons["data.background"] = "every clip has a clean plate"
            return "plate"
        self.reasons["data.background"] = "not every clip has a clean plate: the first frame without its person"
        return "reference"

    def _lora(self) -> LoraConfig:
        if self._wishes.lora:
            self.reasons["lora.rank"] = "asked for: the weights stay, small matrices beside them are trained"
        return LoraConfig(rank=self._wishes.lora)

    def _codec(self) -> CodecStage | None:
        trains = self._codec_part()
        if trains == "keep":
            return None
        kind = type(self._base.codec)
        self.reasons["codec_stage.steps"] = f"what the {self._base.codec.kind} codec is tuned with"
        return replace(_CODEC_STAGES[kind], trains=trains, calibration="kept")

    def _codec_part(self) -> Literal["keep", "decoder", "all"]:
        """What of the codec is trained."""
        found, wish, part = self._facts.ceiling, self._wishes.codec, self._wishes.lora > 0
        reached = "pictures alone, no clips to measure on" if found is None else f"it reaches {found.psnr:.1f} dB"
        if wish != "auto":
            field = "codec_stage" if wish == "keep" else "codec_stage.trains"
            self.reasons[field] = f"asked for; {reached}"
            return wish
        if found is None or found.psnr >= ENOUGH:
            self.reasons["codec_stage"] = f"the codec stays: {reached}, {ENOUGH:g} are enough"
            return "keep"
        self.reasons["codec_stage.trains"] = f"{reached} on the data, below {ENOUGH:g}{_CODEC_WITH[part][1]}"
        return _CODEC_WITH[part][0]


def _check_frames(recipe: Recipe, longest: int) -> None:
    """Refuse windows that no clip is long enough for, before a codec is trained for nothing."""
    for number, stage in enumerate(recipe.stages):
        if stage.frames > longest:
            raise ValueError(
                f"stages.{number}.frames: {stage.frames}, and the longest clip has {longest}; prepare longer clips, or "
                "set fewer"
            )


def _nearest(stages: Sequence[Stage], frames: int) -> Stage:
    """The stage that a fine-tuning takes its settings from: of windows like its own, else the last."""
    alike = [stage for stage in stages if (stage.frames > 1) is (frames > 1)]
    return (alike or list(stages) or [Stage(name="image", steps=0, frames=1)])[-1]


def _at(data: Any, field: str) -> Any:
    """The value of a dotted field; None where a part of the way is not there."""
    for key in field.split("."):
        if data is None:
            return None
        data = data[int(key)] if isinstance(data, list) else data.get(key)
    return data

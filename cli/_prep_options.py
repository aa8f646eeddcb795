"""The options that all sources of ``idol prep`` share, declared once."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from cli._output import Output

if TYPE_CHECKING:
    from idol_prep.engines import Engine
    from idol_prep.prep_options import PrepOptions
    from idol_prep.sources import Source

AUTO = "auto"
_OFFLINE = {"mask": "mediapipe", "depth": "landmarks"}
"""What ``auto`` means where the dataset ships nothing."""
WHO, GOOD, WORK = "Who makes the tracks", "What is good enough", "How the work is done"


@dataclass(frozen=True, kw_only=True, slots=True)
class Common:
    """What every source of clips or pictures understands; each field is an option."""

    output: Annotated[Path | None, typer.Option("--output", "-o", help="Dataset folder (default: data/SOURCE).")] = None
    weights: Annotated[
        list[str] | None,
        typer.Option("--weights", help="Your own weights, as NAME=PATH; repeat it.", rich_help_panel=WHO),
    ] = None
    license_policy: Annotated[
        str, typer.Option(help="any, or commercial: refuse non-commercial annotators.", rich_help_panel=WHO)
    ] = "any"
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", help="Reject beyond: NAME=VALUE; an unknown name lists all.", rich_help_panel=GOOD),
    ] = None
    device: Annotated[str, typer.Option(help="Of networks: auto, cpu, cuda, cuda:1, mps.", rich_help_panel=WORK)] = (
        "auto"
    )
    engine: Annotated[
        str, typer.Option(help="local, processes (several here), ray (a cluster).", rich_help_panel=WORK)
    ] = "local"
    workers: Annotated[int, typer.Option(min=1, help="Of --engine processes or ray.", rich_help_panel=WORK)] = 1
    shard: Annotated[str, typer.Option(help="Do part I of N, counted from 1: 2/8.", rich_help_panel=WORK)] = "1/1"
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed before.", rich_help_panel=WORK)
    ] = False
    retry_rejects: Annotated[
        bool,
        typer.Option("--retry-rejects", help="Try again all that was left out before.", rich_help_panel=WORK),
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be done and how long it takes.", rich_help_panel=WORK),
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.", rich_help_panel=WORK)] = False

    def retry(self) -> str:
        """Which rejects are tried again."""
        return "all" if self.retry_rejects else "failed" if self.retry_failed else "none"

    def own_weights(self) -> dict[str, Path]:
        """The user's weight files by name."""
        return {name: Path(path) for name, path in pairs(self.weights, "--weights", "NAME=PATH")}

    def made_engine(self) -> "Engine":
        """Who does the work."""
        from idol_prep import engines

        return engines.create(self.engine, workers=self.workers)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted(Common):
    """What the user said of clips."""

    size: Annotated[int, typer.Option(help="Side of the pictures in pixels; a multiple of 8.")] = 256
    crop: Annotated[str, typer.Option(help="person: a steady square around the person; center; none.")] = "person"
    clip_frames: Annotated[int, typer.Option(help="Longest clip; longer videos become several.")] = 1024
    cuts: Annotated[str, typer.Option(help="At scene cuts: split the video into clips, or keep it whole.")] = "split"
    pose: Annotated[
        str, typer.Option(help="Pose annotator; `idol prep annotators` lists them.", rich_help_panel=WHO)
    ] = "mediapipe"
    mask: Annotated[
        str, typer.Option(help="Mask annotator; auto: the dataset's own, else mediapipe.", rich_help_panel=WHO)
    ] = AUTO
    depth: Annotated[
        str,
        typer.Option(
            help="Depth annotator; auto: the dataset's own, else landmarks (an approximation).", rich_help_panel=WHO
        ),
    ] = AUTO
    depth_polarity: Annotated[
        str, typer.Option(help="Of shipped depth: distance (larger is farther) or inverse.", rich_help_panel=WHO)
    ] = "distance"
    subject: Annotated[
        str,
        typer.Option(help="Of several people take: largest, longest (seen), center, first.", rich_help_panel=WHO),
    ] = "largest"
    smooth: Annotated[
        float, typer.Option(help="Smooth joints over this many frames (sigma); 0: as found.", rich_help_panel=WHO)
    ] = 0.0

    def options(self, source: "Source") -> "PrepOptions":
        """As the pipeline wants it, ``auto`` settled by what the source ships."""
        from idol_prep.prep_options import PrepOptions
        from idol_prep.quality import QualityLimits

        plain: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        return PrepOptions(
            **plain,
            mask=self._settled("mask", self.mask, source),
            depth=self._settled("depth", self.depth, source),
            weights=self.own_weights(),
            licences=self.license_policy,  # type: ignore[arg-type]
            limits=limits_of(QualityLimits(), self.limit),
            shard=part_of(self.shard),
            retry=self.retry(),  # type: ignore[arg-type]
        )

    def _settled(self, track: str, name: str, source: "Source") -> str:
        if name != AUTO:
            return name
        return "dataset" if source.ships(track) else _OFFLINE[track]


_PLAIN = ("size", "crop", "clip_frames", "cuts", "pose", "depth_polarity", "subject", "smooth", "device")


def shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option of the class of its parameter ``wanted``, which then holds them."""
    kind = get_type_hints(command)["wanted"]
    own = [one for one in inspect.signature(command).parameters.values() if one.name != "wanted"]
    shared = _shared(kind)
    names = {one.name for one in shared}

    @functools.wraps(command)
    def whole(**given: Any) -> None:
        wanted = kind(**{name: value for name, value in given.items() if name in names})
        Output.of(json=wanted.as_json)  # what goes wrong from here on is told as the user wants it
        command(**{name: value for name, value in given.items() if name not in names}, wanted=wanted)

    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + shared
    whole.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    whole.__annotations__ = {one.name: one.annotation for one in parameters}
    return whole


@functools.cache
def _shared(kind: type[Common]) -> list[inspect.Parameter]:
    """The fields of a class of options as parameters."""
    hints = get_type_hints(kind, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(one.name, keyword, default=one.default, annotation=hints[one.name]) for one in fields(kind)
    ]


def pairs(texts: list[str] | None, option: str, form: str) -> list[tuple[str, str]]:
    """``NAME=VALUE`` texts apart. Raises ValueError for another form."""
    found = [text.partition("=") for text in texts or ()]
    for name, sign, value in found:
        if not (name and sign and value):
            raise ValueError(f"{option} {name}{sign}{value} is not of the form {form}")
    return [(name, value) for name, _, value in found]


def limits_of(standard: Any, texts: list[str] | None) -> Any:
    """Limits with those of the ``NAME=VALUE`` texts in place. Raises ValueError for one that there is not."""
    from dataclasses import replace

    named = pairs(texts, "--limit", "NAME=VALUE")
    known = {one.name: one.type for one in fields(standard)}
    for name, value in named:
        if name not in known:
            raise ValueError(f"--limit {name}={value}: no such limit; choose from {', '.join(known)}")
    try:
        values = {name: int(value) if known[name] == "int" else float(value) for name, value in named}
    except ValueError as error:
        raise ValueError(f"--limit: {error}; values are numbers") from error
    return replace(standard, **values)


def part_of(text: str) -> tuple[int, int]:
    """``I/N`` as numbers. Raises ValueError for another form."""
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit()):
        raise ValueError(f"--shard {text} is no part; write I/N, such as 2/8")
    return int(number), int(count)

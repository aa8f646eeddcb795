"""How a number is made. Numbers of different protocols are different quantities and are never compared.

The named ones are data (``protocols.json``); `Protocol.custom` changes one and takes its name away.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

_EXTRACTORS = {"fid": "inception-fid", "fvd": "i3d-1x7x7", "fid_fvd": "resnet3d-50"}
_RESIZE = {"fid": "bilinear", "fvd": "bicubic-antialias", "fid_fvd": "bicubic-antialias"}
_RUN = ("size", "frames")
"""Fields that say what is measured rather than how: changing them keeps the protocol's name."""


class ProtocolError(ValueError):
    """A protocol that does not exist or cannot be carried out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """Sec. 4: "over every 8-frame snippet", read as every window of 8 frames, all clips in one Gaussian.

    ``size`` None measures frames as they are; a number takes the reference's centred square, scaled to that side (the
    model's own view of a clip), and the samples must have that size.
    """

    id: str = "idol-8"
    summary: str = ""
    source: str = ""
    snippet: int = 8
    stride: int = 1
    windows: Literal["every", "first"] = "every"
    """Every start, or the first window of a clip alone."""
    padding: Literal["none", "repeat-last"] = "none"
    """What is done about frames that fill no window."""
    container: Literal["none", "gif-3fps", "mp4-imageio"] = "none"
    """What each window goes through before it is measured (`idol_eval.containers`)."""
    fid_frames: Literal["all", "window-starts"] = "all"
    """All frames of all clips, or the first frame of every window (DisCo's temporal script)."""
    covariance: Literal["unbiased", "biased"] = "unbiased"
    extractors: Mapping[str, str] = field(default_factory=lambda: dict(_EXTRACTORS))
    resize: Mapping[str, str] = field(default_factory=lambda: dict(_RESIZE))
    size: int | None = None
    frames: int | None = None
    """Only the first so many frames of every clip; None is all."""
    depth_range: str = "fixed: the clip's own range, laid into that of the reference"
    depth_alignment: str = "none, but for columns called aligned: one scale and shift a clip by least squares"
    silhouette: str = "depth below the middle of farthest person and background"

    def __post_init__(self) -> None:
        numbers = (self.snippet, self.stride, self.size, self.frames)
        if any(_below(value, least) for value, least in zip(numbers, (2, 1, 16, 1), strict=True)):
            raise ProtocolError(
                f"protocol: snippet {self.snippet}, stride {self.stride}, size {self.size}, frames {self.frames}; "
                "use at least 2, 1, 16 and 1"
            )

    def custom(self, **changes: Any) -> "Protocol":
        """With other numbers. What changes a score also changes the id, so nobody takes it for this protocol."""
        changed = replace(self, **changes)
        differing = [name for name in changes if name not in _RUN and getattr(changed, name) != getattr(self, name)]
        if not differing:
            return changed
        said = "-".join(f"{name}-{_short(getattr(changed, name))}" for name in sorted(differing))
        return replace(changed, id=f"custom-{said}", summary=f"{self.id} with other {', '.join(sorted(differing))}")

    def starts(self, frames: int) -> list[int]:
        """First frames of the snippets of a clip; none where it is shorter than a snippet and not padded."""
        if self.padding == "repeat-last":
            frames = self.padded(frames)
        found = list(range(0, frames - self.snippet + 1, self.stride))
        return found if self.windows == "every" else found[:1]

    def padded(self, frames: int) -> int:
        """How long a clip of ``frames`` frames is made so that its last frame fills a window."""
        over = max(frames, self.snippet) - self.snippet
        return self.snippet + -(-over // self.stride) * self.stride

    def to_dict(self) -> dict[str, Any]:
        """For a row's record."""
        return asdict(self) | {"extractors": dict(self.extractors), "resize": dict(self.resize)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Protocol":
        """The inverse. Raises ProtocolError for names that no protocol has."""
        unknown = sorted(set(values) - {one.name for one in fields(cls)})
        if unknown:
            raise ProtocolError(f"protocol {values.get('id', '?')}: has no field {unknown[0]!r}; take it out")
        return cls(**values)


@lru_cache(maxsize=1)
def protocols() -> dict[str, Protocol]:
    """The named protocols, by id."""
    text = resources.files("idol_eval").joinpath("protocols.json").read_text(encoding="utf-8")
    return {values["id"]: Protocol.from_dict(values) for values in json.loads(text)["protocols"]}


def named(name: str) -> Protocol:
    """A protocol by its id, or of a JSON file with the same fields.

    Raises:
        ProtocolError: neither.
    """
    if name in protocols():
        return protocols()[name]
    file = Path(name)
    if not file.is_file():
        raise ProtocolError(f"protocol {name!r}: is none of {', '.join(protocols())}, and no JSON file of one")
    try:
        own = Protocol.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError, AttributeError) as error:
        raise ProtocolError(f"{file}: is no protocol ({error}); see idol_eval/protocols.json") from error
    if own.id in protocols() and own.to_dict() != protocols()[own.id].to_dict():
        raise ProtocolError(f"{file}: calls itself {own.id} and differs from it; give it an id of its own")
    return own


def _short(value: Any) -> str:
    return "own" if isinstance(value, Mapping) else str(value)


def _below(value: int | None, least: int) -> bool:
    return value is not None and value < least


IDOL_8 = protocols()["idol-8"]
"""The paper's, as far as it says."""

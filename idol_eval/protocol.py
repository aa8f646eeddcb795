"""How a number is made. Numbers of different protocols are different quantities and are never compared."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

EXTRACTOR_OF: Mapping[str, str] = MappingProxyType(
    {"fid": "inception-fid", "fvd": "i3d-1x7x7", "fid_fvd": "resnet3d-50"}
)
"""Extractor of each family that needs one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """Sec. 4: "over every 8-frame snippet", read as every window of 8 frames, all clips in one Gaussian.

    ``size`` None measures frames as they are; a number takes the reference's centred square, scaled to that side (the
    model's own view of a clip), and the samples must have that size.
    """

    id: str = "idol-8"
    snippet: int = 8
    stride: int = 1
    size: int | None = None
    frames: int | None = None
    """Only the first so many frames of every clip; None is all."""
    container: str = "none: frames as they are decoded"
    fid_frames: str = "all frames of all clips"
    covariance: str = "unbiased (n - 1), float64"
    depth_range: str = "fixed: the clip's own range, laid into that of the reference; no alignment"
    silhouette: str = "depth below the middle of farthest person and background"

    def __post_init__(self) -> None:
        if self.snippet < 2 or self.stride < 1 or _below(self.size, 16) or _below(self.frames, 1):
            raise ValueError(
                f"protocol: snippet {self.snippet}, stride {self.stride}, size {self.size}, frames {self.frames}; "
                "use at least 2, 1, 16 and 1"
            )

    def custom(self, **changes: Any) -> "Protocol":
        """With other numbers. What changes a score also changes the id, so nobody takes it for this protocol."""
        changed = replace(self, **changes)
        same = (changed.snippet, changed.stride) == (self.snippet, self.stride)
        return changed if same else replace(changed, id=f"custom-{changed.snippet}-stride-{changed.stride}")

    def starts(self, frames: int) -> list[int]:
        """First frames of the snippets of a clip; none where it is shorter than a snippet."""
        return list(range(0, frames - self.snippet + 1, self.stride))

    def to_dict(self) -> dict[str, Any]:
        """For a row's record."""
        return asdict(self)


def _below(value: int | None, least: int) -> bool:
    return value is not None and value < least


IDOL_8 = Protocol()
"""The paper's, as far as it says."""

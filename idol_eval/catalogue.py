"""Every number that a row may hold: its name, its direction, how it is written."""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher", "one"]
_ARROW: dict[Direction, str] = {"lower": "↓", "higher": "↑", "one": "→1"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One number. ``family`` is what ``--metrics`` chooses by; ``form`` a format specification."""

    key: str
    title: str
    family: str
    better: Direction
    form: str

    @property
    def heading(self) -> str:
        """The title with its direction."""
        return f"{self.title}{_ARROW[self.better]}"


METRICS: tuple[Metric, ...] = (
    Metric("fid_fvd", "FID-FVD", "fid_fvd", "lower", ".2f"),
    Metric("fvd", "FVD", "fvd", "lower", ".2f"),
    # "L2" is the mean squared error: docs/evaluation.md says why.
    Metric("depth_mse", "depth L2", "depth", "lower", ".4f"),
    Metric("depth_rmse", "depth RMSE", "depth", "lower", ".4f"),
    Metric("depth_mae", "depth MAE", "depth", "lower", ".4f"),
    Metric("depth_fg_mse", "person L2", "depth", "lower", ".4f"),
    Metric("depth_fg_rmse", "person RMSE", "depth", "lower", ".4f"),
    Metric("depth_fg_mae", "person MAE", "depth", "lower", ".4f"),
    Metric("depth_aligned_mse", "aligned L2", "depth", "lower", ".4f"),
    Metric("depth_fg_aligned_mse", "person aligned L2", "depth", "lower", ".4f"),
    Metric("depth_fg_absrel", "person AbsRel", "depth", "lower", ".4f"),
    Metric("depth_fg_delta1", "person δ1", "depth", "higher", ".3f"),
    Metric("silhouette_iou", "IoU", "silhouette", "higher", ".3f"),
    Metric("fid", "FID", "fid", "lower", ".2f"),
    Metric("kid", "KID", "kid", "lower", ".5f"),
    Metric("kvd", "KVD", "kvd", "lower", ".5f"),
    Metric("psnr", "PSNR", "psnr", "higher", ".2f"),
    Metric("ssim", "SSIM", "ssim", "higher", ".3f"),
    Metric("lpips", "LPIPS", "lpips", "lower", ".4f"),
    Metric("align_outline", "outline", "alignment", "higher", ".3f"),
    Metric("align_edges", "edges", "alignment", "higher", ".3f"),
    Metric("align_motion", "motion", "alignment", "higher", ".3f"),
    Metric("pck_05", "PCK@0.05", "pose", "higher", ".3f"),
    Metric("pck_10", "PCK@0.1", "pose", "higher", ".3f"),
    Metric("pose_found", "joints found", "pose", "higher", ".3f"),
    Metric("pose_error", "joint error", "pose", "lower", ".4f"),
    Metric("video_warp", "video warp", "temporal", "lower", ".4f"),
    Metric("depth_warp", "depth warp", "temporal", "lower", ".4f"),
    Metric("depth_flicker", "depth flicker", "temporal", "lower", ".4f"),
    Metric("video_change", "video change", "temporal", "one", ".2f"),
    Metric("depth_change", "depth change", "temporal", "one", ".2f"),
)
"""In the order of a table's columns."""

COSTS: tuple[Metric, ...] = (
    Metric("params_B", "parameters (B)", "cost", "lower", ".2f"),
    Metric("flops_T", "FLOPs (T)", "cost", "lower", ".2f"),
    Metric("memory_MB", "memory (MB)", "cost", "lower", ".0f"),
    Metric("seconds", "time (s)", "cost", "lower", ".2f"),
)
"""Columns of the paper's Tables 4 and 7; ours come from `idol_eval.complexity`."""

FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(metric.family for metric in METRICS))
FEATURE_FAMILIES: tuple[str, ...] = ("fid_fvd", "fvd", "fid")
"""Those that compare distributions of features, and so need an extractor."""
KERNEL_OF: dict[str, str] = {"kid": "fid", "kvd": "fvd"}
"""Kernel distances, and the family whose features they compare."""
BY_KEY: dict[str, Metric] = {metric.key: metric for metric in (*COSTS, *METRICS)}


def choose(text: str) -> tuple[str, ...]:
    """Families from a comma-separated list; ``all`` is all of them, and a leading ``-`` takes one away.

    >>> choose("all,-fid")

    Raises:
        ValueError: an unknown name, or nothing left.
    """
    chosen: list[str] = []
    for name in (part.strip() for part in text.split(",") if part.strip()):
        family = name.removeprefix("-").replace("-", "_")
        if family not in (*FAMILIES, "all"):
            raise ValueError(f"unknown metric {name!r}; choose from all, {', '.join(FAMILIES)}")
        if name.startswith("-"):
            chosen = [other for other in chosen or FAMILIES if other != family]
        else:
            chosen += FAMILIES if family == "all" else [family]
    if not chosen:
        raise ValueError(f"no metric chosen by {text!r}; choose from all, {', '.join(FAMILIES)}")
    return tuple(family for family in FAMILIES if family in chosen)

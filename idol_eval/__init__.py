"""Benchmarking: folders of clips become numbers that carry their protocol (``docs/evaluation.md``).

>>> import idol_eval
>>> idol_eval.frechet_distance(features_a, features_b)  # float64 [n, D] each
>>> idol_eval.depth_metrics(pred, target, mask)  # [L, H, W] in [0, 1]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idol_eval.bench import BenchConfig, Row, score
    from idol_eval.depth import depth_metrics
    from idol_eval.frechet import frechet_distance
    from idol_eval.image import psnr, ssim
    from idol_eval.intervals import extrapolate
    from idol_eval.kernel import kernel_distance
    from idol_eval.pose import adherence
    from idol_eval.protocol import IDOL_8, Protocol, protocols
    from idol_eval.samples import open_set, pair
    from idol_eval.silhouette import silhouette_iou
    from idol_eval.statistics import Statistics
    from idol_eval.temporal import frame_change

__all__ = [
    "IDOL_8",
    "BenchConfig",
    "Protocol",
    "Row",
    "Statistics",
    "adherence",
    "depth_metrics",
    "extrapolate",
    "frame_change",
    "frechet_distance",
    "kernel_distance",
    "open_set",
    "pair",
    "protocols",
    "psnr",
    "score",
    "silhouette_iou",
    "ssim",
]

_HOME = {
    "IDOL_8": "protocol",
    "BenchConfig": "bench",
    "Protocol": "protocol",
    "Row": "bench",
    "Statistics": "statistics",
    "adherence": "pose",
    "depth_metrics": "depth",
    "extrapolate": "intervals",
    "frame_change": "temporal",
    "frechet_distance": "frechet",
    "kernel_distance": "kernel",
    "open_set": "samples",
    "pair": "samples",
    "protocols": "protocol",
    "psnr": "image",
    "score": "bench",
    "silhouette_iou": "silhouette",
    "ssim": "image",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the distance needs no torch."""
    if name in _HOME:
        return getattr(import_module(f"idol_eval.{_HOME[name]}"), name)
    raise AttributeError(f"module 'idol_eval' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

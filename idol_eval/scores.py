"""What one clip contributes to a row: every pairwise number, as a plain dictionary."""

from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

import numpy as np

from idol_eval.alignment import alignment
from idol_eval.depth import depth_metrics
from idol_eval.image import psnr, ssim
from idol_eval.pose import adherence
from idol_eval.samples import EvalClip, SampleError
from idol_eval.silhouette import silhouette_iou, threshold
from idol_eval.temporal import depth_flicker, frame_change, warp_errors

_OF_DEPTH = {"depth", "silhouette", "alignment", "temporal"}
"""Families that look at depth."""

Scores: TypeAlias = dict[str, float]
Reasons: TypeAlias = dict[str, str]
Measure: TypeAlias = Callable[[EvalClip, EvalClip], tuple[Scores, Reasons]]
"""Prediction and truth to numbers, and reasons for numbers that could not be taken, by what they are about."""


def clip_scores(
    pred: EvalClip, truth: EvalClip, families: Collection[str], more: Mapping[str, Measure] = {}
) -> tuple[Scores, Reasons]:
    """Numbers of ``pred`` against ``truth``, and for each family that could not be measured the reason.

    ``video_change`` and ``depth_change`` come as two numbers each, with ``_pred`` and ``_true`` at the end. ``more``
    are measures by family beside `MEASURES`, those that need a network.

    Raises:
        SampleError: frame counts, sizes or the near end of the depth differ; depth that is asked for holds NaN; or a
            measure refuses the clip.
    """
    check_pair(pred, truth)
    if _OF_DEPTH.intersection(families):
        _check_depth(pred, "sample")
        _check_depth(truth, "reference")
    scores: Scores = {}
    reasons: Reasons = {}
    for family, measure in (MEASURES | dict(more)).items():
        if family in families:
            try:
                found, why = measure(pred, truth)
            except ValueError as error:
                raise SampleError(f"clip {pred.id}: {error}") from error
            scores |= found
            reasons |= why
    return scores, reasons


def check_pair(pred: EvalClip, truth: EvalClip) -> None:
    """Refuse pairs that cannot be laid over each other."""
    mine, true = pred.shape, truth.shape
    if mine[0] != true[0]:
        raise SampleError(
            f"clip {pred.id}: {mine[0]} frames against {true[0]} of the reference; give both the same frames"
        )
    if mine != true:
        hint = f"add --size {mine[1]}" if mine[1] == mine[2] else "scale one of them"
        raise SampleError(
            f"clip {pred.id}: {mine[2]} x {mine[1]} pixels against {true[2]} x {true[1]} of the reference; {hint}"
        )
    for clip in (pred, truth):
        for name, track in (("depth", clip.depth), ("mask", clip.mask)):
            if track is not None and track.shape != true:
                raise SampleError(f"clip {clip.id}: its {name} is {track.shape}, its frames are {true}; make it again")
    ends = (pred.rule.polarity, truth.rule.polarity)
    if None not in ends and ends[0] != ends[1] and pred.depth is not None and truth.depth is not None:
        raise SampleError(
            f"clip {pred.id}: depth of the sample is {ends[0]!r} and of the reference {ends[1]!r} (which end is near); "
            "use a checkpoint and data of the same kind of depth"
        )


def _check_depth(clip: EvalClip, side: str) -> None:
    """NaN compares as false, so a silhouette, say, would silently count it as background."""
    if clip.depth is not None and not np.isfinite(clip.depth).all():
        frame = int(np.flatnonzero(~np.isfinite(clip.depth).all(axis=(1, 2)))[0])
        raise SampleError(
            f"clip {clip.id}: depth of the {side} holds NaN or infinity, first in frame {frame}; "
            "fill pixels without depth before measuring"
        )


def of_frames(name: str, distance: Callable[..., float]) -> Measure:
    """A measure of two videos."""

    def measure(pred: EvalClip, truth: EvalClip) -> tuple[Scores, Reasons]:
        if pred.video is None or truth.video is None:
            return {}, {}
        return {name: distance(pred.video, truth.video)}, {}

    return measure


def _depth(pred: EvalClip, truth: EvalClip) -> tuple[Scores, Reasons]:
    if pred.depth is None or truth.depth is None:
        return {}, {"depth": _without(pred, "depth")}
    why = _no_person(truth)
    errors = depth_metrics(pred.depth, truth.depth, None if why else truth.mask)
    return {f"depth_{name}": value for name, value in errors.items()}, {"depth on the person": why} if why else {}


def _silhouette(pred: EvalClip, truth: EvalClip) -> tuple[Scores, Reasons]:
    why = _no_outline(pred, truth)
    if why or pred.depth is None or truth.mask is None:
        return {}, {"silhouette": why}
    return {"silhouette_iou": silhouette_iou(pred.depth, truth.mask, _limit(pred))}, {}


def _alignment(pred: EvalClip, truth: EvalClip) -> tuple[Scores, Reasons]:
    """The prediction's own video and depth; of the truth only the mask is used."""
    why = _no_outline(pred, truth) or ("" if pred.video is not None else "no frames in the samples")
    if why or pred.video is None or pred.depth is None or truth.mask is None:
        return {}, {"alignment": why}
    found = alignment(pred.video, pred.depth, truth.mask, _limit(pred))
    values = {"outline": found.outline, "edges": found.edges, "motion": found.motion}
    missing = [name for name, value in values.items() if value is None]
    scores = {f"align_{name}": value for name, value in values.items() if value is not None}
    return scores, {f"alignment of {', '.join(missing)}": "nothing to follow in this clip"} if missing else {}


def _pose(pred: EvalClip, truth: EvalClip) -> tuple[Scores, Reasons]:
    if truth.keypoints is None:
        return {}, {"pose": "the reference has no keypoints"}
    if pred.keypoints is None:
        return {}, {"pose": "no keypoints of the samples; name an annotator with --pose"}
    found = adherence(pred.keypoints, truth.keypoints)
    if found is None:
        return {}, {"pose": "no joint drives this clip"}
    scores = {"pck_05": found.pck_05, "pck_10": found.pck_10, "pose_found": found.found}
    return (
        (scores, {"pose error": "no joint was found"})
        if found.error is None
        else (
            scores | {"pose_error": found.error},
            {},
        )
    )


def _temporal(pred: EvalClip, truth: EvalClip) -> tuple[Scores, Reasons]:
    if truth.shape[0] < 2:
        return {}, {"temporal": "one frame has no change"}
    tracks = {name: getattr(pred, name) for name in ("video", "depth") if getattr(pred, name) is not None}
    scores: Scores = {}
    for name, mine in tracks.items():
        true = getattr(truth, name)
        if true is not None:
            scores |= {f"{name}_change_pred": frame_change(mine), f"{name}_change_true": frame_change(true)}
    if truth.video is not None:
        errors = warp_errors(truth.video, *tracks.values())
        scores |= {f"{name}_warp": error for name, error in zip(tracks, errors, strict=True)}
    if pred.depth is not None and truth.depth is not None:
        flicker = depth_flicker(pred.depth, truth.depth)
        scores |= {} if flicker is None else {"depth_flicker": flicker}
    return scores, {}


MEASURES: dict[str, Measure] = {
    "psnr": of_frames("psnr", psnr),
    "ssim": of_frames("ssim", ssim),
    "depth": _depth,
    "silhouette": _silhouette,
    "alignment": _alignment,
    "pose": _pose,
    "temporal": _temporal,
}
"""By family. Families without an entry compare distributions, or need a network (LPIPS)."""


def _no_outline(pred: EvalClip, truth: EvalClip) -> str:
    """Why the depth has no outline to compare with a mask; empty where it has one."""
    if pred.depth is None:
        return _without(pred, "depth")
    if truth.rule.scope == "frame":
        return "depth of the whole frame has no outline by a threshold"
    return _no_person(truth)


def _no_person(truth: EvalClip) -> str:
    """Why nobody is known to be in the true clip; empty where somebody is."""
    if truth.mask is None:
        return "the reference has no mask"
    return "" if truth.mask.any() else "its mask is empty"


def _limit(pred: EvalClip) -> float:
    return threshold(pred.rule.person[1], pred.rule.background)


def _without(pred: EvalClip, track: str) -> str:
    return f"no {track} in the {'samples' if getattr(pred, track) is None else 'reference'}"

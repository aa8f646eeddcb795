"""What one clip contributes to a row: every pairwise number, as a plain dictionary."""

from collections.abc import Collection

from idol_eval.depth import depth_metrics
from idol_eval.image import psnr, ssim
from idol_eval.samples import EvalClip, SampleError
from idol_eval.silhouette import silhouette_iou, threshold
from idol_eval.temporal import frame_change

Scores = dict[str, float]
Reasons = dict[str, str]


def clip_scores(pred: EvalClip, truth: EvalClip, families: Collection[str]) -> tuple[Scores, Reasons]:
    """Numbers of ``pred`` against ``truth``, and for each family that could not be measured the reason.

    ``video_change`` and ``depth_change`` come as two numbers each, with ``_pred`` and ``_true`` at the end.

    Raises:
        SampleError: frame counts, sizes or the near end of the depth differ.
    """
    check_pair(pred, truth)
    scores: Scores = {}
    reasons: Reasons = {}
    if pred.video is not None and truth.video is not None:
        if "psnr" in families:
            scores["psnr"] = psnr(pred.video, truth.video)
        if "ssim" in families:
            scores["ssim"] = ssim(pred.video, truth.video)
    if "depth" in families:
        _depth(pred, truth, scores, reasons)
    if "silhouette" in families:
        _silhouette(pred, truth, scores, reasons)
    if "temporal" in families:
        _change(pred, truth, scores, reasons)
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


def _depth(pred: EvalClip, truth: EvalClip, scores: Scores, reasons: Reasons) -> None:
    if pred.depth is None or truth.depth is None:
        reasons["depth"] = _without(pred, "depth")
        return
    mask = truth.mask if truth.mask is not None and truth.mask.any() else None
    scores |= {f"depth_{name}": value for name, value in depth_metrics(pred.depth, truth.depth, mask).items()}
    if mask is None:
        reasons["depth on the person"] = "the reference has no mask" if truth.mask is None else "its mask is empty"


def _silhouette(pred: EvalClip, truth: EvalClip, scores: Scores, reasons: Reasons) -> None:
    if pred.depth is None:
        reasons["silhouette"] = _without(pred, "depth")
    elif truth.mask is None:
        reasons["silhouette"] = "the reference has no mask"
    elif truth.rule.scope == "frame":
        reasons["silhouette"] = "depth of the whole frame has no outline by a threshold"
    else:
        limit = threshold(pred.rule.person[1], pred.rule.background)
        scores["silhouette_iou"] = silhouette_iou(pred.depth, truth.mask, limit)


def _change(pred: EvalClip, truth: EvalClip, scores: Scores, reasons: Reasons) -> None:
    if truth.shape[0] < 2:
        reasons["temporal"] = "one frame has no change"
        return
    for name in ("video", "depth"):
        mine, true = getattr(pred, name), getattr(truth, name)
        if mine is not None and true is not None:
            scores[f"{name}_change_pred"] = frame_change(mine)
            scores[f"{name}_change_true"] = frame_change(true)


def _without(pred: EvalClip, track: str) -> str:
    return f"no {track} in the {'samples' if getattr(pred, track) is None else 'reference'}"

"""Comparison sheets like the paper's Figures 5 to 8: methods side by side on the same clips, chosen by a metric.

Per clip: the true frames and depth, and for every method its frames, its depth and both differences from the truth.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from idol_eval.catalogue import BY_KEY
from idol_eval.row import Row
from idol_eval.samples import EvalClip, SampleError
from idol_prep import colormap

_CELL, _GAP, _LABEL, _LINE = 128, 4, 170, 20
_FRAMES = 4
_FRAME_GAIN, _DEPTH_GAIN = 2.0, 4.0
"""Differences are shown this many times as bright; the sheet says so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    """One chosen clip: ``why`` is worst or median, ``scores`` the metric by row."""

    id: str
    why: str
    scores: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The metric that chose, and its clips, worst first."""

    metric: str
    picks: tuple[Pick, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One clip drawn."""

    title: str
    picture: Image.Image


def choose(rows: Sequence[Row], by: str = "auto") -> Chosen:
    """The worst and the median clip by the mean over the measured rows of metric ``by``.

    Raises:
        SampleError: no measured row, or none with that metric for each clip.
    """
    measured = [row for row in rows if row.kind == "measured" and row.per_clip]
    if not measured:
        raise SampleError("a sheet compares measured rows, and there is none; score samples or a checkpoint")
    metric = by if by != "auto" else next((key for key in ("depth_mse", "psnr") if _has(measured, key)), "none")
    having = [row for row in measured if all(metric in clip for clip in row.per_clip)]
    if not having or metric not in BY_KEY:
        known = sorted(key for key in BY_KEY if _has(measured, key))
        raise SampleError(f"--sheet-by {metric}: no row has it for every clip; choose from {', '.join(known)}")
    scores = {row.name: {str(clip["id"]): float(clip[metric]) for clip in row.per_clip} for row in having}
    means = {id: float(np.mean([own[id] for own in scores.values()])) for id in next(iter(scores.values()))}
    order = sorted(means, key=lambda id: means[id], reverse=BY_KEY[metric].better == "lower")
    places = {order[0]: "worst", order[len(order) // 2]: "median"} if len(order) > 1 else {order[0]: "the only clip"}
    picks = [Pick(id=id, why=why, scores={name: own[id] for name, own in scores.items()}) for id, why in places.items()]
    return Chosen(metric=metric, picks=tuple(picks))


def panel(truth: EvalClip, answers: Mapping[str, EvalClip], pick: Pick, chosen: Chosen) -> Panel:
    """One clip as a table of pictures: a line of frames and of depth for the truth and each method."""
    at = np.linspace(0, truth.shape[0] - 1, min(_FRAMES, truth.shape[0])).round().astype(int)
    lines = [("truth", _videos(truth, at)), ("truth: depth", _depths(truth, at))]
    for name, answer in answers.items():
        lines += [(_scored(name, pick, chosen), _videos(answer, at)), (f"{name}: depth", _depths(answer, at))]
        lines += [
            (f"{name}: |frames - truth| x {_FRAME_GAIN:g}", _video_differences(answer, truth, at)),
            (f"{name}: |depth - truth| x {_DEPTH_GAIN:g}", _depth_differences(answer, truth, at)),
        ]
    title = f"{pick.why} clip by {BY_KEY[chosen.metric].title}: {pick.id}, frames {', '.join(map(str, at))}"
    return Panel(title=title, picture=_drawn(title, [(label, pictures) for label, pictures in lines if pictures]))


def stacked(panels: Sequence[Panel]) -> Image.Image:
    """All panels below each other."""
    width = max(one.picture.width for one in panels)
    sheet = Image.new("RGB", (width, sum(one.picture.height for one in panels)), "white")
    top = 0
    for one in panels:
        sheet.paste(one.picture, (0, top))
        top += one.picture.height
    return sheet


def page(panels: Sequence[Panel], chosen: Chosen) -> str:
    """A page of its own, pictures inside."""
    title = f"Comparison on clips chosen by {BY_KEY[chosen.metric].title}"
    style = "body{font-family:sans-serif;margin:2rem;max-width:70rem}img{max-width:100%}"
    body = "".join(f"<h2>{escape(one.title)}</h2>{embedded(one.picture, one.title)}" for one in panels)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{style}</style>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def embedded(picture: Image.Image, alt: str) -> str:
    """An ``<img>`` that carries its picture."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    code = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{escape(alt, quote=True)}" src="data:image/png;base64,{code}">'


def _has(rows: Sequence[Row], key: str) -> bool:
    return any(all(key in clip for clip in row.per_clip) for row in rows)


def _scored(name: str, pick: Pick, chosen: Chosen) -> str:
    value = pick.scores.get(name)
    return name if value is None else f"{name}: {format(value, BY_KEY[chosen.metric].form)}"


def _videos(clip: EvalClip, at: NDArray) -> list[NDArray[np.uint8]]:
    return [] if clip.video is None else list(clip.video[at])


def _depths(clip: EvalClip, at: NDArray) -> list[NDArray[np.uint8]]:
    return [] if clip.depth is None else list(colormap.encode(clip.depth[at], "hot"))


def _video_differences(clip: EvalClip, truth: EvalClip, at: NDArray) -> list[NDArray[np.uint8]]:
    if clip.video is None or truth.video is None:
        return []
    difference = np.abs(clip.video[at].astype(np.float32) - truth.video[at]) * _FRAME_GAIN
    return list(np.clip(difference, 0, 255).astype(np.uint8))


def _depth_differences(clip: EvalClip, truth: EvalClip, at: NDArray) -> list[NDArray[np.uint8]]:
    if clip.depth is None or truth.depth is None:
        return []
    difference = np.clip(np.abs(clip.depth[at] - truth.depth[at]) * _DEPTH_GAIN, 0, 1)
    return list(colormap.encode(difference.astype(np.float32), "gray"))


def _drawn(title: str, lines: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]]) -> Image.Image:
    count = max(len(pictures) for _, pictures in lines)
    size = (_LABEL + count * (_CELL + _GAP), _LINE + _GAP + len(lines) * (_CELL + _GAP))
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    draw.text((_GAP, _GAP), title, fill="black", font=font)
    for row, (label, pictures) in enumerate(lines):
        top = _LINE + _GAP + row * (_CELL + _GAP)
        draw.multiline_text((_GAP, top + _GAP), _wrapped(label), fill="black", font=font)
        for column, picture in enumerate(pictures):
            sheet.paste(_cell(picture), (_LABEL + column * (_CELL + _GAP), top))
    return sheet


def _cell(picture: NDArray[np.uint8]) -> Image.Image:
    """Fitted into the cell with its aspect kept, on grey."""
    image = Image.fromarray(picture).convert("RGB")
    scale = _CELL / max(image.size)
    small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    cell = Image.new("RGB", (_CELL, _CELL), (230, 230, 230))
    cell.paste(small, ((_CELL - small.width) // 2, (_CELL - small.height) // 2))
    ImageDraw.Draw(cell).rectangle((0, 0, _CELL - 1, _CELL - 1), outline=(200, 200, 200))
    return cell


def _wrapped(text: str, width: int = 24) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))

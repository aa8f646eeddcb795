"""The page of ``idol demo``: its clips, its scores and what may be concluded from them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cli.bench.sampling import BACKGROUNDS
from cli.report.content import ClipPanel, Figure, Group, Report, ReportTable, Track
from idol_eval import report as writing
from idol_eval.bench import Row
from idol_eval.complexity import Complexity
from idol_eval.protocol import Protocol
from idol_model.data import BackgroundKind, clip_inputs
from idol_model.recipe import Recipe
from idol_model.render import viewer_html
from idol_prep import colormap
from idol_prep.schema import Dataset
from idol_prep.video import read_ffv1

_RELIEFS = 3
_SHOWN_SCORES = {"depth_mse": "depth MSE", "silhouette_iou": "silhouette IoU", "psnr": "PSNR"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What the demo made. ``rows[0]`` is the model's own, of which ``samples`` are, by clip id."""

    data: Dataset
    samples: Mapping[str, Path]
    recipe: Recipe
    rows: Sequence[Row]
    protocol: Protocol
    cost: Complexity
    seconds: Mapping[str, float]
    toy: str
    shipped: bool


def demo_report(demo: DemoResult) -> Report:
    """Everything on one page."""
    return Report(
        title="One picture, a background, a dance: a video and its depth",
        lead=f"{len(demo.samples)} synthetic dancers that the model has never seen: other people, other rooms, other "
        "dances. Video and depth come out of one model, together.",
        labels=list(_labels(demo)),
        figures=list(_figures(demo)),
        viewers=list(_reliefs(demo)),
        clips=[_panel(demo, name) for name in demo.samples],
        tables=_tables(demo),
        commands=_commands(demo),
    )


def _labels(demo: DemoResult) -> Iterator[str]:
    if demo.shipped:
        yield "The checkpoint is the small one that comes with the package, trained on procedural dancers alone."
        yield "Nothing here says how it does on real people; no quality is claimed for them."
    else:
        yield f"The checkpoint is your own, of recipe {demo.recipe.name}."
    yield f"Behind the person the model is given: {_background(demo)}. idol bench scores every kind it was trained on."
    yield f"The training step of this demo is a toy ({demo.toy}); its model is not used for anything shown here."
    yield "Everything shown as generated is synthetic, and its files say so."
    yield "FID, FVD and FID-FVD are left out: they need weights that are not shipped (idol bench, docs/evaluation.md)."
    remarks: dict[str, list[str]] = {}
    for row in demo.rows:
        for text in (*row.left_out, *row.notes):
            remarks.setdefault(text, []).append(row.name)
    yield from (f"{text} ({'; '.join(names)})." for text, names in remarks.items())


def _figures(demo: DemoResult) -> Iterator[Figure]:
    """The numbers of the model's first row, which is named, and the best trivial answer beside them."""
    own = demo.rows[0].values
    for key, name, best, form in (
        ("depth_mse", "depth error (MSE)", min, ".4f"),
        ("silhouette_iou", "silhouette IoU", max, ".2f"),
        ("psnr", "PSNR of the video", max, ".1f"),
    ):
        value = own.get(key)
        if value is not None:
            trivial = [v for row in demo.rows if row.kind == "baseline" and (v := row.values.get(key)) is not None]
            against = f"best trivial answer {best(trivial):{form}}" if trivial else ""
            yield Figure(name=f"{name}, {_background(demo)}", value=f"{value:{form}}", against=against)
    if demo.cost.seconds is not None:
        yield Figure(
            name=f"{demo.cost.frames} frames of both",
            value=f"{demo.cost.seconds:.1f} s",
            against=f"{demo.cost.device}, {demo.cost.threads} threads",
        )


def _kind(demo: DemoResult) -> BackgroundKind:
    """What the model's first row was given behind the person."""
    return next(kind for kind in BACKGROUNDS if kind == demo.rows[0].background)


def _background(demo: DemoResult) -> str:
    """The same in words."""
    return BACKGROUNDS[_kind(demo)]


def _reliefs(demo: DemoResult) -> Iterator[str]:
    if not demo.recipe.makes_depth:
        return
    for name in list(demo.samples)[:_RELIEFS]:
        depth = _depth(demo.samples[name])
        near_is_0 = _polarity(demo.samples[name]) == "distance"
        fps = demo.data.clip(name).record.fps
        shown = depth if near_is_0 else 1 - depth
        yield viewer_html(_video(demo.samples[name]), shown, title=name, fps=fps, note="Generated.")


def _panel(demo: DemoResult, name: str) -> ClipPanel:
    clip, folder = demo.data.clip(name), demo.samples[name]
    video = _video(folder)
    given = clip_inputs(clip, demo.recipe.data, stop=len(video), background=_kind(demo))
    tracks = [
        Track(name="foreground", group="given", frames=given.foreground[None]),
        Track(name=_background(demo), group="given", frames=given.background[None]),
        Track(name="poses", group="given", frames=given.poses),
        Track(name="video", group="generated", frames=video),
        *([_depth_track("generated", _depth(folder), demo)] if demo.recipe.makes_depth else []),
        Track(name="video", group="truth", frames=given.frames),
        _depth_track("truth", given.depth, demo),
    ]
    return ClipPanel(id=name, fps=clip.record.fps, tracks=tracks, scores=_scores_of(demo, name))


def _depth_track(group: Group, depth_LHW: NDArray[np.float32], demo: DemoResult) -> Track:
    return Track(name="depth", group=group, frames=colormap.encode(depth_LHW, demo.recipe.data.colormap))


def _polarity(folder: Path) -> str:
    return json.loads((folder / "sample.json").read_text(encoding="utf-8"))["depth"]["polarity"]


def _scores_of(demo: DemoResult, name: str) -> dict[str, Any]:
    own = next((clip for clip in demo.rows[0].per_clip if clip["id"] == name), {})
    return {title: own[key] for key, title in _SHOWN_SCORES.items() if key in own}


def _video(folder: Path) -> NDArray[np.uint8]:
    return read_ffv1(folder / "frames.mkv")


def _depth(folder: Path) -> NDArray[np.float32]:
    """In [0, 1]."""
    return read_ffv1(folder / "depth.mkv").astype(np.float32) / 65535


def _tables(demo: DemoResult) -> list[ReportTable]:
    headings, lines = writing.cells(demo.rows, writing.BRIEF)
    cost_headings, cost_lines = writing.complexity_cells(demo.cost)
    protocol = demo.protocol
    return [
        ReportTable(
            title="Scores",
            columns=headings,
            rows=lines,
            note=f"Protocol {protocol.id}: {protocol.frames or 'all'} frames a clip, {protocol.size} pixels a side. "
            "Arrows say which way is better; a change of 1 moves as much as the truth. The ceiling is the truth "
            "sent through the model's own codec.",
        ),
        ReportTable(title="What the model costs", columns=cost_headings, rows=cost_lines),
        ReportTable(
            title="What the demo took",
            columns=["step", "seconds"],
            rows=[[name, round(seconds, 1)] for name, seconds in demo.seconds.items()],
        ),
    ]


def _commands(demo: DemoResult) -> list[str]:
    return [
        "idol prep synthetic -o data/dancers --clips 400 --seed 1",
        "idol train debug --data data/dancers",
        f"idol bench --data {demo.data.root} --frames {demo.protocol.frames}",
        "idol generate person.png room.png dance.mp4 --export viewer",
    ]

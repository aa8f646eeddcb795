"""The report as HTML. Pictures travel inside the page as data; a track's frames are cells of one sheet."""

import html
import os
from collections.abc import Iterable, Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from string import Template

from cli._output import Cell, format_cell
from cli.report.content import ClipPanel, Figure, Report, ReportTable, Track
from idol_model.render import sheets

_ASSETS = files("cli") / "assets" / "report"
_GROUP_TITLES = {"given": "given", "generated": "generated", "truth": "truth"}


def write_page(report: Report, path: Path) -> Path:
    """Build the page and put it in place whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(build_page(report), encoding="utf-8")
    return temporary.replace(path)


def build_page(report: Report) -> str:
    """The page as text, self-contained."""
    return Template(_asset("page.html")).substitute(
        title=html.escape(report.title),
        lead=html.escape(report.lead),
        labels=_items(report.labels),
        style=_asset("style.css"),
        script=_asset("script.js"),
        figures="".join(map(_figure, report.figures)),
        viewers=_section("Turn it by hand", "viewers", report.viewers),
        clips=_section("Every clip", "clips", [_clip(clip) for clip in report.clips]),
        tables="".join(map(_table, report.tables)),
        commands=_commands(report.commands),
    )


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _section(title: str, kind: str, parts: Sequence[str]) -> str:
    if not parts:
        return ""
    return f'<section><h2>{title}</h2><div class="{kind}">{"".join(parts)}</div></section>'


def _items(sentences: Iterable[str]) -> str:
    return "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)


def _figure(figure: Figure) -> str:
    against = f"<small>{html.escape(figure.against)}</small>" if figure.against else ""
    return f"<div><dt>{html.escape(figure.name)}</dt><dd>{html.escape(figure.value)}{against}</dd></div>"


def _clip(clip: ClipPanel) -> str:
    groups = "".join(
        f'<div class="group" style="--tracks:{len(listed)}"><h4>{_GROUP_TITLES[name]}</h4>'
        f"<div>{''.join(_track(clip, track) for track in listed)}</div></div>"
        for name, tracks in groupby(clip.tracks, key=lambda track: track.group)
        if (listed := list(tracks))
    )
    scores = " ".join(
        f"<span>{html.escape(name)} <b>{format_cell(value)}</b></span>" for name, value in clip.scores.items()
    )
    return (
        f'<article><header><h3>{html.escape(clip.id)}</h3><p class="scores">{scores}</p></header>'
        f'<div class="groups">{groups}</div></article>'
    )


def _track(clip: ClipPanel, track: Track) -> str:
    """A picture whose background is the sheet of all frames; the script moves the sheet."""
    count, height, width = track.frames.shape[:3]
    grid = sheets.Grid.of(count, height, width)
    style = (
        f"aspect-ratio:{width}/{height};background-size:{grid.columns * 100}% {grid.rows * 100}%;"
        f"background-image:url({sheets.colour_url(sheets.sheet(track.frames, grid))})"
    )
    moving = (
        f' data-frames="{count}" data-columns="{grid.columns}" data-rows="{grid.rows}" data-fps="{clip.fps:g}"'
        if count > 1
        else ""
    )
    label = html.escape(f"{clip.id}: {track.name}")
    return (
        f'<figure><div class="picture" role="img" aria-label="{label}" style="{style}"{moving}></div>'
        f"<figcaption>{html.escape(track.name)}</figcaption></figure>"
    )


def _table(table: ReportTable) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    note = f"<p>{html.escape(table.note)}</p>" if table.note else ""
    return (
        f'<section><h2>{html.escape(table.title)}</h2>{note}<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></section>"
    )


def _cell(cell: Cell) -> str:
    return f"<td>{html.escape(format_cell(cell))}</td>"


def _commands(commands: Sequence[str]) -> str:
    if not commands:
        return ""
    text = html.escape("\n".join(commands))
    return f"<section><h2>The same, step by step</h2><pre><code>{text}</code></pre></section>"

"""Rows as one HTML page of its own: the table, plots with intervals, the worst clips to look at."""

from collections.abc import Sequence
from html import escape
from operator import itemgetter

import numpy as np

from idol_eval.catalogue import BY_KEY, Metric
from idol_eval.protocol import Protocol
from idol_eval.report import cells, columns, interval_remarks, protocol_text, remarks, uncertainty_cells
from idol_eval.row import Row
from idol_eval.sheets import Panel, embedded

_STYLE = """
body{font-family:system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0;font-size:.9rem}
th,td{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
.wide{overflow-x:auto}.plots{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}figcaption{font-size:.85rem}
"""
_WIDTH, _BAR, _NAME = 340, 22, 150
_WORST = 3
_PLOTTED = (
    "fid_fvd",
    "fvd",
    "fid",
    "depth_mse",
    "depth_fg_mse",
    "silhouette_iou",
    "psnr",
    "align_edges",
    "video_change",
)


def scores_page(
    rows: Sequence[Row], protocol: Protocol, paper: Sequence[Row] = (), panels: Sequence[Panel] = ()
) -> str:
    """A whole page; nothing is loaded from elsewhere. ``panels`` show clips of `idol_eval.sheets`."""
    blocks = [table_html(*cells(rows)), f"<p>{escape(protocol_text(protocol, rows))}</p>", _list(remarks(rows))]
    blocks += [_plots(rows, [metric for metric in columns(rows) if metric.key in _PLOTTED])]
    blocks += ["<h2>Worst clips</h2>", _worst(rows)]
    blocks += [f"<h3>{escape(one.title)}</h3>{embedded(one.picture, one.title)}" for one in panels]
    uncertain = uncertainty_cells(rows)
    if uncertain[1]:
        blocks += ["<h2>How sure the numbers are</h2>", table_html(*uncertain), _list(interval_remarks(rows))]
    if paper:
        said = "<p>Other data and other weights, no line to compare with.</p>"
        blocks += ["<h2>The paper's numbers</h2>", said, table_html(*cells(paper))]
    return page("Scores", "".join(blocks))


def measured_section(rows: Sequence[Row], metrics: Sequence[Metric], looks: Sequence[tuple[str, str]]) -> str:
    """What stands below a table of the paper: the measured rows plotted, their worst clips, where these can be seen.

    ``looks`` are (address, text) of pages with pictures.
    """
    if not rows:
        return ""
    blocks = [_plots(rows, metrics), "<h2>Worst clips</h2>", _worst(rows)]
    links = [f'<li><a href="{escape(address, quote=True)}">{escape(text)}</a></li>' for address, text in looks]
    return "".join(blocks) + (f"<p>To look at:</p><ul>{''.join(links)}</ul>" if links else "")


def page(title: str, body: str) -> str:
    """The frame that every page has."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def table_html(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table that scrolls where it is too wide."""
    head = "".join(f"<th>{escape(text)}</th>" for text in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in line) + "</tr>" for line in lines)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def section(title: str, cells: tuple[Sequence[str], Sequence[Sequence[str]]], said: Sequence[str]) -> str:
    """A table under its title, with remarks."""
    return f"<h2>{escape(title)}</h2>{table_html(*cells)}{_list(said)}"


def _list(texts: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>" if texts else ""


def _plots(rows: Sequence[Row], metrics: Sequence[Metric]) -> str:
    drawn = "".join(_plot(metric, rows) for metric in metrics)
    texts = interval_remarks(rows)
    said = f"<p>Whiskers are 95 % intervals over videos.</p>{_list(texts)}" if texts else ""
    return f'<h2>Plots</h2><div class="plots">{drawn}</div>{said}'


def _plot(metric: Metric, rows: Sequence[Row]) -> str:
    """Horizontal bars with whiskers; values that are infinite have none."""
    known = [(row, row.values.get(metric.key)) for row in rows]
    shown = [(row, value) for row, value in known if value is not None and np.isfinite(value)]
    if not shown:
        return ""
    ends = [end for row, value in shown for end in (value, *row.intervals.get(metric.key, ()))]
    top = max(*ends, 0.0, key=abs) or 1.0
    span = (_WIDTH - _NAME - 60) / abs(top)
    bars = "".join(_bar(number, row, value, metric, span) for number, (row, value) in enumerate(shown))
    height = len(shown) * _BAR + 4
    drawing = f'<svg width="{_WIDTH}" height="{height}" role="img" aria-label="{escape(metric.title)}">{bars}</svg>'
    return f"<figure><figcaption>{escape(metric.heading)}</figcaption>{drawing}</figure>"


def _bar(number: int, row: Row, value: float, metric: Metric, span: float) -> str:
    y, length = number * _BAR + 4, max(value * span, 0)
    name = row.name if len(row.name) <= 22 else row.name[:21] + "…"
    colour = {"measured": "#3b6fb6", "ceiling": "#7aa76f"}.get(row.kind, "#b9b9b9")
    text = f'<text x="0" y="{y + 12}" font-size="11">{escape(name)}</text>'
    bar = f'<rect x="{_NAME}" y="{y}" width="{length:.1f}" height="{_BAR - 8}" fill="{colour}"/>'
    low, high = (max(end * span, 0) + _NAME for end in row.intervals.get(metric.key, (value, value)))
    middle = y + (_BAR - 8) / 2
    whisker = f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="#222"/>' if high > low else ""
    label = (
        f'<text x="{max(length + _NAME, high) + 4:.1f}" y="{y + 12}" font-size="11">{format(value, metric.form)}</text>'
    )
    return text + bar + whisker + label


def _worst(rows: Sequence[Row]) -> str:
    """The clips on which each measured row does worst, by depth where there is one, else by PSNR."""
    blocks = []
    for row in rows:
        key = next((key for key in ("depth_mse", "psnr") if any(key in clip for clip in row.per_clip)), None)
        if row.kind != "measured" or key is None:
            continue
        metric = BY_KEY[key]
        having = [clip for clip in row.per_clip if key in clip]
        having.sort(key=itemgetter(key), reverse=metric.better == "lower")
        lines = [[str(clip["id"]), format(clip[key], metric.form)] for clip in having[:_WORST]]
        blocks.append(f"<div><h3>{escape(row.name)}</h3>{table_html(['clip', metric.title], lines)}</div>")
    return f'<div class="plots">{"".join(blocks)}</div>' if blocks else "<p>Nothing was measured clip by clip.</p>"

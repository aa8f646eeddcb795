"""A page fragment that shows a video in relief: no server, no network, no library; works from a file.

The frames are a mesh pushed forward by their depth, torn at outlines, before a still backdrop that fills the gaps.
Colours are WebP and depth has 256 levels: to look at, not to measure.
"""

import html
import json
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

from idol_model.render import sheets
from idol_model.render.backdrop import backdrop

MOST_FRAMES = 150
"""More frames than this are thinned, to keep the page light."""
_CUT = 0.2
"""A step of depth between neighbouring pixels that tears the mesh."""
_ASSETS = Path(__file__).parent.parent / "assets" / "viewer"


def viewer_html(
    video: NDArray[np.uint8], depth: NDArray[np.float32], *, title: str, fps: float = 12.0, note: str = ""
) -> str:
    """A self-contained HTML fragment, any number of which fit on one page; turn it with mouse, touch or arrow keys.

    Args:
        video: uint8 [L, H, W, 3].
        depth: float32 [L, H, W] in [0, 1], 0 near (pass 1 - depth where 1 is near).
        title: shown below, as text.
        fps: frames a second.
        note: one more sentence below, as text.

    Raises:
        ValueError: shapes that do not fit each other, no frames, frames too large, depth outside [0, 1].
    """
    _check(video, depth)
    frames, height, width = depth.shape
    every = -(-frames // min(MOST_FRAMES, sheets.most_frames(height, width)))
    shown, relief = video[::every], depth[::every]
    grid = sheets.Grid.of(len(shown), height, width)
    still, still_depth = backdrop(shown, relief)
    data = {
        "width": width,
        "height": height,
        "frames": len(shown),
        "columns": grid.columns,
        "rows": grid.rows,
        "fps": fps / every,
        "cut": _CUT,
        "colour": sheets.colour_url(sheets.sheet(shown, grid)),
        "depth": sheets.depth_url(sheets.sheet(sheets.depth_levels(relief), grid)),
        "backColour": sheets.colour_url(still),
        "backDepth": sheets.depth_url(sheets.depth_levels(still_depth)),
    }
    thinned = f"Every {every}. frame of {frames}. " if every > 1 else ""
    return Template((_ASSETS / "viewer.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        last=len(shown) - 1,
        note=html.escape(f"{thinned}{note}".strip()),
        data=json.dumps(data),
        script=Template((_ASSETS / "viewer.js").read_text(encoding="utf-8")).substitute(),
    )


def page(fragment: str, title: str) -> str:
    """A whole page around fragments."""
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<body>\n{fragment}</body>\n</html>\n'
    )


def _check(video: NDArray[np.uint8], depth: NDArray[np.float32]) -> None:
    if video.dtype != np.uint8 or video.shape != (*depth.shape, 3) or depth.ndim != 3 or len(depth) == 0:
        raise ValueError(
            f"a view needs uint8 video [L, H, W, 3] and depth [L, H, W] of the same size, at least one frame; "
            f"got {video.dtype} {video.shape} and {depth.shape}"
        )
    if not (np.isfinite(depth).all() and depth.min() >= 0 and depth.max() <= 1):
        raise ValueError("a view needs depth in [0, 1]; normalise it first")

"""2.5D: the page is self-contained and carries the right pictures; point clouds are where the depth says."""

import base64
import html.parser
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.main import build_app
from idol_model.outputs import IdolOutput
from idol_model.render import export, viewer_html, write_ply
from idol_model.render.backdrop import Farthest, MeanBehind, backdrop
from idol_model.render.orbit import Arc, orbit, view
from idol_model.render.point_cloud import points
from idol_model.render.sheets import Grid, sheet
from idol_model.render.viewer import page
from idol_model.samples import SampleInfo, SampleWriter
from idol_prep.video import read_video


def scene(frames: int = 5, height: int = 24, width: int = 32):
    """A near square that wanders before a far gradient: video, depth, and the gradient alone."""
    y, x = np.mgrid[:height, :width]
    plate = np.stack([x * 7, y * 9, np.full_like(x, 120)], axis=-1).astype(np.uint8)
    video, depth = np.repeat(plate[None], frames, axis=0), np.ones((frames, height, width), np.float32)
    for number in range(frames):
        place = (number, slice(8, 16), slice(4 + 3 * number, 12 + 3 * number))
        video[place], depth[place] = (250, 10, 20), 0.3
    return video, depth, plate


class Parsed(html.parser.HTMLParser):
    """Balanced tags, and every address that the page would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.addresses, self.ids = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.addresses += [named[name] for name in ("src", "href") if name in named]
        self.ids += [named["id"]] if "id" in named else []
        if tag not in ("input", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def data_of(fragment: str) -> dict:
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', fragment, re.DOTALL)[1])


def picture_of(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def test_the_fragment_is_whole_and_fetches_nothing():
    video, depth, _ = scene()
    fragment = viewer_html(video, depth, title="one") + viewer_html(video, depth, title="two")
    parsed = Parsed(fragment)
    assert parsed.open == []
    assert parsed.addresses == []
    assert parsed.ids == []
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|WebSocket", fragment)
    assert "$" not in fragment.replace("${name}", "")


def test_titles_are_text_and_not_markup():
    video, depth, _ = scene()
    fragment = viewer_html(video, depth, title='<script>"x"</script> & co', note="<b>")
    assert "<script>&quot;" not in fragment
    assert "&lt;script&gt;" in fragment
    assert "<b>" not in fragment
    assert Parsed(page(fragment, "<title>")).open in ([], ["html"])


def test_the_page_carries_the_depth_to_a_level_and_the_colours_nearly():
    video, depth, _ = scene()
    data = data_of(viewer_html(video, depth, title="x", fps=10.0))
    assert (data["width"], data["height"], data["frames"], data["fps"]) == (32, 24, 5, 10.0)
    levels, colours = picture_of(data["depth"]), picture_of(data["colour"])
    for number in range(5):
        row, column = divmod(number, data["columns"])
        cell = (slice(row * 24, row * 24 + 24), slice(column * 32, column * 32 + 32))
        assert np.array_equal(levels[cell], np.rint(depth[number] * 255))
        assert np.abs(colours[cell].astype(int) - video[number]).mean() < 10


def test_long_videos_are_thinned_and_say_so():
    video, depth, _ = scene(1, 8, 8)
    fragment = viewer_html(video.repeat(400, 0), depth.repeat(400, 0), title="x", fps=30.0)
    data = data_of(fragment)
    assert data["frames"] == 134
    assert data["fps"] == 10.0
    assert "Every 3. frame of 400" in fragment


@pytest.mark.parametrize(
    ("video", "depth"),
    [
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros((3, 4, 4), np.float32)),
        (np.zeros((2, 4, 4, 3), np.float32), np.zeros((2, 4, 4), np.float32)),
        (np.zeros((0, 4, 4, 3), np.uint8), np.zeros((0, 4, 4), np.float32)),
        (np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4), 1.5, np.float32)),
        (np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4), np.nan, np.float32)),
    ],
    ids=["lengths", "type", "empty", "range", "nan"],
)
def test_what_cannot_be_viewed_is_refused(video, depth):
    with pytest.raises(ValueError, match="a view needs"):
        viewer_html(video, depth, title="x")


def test_the_backdrop_is_what_the_person_uncovers():
    video, depth, plate = scene(frames=5)
    colour, behind = backdrop(video, depth)
    assert behind.min() > 0.99
    seen = (depth == 1).any(axis=0)
    assert np.abs(colour.astype(int) - plate)[seen].max() <= 40  # beside outlines the colour is smoothed
    assert np.array_equal(colour[:6], plate[:6])


def test_the_backdrop_behind_a_person_who_stays_is_filled_from_around():
    video, depth, plate = scene(frames=1)
    colour, behind = backdrop(video, depth)
    assert behind.min() > 0.99
    assert np.abs(colour.astype(int) - plate).mean() < 8


def test_a_scene_without_anything_far_is_its_own_backdrop():
    video, depth, _ = scene()
    colour, behind = backdrop(video, depth * 0.5)
    assert np.array_equal(behind, (depth * 0.5).max(axis=0))
    assert colour.shape == video.shape[1:]


@pytest.mark.parametrize("frames", [1, 2, 7, 16])
def test_a_sheet_holds_every_frame(frames):
    pictures = np.random.default_rng(0).integers(0, 255, (frames, 6, 10, 3), dtype=np.uint8)
    grid = Grid.of(frames, 6, 10)
    whole = sheet(pictures, grid)
    assert whole.shape == (grid.rows * 6, grid.columns * 10, 3)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, grid.columns)
        assert np.array_equal(whole[row * 6 : row * 6 + 6, column * 10 : column * 10 + 10], picture)


def test_points_lie_where_the_depth_says():
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    depth = np.array([[0, 0.5, 1, np.nan], [0, 0, 0, 0]], np.float32)
    position, colour = points(rgb, depth, relief=0.4)
    assert len(position) == 7
    np.testing.assert_allclose(position[0], [-0.375, 0.125, 0.2], atol=1e-6)
    np.testing.assert_allclose(position[2], [0.125, 0.125, -0.2], atol=1e-6)
    assert np.array_equal(colour[0], rgb[0, 0])


def test_a_ply_file_reads_back(tmp_path):
    video, depth, _ = scene()
    count = write_ply(tmp_path / "frame.ply", video[0], depth[0])
    header, _, body = (tmp_path / "frame.ply").read_bytes().partition(b"end_header\n")
    assert f"element vertex {count}\n".encode() in header
    assert count == 24 * 32
    read = np.frombuffer(body, np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)]))
    position, colour = points(video[0], depth[0])
    assert np.array_equal(read["xyz"], position)
    assert np.array_equal(read["rgb"], colour)


def test_a_picture_and_depth_of_two_sizes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="one size"):
        write_ply(tmp_path / "x.ply", np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.float32))


def test_what_lies_behind_is_gathered_frame_by_frame():
    """As from all frames at once; the mean is the plate itself away from outlines, and noise averages out."""
    video, depth, plate = scene(frames=5)
    one, calm = Farthest(), MeanBehind()
    noise = np.random.default_rng(0)
    for rgb, far in zip(video, depth, strict=True):
        one.add(rgb, far)
        calm.add(np.clip(rgb + noise.normal(0, 9, rgb.shape), 0, 255).astype(np.uint8), far)
    for found, expected in zip(one.backdrop(), backdrop(video, depth), strict=True):
        assert np.array_equal(found, expected)
    colour, behind = calm.backdrop()
    assert behind.min() > 0.99
    assert np.abs(colour[:, 24:].astype(int) - plate[:, 24:]).mean() < 5  # one frame alone is off by 7
    with pytest.raises(ValueError, match="at least one frame"):
        Farthest().backdrop()


def test_a_camera_that_does_not_turn_sees_the_frame():
    video, depth, plate = scene(1)
    back = (plate, np.ones(depth[0].shape, np.float32))
    still = Arc(zoom=1.0)
    seen = view((video[0], depth[0]), back, np.eye(3), still)
    assert np.abs(seen.astype(int) - video[0])[1:-1, 1:-1].max() <= 6  # two rays a pixel look between pixels of a ramp


def test_what_is_near_moves_against_what_is_far():
    """The near square moves as geometry says, the plate shows where it stood, and its own way mirrors it."""
    video, depth, plate = scene(1, 48, 64)
    frame, back = (video[0], depth[0]), (plate, np.ones(depth[0].shape, np.float32))
    way = Arc(zoom=1.0, degrees=8.0, seconds=4.0)
    quarter, third = (way.turn(number, 1.0) for number in (1, 3))

    def columns(turn):
        seen = view(frame, back, turn, way)
        red = seen[..., 2] < 70  # the plate's blue is 120 everywhere
        return red.nonzero()[1].mean(), seen

    (right, seen), (left, _) = columns(quarter), columns(third)
    middle, _ = columns(np.eye(3))
    point = np.array([(middle + 0.5 - 32) / 64 * (2.6 - 0.12) / 2.6, (24 - 12) / 64, 0.12])  # depth 0.3 in relief 0.6
    x, _, z = quarter.T @ point
    assert right == pytest.approx(32 + 64 * x * 2.6 / (2.6 - z) - 0.5, abs=0.7)
    assert abs(right - middle) > 0.3
    assert (right - middle) * (left - middle) < 0
    assert (seen[20:, :, 2] == 120).all()  # nothing of the square is smeared over the plate
    assert ((seen[..., 2] < 70).sum(axis=1) <= 9).all()


def test_an_orbit_is_the_same_twice_and_ends_where_it_began():
    video, depth, plate = scene(1)
    back = (plate, np.ones(depth[0].shape, np.float32))
    frames = [(video[0], depth[0])] * 9
    one, two = (np.stack(list(orbit(iter(frames), back, 2.0))) for _ in range(2))
    assert np.array_equal(one, two)
    assert np.array_equal(one[0], one[8])  # 4 seconds of 2 frames
    assert not np.array_equal(one[0], one[2])
    with pytest.raises(ValueError, match="all must have one size"):
        next(orbit([(video[0], depth[0][:5])], back, 2.0))


def test_exports_of_a_sample(tmp_path):
    from tiny_generation import shared

    video, depth, _ = scene(4, 32, 32)
    info = SampleInfo.of(shared(), {"path": "x", "sha256": "y"}, id="one", fps=12.0)
    piece = IdolOutput(video=video, depth=depth, depth_rgb=video, confidence=depth)
    with SampleWriter(tmp_path / "s", info) as writer:
        writer.append(piece)
        writer.finish({}, then=lambda folder: [export(folder, kind) for kind in ("viewer", "ply", "orbit")])
    assert (tmp_path / "s" / "viewer.html").read_text().startswith("<!doctype html>")
    assert sorted(path.name for path in (tmp_path / "s" / "ply").iterdir()) == [f"{n:06d}.ply" for n in range(4)]
    film = np.stack(list(read_video(tmp_path / "s" / "orbit.mp4")))
    assert film.shape == (48, 32, 32, 3)  # four frames forth and back until the arc of four seconds closes
    assert np.abs(film[0].astype(int) - film[12]).mean() > 2
    with pytest.raises(ValueError, match="choose from viewer, ply, orbit"):
        export(tmp_path / "s", "obj")
    with pytest.raises(FileExistsError, match="add --overwrite"):
        export(tmp_path / "s", "ply")
    told = []
    export(tmp_path / "s", "ply", overwrite=True, on_frame=lambda *at: told.append(at))
    assert told == [(number, 4) for number in (1, 2, 3, 4)]
    assert len(list((tmp_path / "s" / "ply").iterdir())) == 4
    with pytest.raises(FileNotFoundError, match="is not a sample"):
        export(tmp_path, "orbit")
    shown = CliRunner().invoke(build_app(), ["export", str(tmp_path / "s"), "viewer", "--json"])
    assert (shown.exit_code, shown.stderr.count("add --overwrite")) == (2, 1)
    shown = CliRunner().invoke(build_app(), ["export", str(tmp_path / "s"), "viewer,ply", "--overwrite", "--json"])
    assert [Path(file).name for file in json.loads(shown.stdout)["files"]] == ["viewer.html", "ply"]

"""``idol demo`` from nothing to a page, twice; and the page: whole, self-contained, in step."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cli.main import build_app
from cli.report import ClipPanel, Figure, Report, ReportTable, Track, build_page, write_page
from cli.report.content import Group


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model of the recipe `debug`."""
    import torch

    from idol_model import recipes
    from idol_model.model import IdolModel
    from idol_model.training import save_model

    torch.manual_seed(0)
    recipe = recipes.get("debug")
    folder = tmp_path_factory.mktemp("checkpoint") / "model"
    save_model(IdolModel.from_recipe(recipe).eval(), recipe, folder)
    return folder


def demo(folder: Path, checkpoint: Path) -> Result:
    arguments = ["demo", "-o", str(folder), "--ckpt", str(checkpoint), "--limit", "1", "--json"]
    return CliRunner().invoke(build_app(), arguments)


def test_demo_runs_twice_and_ends_with_a_page(tmp_path: Path, checkpoint: Path) -> None:
    first = demo(tmp_path / "demo", checkpoint)
    assert first.exit_code == 0, first.output
    said = json.loads(first.stdout)
    page = Path(said["report"])
    assert page == (tmp_path / "demo" / "report.html").resolve()
    (sample,) = said["samples"].values()
    made = (Path(sample) / "frames.mkv").stat().st_mtime_ns

    second = demo(tmp_path / "demo", checkpoint)
    assert second.exit_code == 0, second.output
    assert (Path(sample) / "frames.mkv").stat().st_mtime_ns == made, "a finished sample is made again"
    assert numbers(json.loads(second.stdout)) == numbers(said)

    text = page.read_text(encoding="utf-8")
    assert "The checkpoint is your own, of recipe debug." in text
    assert "FID, FVD and FID-FVD are left out" in text
    shown = ("foreground", "clean plate", "poses", "video", "depth")
    assert [name for name in shown if f">{name}<" not in text] == []
    assert "Behind the person the model is given: clean plate." in text
    assert [row["name"] for row in said["scores"]["rows"] if row["kind"] == "measured"] == ["debug, clean plate"]
    assert outside_links(text) == []


def numbers(said: dict) -> list[dict]:
    return [row["values"] for row in said["scores"]["rows"]]


def test_demo_keeps_its_hands_off_other_folders(tmp_path: Path, checkpoint: Path) -> None:
    (tmp_path / "train").mkdir()
    outcome = demo(tmp_path, checkpoint)
    assert outcome.exit_code == 2
    assert "no demo" in json.loads(outcome.stdout)["error"]
    assert (tmp_path / "train").is_dir()


def moving(name: str, group: Group, frames: int = 5) -> Track:
    """Frame l is a picture of the value 40 * l."""
    levels = np.arange(frames, dtype=np.uint8) * 40
    return Track(
        name=name, group=group, frames=np.broadcast_to(levels[:, None, None, None], (frames, 32, 48, 3)).copy()
    )  # type: ignore[arg-type]


@pytest.fixture
def report() -> Report:
    tracks = [moving("poses", "given"), moving("video", "generated"), moving("depth", "generated")]
    return Report(
        title="A <b>title</b> & more",
        lead="lead",
        labels=["one label"],
        figures=[Figure(name="depth", value="0.1", against="0.2")],
        clips=[ClipPanel(id="clip <1>", fps=12, tracks=tracks, scores={"PSNR": 25.123456})],
        tables=[ReportTable(title="Scores", columns=["row", "PSNR"], rows=[["ours", 25.123456]])],
        commands=["idol demo"],
    )


def test_text_is_escaped_and_everything_is_there(report: Report) -> None:
    page = build_page(report)
    assert "A &lt;b&gt;title&lt;/b&gt; &amp; more" in page
    assert "clip &lt;1&gt;" in page
    assert "<b>title</b>" not in page
    assert "25.12" in page
    assert "$" not in re.sub(r"\$\{|\$\(", "", page.partition("<script>")[0]), "a placeholder was left"


def test_page_asks_nobody(report: Report) -> None:
    assert outside_links(build_page(report)) == []


def test_tracks_of_a_clip_lie_on_equal_sheets_so_they_move_in_step(report: Report) -> None:
    page = build_page(report)
    sheets = re.findall(r'data-frames="(\d+)" data-columns="(\d+)" data-rows="(\d+)" data-fps="12"', page)
    assert len(sheets) == 3
    assert len(set(sheets)) == 1


def test_sheet_holds_the_frames_in_reading_order(report: Report) -> None:
    import base64
    import io

    page = build_page(report)
    data = re.search(r"url\(data:image/webp;base64,([^)]+)\)", page)
    columns = re.search(r'data-columns="(\d+)"', page)
    assert data is not None
    assert columns is not None
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(data.group(1)))).convert("RGB")).astype(int)
    for frame in range(5):
        row, column = divmod(frame, int(columns.group(1)))
        assert abs(sheet[row * 32 + 16, column * 48 + 24] - 40 * frame).max() <= 3


def test_tags_are_closed(report: Report) -> None:
    class Checker(HTMLParser):
        open_tags: list[str]

        def handle_starttag(self, tag: str, attrs: list) -> None:
            if tag not in ("meta", "input", "link", "br"):
                self.open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open_tags.pop() == tag

    checker = Checker()
    checker.open_tags = []
    checker.feed(build_page(report))
    assert checker.open_tags == []


def test_page_is_replaced_whole(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "out" / "report.html"
    assert write_page(report, path) == path
    write_page(report, path)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_a_track_needs_frames() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        Track(name="video", group="given", frames=np.zeros((0, 8, 8, 3), np.uint8))


def outside_links(page: str) -> list[str]:
    """Addresses that a browser would fetch from elsewhere."""
    found = re.findall(r'(?:src|href)\s*=\s*["\']([^"\']+)|url\(([^)]+)\)|(https?://[^\s"\'<]+)', page)
    return [one for one in (first or second or third for first, second, third in found) if not one.startswith("data:")]

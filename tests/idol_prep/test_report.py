"""The page about a dataset: what it shows, in which order, and how it goes on; a browser opens it if there is one."""

import base64
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_clips import dataset

from idol_prep import colormap, reporting
from idol_prep._strip_store import DATA
from idol_prep._strips import strip
from idol_prep.reporting import mean_ranks, write_report
from idol_prep.schema import ClipRecord, DataError, DatasetWriter, Reject

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
SCORES = {"a": 0.1, "b": 0.9, "c": 0.5}


def scored(root: Path, scores: dict[str, float] | None = None) -> Path:
    """A dataset whose clips have these jumps."""
    named = SCORES if scores is None else scores
    dataset(root, dict.fromkeys(named, "train"), scores={id: {"jumps": value} for id, value in named.items()})
    return root


def document(page: Path) -> dict:
    """The data that a page carries."""
    found = DATA.search(page.read_text())
    assert found is not None
    return json.loads(found[1])


def record(**scores: float) -> ClipRecord:
    return ClipRecord(id="x", split="train", source="x", fps=12, scores=scores)


def test_ranks_are_means_over_the_scores_that_a_clip_has():
    assert mean_ranks([]).shape == (0,)
    assert mean_ranks([record(jumps=0.5)]).tolist() == [0]
    records = [record(jumps=0.3, resolution=2), record(jumps=0.1, resolution=1), record(jumps=0.1), record(mask_area=9)]
    # By jumps 1, 1/4, 1/4; by resolution, of which less is worse, 0 and 1.
    assert mean_ranks(records) == pytest.approx([0.5, 0.625, 0.25, 0])


def test_a_strip_shows_frames_masks_and_depth(tmp_path):
    made = dataset(tmp_path, {"a": "train"}, frames=6, height=80, width=96)
    clip = made.clip("a")
    tiles = np.split(strip(clip), 4, axis=1)
    for tile, number in zip(tiles, (1, 3, 5), strict=False):
        frame, mask = clip.frames()[number], clip.mask()[number] > 0
        mask[:14, :14] = False  # the pose of these clips: all joints at one place
        np.testing.assert_array_equal(tile[mask], frame[mask])
        np.testing.assert_allclose(tile[40:, 40:][~mask[40:, 40:]], frame[40:, 40:][~mask[40:, 40:]] / 3, atol=1)
        assert tile[12, 12].tolist() == [255, 0, 85]  # the last joint's colour
    depth = clip.record.depth
    assert depth is not None
    np.testing.assert_array_equal(tiles[3], colormap.encode(depth.normalise(clip.depth(3, 4), clip.mask(3, 4)))[0])


def test_the_worst_come_first_or_alone(tmp_path):
    root, page = scored(tmp_path / "data"), tmp_path / "new" / "page.html"
    assert write_report(root, page).clips == 3
    assert [clip["id"] for clip in document(page)["clips"]] == ["b", "c", "a"]
    shown = write_report(root, page, worst=2)
    assert (shown.clips, shown.all) == (2, 3)
    assert [clip["id"] for clip in document(page)["clips"]] == ["b", "c"]
    assert document(page)["name"] == "data: the 2 worst of 3 clips"


def test_a_second_report_draws_only_what_is_new(tmp_path):
    root, page = scored(tmp_path / "data"), tmp_path / "page.html"
    write_report(root, page)
    shutil.rmtree(root / "clips" / "b")  # cannot be drawn any more
    told = []
    assert write_report(root, page, None, lambda *now: told.append(now)).damaged == {}
    assert told == []
    fresh = write_report(root, tmp_path / "fresh.html")
    assert list(fresh.damaged) == ["b"]


def test_a_report_that_broke_off_goes_on_and_is_the_same(tmp_path):
    root, page = scored(tmp_path / "data"), tmp_path / "page.html"

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(root, page, None, stop)
    assert not page.exists()
    (journal,) = tmp_path.glob(".page.html.*")
    journal.write_text(journal.read_text() + '[1, "half a l')
    told = []
    write_report(root, page, None, lambda *now: told.append(now))
    assert told == [(3, 3)]
    assert not journal.exists()
    write_report(root, tmp_path / "at_once.html")
    assert page.read_bytes() == (tmp_path / "at_once.html").read_bytes()


def test_a_damaged_clip_stands_on_the_page_with_its_reason(tmp_path):
    root, page = scored(tmp_path / "data"), tmp_path / "page.html"
    (root / "clips" / "a" / "frames.mkv").write_bytes(b"no track")
    shown = write_report(root, page)
    assert "cannot be decoded" in shown.damaged["a"]
    clips = {clip["id"]: clip for clip in document(page)["clips"]}
    assert clips["a"]["damaged"] == shown.damaged["a"]
    assert Image.open(io.BytesIO(base64.b64decode(clips["b"]["strip"]))).height == 80


def test_bad_places_and_too_many_clips_are_told_before_work(tmp_path, monkeypatch):
    root = scored(tmp_path / "data")
    with pytest.raises(DataError, match=r"is a folder; name the page"):
        write_report(root, tmp_path)
    monkeypatch.setattr(reporting, "MOST", 2)
    with pytest.raises(DataError, match=r"3 clips are too many for one page; --worst 2"):
        write_report(root, tmp_path / "page.html")
    assert not list(tmp_path.glob("*.html"))


ACT = """<script>
const rows = () => [...$("body").rows].map(row => row.cells[1].firstChild.textContent);
const set = (id, text) => { $(id).value = text; $(id).dispatchEvent(new Event("input")); };
const found = {first: rows().slice(0, 3), built: rows().length, said: $("count").textContent};
found.head = [...$("head").children].map(cell => cell.textContent);
set("column", "jumps"); set("low", "0.5"); found.low = $("count").textContent;
set("high", "0.6"); found.between = $("count").textContent;
set("low", ""); set("high", ""); set("find", "CLIP-0007"); found.find = rows();
found.rejects = $("left-out").firstElementChild.textContent;
set("find", ""); found.all = $("left-out").firstElementChild.textContent;
[...$("head").querySelectorAll("button")].find(button => button.textContent === "clip").click();
found.by_name = rows().slice(0, 2);
more(); found.more = rows().length;
$("left-out").open = true; drawRejects(); found.listed = $("rejects").rows.length;
found.damaged = document.querySelectorAll(".damaged").length;
document.body.innerHTML = ""; document.body.dataset.found = JSON.stringify(found);
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="needs a browser")
def test_a_browser_sorts_filters_and_builds_rows_as_they_are_needed(tmp_path):
    root = scored(tmp_path / "data", {f"clip-{n:04d}": n / 60 for n in range(60)})
    writer = DatasetWriter(root, recipe={"kind": "disc"})
    for n in range(3):
        writer.reject(Reject(id=f"clip-0007{n}", source="s", stage="quality", reason=f"too short: {n}"))
    writer.reject(Reject(id="d", source="s", stage="decode", reason="unreadable: <b>"))
    writer.finish()
    (root / "clips" / "clip-0000" / "mask.mkv").unlink()
    page = tmp_path / "page.html"
    write_report(root, page)
    found = acted(page)
    assert found["first"] == ["clip-0000", "clip-0059", "clip-0058"]  # the damaged one, then the worst
    assert found["head"] == ["", "clip", "split", "worst", "frames", "jumps"]
    assert (found["built"], found["said"]) == (50, "60 of 60 clips")
    assert (found["low"], found["between"]) == ("30 of 60 clips", "7 of 60 clips")
    assert found["find"] == ["clip-0007"]
    assert found["rejects"] == "Left out: 3 of 4; too short 3"
    assert found["all"] == "Left out: 4 of 4; too short 3, unreadable 1"
    assert (found["by_name"], found["more"]) == (["clip-0000", "clip-0001"], 60)
    assert (found["listed"], found["damaged"]) == (4, 1)


def acted(page: Path) -> dict:
    """What the page said when its controls were used."""
    script = page.with_name("acting.html")
    script.write_text(page.read_text().replace("</body>", ACT))
    words = (BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", script.as_uri())
    seen = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120, check=True)
    (found,) = re.findall(r'data-found="(.*?)"', seen.stdout)
    return json.loads(found.replace("&quot;", '"').replace("&lt;", "<"))

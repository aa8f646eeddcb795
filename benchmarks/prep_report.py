"""What `idol prep report` costs over a large dataset, and whether a browser can work with its page.

    python benchmarks/prep_report.py [VIDEO] [--clips 5000] [--json]

One clip of 256 x 256 is made (of the video by MediaPipe, else a procedural dancer of 64 frames) and copied under so
many names, with scores of their own. Reported: processor seconds of the report, the same again, and the first over the
bare decoding of the frames that it shows; the page's megabytes; and, where chromium is installed, milliseconds in it
from the start to the first rows, for one filter, for one sorting, and for building every row.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from time import process_time

from idol_prep._manifest import write_manifest
from idol_prep.pipeline import PrepOptions, prepare
from idol_prep.reporting import write_report
from idol_prep.schema import Clip, Dataset
from idol_prep.sources import synthetic
from idol_prep.sources.folder import FolderSource

GOAL = 3.0
"""The report may take so many times what decoding its frames takes."""
SCORES = ("missed_joints", "jumps", "mask_flicker", "depth_flicker", "resolution")
_DECODED = 100

ACT = """<script>
const timed = act => {
  const start = performance.now();
  act();
  document.body.offsetHeight;  // has the page laid out
  return performance.now() - start;
};
const took = {open_ms: performance.now()};
took.filter_ms = timed(() => { $("find").value = "99"; $("find").dispatchEvent(new Event("input")); });
$("find").value = "";
took.sort_ms = timed(() => $("head").querySelectorAll("button")[4].click());
took.all_rows_ms = timed(() => { while (shown < clips.length) more(); });
document.body.innerHTML = ""; document.body.dataset.took = JSON.stringify(took);
</script></body>"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--clips", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="idol-prep-report-"))
    try:
        found = measure(home, chosen.video, chosen.clips)
    finally:
        shutil.rmtree(home)
    if chosen.json:
        print(json.dumps({"goal": GOAL, "clips": chosen.clips, **found}, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:<24}{value:>10.2f}" + (f"   goal {GOAL:g}" if name == "over_decoding" else ""))
    return 0 if found["over_decoding"] <= GOAL else 1


def measure(home: Path, video: Path | None, count: int) -> dict[str, float]:
    """Every figure by its name."""
    root, page = copies(one_clip(home / "one", video), home / "many", count), home / "report.html"
    first, again = (seconds(root, page) for _ in range(2))
    found = {"processor_seconds": first, "again_seconds": again, "over_decoding": first / (count * decoding(root))}
    return found | {"page_megabytes": page.stat().st_size / 1e6} | browsed(page)


def one_clip(root: Path, video: Path | None) -> Clip:
    """The clip that is copied."""
    if video is None:
        synthetic.generate(root, 1, 0, size=(256, 256), frames=64)
    else:
        prepare(FolderSource.open(video), root, PrepOptions())
    dataset = Dataset.open(root)
    return dataset.clip(dataset.records()[0].id)


def copies(clip: Clip, root: Path, count: int) -> Path:
    """A dataset of so many copies; their tracks are hard links."""
    draw, records = random.Random(0), []
    for number in range(count):
        folder = root / "clips" / f"clip-{number:05d}"
        shutil.copytree(clip.path, folder, copy_function=lambda source, target: Path(target).hardlink_to(source))
        scores = {name: round(draw.random(), 5) for name in SCORES}
        records.append(replace(clip.record, id=folder.name, scores=scores))
    write_manifest(root / "manifest.parquet", records)
    shutil.copy(clip.path.parents[1] / "dataset.json", root)
    return root


def seconds(root: Path, page: Path) -> float:
    """Processor time of all threads."""
    start = process_time()
    write_report(root, page)
    return process_time() - start


def decoding(root: Path) -> float:
    """Processor seconds for the frames of one strip: three pictures, three masks and a depth."""
    dataset = Dataset.open(root)
    start = process_time()
    for record in dataset.records()[:_DECODED]:
        clip, middle = dataset.clip(record.id), record.frames // 2
        numbers = [record.frames // 6, middle, 5 * record.frames // 6]
        clip.frames_at(numbers), clip.mask_at(numbers), clip.depth(middle, middle + 1)
    return (process_time() - start) / _DECODED


def browsed(page: Path) -> dict[str, float]:
    """Milliseconds in a browser; nothing where there is none."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        return {}
    acting = page.with_name("acting.html")
    acting.write_text(page.read_text(encoding="utf-8").replace("</body>", ACT), encoding="utf-8")
    words = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", acting.as_uri()]
    seen = subprocess.run(words, capture_output=True, text=True, timeout=600, check=True)
    (took,) = re.findall(r'data-took="(.*?)"', seen.stdout)
    return json.loads(took.replace("&quot;", '"'))


if __name__ == "__main__":
    sys.exit(main())

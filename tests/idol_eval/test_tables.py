"""Tables of the paper beside measured rows, what may stand side by side, LaTeX, pages and sheets."""

import json
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from idol_eval import IDOL_8, results, tables
from idol_eval.comparable import Result, differences, groups
from idol_eval.complexity import Complexity
from idol_eval.intervals import COVERS_FRECHET, COVERS_MEANS, Extrapolation
from idol_eval.latex import escaped, scores_table
from idol_eval.pages import scores_page
from idol_eval.repeats import repeated
from idol_eval.report import interval_remarks, markdown, to_json, uncertainty_cells
from idol_eval.row import Row
from idol_eval.samples import EvalClip, SampleError
from idol_eval.sheets import choose, page, panel, stacked


def row(name: str, fvd: float = 100.0, n: int = 50, **more) -> Row:
    network = {"name": "i3d-1x7x7", "weights": "i3d_pretrained_400.pt", "sha256": "ab", "comparable": True}
    clips = tuple({"id": f"c{i}", "depth_mse": value} for i, value in enumerate((0.01, 0.05, 0.03)))
    values: dict[str, float | None] = {"fvd": fvd, "depth_mse": 0.03}
    given = {"kind": "measured", "counts": {"clips": 3, "fvd_n": n}, "extractors": {"fvd": network}} | more
    return Row(name=name, values=values, per_clip=clips, **given)  # type: ignore[arg-type]


def written(file: Path, rows: list[Row], content: str = "x", protocol=IDOL_8) -> Path:
    file.write_text(json.dumps(to_json(rows, protocol, {"content": content})))
    return file


def test_measured_cells_stand_beside_the_papers(tmp_path: Path) -> None:
    measured = results.read([written(tmp_path / "s.json", [row("idol", 230.0), row("TPS", 340.0), row("odd")])])
    (table,) = tables.build(1, measured, {"idol": [(1, "IDOL", "tiktok"), (5, "x", None)]}, "tiktok")
    heads, lines = table.cells()
    ours = {line[0]: dict(zip(heads, line, strict=True)) for line in lines}
    column = heads.index("FVD↓ paper") + 1
    assert heads[column] == "ours"
    by_name = {line[0]: line for line in lines}
    assert by_name["IDOL, tiktok"][column - 1 : column + 1] == ["223.69", "230.00"]
    assert by_name["TPS, tiktok"][column] == "340.00"
    assert ours["FOMM, tiktok"]["ours made with"] == "not measured"
    assert "FOMM, tiktok" in table.gaps
    assert "IDOL, tiktok" not in table.gaps
    assert table.strangers == (f"odd ({tmp_path / 's.json'})",)
    assert json.loads(json.dumps(table.to_json()))["rows"][0]["paper"]["fvd"] == 404.31


def test_a_name_alone_does_not_say_the_dataset(tmp_path: Path) -> None:
    measured = results.read([written(tmp_path / "s.json", [row("TPS")])])
    (table,) = tables.build(1, measured)
    assert len(table.gaps) == 16
    assert table.strangers


@pytest.mark.parametrize("number", range(1, 9))
def test_every_table_is_there_with_gaps_alone(number: int) -> None:
    (table,) = tables.build(number)
    assert len(table.gaps) == len(table.lines) > 2
    heads, lines = table.cells()
    assert {len(line) for line in lines} == {len(heads)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 60}, "counts.fvd_n: 50 and 60"),
        ({"content": "y"}, "reference: 'x' and 'y'"),
        ({"protocol": IDOL_8.custom(stride=4)}, "protocol.stride: 1 and 4"),
    ],
)
def test_rows_that_differ_get_tables_of_their_own(tmp_path: Path, change: dict, said: str) -> None:
    n = change.pop("n", 50)
    one = written(tmp_path / "one.json", [row("IDOL")])
    two = written(tmp_path / "two.json", [row("TPS", n=n)], **change)
    measured = results.read([one, two])
    assert differences(*measured) == [said]
    assert len(groups(measured)) == 2
    first, second = tables.build(1, measured, dataset="tiktok")
    assert [line.measured is not None for line in first.lines].count(True) == 1
    assert first.incomparable == (f"TPS ({two})",)
    assert second.incomparable == (f"IDOL ({one})",)


def test_another_truth_or_a_lossy_codec_is_no_neighbour(tmp_path: Path) -> None:
    """Folders are told apart by what was read from them, whatever they are called."""
    rows = [row("a", truth="ab"), row("b", truth="cd"), row("c", truth="ab", lossy=True)]
    one, two, three = results.read([written(tmp_path / f"{own.name}.json", [own]) for own in rows])
    assert differences(one, two) == ["reference: 'ab' and 'cd'"]
    assert differences(one, three) == ["lossy: False and True"]


def test_weights_and_versions_count_too(tmp_path: Path) -> None:
    (one,) = results.read([written(tmp_path / "one.json", [row("IDOL")])])
    other = Result(
        name="x", origin="o", row=one.row, reference=one.reference, versions=dict(one.versions) | {"torch": "1"}
    )
    assert [text.partition(":")[0] for text in differences(one, other)] == ["versions.torch"]
    network = {"fvd": {**one.row["extractors"]["fvd"], "sha256": "cd"}}
    changed = Result(
        name="x", origin="o", row={**one.row, "extractors": network}, reference=one.reference, versions=one.versions
    )
    assert [text.partition(":")[0] for text in differences(one, changed)] == ["extractor.fvd"]
    assert differences(one, one) == []


COST = Complexity(parameters={"unet": 1_400_000_000, "codec": 10_000_000}, flops_per_step=5_000_000_000_000, steps=1)


def test_costs_fill_table_seven(tmp_path: Path) -> None:
    """Of counting alone: parameters and FLOPs. A step's seconds are not the seconds of a run."""
    (tmp_path / "costs.json").write_text(json.dumps(results.costs_json({"idol": replace(COST, seconds=3.0)})))
    (table,) = tables.build(7, results.read([tmp_path / "costs.json"]), {"idol": [(7, "IDOL", None)]})
    line = next(line for line in table.cells()[1] if line[0] == "IDOL")
    assert (line[2], line[4], line[6], line[8]) == ("1.41", "5.00", "-", "-")
    assert "attention counted" in line[-1]
    assert table.gaps == ["LDM3D", "MM-Diffusion"]


def test_a_checkpoints_costs_stand_with_its_scores(tmp_path: Path) -> None:
    scores = to_json([row("idol")], IDOL_8, {"content": "x"})
    for name, device in (("cpu", "cpu"), ("gpu", "cuda")):
        cost = asdict(replace(COST, steps=20, seconds=12.0, peak_memory_mb=900.0, device=device))
        (tmp_path / f"{name}.json").write_text(json.dumps(scores | {"complexity": cost}))
    (tmp_path / "costs.json").write_text(json.dumps(results.costs_json({"idol": COST})))
    one, two, counted = results.read([tmp_path / f"{name}.json" for name in ("cpu", "gpu", "costs")])
    assert (one.values["seconds"], one.values["memory_MB"], one.values["params_B"]) == (12.0, 900.0, 1.41)
    assert differences(one, two) == ["cost.device: 'cpu' and 'cuda'"]
    places: tables.Places = {"idol": [(4, "shared U-Net", "tiktok"), (1, "IDOL", "tiktok")]}
    (with_scores,) = tables.build(4, [one], places)
    assert with_scores.gaps == ["separate U-Nets, tiktok", "shared U-Net + cross-modal attention, tiktok"]
    (alone,) = tables.build(1, [counted], places, "tiktok")
    assert "IDOL, tiktok" in alone.gaps


def test_a_row_joins_a_table_only_if_it_fits_every_row_there(tmp_path: Path) -> None:
    """Costs alone fit to any scores, which does not make the scores fit to each other."""
    (tmp_path / "costs.json").write_text(json.dumps(results.costs_json({"idol": COST})))
    files = [written(tmp_path / f"{n}.json", [row(f"r{n}", n=n)]) for n in (50, 51)]
    assert [len(group) for group in groups(results.read([tmp_path / "costs.json", *files]))] == [2, 1]


def test_other_files_are_no_scores(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"format": "idol-sample"}')
    with pytest.raises(SampleError, match="holds no scores of `idol bench`"):
        results.read([tmp_path / "s.json"])


def test_latex_marks_the_best_and_escapes() -> None:
    text = scores_table([row("a_b & c", 90.0), row("idol", 80.0), row("ceiling", 1.0, kind="ceiling")], IDOL_8)
    assert r"a\_b \& c & \underline{90.00}" in text
    assert r"\textbf{80.00}" in text
    assert "ceiling & 1.00" in text
    assert text.count(r"\\") == 4
    assert text.startswith("% Protocol idol-8")
    assert escaped("50% #1 {x}^2") == r"50\% \#1 \{x\}\^{}2"


class Tags(HTMLParser):
    """Opened and closed tags in balance, and what is loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.loaded += [value for name, value in attrs if name in ("src", "href") and value and "data:" not in value]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Closed as it opens."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def clip(shift: int) -> EvalClip:
    video = np.full((5, 20, 24, 3), 60 + 10 * shift, np.uint8)
    return EvalClip(id="c1", video=video, depth=np.full((5, 20, 24), 0.2 + 0.1 * shift, np.float32))


def test_pages_and_sheets() -> None:
    rows = [row("idol <b>", 80.0, intervals={"fvd": (70.0, 95.0)}), row("TPS", 90.0)]
    chosen = choose(rows)
    assert (chosen.metric, [(pick.id, pick.why) for pick in chosen.picks]) == (
        "depth_mse",
        [("c1", "worst"), ("c2", "median")],
    )
    drawn = panel(clip(0), {"idol <b>": clip(1), "TPS": clip(2)}, chosen.picks[0], chosen)
    assert "worst clip by depth L2: c1, frames 0, 1, 3, 4" in drawn.title
    sheet = np.asarray(stacked([drawn, drawn]))
    assert sheet.shape[0] == 2 * drawn.picture.height
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 10
    for text in (scores_page(rows, IDOL_8, [row("paper", kind="paper")], [drawn]), page([drawn], chosen)):
        tags = Tags()
        tags.feed(text)
        assert tags.open == []
        assert tags.loaded == []
        assert "<b>" not in text
        assert "data:image/png;base64," in text
    with pytest.raises(SampleError, match="--sheet-by psnr: no row has it for every clip; choose from depth_mse"):
        choose(rows, "psnr")
    with pytest.raises(SampleError, match="there is none"):
        choose([row("x", kind="baseline")])


def test_uncertainty_is_written() -> None:
    limit = Extrapolation(limit=60.0, slope=1.0, sizes=(5, 10), distances=(1.0, 2.0))
    one = row("idol", intervals={"fvd": (70.0, 95.0)}, spreads={"fvd": 3.0}, limits={"fvd": limit})
    _, lines = uncertainty_cells([one, row("plain")])
    assert lines == [["idol", "FVD", "100.00", "70.00 to 95.00", "3.00", "60.00"]]
    assert "| idol | FVD | 100.00 | 70.00 to 95.00 | 3.00 | 60.00 |" in markdown([one], IDOL_8)


def test_intervals_say_what_they_cover(tmp_path: Path) -> None:
    """Beside every interval that is written, from the record of its own row; older files have none."""
    about = {"statistics": {"intervals": {"means": COVERS_MEANS, "frechet": COVERS_FRECHET}}}
    both = row("idol", intervals={"fvd": (70.0, 95.0), "depth_mse": (0.01, 0.04)}, **about)
    assert interval_remarks([both, row("plain")]) == [COVERS_FRECHET, COVERS_MEANS]
    assert "do not cover the distance for endless videos" in COVERS_FRECHET
    assert interval_remarks([row("means", intervals={"depth_mse": (0.01, 0.04)}, **about)]) == [COVERS_MEANS]
    for text in (markdown([both], IDOL_8), scores_page([both], IDOL_8)):
        assert COVERS_FRECHET in text
        assert COVERS_MEANS.replace("'", "&#x27;") in text or COVERS_MEANS in text
    file = written(tmp_path / "s.json", [both])
    assert json.loads(file.read_text())["rows"][0]["statistics"]["intervals"]["frechet"] == COVERS_FRECHET
    assert interval_remarks([one.as_row() for one in results.read([file])]) == [COVERS_FRECHET, COVERS_MEANS]
    (old,) = interval_remarks([row("old", intervals={"fvd": (70.0, 95.0)})])
    assert "too narrow" in old


def test_repeats_become_mean_and_spread() -> None:
    found = repeated("idol", [row("a", 80.0), row("b", 90.0), row("c", 100.0)])
    assert found.name == "idol, 3 seeds"
    assert found.values["fvd"] == 90
    assert found.spreads["fvd"] == pytest.approx(10)
    assert found.counts["seeds"] == 3
    with pytest.raises(ValueError, match="raise --repeat"):
        repeated("idol", [row("a")])

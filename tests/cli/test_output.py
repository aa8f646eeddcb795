"""Results on stdout, the rest on stderr, and stdout is JSON alone where JSON was asked for."""

import json
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from cli import _output
from cli._output import Output


def test_human_mode_shows_table_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output()
    out.note("data  ./data")
    out.table("Scores", ["name", "value"], [["depth [MSE]", 0.00312345], ["frames", 8], ["empty", None]])
    out.result({"hidden": 1})
    said = capsys.readouterr()
    assert said.err == "data  ./data\n"
    assert "depth [MSE]" in said.out
    assert "0.003123" in said.out
    assert "hidden" not in said.out


def test_json_mode_prints_one_document_only(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output.of(json=True)
    out.note("not said")
    out.line("not said")
    out.table("not said", ["a"], [[1]])
    with out.progress(3, "work") as bar:
        bar.advance()
    out.warn("said")
    out.result(
        {"path": Path("a/b"), "nan": float("nan"), "array": np.arange(2), "scalar": np.float32(0.5), "none": None}
    )
    said = capsys.readouterr()
    expected = {"path": "a/b", "nan": None, "array": [0, 1], "scalar": 0.5, "none": None}
    assert json.loads(said.out) == expected
    assert said.err == "idol: warning: said\n"


def test_quiet_mode_keeps_tables_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output.of(quiet=True)
    out.note("not said")
    with out.progress(1, "not said") as bar:
        bar.advance()
    out.table("Scores", ["a"], [["kept"]])
    out.warn("kept")
    said = capsys.readouterr()
    assert "kept" in said.out
    assert said.err == "idol: warning: kept\n"


def test_progress_without_a_terminal_is_an_occasional_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Output().progress(100, "train") as bar:
        for _ in range(100):
            now[0] += 1.0
            bar.advance(note="loss 0.5")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "train: 10/100 loss 0.5"
    assert lines[-1] == "train: 100/100 loss 0.5"
    assert len(lines) == 10


def test_bar_can_be_set_as_well_as_moved() -> None:
    with Output("quiet").progress(None, "count") as bar:
        bar.update(5, total=7, note="x")
        bar.advance(2)
        assert (bar.done, bar.total, bar.text) == (7, 7, "x")


def test_our_warnings_are_lines_and_others_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        _output.warnings_as_lines()
        warnings.warn_explicit("clip 3 has\n no sound", UserWarning, "x.py", 1, module="idol_prep.video")
        warnings.warn_explicit("old function", UserWarning, "y.py", 1, module="torch.jit")
        warnings.warn_explicit("old function", DeprecationWarning, "z.py", 1, module="idol_prep.video")
    assert capsys.readouterr().err == "idol: warning: clip 3 has no sound\n"


@pytest.mark.parametrize(
    ("cell", "shown"), [(None, ""), (3, "3"), (0.000123456, "0.0001235"), (25.123456, "25.12"), ("text", "text")]
)
def test_cells(cell: _output.Cell, shown: str) -> None:
    assert _output.format_cell(cell) == shown

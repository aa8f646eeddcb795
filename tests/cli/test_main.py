"""The command line as a whole: its commands, its version, its defaults."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import _defaults
from cli._output import Output
from cli.main import COMMANDS, build_app


def idol(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), list(arguments))


def test_help_lists_every_command_in_order() -> None:
    shown = idol("--help").stdout
    listed = [word for line in shown.splitlines() if (word := line.strip("│ ").partition(" ")[0]) in COMMANDS]
    assert listed == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    outcome = idol(name, "--help")
    assert outcome.exit_code == 0
    assert "Usage" in outcome.stdout


def test_version() -> None:
    assert idol("--version").stdout == f"idol {version('idol-video-depth')}\n"


def test_unknown_command_is_a_usage_error() -> None:
    assert idol("dance").exit_code == 2


def dataset(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text("{}")
    return folder


def test_data_is_found_where_prep_puts_it(tmp_path: Path) -> None:
    one = dataset(tmp_path / "ntu120")
    assert _defaults.data(under=tmp_path).path == one
    tiktok = dataset(tmp_path / "tiktok")
    assert _defaults.data(under=tmp_path).path == tiktok
    assert _defaults.data(tmp_path / "named").path == tmp_path / "named"


def test_data_that_is_missing_or_unclear_names_the_fix(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="idol prep tiktok RAW"):
        _defaults.data(under=tmp_path)
    dataset(tmp_path / "a")
    dataset(tmp_path / "b")
    with pytest.raises(ValueError, match="choose one with --data"):
        _defaults.data(under=tmp_path)


def test_outputs_are_named_after_what_made_them() -> None:
    assert _defaults.prepared("tiktok").path == Path("data/tiktok")
    assert _defaults.run_folder("idol").path == Path("runs/idol")
    assert _defaults.sample_folder(Path("poses/")).path == Path("out/poses")
    assert _defaults.bench_folder(Path("runs/idol/model")).path == Path("out/bench/idol")
    assert _defaults.bench_folder(Path("owner/name")).path == Path("out/bench/owner--name")
    assert _defaults.inspect_folder(Path("runs/idol/model"), "a").path == Path("out/inspect/idol/a")
    assert _defaults.sample_folder(Path("clips/a/poses")).path == Path("out/a")
    assert _defaults.sample_folder(Path("clips/a.mp4")).path == Path("out/a")


def test_a_second_checkpoint_of_a_run_is_named_after_both(tmp_path: Path) -> None:
    for name in ("model", "early"):
        (tmp_path / "runs" / "x" / name).mkdir(parents=True)
    (tmp_path / "runs" / "x" / "run.json").touch()
    assert _defaults.checkpoint_name(tmp_path / "runs" / "x" / "model") == "x"
    assert _defaults.checkpoint_name(tmp_path / "runs" / "x" / "early") == "x-early"


def test_checkpoints_of_one_name_get_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here, there = Path("runs/x/model"), Path("old/runs/x/model")
    first = _defaults.bench_folder(here)
    sample = first.path / "samples-1" / "clip"
    sample.mkdir(parents=True)
    (sample / "sample.json").write_text(json.dumps({"checkpoint": {"path": str(here)}}))
    assert _defaults.bench_folder(here) == first
    assert _defaults.bench_folder(tmp_path / here) == first
    second = _defaults.bench_folder(there)
    assert second.path == Path("out/bench/x-2")
    assert second.reason == "default, out/bench/x holds samples of runs/x/model"
    assert _defaults.bench_folder(there, first.path).path == first.path


def test_choices_are_announced_with_their_reason(capsys: pytest.CaptureFixture[str]) -> None:
    _defaults.announce(Output(), data=_defaults.prepared("x"), output=Path("named"))
    assert capsys.readouterr().err == "data    data/x (default)\noutput  named\n"

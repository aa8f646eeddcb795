"""Every error becomes one line and an exit code; faults of ours are not dressed up as the user's."""

import errno
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from cli import _errors, _output
from cli.main import ExplainingGroup


def run(body: Callable[[], Any], *arguments: str) -> Result:
    """A command that does ``body``, under the project's own group."""
    app = typer.Typer(cls=ExplainingGroup, pretty_exceptions_enable=False)

    @app.command()
    def work(as_json: bool = typer.Option(False, "--json")) -> None:
        _output.Output.of(json=as_json)
        body()

    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["work", *arguments])


def raising(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


def read_damaged_picture() -> None:
    from PIL import Image

    Image.open(io.BytesIO(b"no picture"))


def read_damaged_video() -> None:
    import av

    av.open(io.BytesIO(b"no video, but long enough to be probed" * 100))


def read_damaged_weights() -> None:
    from safetensors import safe_open

    path = Path("damaged.safetensors")
    path.write_bytes(b"\xff" * 64)
    with safe_open(path, "np"):
        pass


def refuse_in_our_code() -> None:
    from idol_prep import colormap

    colormap.encode(__import__("numpy").zeros((2, 2)), "rainbow")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda: Path("absent.png").read_bytes(), "absent.png: no such file or folder"),
        (raising(FileNotFoundError("no data here: run `idol prep`")), "no data here: run `idol prep`"),
        (raising(PermissionError(errno.EACCES, "denied", "/root/x")), "/root/x: not allowed"),
        (raising(OSError(errno.ENOSPC, "full", "clip.mkv")), "clip.mkv: the disk is full"),
        (raising(MemoryError()), "the memory is full"),
        (raising(ModuleNotFoundError("no", name="mediapipe.python")), "idol-video-depth[prep]"),
        (read_damaged_picture, "is it a picture"),
        (read_damaged_video, "cannot be read as a video"),
        (read_damaged_weights, "a weight file is damaged"),
        (refuse_in_our_code, "rainbow"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_code_2(
    body: Callable[[], Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run(body)
    assert outcome.exit_code == _errors.USER_ERROR
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("idol: error: ")
    assert said in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_a_fault_of_ours_is_code_1_and_says_how_to_see_it() -> None:
    outcome = run(raising(ValueError("shapes cannot be multiplied")))
    assert outcome.exit_code == _errors.INTERNAL_ERROR
    assert "unexpected ValueError: shapes cannot be multiplied" in outcome.stderr
    assert "IDOL_DEBUG=1" in outcome.stderr


def test_ctrl_c_is_130() -> None:
    assert run(raising(KeyboardInterrupt())).exit_code == _errors.INTERRUPTED


def test_json_reader_gets_json() -> None:
    outcome = run(raising(OSError(errno.ENOSPC, "full", "clip.mkv")), "--json")
    said = json.loads(outcome.stdout)
    assert said["error"].startswith("clip.mkv: the disk is full")
    assert (said["type"], said["exit_code"]) == ("OSError", 2)


def test_json_mode_of_one_command_does_not_reach_the_next() -> None:
    run(raising(MemoryError()), "--json")
    assert run(raising(MemoryError())).stdout == ""


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDOL_DEBUG", "1")
    outcome = run(raising(MemoryError("raw")))
    assert isinstance(outcome.exception, MemoryError)


def test_usage_errors_stay_typers() -> None:
    outcome = run(lambda: None, "--unknown")
    assert outcome.exit_code == 2
    assert "--unknown" in outcome.output


def test_many_lines_become_one() -> None:
    outcome = run(raising(FileNotFoundError("first\n  second\n\nthird")))
    assert outcome.stderr == "idol: error: first second third\n"

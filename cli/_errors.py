"""The only place that turns an exception into words: one line naming the thing and the fix.

Exit codes: 2 for what the user can mend, 1 for a fault of ours, 130 for Ctrl-C, 143 for SIGTERM while training.
``IDOL_DEBUG=1`` shows the traceback instead. What is not in the table is reported as a fault, never swallowed.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import typer

from cli import _output

USER_ERROR, INTERNAL_ERROR, INTERRUPTED = 2, 1, 130

_OURS = ("idol_prep", "idol_model", "idol_eval", "cli")
_EXTRA_OF = {
    "mediapipe": "prep",
    "decord": "decord",
    "tensorboard": "tensorboard",
    "controlnet_aux": "openpose",
    "onnxruntime": "dwpose",
    "segment_anything": "sam",
    "ray": "ray",
    "deepspeed": "deepspeed",
    "fvcore": "dev",
    "skimage": "dev",
}

Explain: TypeAlias = Callable[[BaseException], str | None]


@contextmanager
def explained_errors() -> Iterator[None]:
    """Run a command; on an error say it in one line and leave with its exit code.

    Typer's own exceptions (usage errors, exits) and a closed pipe pass through: typer deals with them.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError):
        raise
    except KeyboardInterrupt as error:
        _leave(
            str(error) or "stopped; finished work is kept, the same command continues",
            getattr(error, "exit_code", INTERRUPTED),
            type(error).__name__,
        )
    except Exception as error:
        if os.environ.get("IDOL_DEBUG", "0") not in ("", "0"):
            raise
        known = explain(error)
        name = type(error).__name__
        if known is not None:
            _leave(known, USER_ERROR, name)
        _leave(f"unexpected {name}: {error} (IDOL_DEBUG=1 shows where; please report it)", INTERNAL_ERROR, name)


def explain(error: BaseException) -> str | None:
    """The line for an error that the user can mend; None for one that is our fault."""
    for name in _names(error):
        if name in _TABLE:
            return _TABLE[name](error)
    if _is_ours(error):
        return str(error)
    return None


def _leave(message: str, code: int, kind: str) -> None:
    _output.print_error(message)
    if _output.mode_in_force() == "json":
        _output.print_error_json({"error": _output.one_line(message), "type": kind, "exit_code": code})
    raise typer.Exit(code)


def _names(error: BaseException) -> list[str]:
    """The error's class and its bases as ``module.Class``: compared by name, nothing heavy gets imported."""
    return [f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__]


def _is_ours(error: BaseException) -> bool:
    """Whether our code refused something: a class of ours, or a ValueError raised by a line of ours.

    A ValueError out of torch or numpy is a fault, and says so.
    """
    if any(cls.__module__.partition(".")[0] in _OURS for cls in type(error).__mro__):
        return True
    return isinstance(error, ValueError) and _raised_in_our_code(error)


def _raised_in_our_code(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] in _OURS


def _os_error(error: BaseException) -> str:
    """An OSError raised by the system carries a file; one raised by us carries the whole line already."""
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    where = error.filename if error.filename is not None else "a file"
    match error.errno:
        case errno.ENOENT:
            return f"{where}: no such file or folder"
        case errno.EACCES | errno.EPERM:
            return f"{where}: not allowed; choose another folder with -o, or change its permissions"
        case errno.ENOSPC | errno.EDQUOT:
            return f"{where}: the disk is full; free some space and run the same command again: it continues"
        case errno.EISDIR:
            return f"{where}: is a folder, a file was expected"
        case errno.ENOTDIR:
            return f"{where}: is a file, a folder was expected"
        case errno.EROFS:
            return f"{where}: lies on a read-only disk; choose another place with -o"
        case _:
            return f"{where}: {error.strerror or error}"


def _missing_module(error: BaseException) -> str | None:
    """A package that is not installed; a name missing inside a package is a fault."""
    name = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or name in _OURS:
        return str(error) if not name and _raised_in_our_code(error) else None
    extra = _EXTRA_OF.get(name)
    if extra is not None:
        return f"the package {name} is missing: pip install 'idol-video-depth[{extra}]'"
    return f"the package {name} is missing, the installation is incomplete: run `idol doctor`"


def _unreadable_picture(error: BaseException) -> str:
    return f"{error}; is it a picture (PNG, JPEG, WebP)?"


def _huge_picture(error: BaseException) -> str:
    return f"the picture is too large to open safely; scale it down first ({error})"


def _media(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError | PermissionError):
        return _os_error(error)
    where = getattr(error, "filename", None) or "the video"
    reason = getattr(error, "strerror", None) or str(error)
    return f"{where}: cannot be read as a video ({reason}); check that it plays, or convert it to mp4"


def _weights(error: BaseException) -> str:
    return f"a weight file is damaged or not safetensors ({error}); copy or download it again"


def _device_memory(error: BaseException) -> str:
    return "the GPU's memory is full; use fewer frames or a smaller size, or run with --device cpu"


def _memory(error: BaseException) -> str:
    return "the memory is full; use fewer frames or a smaller size"


def _hub(error: BaseException) -> str:
    return f"the hub could not give the files ({error}); check name and connection, or name a local folder"


_TABLE: dict[str, Explain] = {
    "torch.OutOfMemoryError": _device_memory,
    "PIL.UnidentifiedImageError": _unreadable_picture,
    "PIL.Image.DecompressionBombError": _huge_picture,
    "av.error.FFmpegError": _media,
    "safetensors_rust.SafetensorError": _weights,
    "safetensors._safetensors_rust.SafetensorError": _weights,
    "huggingface_hub.errors.HfHubHTTPError": _hub,
    "huggingface_hub.errors.LocalEntryNotFoundError": _hub,
    "huggingface_hub.errors.HFValidationError": _hub,
    "builtins.MemoryError": _memory,
    "builtins.ImportError": _missing_module,
    "builtins.OSError": _os_error,
}
"""By name, the most special class first: an av error that is an OSError too is explained as media."""

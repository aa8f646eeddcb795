"""Models in diffusers-style and transformers-style folders, loaded from disk alone and strictly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from idol_prep.schema import DataError

_LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""Nothing is fetched, and no code that lies in the folder is run; nor does transformers ask in the middle of a run."""


def load_model(model_class: Any, folder: Path) -> Any:
    """A transformers model in evaluation mode. Raises `DataError` for weights that do not fit or are not there."""
    with quiet():
        try:
            model, info = model_class.from_pretrained(folder, **_LOCAL, output_loading_info=True)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise DataError(f"{folder}: cannot be loaded ({str(error).splitlines()[0]})") from error
    wrong = sorted(str(key) for kind in ("missing_keys", "mismatched_keys") for key in info.get(kind, ()))
    if wrong:
        raise DataError(f"{folder}: {len(wrong)} weights are missing or of another shape, such as {wrong[0]}")
    return model.eval()


def load_processor(processor_class: Any, folder: Path) -> Any:
    """What prepares the model's inputs. Raises `DataError` where its files are missing."""
    with quiet():
        try:
            return processor_class.from_pretrained(folder, **_LOCAL)
        except (OSError, ValueError) as error:
            raise DataError(f"{folder}: has no preprocessor files ({str(error).splitlines()[0]})") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back transformers' progress bars and load reports; what matters is checked and said by us."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        logging.enable_progress_bar()

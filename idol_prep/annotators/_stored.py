"""Weight files as torch writes them, read as tensors and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from idol_prep.schema import DataError


def stored_tensors(file: Path) -> dict[str, Any]:
    """What a ``.pth`` or ``.pt`` file holds, by name. Raises `DataError` for any other file.

    A pickle can run code as it is read; torch reads the tensors of one and refuses the rest.
    """
    import torch

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the damaged or foreign file makes it meet
        raise DataError(
            f"{file}: is no plain file of tensors ({type(error).__name__}), and a program, or a pickle with code, is "
            "not run; take the published file (`idol prep annotators`)"
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{file}: holds no tensors by name; take the published file (`idol prep annotators`)")
    return content

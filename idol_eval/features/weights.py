"""Weight files of extractors: read without executing anything, loaded strictly, named by their hash."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class WeightsError(ValueError):
    """A weight file that does not fit its network, or cannot be read safely."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A published file, by whatever identity is known of it: SHA-256 (or its beginning), or git blob id."""

    file: str
    sha256: str = ""
    git_blob: str = ""
    comparable: bool = True
    """Whether it is the file that published numbers were made with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """Which weights an extractor has. ``label`` is what every row carries."""

    label: str
    sha256: str = ""
    git_blob: str = ""
    comparable: bool = False
    """Whether numbers made with them may stand beside published ones: only with a known published file."""

    def describe(self) -> dict[str, Any]:
        """What a row records."""
        names = {"weights": self.label, "sha256": self.sha256, "git_blob": self.git_blob}
        return names | {"comparable": self.comparable}


def load(module: nn.Module, file: Path, known: tuple[Published, ...] = ()) -> Weights:
    """Fill ``module`` from ``file``.

    Raises:
        FileNotFoundError: no such file.
        WeightsError: a pickle with code in it, or names and shapes that are not the network's.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such weight file")
    state = {name.removeprefix("module."): tensor for name, tensor in _read(file).items()}
    _check(module, state, file)
    module.load_state_dict(state, strict=True, assign=True)
    module.float().eval().requires_grad_(False)
    return identify(file, known)


def identify(file: Path, known: tuple[Published, ...] = ()) -> Weights:
    """Hash ``file`` and look it up among the ``known`` ones."""
    size = file.stat().st_size
    sha256, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            sha256.update(chunk)
            blob.update(chunk)
    found = next((one for one in known if _is(one, sha256.hexdigest(), blob.hexdigest())), None)
    return Weights(
        label=found.file if found else f"sha256:{sha256.hexdigest()[:12]}",
        sha256=sha256.hexdigest(),
        git_blob=blob.hexdigest(),
        comparable=found is not None and found.comparable,
    )


def _is(one: Published, sha256: str, blob: str) -> bool:
    return bool(one.sha256 and sha256.startswith(one.sha256)) or one.git_blob == blob


def _read(file: Path) -> Mapping[str, Tensor]:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    try:
        content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{file}: not a plain file of tensors ({type(error).__name__}); TorchScript and pickles with code are "
            "refused: save the state dict as safetensors"
        ) from error
    content = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{file}: holds no state dict of tensors; save the state dict as safetensors")
    return content


def _check(module: nn.Module, state: dict[str, Tensor], file: Path) -> None:
    """Compare names and shapes; counters of batches are of no consequence and may be missing."""
    expected = module.state_dict()
    for name in expected:
        if name.endswith("num_batches_tracked"):
            state.setdefault(name, torch.zeros((), dtype=torch.int64))
    missing, unexpected = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    shapes = [name for name in expected.keys() & state.keys() if expected[name].shape != state[name].shape]
    for names, what in ((missing, "lacks"), (unexpected, "has unknown"), (sorted(shapes), "has another shape of")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise WeightsError(
                f"{file}: is no file for {type(module).__name__}: {what} {names[0]}{more}; name the right file"
            )

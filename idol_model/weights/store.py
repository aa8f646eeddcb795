"""Published weights on this machine: their files, sizes and hashes, and bringing them."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from idol_model.weights import sources
from idol_model.weights_names import WeightsName

_SHA256, _GIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file of a source. ``promised`` is the hash under which the hub's cache keeps it, ``found`` that of its bytes.

    Large files have SHA-256, small ones git's blob hash; ``promised`` is None where the folder is no hub cache.
    """

    name: str
    size: int
    promised: str | None
    found: str

    @property
    def whole(self) -> bool:
        """Whether the bytes are what the hub promised."""
        return self.promised in (None, self.found)


def get(name: WeightsName) -> Path:
    """Bring a source's files from the hub into its cache; those already there stay.

    Raises:
        FileNotFoundError: the hub gives nothing (offline, gated, moved); the message names the repository.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    source = sources.SOURCES[name]
    try:
        return Path(snapshot_download(source.repo, allow_patterns=list(source.files)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise FileNotFoundError(
            f"{name}: the hub has given nothing for {source.repo} ({type(error).__name__}); check the network, and "
            "whether the repository asks you to accept its terms"
        ) from error


def size(folder: Path) -> int:
    """Bytes of all files in a source's folder."""
    return sum(file.stat().st_size for file in _files(folder))


def verify(folder: Path) -> Iterator[StoredFile]:
    """Hash every file of a source's folder, one after another."""
    for file in _files(folder):
        blob = file.resolve().name
        promised = blob if _SHA256.fullmatch(blob) or _GIT.fullmatch(blob) else None
        found = _git_hash(file) if promised and _GIT.fullmatch(promised) else _sha256(file)
        yield StoredFile(
            name=file.relative_to(folder).as_posix(), size=file.stat().st_size, promised=promised, found=found
        )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _git_hash(file: Path) -> str:
    digest = hashlib.sha1(f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()

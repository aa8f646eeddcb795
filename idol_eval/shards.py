"""One benchmark on several processes or machines: each scores every N-th clip, one joins what they found."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from idol_eval.concluding import conclude
from idol_eval.config import BenchConfig
from idol_eval.evidence import Evidence, joined
from idol_eval.protocol import Protocol
from idol_eval.row import Row
from idol_eval.samples import SampleError
from idol_eval.store import FeatureStore

EVIDENCE, FEATURES = "evidence.json", "features"
"""Names in a shard's folder."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``number`` of ``count``, counted from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """``I/N``. Raises ValueError for anything else."""
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        number, count = (int(part) for part in found.groups()) if found else (0, 0)
        if not 1 <= number <= count:
            raise ValueError(f"--shard {text}: write I/N with I from 1 to N, such as 2/8")
        return cls(number, count)

    @property
    def folder(self) -> str:
        """Name of the shard's folder."""
        return f"shard-{self.number}-of-{self.count}"

    def of(self, ids: Sequence[str]) -> list[str]:
        """Every N-th clip. Raises ValueError where none is left for this shard."""
        own = list(ids[self.number - 1 :: self.count])
        if not own:
            raise ValueError(f"--shard {self.number}/{self.count}: there are {len(ids)} clips; take fewer shards")
        return own


@dataclass(frozen=True, kw_only=True, slots=True)
class Merged:
    """Rows of the whole benchmark, and what they say of themselves."""

    rows: list[Row]
    protocol: Protocol
    evidence: Evidence


def find(paths: Sequence[Path]) -> list[Path]:
    """Shard folders among ``paths`` and directly in them. Raises SampleError where a path holds none."""
    found: list[Path] = []
    for path in paths:
        own = [path] if (path / EVIDENCE).is_file() else sorted(file.parent for file in path.glob(f"*/{EVIDENCE}"))
        if not own:
            raise SampleError(f"{path}: holds no shard; name what `idol bench --shard I/N -o FOLDER` wrote")
        found += own
    return found


def merge(folders: Sequence[Path], config: BenchConfig) -> Merged:
    """The rows that one process would have given, to the last digit.

    Protocol, metrics and extractors are the shards'; of ``config`` only how intervals are drawn is taken.

    Raises:
        SampleError: shards that do not belong together, or clips that are in none (`idol_eval.evidence.joined`).
    """
    from dataclasses import replace

    whole = joined([Evidence.load(folder / EVIDENCE) for folder in folders], [str(folder) for folder in folders])
    stores = [folder / FEATURES for folder in folders]
    protocol = Protocol.from_dict(whole.protocol)
    own = replace(config, protocol=protocol, families=tuple(whole.families))
    return Merged(rows=conclude(whole, FeatureStore(stores[0], stores[1:]), own), protocol=protocol, evidence=whole)

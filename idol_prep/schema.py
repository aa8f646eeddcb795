"""The on-disk contract of a prepared dataset: its words, its reader, its writer (``docs/dataset_format.md``).

>>> dataset = Dataset.open(Path("data"))
>>> clip = dataset.clip(dataset.records("train")[0].id)
>>> frames, mask, depth = clip.frames(0, 8), clip.mask(0, 8), clip.depth(0, 8)
"""

from __future__ import annotations

from idol_prep._errors import DataError
from idol_prep._reader import Clip, Dataset
from idol_prep._records import (
    FORMAT_VERSION,
    SPLITS,
    ClipRecord,
    DepthRange,
    DepthTrack,
    Polarity,
    Scope,
    Split,
)
from idol_prep._rejects import Reject
from idol_prep._still_set import StillSet, StillShard
from idol_prep._still_shard import Still, StillRecord
from idol_prep._writer import DatasetWriter, NoClipsError, is_begun

__all__ = [
    "FORMAT_VERSION",
    "SPLITS",
    "Clip",
    "ClipRecord",
    "DataError",
    "Dataset",
    "DatasetWriter",
    "DepthRange",
    "DepthTrack",
    "NoClipsError",
    "Polarity",
    "Reject",
    "Scope",
    "Split",
    "Still",
    "StillRecord",
    "StillSet",
    "StillShard",
    "is_begun",
]

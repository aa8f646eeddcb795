"""A dataset of `idol prep` as clips to score."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from idol_eval.readers.tracks import shortened
from idol_eval.samples import DepthRule, EvalClip, SampleError
from idol_prep.schema import Dataset, Polarity, Split


class PreparedSet:
    """A dataset of `idol prep`, or one split of it; its depth is normalised by ``rule``."""

    lossy = False

    def __init__(self, path: Path, *, split: Split | None = None, rule: DepthRule = DepthRule()) -> None:  # noqa: B008
        self.path, self.split, self.rule = path, split, rule
        self.dataset = Dataset.open(path)
        self._records = {record.id: record for record in self.dataset.records(split)}
        if not self._records:
            splits = sorted({record.split for record in self.dataset.records()})
            raise SampleError(f"{path}: no clip in split {split!r}; choose --split from {', '.join(splits) or 'none'}")

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._records)

    @property
    def depth_polarity(self) -> Polarity | None:
        """Which end of the depth is near; None where clips have none, or differ in it."""
        found: set[Polarity] = {one.depth.polarity for one in self._records.values() if one.depth is not None}
        return found.pop() if len(found) == 1 else None

    def read(self, id: str, frames: int | None = None) -> EvalClip:
        clip = self.dataset.clip(id)
        stop = shortened(clip.record.frames, frames)
        shape = self.read_shape(id, frames)
        return replace(
            shape, video=clip.frames(0, stop), background=clip.background(), keypoints=clip.keypoints(0, stop)
        )

    def read_shape(self, id: str, frames: int | None = None) -> EvalClip:
        """Mask and depth alone, without decoding the pictures."""
        clip, record = self.dataset.clip(id), self._records[id]
        stop = shortened(record.frames, frames)
        mask = clip.mask(0, stop)
        if record.depth is None:
            return EvalClip(id=id, mask=mask, rule=self.rule)
        own = self.rule
        depth = record.depth.normalise(clip.depth(0, stop), mask, person=own.person, background=own.background)
        rule = replace(own, polarity=record.depth.polarity, scope=record.depth.scope)
        return EvalClip(id=id, depth=depth, mask=mask, rule=rule)

    def describe(self) -> dict[str, Any]:
        approximate = sorted({name for record in self._records.values() for name in record.approximate})
        return {
            "kind": "prepared dataset",
            "path": str(self.path),
            "split": self.split or "all",
            "clips": len(self._records),
            "content": self.dataset.content_hash,
            "depth": {"person": list(self.rule.person), "background": self.rule.background},
            "approximate": approximate,
        }

"""What scoring leaves behind before numbers are drawn from it: per-clip scores, and where each clip's features lie.

Evidence of shards is joined by clip, in the reference's order, so the result cannot depend on how the work was split.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from idol_eval.samples import SampleError
from idol_eval.versions import DECIDING

_FORMAT, _VERSION = "idol-evidence", 1
_SAME = ("protocol", "families", "ids", "reference", "extractors", "versions")
"""What shards of one benchmark must agree in."""


@dataclass(kw_only=True, slots=True)
class RowEvidence:
    """One candidate. ``keys`` maps family to clip to the key of its features in the store."""

    name: str
    kind: str
    per_clip: dict[str, dict[str, Any]] = field(default_factory=dict)
    reasons: dict[str, list[str]] = field(default_factory=dict)
    """Why something was left out, with the clips."""
    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lossy: bool = False
    repeat_of: str | None = None
    """The row of means that this one goes into, with others of the same (`idol_eval.repeats`)."""
    background: str = ""
    recipe: str | None = None

    def clips(self, ids: Sequence[str]) -> tuple[dict[str, Any], ...]:
        """Scores of each clip of ``ids`` that there are, with its id."""
        return tuple({"id": id, **self.per_clip[id]} for id in ids if id in self.per_clip)

    def leave_out(self, why: str, clip: str) -> None:
        """Note that something could not be measured on ``clip``."""
        self.reasons.setdefault(why, []).append(clip)


@dataclass(kw_only=True, slots=True)
class Evidence:
    """A whole run, or one shard of it. ``ids`` are all clips of the benchmark, ``done`` those in here."""

    protocol: dict[str, Any]
    families: list[str]
    ids: list[str]
    reference: dict[str, Any]
    extractors: dict[str, dict[str, Any]]
    versions: dict[str, str]
    done: list[str] = field(default_factory=list)
    truth: dict[str, dict[str, str]] = field(default_factory=dict)
    """Keys of the reference's features."""
    contents: dict[str, str] = field(default_factory=dict)
    """Hash of each true clip as it was measured."""
    rows: list[RowEvidence] = field(default_factory=list)

    @property
    def truth_hash(self) -> str:
        """One for all true clips; their order plays no part."""
        return hashlib.sha256(json.dumps(sorted(self.contents.items())).encode()).hexdigest()

    @property
    def missing(self) -> list[str]:
        """Clips that nobody has scored yet."""
        there = set(self.done)
        return [id for id in self.ids if id not in there]

    def save(self, file: Path) -> None:
        """Write as JSON; infinite values as Python writes them, for `load` alone to read."""
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {"format": _FORMAT, "version": _VERSION, **asdict(self)}
        file.with_suffix(".part").write_text(json.dumps(content), encoding="utf-8")
        file.with_suffix(".part").replace(file)

    @classmethod
    def load(cls, file: Path) -> "Evidence":
        """Read what `save` wrote. Raises SampleError for anything else."""
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if (content.pop("format"), content.pop("version")) != (_FORMAT, _VERSION):
                raise ValueError(f"not {_FORMAT} {_VERSION}")
            rows = [RowEvidence(**row) for row in content.pop("rows")]
            return cls(rows=rows, **content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SampleError(f"{file}: is no shard of a benchmark ({error}); run that shard again") from error


def joined(shards: Sequence[Evidence], names: Sequence[str]) -> Evidence:
    """Shards, called ``names``, as one.

    Raises:
        SampleError: none; shards of different benchmarks (it names the field and both values); a clip in two shards; or
            clips that no shard has.
    """
    if not shards:
        raise SampleError("no shards to merge; name the folders that `idol bench --shard` wrote")
    first = shards[0]
    whole = Evidence(**{one.name: getattr(first, one.name) for one in fields(first) if one.name in _SAME})
    for shard, name in zip(shards, names, strict=True):
        _check_same(first, names[0], shard, name)
        twice = sorted(set(whole.done) & set(shard.done))
        if twice:
            raise SampleError(f"{name}: clip {twice[0]} is in another shard too; name every shard once")
        whole.done += shard.done
        whole.contents |= shard.contents
        _add(whole.truth, shard.truth)
        whole.rows = _joined_rows(whole.rows, shard.rows)
    if whole.missing:
        few = ", ".join(whole.missing[:3])
        raise SampleError(f"{len(whole.missing)} of {len(whole.ids)} clips are in no shard ({few}); name all shards")
    return whole


def _check_same(first: Evidence, first_name: str, other: Evidence, name: str) -> None:
    for field_name in _SAME:
        one, two = (_deciding(getattr(shard, field_name), field_name) for shard in (first, other))
        if one != two:
            raise SampleError(
                f"{name}: is of another benchmark than {first_name}: {_difference(field_name, one, two)}; "
                "merge shards of one command only"
            )
    if [row.name for row in first.rows] != [row.name for row in other.rows]:
        raise SampleError(f"{name}: has other rows than {first_name}; merge shards of one command only")


def _deciding(value: Any, field_name: str) -> Any:
    """Machines may differ in what decides no number, such as their kernels."""
    return {key: value.get(key) for key in DECIDING} if field_name == "versions" else value


def _difference(path: str, one: Any, two: Any) -> str:
    """The first place where two JSON values differ."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for key in sorted({*one, *two}):
            if one.get(key) != two.get(key):
                return _difference(f"{path}.{key}", one.get(key), two.get(key))
    if isinstance(one, list) and isinstance(two, list):
        return f"{path} of {len(one)} and {len(two)} entries"
    return f"{path} is {one!r} and {two!r}"


def _joined_rows(rows: list[RowEvidence], more: list[RowEvidence]) -> list[RowEvidence]:
    whole = rows or [replace(row, per_clip={}, reasons={}, keys={}, frames={}, notes=[]) for row in more]
    for row, other in zip(whole, more, strict=True):
        row.per_clip |= other.per_clip
        row.frames |= other.frames
        _add(row.keys, other.keys)
        for why, clips in other.reasons.items():
            row.reasons.setdefault(why, []).extend(clips)
        row.notes += [note for note in other.notes if note not in row.notes]
    return whole


def _add(keys: dict[str, dict[str, str]], more: Mapping[str, Mapping[str, str]]) -> None:
    for family, own in more.items():
        keys.setdefault(family, {}).update(own)

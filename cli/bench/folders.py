"""``idol bench --samples A --reference B``: any method's folders as rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from cli import _defaults
from cli._output import Output
from cli.bench import baselines, scoring
from cli.bench.annotators import DepthInference, with_inferred_depth, with_poses
from idol_eval import samples as folders
from idol_eval.baselines import Candidate
from idol_eval.bench import BenchConfig, Row, SampleCandidate
from idol_eval.readers import PreparedSet, SampleSet
from idol_eval.samples import ClipSet, DepthRule, Pairing, SampleError
from idol_prep.schema import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Which folders and clips, which rows beside them."""

    samples: Sequence[Path]
    names: Sequence[str]
    reference: Path | None
    split: str | None = None
    limit: int | None = None
    train_data: Path | None = None
    baselines: bool = True
    lossless: bool = False
    infer_depth: str | None = None
    own_weights: Mapping[str, Path] = field(default_factory=dict)
    """Of the annotator of depth, by name."""
    pose: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """Rows and what the report says of how they came about."""

    rows: list[Row]
    reference: ClipSet
    candidates: list[Candidate]
    record: dict[str, Any]


def run(out: Output, choice: Choice, config: BenchConfig, place: scoring.Place) -> Result:
    """Open, pair, score."""
    if choice.reference is None:
        raise ValueError("--reference: missing; give both --samples A and --reference B")
    sets = _named_sets(choice)
    first = next(iter(sets.values()))
    true = _reference(choice, first)
    pairings = {name: folders.pair(own, true, choice.limit) for name, own in sets.items()}
    ids = _common(pairings)
    _say(out, choice, pairings, ids)
    own = [SampleCandidate.of(name, one, pairings[name], config.protocol.frames) for name, one in sets.items()]
    rule = true.rule if isinstance(true, PreparedSet) else DepthRule()
    infer = None if choice.infer_depth is None else DepthInference(choice.infer_depth, choice.own_weights)
    rows = with_inferred_depth(own, infer, rule, _has_depth)
    rows += baselines.ceiling(config, choice.baselines)
    if choice.baselines:
        against = baselines.Against(reference=true, ids=ids, protocol=config.protocol)
        rows += baselines.rows(out, against, choice.train_data)
    rows = with_poses(rows, choice.pose)
    scored = scoring.score(out, scoring.Job(candidates=rows, reference=true, ids=ids), config, place)
    return Result(rows=scored, reference=true, candidates=rows, record=_record(sets, pairings))


def _named_sets(choice: Choice) -> dict[str, ClipSet]:
    """The sample folders by the names of their rows."""
    if not choice.samples:
        raise ValueError("--samples: missing; give both --samples A and --reference B")
    if choice.names and len(choice.names) != len(choice.samples):
        raise ValueError(
            f"--row: {len(choice.names)} names for {len(choice.samples)} folders; give one --row before each --samples"
        )
    names = list(choice.names) or [path.resolve().name for path in choice.samples]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"--samples: two rows would be called {twice[0]!r}; name them with --row")
    sets = {name: folders.open_set(path) for name, path in zip(names, choice.samples, strict=True)}
    for one in sets.values():
        _check_lossless(one, choice.lossless)
    return sets


def _reference(choice: Choice, first: ClipSet) -> ClipSet:
    assert choice.reference is not None  # run has looked
    rule = first.rule(first.ids[0]) if isinstance(first, SampleSet) else None
    split: Split | None = None if choice.split in (None, "all") else _as_split(choice.split)
    true = folders.open_set(choice.reference, split=split, rule=rule)
    _check_lossless(true, choice.lossless)
    return true


def _check_lossless(one: ClipSet, asked: bool) -> None:
    if asked and one.lossy:
        raise SampleError(f"{one.path}: lossy pictures or videos, and --lossless was asked; give PNG or FFV1")


def _common(pairings: dict[str, Pairing]) -> list[str]:
    """The clips of all rows. Raises SampleError where one lacks a clip that another has: rows are of the same clips."""
    first_name, first = next(iter(pairings.items()))
    wanted = [true for _, true in first.pairs]
    for name, pairing in pairings.items():
        own = {true for _, true in pairing.pairs}
        for lacking, there, clips in ((name, first_name, set(wanted) - own), (first_name, name, own - set(wanted))):
            if clips:
                raise SampleError(
                    f"row {lacking}: lacks clip {min(clips)}, which {there} has; rows need the same clips"
                )
    return wanted


def _has_depth(row: SampleCandidate) -> bool:
    return row.samples.read(next(iter(row.ids.values())), 1).depth is not None


def _say(out: Output, choice: Choice, pairings: dict[str, Pairing], ids: Sequence[str]) -> None:
    names = ", ".join(str(path) for path in choice.samples)
    _defaults.announce(out, samples=names, reference=str(choice.reference), clips=f"{len(ids)}")
    for text in dict.fromkeys(note for pairing in pairings.values() for note in pairing.notes):
        out.warn(text)


def _record(sets: dict[str, ClipSet], pairings: dict[str, Pairing]) -> dict[str, Any]:
    described = {name: one.describe() for name, one in sets.items()}
    first = next(iter(pairings.values()))
    renamed = {own: other for pairing in pairings.values() for own, other in pairing.pairs if own != other}
    return {"samples": described, "without_sample": list(first.unused), "renamed": renamed}


def _as_split(name: str | None) -> Split:
    return next(split for split in get_args(Split) if split == name)

"""The trivial answers that `idol bench` puts beside whatever it scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli._output import Output
from idol_eval import baselines, geometry
from idol_eval.config import BenchConfig
from idol_eval.protocol import Protocol
from idol_eval.readers import PreparedSet
from idol_eval.samples import ClipSet, DepthRule
from idol_prep.schema import Dataset

if TYPE_CHECKING:
    from idol_eval.baselines import Candidate

MEAN_DEPTH = Path("baselines") / "mean_depth.npz"
"""Where a checkpoint keeps the mean depth of its training set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Against:
    """What is scored: clips ``ids`` of ``reference`` by ``protocol``; ``checkpoint`` where samples come from one."""

    reference: ClipSet
    ids: Sequence[str]
    protocol: Protocol
    checkpoint: Path | None = None


def ceiling(config: BenchConfig, baselines_too: bool) -> "list[Candidate]":
    """The true clips as their own answer: always where alignment is measured, whose scores mean nothing without."""
    return [baselines.Truth()] if baselines_too or "alignment" in config.families else []


def rows(out: Output, against: Against, train_data: Path | None) -> "list[Candidate]":
    """First frame held still; mean depth of the training set, where one is known; best constant depth."""
    found: list[Candidate] = [baselines.HeldStill()]
    mean = _training_mean(out, against, train_data)
    if mean is not None:
        found.append(mean)
    reference = against.reference
    if isinstance(reference, PreparedSet) and any(one.depth is not None for one in reference.dataset.records()):
        fit = geometry.fitting(against.protocol.size)
        found.append(baselines.best_constant(reference, against.ids, fit, against.protocol.frames))
    return found


def _training_mean(out: Output, against: Against, train_data: Path | None) -> "Candidate | None":
    """From --train-data, the checkpoint's own file, or the reference's train split; None, said aloud, without any."""
    reference, checkpoint = against.reference, against.checkpoint
    if train_data is None and checkpoint is not None and (checkpoint / MEAN_DEPTH).is_file():
        return baselines.training_mean(checkpoint / MEAN_DEPTH)
    own = reference.path if isinstance(reference, PreparedSet) else None
    home = train_data or own
    if home is None or "train" not in {record.split for record in Dataset.open(home).records()}:
        why = "the reference is no prepared dataset" if home is None else f"{home} has no split train"
        out.warn(f"no row 'training-mean depth': {why}; name prepared training clips with --train-data")
        return None
    rule = reference.rule if isinstance(reference, PreparedSet) else DepthRule()
    clips = PreparedSet(home, split="train", rule=rule)
    fit = geometry.fitting(against.protocol.size)
    with out.progress(len(clips.ids), "mean depth of the training set") as bar:
        mean = baselines.mean_depth(clips, fit, lambda done, total: bar.update(done))
    return baselines.training_mean_of(mean, clips.depth_polarity)

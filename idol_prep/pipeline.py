"""From a source to a prepared dataset: clip by clip, resumable, nothing dropped in silence.

decode -> cut into shots -> pose and mask (first look) -> box, quality -> cut out, depth (second look) -> write. The
second look and the writing of a clip run on a thread of their own, beside the first look at the next one. A shot longer
than ``clip_frames`` becomes several clips, so memory does not grow with its length: 1 GiB of source frames and one
finished clip (8 bytes a pixel and frame, 0.5 GiB for 1024 frames of 256 x 256) at a time, twice that where two clips
overlap.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from time import monotonic

from idol_prep import engines
from idol_prep._prepare_clip import Infos, approximate, infos_of, settled
from idol_prep._videos import VideoJob, part_id
from idol_prep.engines import Engine
from idol_prep.prep_options import Listener, PrepOptions, Progress, Summary, Tally
from idol_prep.quality import narrowed
from idol_prep.schema import DataError, NoClipsError, is_begun
from idol_prep.sources import RawClip, Source

__all__ = ["PrepOptions", "Progress", "Summary", "part_id", "prepare", "recipe_of", "shard_of"]


def prepare(
    source: Source,
    out: Path,
    options: PrepOptions,
    progress: Listener | None = None,
    engine: Engine | None = None,
) -> Summary:
    """Prepare every clip of ``source`` into the dataset ``out`` and return what was done.

    Run again, it goes on where it stopped. Raises `DataError` for an input or output that cannot be used at all, and
    where nothing could be prepared; what is wrong with single clips goes to ``rejects.jsonl`` instead.
    """
    started = monotonic()
    job = job_of(source, out, options)
    summary = Summary(out=out, approximate=tuple(job.info["approximate"]))
    videos = shard_of(source, options.shard)

    def told(raw: RawClip, done: int, tally: Tally) -> None:
        summary.add(tally)
        if progress:
            frames, rejected = summary.frames, len(summary.rejected)
            progress(Progress(clip=raw.id, clips_done=done, clips=len(videos), frames_done=frames, rejected=rejected))

    try:
        (engine or engines.create()).run(videos, job, told)
    finally:
        _finish(job)
        summary.seconds = monotonic() - started
    if videos:
        _check(summary)
    return summary


def job_of(source: Source, out: Path, options: PrepOptions) -> VideoJob:
    """What the workers of a run need to know. Raises `DataError` where an annotator or its weights are missing."""
    options = settled(source, options)
    infos = infos_of(options)
    info = {
        "source": source.describe(),
        "annotators": {track: one.to_dict() for track, one in infos.items()},
        "approximate": list(approximate(infos)),
    }
    return VideoJob(out=out, options=options, recipe=recipe_of(source, options, infos), info=info)


def recipe_of(source: Source, options: PrepOptions, infos: Infos) -> dict:
    """What all clips of a dataset have in common; a dataset takes no clips made another way."""
    made_by = {track: f"{info.name} {info.version}" for track, info in infos.items()}
    lengths = {"clip_frames": options.clip_frames, "min_frames": options.limits.min_frames}
    people = {"subject": options.subject, "smooth": options.smooth, "cuts": options.cuts}
    limits = {"limits": narrowed(options.limits)}
    return {"kind": source.name, "size": options.size, "crop": options.crop, **made_by, **lengths, **people, **limits}


def shard_of(source: Source, shard: tuple[int, int]) -> list[RawClip]:
    """Every N-th clip of the source from the i-th on: the parts of all shards are the whole."""
    return list(source.clips())[shard[0] - 1 :: shard[1]]


def _finish(job: VideoJob) -> None:
    """Bring manifest and rejects up to date, also after an error or Ctrl-C."""
    if not is_begun(job.out):
        return
    with suppress(NoClipsError):
        job.writer().finish()


def _check(done: Summary) -> None:
    """Raise where the run left nothing at all."""
    if done.clips or done.kept_before:
        return
    if done.rejected:
        (clip, reason), others = next(iter(done.rejected.items())), len(done.rejected) - 1
        raise DataError(f"nothing was prepared; {clip}: {reason}" + (f" (and {others} more)" if others else ""))
    raise DataError(f"nothing was prepared: all {done.rejected_before} clips were rejected before; --retry-rejects")

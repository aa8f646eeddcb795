"""What a fine-tuning notes beside its run: from where, what was chosen and why, the codec before and after."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from idol_model.codecs.ceiling import Ceiling
from idol_model.finetuning.base import Base
from idol_model.finetuning.choices import Plan
from idol_model.run_state import Data, write_json

FILE = "finetune.json"


def write(run: Path, base: Base, data: Data, plan: Plan, codec: tuple[Ceiling | None, Ceiling | None]) -> None:
    """Write ``finetune.json``; ``codec`` is its ceiling before and after, None where it is not measured yet."""
    run.mkdir(parents=True, exist_ok=True)
    write_json(
        run / FILE,
        {
            "from": base.init_from,
            "data": _hashes(data),
            "chosen": [dataclasses.asdict(one) for one in plan.chosen],
            "codec": _told(*codec),
        },
    )


def read(run: Path) -> dict[str, Any]:
    """The record of a run; empty where there is none."""
    path = run / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def before(run: Path, base: Base, data: Data) -> Ceiling | None:
    """The codec's ceiling as it was measured when the run began: a run that continues decides by it again."""
    record = read(run)
    found = record.get("codec")
    if not found or (record["from"], record["data"]) != (base.init_from, _hashes(data)):
        return None
    return Ceiling(found["before"], found["split"], found["clips"], found["frames"])


def _hashes(data: Data) -> list[str]:
    return [source["content_hash"] for source in data]


def _told(before: Ceiling | None, after: Ceiling | None) -> dict[str, Any] | None:
    if before is None:
        return None
    return {
        "before": before.psnr,
        "after": None if after is None else after.psnr,
        "split": before.split,
        "clips": before.clips,
        "frames": before.frames,
    }

"""What ``idol train`` says of its data: the sources that are named, and what of them could not be read."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import _defaults
from cli._output import Output

if TYPE_CHECKING:
    from idol_model.feed.training_data import DataPart

_SAID = 5


def named_parts(named: list[str] | None) -> "list[DataPart]":
    """The sources of ``--data PATH[=WEIGHT]``; without any, the prepared dataset under ./data."""
    from idol_model.feed.training_data import DataPart

    return [DataPart.parse(text) for text in named] if named else [DataPart(_defaults.data().path)]


def say_faults(out: Output, run: Path) -> list[dict[str, Any]]:
    """What a run could not read, in a few lines; all of it as plain data."""
    import dataclasses

    from idol_model.feed.faults import FILE, read_faults

    faults = read_faults(run)
    if faults:
        out.line(f"{len(faults)} clips or pictures could not be read, others took their place ({run / FILE}):")
    for fault in faults[:_SAID]:
        out.line(f"  {fault.reason}")
    if len(faults) > _SAID:
        out.line(f"  and {len(faults) - _SAID} more")
    return [dataclasses.asdict(fault) for fault in faults]

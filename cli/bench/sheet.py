"""``--sheet FILE``: the measured rows side by side on clips that a metric chooses."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli._output import Output
from idol_eval import sheets
from idol_eval.baselines import Candidate
from idol_eval.gathering import truths
from idol_eval.protocol import Protocol
from idol_eval.row import Row
from idol_eval.samples import ClipSet


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetWish:
    """Where to, and by which metric; ``auto`` is depth L2 where it was measured, else PSNR."""

    file: Path
    by: str = "auto"

    def __post_init__(self) -> None:
        if self.file.suffix.lower() not in (".png", ".html"):
            raise ValueError(f"--sheet {self.file}: name a file that ends in .png or .html")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """The chosen clips, drawn."""

    chosen: sheets.Chosen
    panels: list[sheets.Panel]


def draw(
    rows: Sequence[Row], candidates: Sequence[Candidate], about: tuple[ClipSet, Protocol], by: str = "auto"
) -> Sheet:
    """Choose clips, read them once more, draw."""
    shown = [one for one in candidates if one.kind == "measured"]
    chosen = sheets.choose(rows, by)
    reference, protocol = about
    panels = []
    for pick, truth in zip(chosen.picks, truths(reference, [pick.id for pick in chosen.picks], protocol), strict=True):
        answers = {one.name: one.answer(truth) for one in shown}
        panels.append(sheets.panel(truth, answers, pick, chosen))
    return Sheet(chosen=chosen, panels=panels)


def write(out: Output, wish: SheetWish, sheet: Sheet) -> None:
    """As PNG or HTML."""
    wish.file.parent.mkdir(parents=True, exist_ok=True)
    if wish.file.suffix.lower() == ".png":
        sheets.stacked(sheet.panels).save(wish.file)
    else:
        wish.file.write_text(sheets.page(sheet.panels, sheet.chosen), encoding="utf-8")
    out.line(str(wish.file))

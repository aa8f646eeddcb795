"""``--sheet FILE``: the measured rows side by side on clips that a metric chooses.

A shard keeps its worst clip drawn: the worst of all clips is one of these, so `idol bench merge` has it to show.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cli._output import Output
from idol_eval import sheets
from idol_eval.baselines import Candidate
from idol_eval.evidence import Evidence, RowEvidence
from idol_eval.gathering import truths
from idol_eval.protocol import Protocol
from idol_eval.row import Row
from idol_eval.samples import ClipSet, SampleError

_WORST = "worst.png"


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
    chosen = sheets.choose(rows, by)
    return Sheet(chosen=chosen, panels=[_panel(pick, chosen, candidates, about) for pick in chosen.picks])


def _panel(
    pick: sheets.Pick, chosen: sheets.Chosen, candidates: Sequence[Candidate], about: tuple[ClipSet, Protocol]
) -> sheets.Panel:
    reference, protocol = about
    truth = next(truths(reference, [pick.id], protocol))
    answers = {one.name: one.answer(truth) for one in candidates if one.kind == "measured"}
    return sheets.panel(truth, answers, pick, chosen)


def write(out: Output, wish: SheetWish, sheet: Sheet) -> None:
    """As PNG or HTML."""
    wish.file.parent.mkdir(parents=True, exist_ok=True)
    if wish.file.suffix.lower() == ".png":
        sheets.stacked(sheet.panels).save(wish.file)
    else:
        wish.file.write_text(sheets.page(sheet.panels, sheet.chosen), encoding="utf-8")
    out.line(str(wish.file))


def keep_worst(
    home: Path, evidence: Evidence, candidates: Sequence[Candidate], about: tuple[ClipSet, Protocol]
) -> None:
    """Draw a shard's worst clip into its folder; nothing where no metric can choose one."""
    try:
        chosen = sheets.choose([_scored(row, evidence) for row in evidence.rows])
    except SampleError:
        return  # nothing was measured clip by clip, as the page of the merge will say
    worst = replace(chosen.picks[0], why="worst")
    drawn = _panel(worst, chosen, candidates, about)
    said = PngInfo()
    said.add_itxt("title", drawn.title)
    said.add_itxt("clip", worst.id)
    drawn.picture.save(home / _WORST, pnginfo=said)


def kept_worst(homes: Sequence[Path], rows: Sequence[Row]) -> list[sheets.Panel]:
    """The worst clip of all as the shard that scored it drew it; none where no shard has it."""
    try:
        worst = sheets.choose(rows).picks[0].id
    except SampleError:
        return []
    for file in (home / _WORST for home in homes):
        if file.is_file():
            with Image.open(file) as picture:
                said = picture.info
                if said.get("clip") == worst:
                    return [sheets.Panel(title=said["title"], picture=picture.convert("RGB"))]
    return []


def _scored(row: RowEvidence, evidence: Evidence) -> Row:
    """As much of a row as choosing clips needs; intervals and distances come with the merge."""
    return Row(name=row.name, kind=row.kind, values={}, per_clip=row.clips(evidence.ids))  # type: ignore[arg-type]

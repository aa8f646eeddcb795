"""``idol inspect``: the paper's Figure 3 for a checkpoint and a clip."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import _checkpoint, _defaults, _place
from cli._output import Output
from cli._place import DeviceOption, DtypeOption

if TYPE_CHECKING:
    from idol_prep.schema import Clip


def register(app: typer.Typer) -> None:
    """Add ``idol inspect``."""
    app.command("inspect", help="Features, motion fields and attention maps of both streams, as a picture sheet.")(
        _inspect
    )


def _inspect(
    ckpt: Annotated[str | None, typer.Option("--ckpt", help="Checkpoint folder or hub id; the shipped one.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help="Prepared dataset; without it, held-out synthetic dancers.")
    ] = None,
    clip: Annotated[str | None, typer.Option(help="Id of the clip; without it, the first.")] = None,
    time: Annotated[float, typer.Option(min=0, max=1, help="Noise: 0 none, 1 all.")] = 0.4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder; without it, out/inspect/RUN/CLIP.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    from idol_model.inspection import inspect, write_sheet

    out = Output.of(json=as_json)
    where, checkpoint = _place.place(device, dtype), _defaults.checkpoint(ckpt)
    chosen = _clip(data, clip, _defaults.OUT if output is None else output)
    target = _defaults.inspect_folder(checkpoint.path, chosen.record.id, output)
    folder = target.path
    _defaults.announce(out, checkpoint=checkpoint, clip=str(chosen.path), output=target, device=str(where))
    pipe, _ = _checkpoint.load(checkpoint.path, where)
    steps = pipe.recipe.diffusion.train_steps
    found = inspect(pipe, chosen, time=round(time * (steps - 1)), seed=seed)
    blocks = [{"block": b.number, "side": b.side, "l_mo": b.l_mo, "l_xattn": b.l_xattn} for b in found.blocks]
    write_sheet(found, folder / "inspect.png")
    answer = {
        "checkpoint": str(checkpoint.path),
        "clip": found.clip,
        "time": found.time,
        "dtype": where.dtype_name,
        "depth_polarity": pipe.depth_polarity,
        "blocks": blocks,
    }
    (folder / "inspect.json").write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")
    out.table(
        f"Consistency at t = {found.time} of {steps}",
        ["up block", "positions", "L_mo", "L_xattn"],
        [[b.number, f"{b.side} x {b.side}", f"{b.l_mo:.3e}", f"{b.l_xattn:.3e}"] for b in found.blocks],
    )
    out.line(f"sheet: {folder / 'inspect.png'}")
    out.result({**answer, "sheet": folder / "inspect.png"})


def _clip(data: Path | None, name: str | None, folder: Path) -> "Clip":
    """The clip asked for; without a dataset, a synthetic dancer made on the spot, in ``folder``."""
    from idol_prep.schema import Dataset
    from idol_prep.sources import synthetic

    dataset = Dataset.open(data) if data is not None else synthetic.held_out(folder / "heldout")
    ids = [record.id for record in dataset.records()]
    if name is not None and name not in ids:
        raise ValueError(f"--clip {name}: not in the dataset; it begins with {', '.join(ids[:3])}")
    return dataset.clip(name or ids[0])

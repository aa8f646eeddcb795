"""``idol figure``: figures of the paper that no other command draws."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cli import _checkpoint, _defaults, _pictures, _place
from cli._output import Output
from cli._place import DeviceOption, DtypeOption


def register(app: typer.Typer) -> None:
    """Add ``idol figure``."""
    figure = typer.Typer(
        no_args_is_help=True,
        help="Figure 4 of the paper. Figure 1 is `idol export SAMPLE orbit`, Figure 3 `idol inspect`.",
    )
    figure.command("4", help="HAP against HAOP: what is made of a person who stands elsewhere than before.")(_four)
    app.add_typer(figure, name="figure")


def _four(
    fg: Annotated[Path, typer.Argument(metavar="FG", help="The person: a picture, with alpha or not.")],
    bg: Annotated[
        Path | None, typer.Argument(metavar="BG", help="The background [default: what FG shows around the person].")
    ] = None,
    hap: Annotated[str, typer.Option(help="Model pre-trained with HAP, a folder or hub id.")] = "runs/hap/model",
    haop: Annotated[str, typer.Option(help="Model pre-trained with HAOP, a folder or hub id.")] = "runs/haop/model",
    mask: Annotated[Path | None, typer.Option(help="The person's mask, white on black.")] = None,
    shift: Annotated[float, typer.Option(min=0, max=1, help="How far the person moves, in widths.")] = 0.2,
    steps: Annotated[int | None, typer.Option(min=1, help="Denoising steps [default: the recipe's].")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides all random numbers.")] = 0,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder; without it, out/figure-4.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    out = Output.of(json=as_json)
    from idol_model.outpainting import Scene, compare, write_sheet

    folder = output or _defaults.OUT / "figure-4"
    where = _place.place(device, dtype)
    models = {"HAP": _defaults.checkpoint(hap), "HAOP": _defaults.checkpoint(haop)}
    _defaults.announce(out, **{name.lower(): model for name, model in models.items()}, output=folder, device=str(where))
    around = _pictures.read_rgba(bg or fg)
    person = _pictures.foreground(fg, mask, out)
    loaded = {name: _checkpoint.load(model.path, where) for name, model in models.items()}
    pipes = {name: pipe for name, (pipe, _) in loaded.items()}
    scene = Scene.of(person, around, _size(pipes))
    shifts = (0.0, -shift, shift)
    rows = []
    with out.progress(len(pipes), "painting") as bar:
        for row in compare(pipes, scene, shifts=shifts, seed=seed, steps=steps):
            rows.append(row)
            bar.advance(note=row.label)
    sheet = folder / "figure-4.png"
    write_sheet(scene, rows, sheet, shifts=shifts)
    answer = {"checkpoints": {name: record for name, (_, record) in loaded.items()}, "shifts": shifts, "seed": seed}
    (folder / "figure-4.json").write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")
    out.line(f"sheet: {sheet}")
    out.result({**answer, "sheet": sheet})


def _size(pipes: dict) -> int:
    """The one size of both models' pictures."""
    sizes = {name: pipe.size for name, pipe in pipes.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ValueError(f"models of different sizes ({told} pixels) cannot be compared; train both at one size")
    return next(iter(sizes.values()))

"""``idol train cache``: latents and foreground tokens made ahead of the training."""

from pathlib import Path
from typing import Annotated

import typer

from cli import _defaults
from cli._output import Output
from cli._place import DeviceOption, place
from cli._train_data import named_parts


def cache(
    recipe: Annotated[str, typer.Argument(help="A recipe; `idol train --list` shows them.")],
    data: Annotated[
        list[str] | None, typer.Option("--data", "-d", help="Prepared dataset; repeat it for several.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Run folder; without it, runs/RECIPE.")] = None,
    latents: Annotated[Path | None, typer.Option("--cache", help="Folder of caches that runs share.")] = None,
    assignments: Annotated[list[str] | None, typer.Option("--set", help="field=value; repeat it.")] = None,
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    """Encode all clips once; run again to continue. Training with the same recipe and data finds the result."""
    from idol_model import recipes
    from idol_model.caching import CachePlan, make_caches

    out, resolved = Output.of(json=as_json), recipes.get(recipe).override(assignments or [])
    parts, run = named_parts(data), _defaults.run_folder(recipe, output)
    plan = CachePlan(run=run.path, latents=latents, device=place(device, "fp32").device.type)
    _defaults.announce(out, recipe=recipe, data=", ".join(str(part.path) for part in parts), cache=plan.places.latents)
    with out.progress(None, "latents") as bar:
        made = make_caches(resolved, parts, plan, lambda done, total: bar.update(done, total=total))
    rows = [
        {"path": one.folder, "clips": len(one.ids), "bytes": one.bytes, "unreadable": one.unreadable} for one in made
    ]
    for row in rows:
        left_out = "; ".join(row["unreadable"].values())
        out.line(f"{row['path']}: {row['clips']} clips, {row['bytes'] / 1e9:.2f} GB{left_out and f', not {left_out}'}")
    out.result({"caches": rows})

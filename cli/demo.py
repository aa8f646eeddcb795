"""``idol demo``: prepare, train a toy, generate, score, and a page to look at. Offline, on a CPU, in minutes."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import _defaults, _place
from cli._output import Output
from cli._place import DeviceOption

if TYPE_CHECKING:
    from cli.bench.checkpoint import Result
    from cli.report.demo import DemoResult
    from idol_model.device import DeviceName
    from idol_prep.schema import Dataset

_MARK = "demo.json"
_FAMILIES = ("depth", "silhouette", "psnr", "ssim", "alignment", "temporal")
"""What needs neither weights nor an annotator; features with random weights would take longer than all the rest."""
_TOY_CLIPS, _TOY_SEED, _TOY_FRAMES, _TOY_SIZE = 4, 1, 8, 64


def register(app: typer.Typer) -> None:
    """Add ``idol demo``."""
    app.command("demo", help="The whole path on synthetic dancers, offline; ends with a page to open.")(_demo)


def _demo(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder [default: out/demo].")] = None,
    ckpt: Annotated[str | None, typer.Option(help="Checkpoint folder or hub id [default: the shipped one].")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many of the 16 clips.")] = None,
    device: DeviceOption = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    out = Output.of(json=as_json)
    folder, checkpoint, where = _defaults.demo_folder(output), _defaults.checkpoint(ckpt), _place.place(device)
    _defaults.announce(out, output=folder, checkpoint=checkpoint)
    _claim(folder.path)
    clock = _Clock(out)
    with clock("prepare: draw held-out dancers"):
        data = _prepare(out, folder.path / "data")
    with clock("train: the recipe debug, a toy of seconds"):
        toy = _train_toy(out, folder.path, device)
    with clock("generate and score"):
        result, cost = _bench(out, checkpoint, folder.path, (limit, where.device.type))
    with clock("write the page"):
        demo = _collected(data, (result, cost), clock.seconds, (toy, ckpt is None))
        page = _write_page(demo, folder.path / "report.html")
    _say(out, demo, page)


class _Clock:
    """Says each step as it begins and keeps how long it took."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        number = len(self.seconds) + 1
        self._out.note(f"\n[{number}] {step}")
        began = time.perf_counter()
        yield
        self.seconds[step] = time.perf_counter() - began


def _claim(folder: Path) -> None:
    """Make the demo's folder, or make sure that it is one: some of what lies in it is replaced."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).is_file():
        raise FileExistsError(f"{folder}: is not empty and no demo; choose another folder with -o")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()


def _prepare(out: Output, folder: Path) -> "Dataset":
    from idol_prep.sources import synthetic

    with out.progress(synthetic.HELD_OUT_CLIPS, "dancers") as bar:
        return synthetic.held_out(folder, progress=lambda at: bar.update(at.done))


def _train_toy(out: Output, folder: Path, device: "DeviceName") -> str:
    """Train anew each time, so that the step is seen; returns what it was in words."""
    from idol_model import recipes
    from idol_model.training import TrainOptions, train
    from idol_prep.sources import synthetic

    for name in ("train-data", "train"):
        shutil.rmtree(folder / name, ignore_errors=True)
    size = (_TOY_SIZE, _TOY_SIZE)
    synthetic.generate(folder / "train-data", _TOY_CLIPS, _TOY_SEED, size=size, frames=_TOY_FRAMES)
    recipe, steps = recipes.get("debug"), 0
    total = sum(stage.steps for stage in recipe.stages) + (recipe.codec_stage.steps if recipe.codec_stage else 0)
    with out.progress(total, "steps") as bar:

        def report(at: Any) -> None:
            nonlocal steps
            if at.terms:
                steps += 1
                bar.update(steps, note=f"{at.stage}  " + "  ".join(f"{k} {v:.3f}" for k, v in at.terms.items()))

        train(recipe, folder / "train-data", folder / "train", TrainOptions(device=device, report=report))
    return f"{steps} steps of the recipe {recipe.name} on {_TOY_CLIPS} dancers"


def _bench(
    out: Output, checkpoint: _defaults.Chosen, folder: Path, how: tuple[int | None, str]
) -> "tuple[Result, Any]":
    """What ``idol bench`` does, on so many of the demo's clips and a device."""
    from cli.bench import checkpoint as bench
    from cli.bench import costs
    from cli.bench.sampling import Settings
    from idol_eval.bench import BenchConfig
    from idol_model import loading
    from idol_model.latents.key import background_kinds

    limit, device = how
    # One kind of background keeps the demo short: a whole picture, as users give, where the model has learnt from such.
    background = background_kinds(loading.read_recipe(loading.resolve(checkpoint.path)).data)[-1]
    settings = Settings(seed=0, steps=None, guidance=None, background=background)
    choice = bench.Choice(data=folder / "data", split="test", limit=limit, train_data=None, baselines=True)
    config = BenchConfig(families=_FAMILIES, device=device)
    result = bench.run(out, checkpoint, _defaults.Chosen(folder / "bench"), (settings, choice), config)
    return result, costs.costs(out, result.pipe, result.record["generation"], device)


def _collected(
    data: "Dataset", scored: "tuple[Result, Any]", seconds: dict[str, float], how: tuple[str, bool]
) -> "DemoResult":
    from cli.report.demo import DemoResult

    result, cost = scored
    home, shown = Path(result.record["samples"]["path"]), result.rows[0]  # the first row's samples
    return DemoResult(
        data=data,
        samples={clip["id"]: home / clip["id"] for clip in shown.per_clip},
        recipe=result.pipe.recipe,
        rows=result.rows,
        protocol=result.config.protocol,
        cost=cost,
        seconds=seconds,
        toy=how[0],
        shipped=how[1],
    )


def _write_page(demo: "DemoResult", path: Path) -> Path:
    from cli.report import write_page
    from cli.report.demo import demo_report

    return write_page(demo_report(demo), path)


def _say(out: Output, demo: "DemoResult", page: Path) -> None:
    """The table, the files, and last of all the page."""
    from idol_eval import report as writing

    out.table("Scores", *writing.cells(demo.rows, writing.BRIEF))
    for row in demo.rows:
        for text in (*row.left_out, *row.notes):
            out.line(f"{row.name}: {text}")
    scores = writing.to_json(demo.rows, demo.protocol, {"path": str(demo.data.root)})
    result = {"report": page.resolve(), "seconds": demo.seconds, "samples": dict(demo.samples), "scores": scores}
    _replace_text(page.parent / _MARK, json.dumps({"seconds": demo.seconds, "scores": scores}, indent=2) + "\n")
    out.line(f"\nOpen this page: {page.resolve()}")
    out.result(result)


def _replace_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)

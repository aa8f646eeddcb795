"""``idol generate``: a person, a background and poses become a video and its depth."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import _checkpoint, _defaults, _pictures, _place, _poses
from cli._output import Output
from cli._place import DeviceOption, DtypeOption

if TYPE_CHECKING:
    from cli._pose_frames import Poses
    from idol_model.pipeline import IdolPipeline
    from idol_model.samples import SampleInfo


def register(app: typer.Typer) -> None:
    """Add ``idol generate``."""
    app.command("generate", help="Generate a video and its depth from a person, a background and poses.")(_generate)


def _generate(
    fg: Annotated[Path, typer.Argument(metavar="FG", help="The person: a picture, with alpha or not.")],
    bg: Annotated[Path, typer.Argument(metavar="BG", help="The background: any picture.")],
    poses: Annotated[
        Path,
        typer.Argument(
            metavar="POSES",
            help="Pose pictures, a pose video, OpenPose JSON files, a prepared clip, or a video of a person.",
        ),
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Sample folder [default: out/POSES].")] = None,
    ckpt: Annotated[str | None, typer.Option(help="Checkpoint folder or hub id [default: the shipped one].")] = None,
    lora: Annotated[
        list[str] | None, typer.Option(help="LoRA file, its folder or hub id, NAME[=SCALE]; repeat it.")
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="The person's mask, white on black.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides all random numbers.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="Denoising steps [default: the recipe's].")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance; 1 is none [default: the recipe's].")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Only the first so many poses.")] = None,
    export: Annotated[str, typer.Option(help="What to add: viewer, ply, orbit, or several with a comma.")] = "",
    poses_are: Annotated[
        Literal["auto", "maps", "video"], typer.Option(help="Whether POSES shows drawn poses or a person.")
    ] = "auto",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a sample that is already there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    """Read everything first, so that what is wrong shows before the work."""
    out = Output.of(json=as_json)
    for path, what in ((fg, "picture of the person"), (bg, "background picture"), (poses, "file or folder of poses")):
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such {what}")
    exports = _exports(export)
    target, checkpoint = _target(poses, output, overwrite), _defaults.checkpoint(ckpt)
    where = _place.place(device, dtype)
    _defaults.announce(out, checkpoint=checkpoint, output=target, device=str(where))
    loras = [_checkpoint.LoraChoice.parse(text) for text in lora or ()]
    pipe, record = _checkpoint.load(checkpoint.path, where, loras)
    _tell_loras(out, record)
    if exports and not pipe.recipe.makes_depth:
        raise ValueError(f"--export {','.join(exports)}: needs depth, and recipe {pipe.recipe.name} makes none")
    pictures = {"foreground": _pictures.foreground(fg, mask, out), "background": _pictures.read_rgba(bg)}
    sequence = _poses.open_poses(poses, _look(pipe), poses_are, out, frames)
    _tell(out, poses, sequence)
    info = _info(pipe, record, target.path.name, sequence.fps, {"seed": seed, "steps": steps, "guidance": guidance})
    result = _run(out, pipe, pictures | {"poses": sequence}, info, (target.path, exports))
    _report(out, target.path, result, exports)


def _tell_loras(out: Output, record: dict[str, Any]) -> None:
    """Which LoRA files are at work, and how much."""
    for row in record.get("lora", ()):
        codec = ", with the codec that was tuned with it" if "codec_sha256" in row else ""
        out.note(f"LoRA        {row['path']}, scale {row['scale']:g}{codec}")


def _look(pipe: "IdolPipeline") -> _poses.Look:
    """How the checkpoint's poses are drawn."""
    from idol_model.data import POSE_STYLES

    return _poses.Look(size=pipe.size, style=POSE_STYLES[pipe.recipe.data.pose])


def _exports(text: str) -> list[str]:
    """The names in ``--export``, known ones only."""
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    if wanted:
        from idol_model.render import EXPORTS

        unknown = [name for name in wanted if name not in EXPORTS]
        if unknown:
            raise ValueError(f"--export {unknown[0]}: unknown; choose from {', '.join(EXPORTS)}")
    return wanted


def _export_names(exports: list[str]) -> list[str]:
    from idol_model.render import EXPORTS

    return [EXPORTS[kind].name for kind in exports]


def _target(poses: Path, named: Path | None, overwrite: bool) -> _defaults.Chosen:
    """The folder to write: the named one, or the default with the first free number."""
    target = _defaults.sample_folder(poses, named)
    if named is None and not overwrite:
        base, number = target.path, 2
        while target.path.exists():
            target = _defaults.Chosen(base.with_name(f"{base.name}-{number}"), "default, next free number")
            number += 1
    if not target.path.exists() or (target.path.is_dir() and not any(target.path.iterdir())):
        return target
    if not (target.path / "sample.json").is_file():
        raise FileExistsError(f"{target.path}: exists and is no sample; choose another folder with -o")
    if not overwrite:
        raise FileExistsError(
            f"{target.path}: holds a sample already; choose another folder with -o, or add --overwrite"
        )
    return target


def _tell(out: Output, path: Path, poses: "Poses") -> None:
    """What was found in POSES."""
    out.note(f"            {poses.frames} frames of {poses.kind}; the model sees {poses.view}")
    if poses.empty:
        out.warn(f"{path}: no person in {poses.empty} of {poses.frames} frames; they are generated all the same")


def _info(
    pipe: "IdolPipeline", checkpoint: dict[str, Any], name: str, fps: float, settings: dict[str, Any]
) -> "SampleInfo":
    from idol_model.samples import SampleInfo

    return SampleInfo.of(pipe, checkpoint, id=name, fps=fps, **settings)


def _run(
    out: Output,
    pipe: "IdolPipeline",
    inputs: dict[str, Any],
    info: "SampleInfo",
    target: tuple[Path, list[str]],
) -> dict[str, Any]:
    """Generate into the sample folder, window by window; nothing is left behind when it is stopped."""
    from idol_model.render import export
    from idol_model.samples import SampleWriter

    folder, exports = target
    out.note(f"sampling    {info.steps} steps, guidance {info.guidance:g}, seed {info.seed}")
    began = time.perf_counter()
    with ExitStack() as stack:
        writer = stack.enter_context(SampleWriter(folder, info))
        windows = pipe.plan.windows(inputs["poses"].frames)
        bar = stack.enter_context(out.progress(windows * info.steps, "generating"))
        pieces = pipe.pieces(
            **inputs,
            seed=info.seed,
            num_inference_steps=info.steps,
            guidance_scale=info.guidance,
            on_step=lambda at: bar.update(at.window * at.steps + at.step),
        )
        for piece in pieces:
            writer.append(piece)
        seconds = time.perf_counter() - began
        timings = {"seconds": round(seconds, 3), "seconds_per_frame": round(seconds / writer.frames, 4)}
        return writer.finish(timings, then=lambda path: [export(path, kind) for kind in exports])


def _report(out: Output, folder: Path, record: dict[str, Any], exports: list[str]) -> None:
    with_depth = record["depth"] is not None
    what = "video and depth" if with_depth else "video (this recipe makes no depth)"
    out.note(f"{record['frames']} frames of {what} in {record['timings']['seconds']:.1f} s")
    files = ["video.mp4", "depth.mp4", "frames.mkv", "depth.mkv"] if with_depth else ["video.mp4", "frames.mkv"]
    files += _export_names(exports)
    for name in files:
        out.line(str(folder / name))
    out.result({"sample": folder, "files": files, **record})

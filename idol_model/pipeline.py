"""IDOL as a diffusers pipeline: a person, a background and poses become a video and its depth, pixel by pixel."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self, cast, get_args

import numpy as np
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from numpy.typing import NDArray
from torch import Tensor

from idol_model import loading, long_video, pictures, sampling
from idol_model.codecs import Codec
from idol_model.foreground import Foreground
from idol_model.lora.pipeline import LoraLoading
from idol_model.model import IdolModel
from idol_model.outputs import POLARITY, IdolOutput, VideoOutput
from idol_model.picture_input import Picture, PictureError, as_rgba
from idol_model.pose_control import PoseControl
from idol_model.recipe import Recipe
from idol_model.unet import DualModalUNet
from idol_prep.schema import Polarity


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where generation stands: ``step`` of ``steps`` of window number ``window`` (from 0) are done."""

    window: int
    step: int
    steps: int


OnStep = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    """What all windows of one video have in common."""

    tokens: sampling.Tokens
    background_BCHW: Tensor
    seed: int
    steps: int
    guidance: float
    on_step: OnStep | None

    def teller(self, window: int) -> sampling.OnStep | None:
        """`sampling.OnStep` for window number ``window``."""
        tell = self.on_step
        return tell and (lambda step, steps: tell(Progress(window=window, step=step, steps=steps)))


class IdolPipeline(LoraLoading, DiffusionPipeline):
    """Generates with a trained model.

    >>> pipe = IdolPipeline.from_pretrained(idol_model.checkpoint.shipped())
    >>> out = pipe(foreground=person_rgba, background=picture, poses=poses)  # poses: uint8 [L, H, W, 3]
    >>> out.video.shape, out.depth.shape
    """

    model_cpu_offload_seq = "foreground->unet->codec"
    """The pose network stays beside the U-Net, since both work in every step."""

    def __init__(
        self,
        unet: DualModalUNet,
        pose_control: PoseControl,
        codec: Codec,
        foreground: Foreground,
        scheduler: Any,
        recipe: Recipe | None = None,
        depth_polarity: str | None = None,  # a Polarity; diffusers' check of types cannot read a Literal
    ) -> None:
        super().__init__()
        if recipe is None:
            raise ValueError("recipe: missing; load with IdolPipeline.from_pretrained, or build with from_model")
        self.register_modules(
            unet=unet, pose_control=pose_control, codec=codec, foreground=foreground, scheduler=scheduler
        )
        if depth_polarity not in (None, *get_args(Polarity)):
            raise ValueError(f"depth_polarity: {depth_polarity!r} is unknown; give {' or '.join(get_args(Polarity))}")
        if depth_polarity is not None:
            self.register_to_config(depth_polarity=depth_polarity)  # in model_index.json
        self.recipe = recipe

    @classmethod
    def from_model(cls, model: IdolModel, recipe: Recipe, depth_polarity: Polarity | None = None) -> "IdolPipeline":
        """The pipeline around a model in memory; it shares the model's networks.

        ``depth_polarity`` is that of the data it was trained on.
        """
        return cls(
            unet=model.unet,
            pose_control=model.pose_control,
            codec=model.codec,
            foreground=model.foreground,
            scheduler=recipe.diffusion.scheduler(),
            recipe=recipe,
            depth_polarity=depth_polarity,
        )

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any) -> Self:
        """Load a checkpoint folder or hub id; ``kwargs`` are those of `DiffusionPipeline.from_pretrained`.

        ``dtype=torch.bfloat16`` (``torch_dtype`` in older code, or `to` later) halves the memory and suits NVIDIA GPUs
        from Ampere on; latents stay float32.

        Raises:
            FileNotFoundError: no such folder, and no such hub id.
            idol_model.loading.CheckpointError: not an IDOL checkpoint, or weights missing, unexpected or misshapen.
        """
        folder = loading.resolve(os.fspath(pretrained_model_name_or_path))
        recipe = loading.check(folder)
        return super().from_pretrained(str(folder), **{"recipe": recipe, "use_safetensors": True} | kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """Write the diffusers folder and ``recipe.json`` in it; ``kwargs`` are diffusers'.

        Raises:
            idol_model.lora.files.LoraError: LoRA layers are attached, whose names no model is loaded from.
        """
        self.check_no_lora("save_pretrained")
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        recipe = json.dumps(self.recipe.to_dict(), indent=2)
        (folder / loading.RECIPE).write_text(recipe + "\n", encoding="utf-8")
        super().save_pretrained(str(folder), *args, **kwargs)
        _forget_origin(folder)

    @property
    def depth_polarity(self) -> Polarity:
        """Which end of the depth is near: as in the training data, or by the colormap without `knows_polarity`."""
        return self.config.get("depth_polarity", POLARITY[self.recipe.data.colormap])

    @property
    def knows_polarity(self) -> bool:
        """Whether the checkpoint says which end of its training data's depth was near."""
        return "depth_polarity" in self.config

    @property
    def size(self) -> int:
        """Side of the square pictures, in pixels."""
        return self.recipe.data.size

    @property
    def plan(self) -> long_video.OverlapPlan:
        """How videos longer than one window are cut."""
        frames = self.recipe.window
        return long_video.OverlapPlan(frames=frames, overlap=min(self.recipe.sampling.overlap, frames - 1))

    def __call__(
        self, foreground: Picture, background: Picture, poses: Iterable[NDArray[np.uint8]], **settings: Any
    ) -> IdolOutput:
        """The whole video at once; arguments as in `stream`."""
        return IdolOutput.joined(self.stream(foreground, background, poses, **settings))

    def stream(
        self, foreground: Picture, background: Picture, poses: Iterable[NDArray[np.uint8]], **settings: Any
    ) -> Iterator[IdolOutput]:
        """The video and its depth in pieces; arguments as in `pieces`.

        Raises:
            ValueError: the recipe makes no depth; its video comes from `pieces`.
        """
        if not self.recipe.makes_depth:
            raise ValueError(f"recipe {self.recipe.name}: makes no depth; its video alone comes from pipe.pieces(...)")
        return cast(Iterator[IdolOutput], self.pieces(foreground, background, poses, **settings))

    def pieces(
        self,
        foreground: Picture,
        background: Picture,
        poses: Iterable[NDArray[np.uint8]],
        *,
        seed: int = 0,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        on_step: OnStep | None = None,
    ) -> Iterator[VideoOutput]:
        """Yield what the recipe makes, in pieces as they are ready; memory does not grow with the video's length.

        A piece is an `IdolOutput` where the recipe makes depth, else a `VideoOutput`.

        The same arguments on the same machine give the same bytes.

        Args:
            foreground: the person; alpha says which pixels are the person's (without alpha, all are).
            background: any picture; its centred square is used, transparent pixels are for the model to fill.
            poses: rendered poses (`idol_prep.pose.render`), uint8 [L, S, S, 3] or any iterable of such squares; read as
                needed, resized to the model's size. As many frames come out.
            seed: decides all random numbers; 0 or more.
            num_inference_steps: denoising steps; the recipe's by default.
            guidance_scale: classifier-free guidance on the foreground, 1 is none; the recipe's by default.
            on_step: called after each denoising step.

        Raises:
            idol_model.picture_input.PictureError: a picture that cannot be used, a pose that is not square.
            ValueError: nobody in the foreground, no poses, a setting out of range.
        """
        default = self.recipe.sampling
        tokens, background_BCHW = self._conditions(as_rgba(foreground), as_rgba(background))
        request = _Request(
            tokens=tokens,
            background_BCHW=background_BCHW,
            seed=seed,
            steps=default.steps if num_inference_steps is None else num_inference_steps,
            guidance=default.guidance if guidance_scale is None else guidance_scale,
            on_step=on_step,
        )
        fitted = (self._pose(pose) for pose in poses)
        return self._decoded(long_video.generate(fitted, self.plan, partial(self._window, request)))

    def _window(self, request: "_Request", numbers: range, poses_LCHW: Tensor, known_SBLCHW: Tensor | None) -> Tensor:
        """The latents of one window."""
        conditions = sampling.Conditions(
            tokens=request.tokens,
            background_BCHW=request.background_BCHW,
            pose_BLCHW=self.pose_control.read(self._sent(poses_LCHW[None]), self.codec),
        )
        denoiser = sampling.Denoiser(self.unet, self.pose_control, conditions, request.guidance)
        shape_SCHW = (self.recipe.unet.streams, *request.background_BCHW.shape[1:])
        kind = self.recipe.diffusion.frame_noise
        start = sampling.Start.of(request.seed, numbers, shape_SCHW, like=request.background_BCHW, kind=kind)
        start = replace(start, known_SBLCHW=known_SBLCHW)
        window = self.plan.windows(numbers.stop) - 1
        return sampling.denoise(denoiser, self.scheduler, start, request.steps, request.teller(window))

    @torch.no_grad()
    def _conditions(
        self, foreground_HW4: NDArray[np.uint8], background_HW4: NDArray[np.uint8]
    ) -> tuple[sampling.Tokens, Tensor]:
        """Foreground tokens and background latent, the same for the whole video."""
        person_SS4 = pictures.crop_foreground(foreground_HW4, self.foreground.input_size)
        person_BCHW = self._sent(pictures.foreground_tensor(person_SS4, self.foreground)[None])
        plate_SS4 = pictures.resize_background(background_HW4, self.size)
        plate_BCHW = self._sent(pictures.background_tensor(plate_SS4)[None])
        return sampling.Tokens.of(self.foreground, person_BCHW), self.codec.encode_picture(plate_BCHW)

    def _pose(self, pose_HW3: NDArray[np.uint8]) -> Tensor:
        pose = np.asarray(pose_HW3)
        if pose.dtype != np.uint8 or pose.ndim != 3 or pose.shape[2] != 3 or pose.shape[0] != pose.shape[1]:
            raise PictureError(
                f"poses: a frame is {pose.dtype} {pose.shape}; give square uint8 pictures [S, S, 3] (pad or crop them)"
            )
        return pictures.unsigned(pictures.resize_pictures(pose[None], self.size))[0]

    def _sent(self, x: Tensor) -> Tensor:
        return x.to(self._execution_device, self.unet.dtype)

    @torch.no_grad()
    def _decoded(self, windows: Iterator[Tensor]) -> Iterator[VideoOutput]:
        try:
            for z_SBLCHW in windows:
                yield self.as_output(self.codec.decode_clips(self._sent(z_SBLCHW)))
        finally:
            self.maybe_free_model_hooks()

    def as_output(self, x_MBLCHW: Tensor) -> VideoOutput:
        """The decoded pictures of one clip, [M, 1, L, 3, H, W] in about [-1, 1], as what the recipe makes."""
        kind = IdolOutput if self.recipe.makes_depth else VideoOutput
        rgb_MLHW3 = _to_uint8(x_MBLCHW.float()[:, 0]).movedim(2, -1).cpu().numpy()
        return kind.read(rgb_MLHW3, self.recipe.data.colormap)


def _forget_origin(folder: Path) -> None:
    """Take the folder that networks were loaded from out of a saved pipeline: a path of somebody's machine."""
    for file in folder.rglob("*.json"):
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept.pop("_name_or_path", None) is not None:
            file.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _to_uint8(x: Tensor) -> Tensor:
    """[-1, 1] to 0..255, rounded to nearest."""
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)

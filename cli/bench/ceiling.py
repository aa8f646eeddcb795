"""The codec's own ceiling as a row of the benchmark."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from idol_eval.samples import EvalClip

if TYPE_CHECKING:
    from idol_eval.baselines import Kind
    from idol_model.pipeline import IdolPipeline


@dataclass(frozen=True, kw_only=True, slots=True)
class CodecCeiling:
    """The true clips through the checkpoint's codec: no model with this codec can do better than about this."""

    pipe: "IdolPipeline"
    name: str = "codec ceiling"
    kind: "Kind" = "ceiling"
    compares_features: bool = True

    def answer(self, truth: EvalClip) -> EvalClip:
        """Frames and coloured depth, encoded and decoded."""
        from idol_prep import colormap

        video = None if truth.video is None else self._through(truth.video)
        depth = None
        if truth.depth is not None:
            name = self.pipe.recipe.data.colormap
            depth, _ = colormap.decode(self._through(colormap.encode(truth.depth, name)), name)
        return EvalClip(id=truth.id, video=video, depth=depth, rule=truth.rule)

    def _through(self, pictures_LHW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        import torch

        from idol_model import pictures

        codec = self.pipe.codec
        like = next(codec.parameters())
        with torch.no_grad():
            x_LCHW = codec.decode(codec.encode(pictures.signed(pictures_LHW3).to(like)))
        levels = ((x_LCHW.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        return np.ascontiguousarray(levels.movedim(1, -1).cpu().numpy())

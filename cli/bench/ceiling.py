"""The codec's own ceiling as a row of the benchmark."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from idol_eval.samples import EvalClip

if TYPE_CHECKING:
    from idol_eval.baselines import Kind
    from idol_model.outputs import VideoOutput
    from idol_model.pipeline import IdolPipeline


@dataclass(frozen=True, kw_only=True, slots=True)
class CodecCeiling:
    """The true clips through the checkpoint's codec: no model with this codec can do better than about this."""

    pipe: "IdolPipeline"
    name: str = "codec ceiling"
    kind: "Kind" = "ceiling"
    compares_features: bool = True

    def answer(self, truth: EvalClip) -> EvalClip:
        """Frames, and coloured depth where the checkpoint makes depth, encoded into its streams and decoded."""
        from idol_model import pictures
        from idol_prep import colormap

        assert truth.video is not None  # a prepared clip has frames
        look = self.pipe.recipe.data
        flat = np.full(truth.shape, look.background_depth, np.float32)  # for joint codecs, which want some depth
        coloured = colormap.encode(flat if truth.depth is None else truth.depth, look.colormap)
        made = self._through(np.stack([pictures.signed(track) for track in (truth.video, coloured)]))
        depth = getattr(made, "depth", None) if truth.depth is not None else None
        return EvalClip(id=truth.id, video=made.video, depth=depth, rule=truth.rule)

    def _through(self, pictures_MLCHW: NDArray[np.float32]) -> "VideoOutput":
        import torch

        codec, streams = self.pipe.codec, self.pipe.recipe.unet.streams
        like = next(codec.parameters())
        x_MBLCHW = torch.from_numpy(pictures_MLCHW).unsqueeze(1).to(like)
        with torch.no_grad():
            return self.pipe.as_output(codec.decode_clips(codec.encode_clips(x_MBLCHW, streams)))

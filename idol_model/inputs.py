"""One window of a clip as pictures, before it becomes tensors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipInputs:
    """One window of a clip as pictures of side ``S = DataConfig.size``.

    frames, poses: uint8 [L, S, S, 3]. depth: float32 [L, S, S] in [0, 1] (`DepthRange.normalise`; the clip's record
    says which end is near). foreground: uint8 [H, W, 4], the clip's whole reference frame with alpha 0 where it is not
    the person. background: uint8 [S, S, 4], alpha 0 where the person was cut out, opaque for a clean plate.
    """

    id: str
    frames: NDArray[np.uint8]
    depth: NDArray[np.float32]
    poses: NDArray[np.uint8]
    foreground: NDArray[np.uint8]
    background: NDArray[np.uint8]

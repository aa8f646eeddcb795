"""A depth annotator without weights, for tests of what happens to estimated depth."""

import numpy as np

from idol_prep.annotators.protocol import AnnotatorInfo, Batch


class Slope:
    """An annotator that says the same of every frame: depth over the whole frame, left near, right far."""

    polarity, scope = "distance", "frame"
    info = AnnotatorInfo(name="slope", kind="depth", version="1", licence="none", note="a test's")

    def reset(self) -> None: ...
    def close(self) -> None: ...
    def depth(self, batch: Batch) -> np.ndarray:
        width = batch.frames.shape[2]
        assert len(batch.frames) <= 8, "a whole clip may not fit into memory"
        return np.broadcast_to(np.linspace(3, 7, width, dtype=np.float32), batch.frames.shape[:3]).copy()

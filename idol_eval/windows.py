"""A clip as the inputs of an extractor: which windows, through which container, averaged over what."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from idol_eval.containers import CONTAINERS
from idol_eval.features import Extractor
from idol_eval.protocol import Protocol
from idol_eval.samples import SampleError


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipInputs:
    """What the network takes, in order; every ``group`` consecutive features become one by their mean."""

    inputs: Iterator[Tensor]
    group: int = 1

    def averaged(self, features_nD: NDArray[np.float32]) -> NDArray[np.float32]:
        """One feature a group."""
        if self.group == 1:
            return features_nD
        return features_nD.reshape(-1, self.group, features_nD.shape[1]).mean(axis=1)


def clip_features(
    extractor: Extractor, family: str, video_LHW3: NDArray[np.uint8], protocol: Protocol, name: str
) -> NDArray[np.float32]:
    """Features float32 [n, D] of one clip called ``name``.

    Raises:
        SampleError: a clip shorter than a snippet.
    """
    given = _inputs(extractor, family, video_LHW3, protocol, name)
    return given.averaged(extractor.features(given.inputs))


def _inputs(
    extractor: Extractor, family: str, video_LHW3: NDArray[np.uint8], protocol: Protocol, name: str
) -> ClipInputs:
    starts = (
        [] if extractor.spec.takes == "frames" and protocol.fid_frames == "all" else _starts(protocol, video_LHW3, name)
    )
    if extractor.spec.takes == "frames":
        chosen = video_LHW3 if protocol.fid_frames == "all" else video_LHW3[starts]
        return ClipInputs(inputs=extractor.frame_inputs(chosen))
    if protocol.padding == "repeat-last":
        more = protocol.padded(len(video_LHW3)) - len(video_LHW3)
        video_LHW3 = np.concatenate([video_LHW3, np.repeat(video_LHW3[-1:], more, axis=0)])
    if protocol.container == "none":
        return ClipInputs(inputs=extractor.snippet_inputs(video_LHW3, starts, protocol.snippet))
    shown = [CONTAINERS[protocol.container](video_LHW3[at : at + protocol.snippet]) for at in starts]
    length = len(shown[0]) if family == "fvd" else protocol.snippet
    inside = range(0, len(shown[0]) - length + 1, length)
    pieces = (piece for window in shown for piece in extractor.snippet_inputs(window, inside, length))
    return ClipInputs(inputs=pieces, group=len(inside))


def _starts(protocol: Protocol, video_LHW3: NDArray[np.uint8], name: str) -> list[int]:
    starts = protocol.starts(len(video_LHW3))
    if not starts:
        raise SampleError(
            f"clip {name}: {len(video_LHW3)} frames are too few for snippets of {protocol.snippet}; "
            "leave the clip out, take --padding repeat-last, or leave the metrics out with --metrics all,-fvd,-fid_fvd"
        )
    return starts

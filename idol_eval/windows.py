"""A clip's features: of which frames or windows, through which container, averaged over what."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from idol_eval.containers import CONTAINERS
from idol_eval.features import Extractor
from idol_eval.protocol import Protocol
from idol_eval.samples import SampleError


def clip_features(
    extractor: Extractor, family: str, video_LHW3: NDArray[np.uint8], protocol: Protocol, name: str
) -> NDArray[np.float32]:
    """Features float32 [n, D] of one clip called ``name``.

    Raises:
        SampleError: a clip shorter than a snippet.
    """
    if extractor.spec.takes == "frames":
        every = protocol.fid_frames == "all"
        return extractor.frames(video_LHW3 if every else video_LHW3[_starts(protocol, video_LHW3, name)])
    starts = _starts(protocol, video_LHW3, name)
    if protocol.padding == "repeat-last":
        more = protocol.padded(len(video_LHW3)) - len(video_LHW3)
        video_LHW3 = np.concatenate([video_LHW3, np.repeat(video_LHW3[-1:], more, axis=0)])
    if protocol.container == "none":
        return extractor.snippets(video_LHW3, starts, protocol.snippet)
    windows = (video_LHW3[at : at + protocol.snippet] for at in starts)
    return np.stack([_shown_features(extractor, family, window, protocol) for window in windows])


def _shown_features(
    extractor: Extractor, family: str, window_THW3: NDArray[np.uint8], protocol: Protocol
) -> NDArray[np.float32]:
    """One feature [D] of what a container's reader shows: I3D takes all of it, the 3D ResNet the mean over pieces."""
    shown = CONTAINERS[protocol.container](window_THW3)
    length = len(shown) if family == "fvd" else protocol.snippet
    starts: Sequence[int] = range(0, len(shown) - length + 1, length)
    return extractor.snippets(shown, starts, length).mean(axis=0)


def _starts(protocol: Protocol, video_LHW3: NDArray[np.uint8], name: str) -> list[int]:
    starts = protocol.starts(len(video_LHW3))
    if not starts:
        raise SampleError(
            f"clip {name}: {len(video_LHW3)} frames are too few for snippets of {protocol.snippet}; "
            "leave the clip out, take --padding repeat-last, or leave the metrics out with --metrics all,-fvd,-fid_fvd"
        )
    return starts

"""What several tests of preparation need."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest


@pytest.fixture
def turn_video() -> Callable[[Path, Path, int], Path]:
    """Writes a copy of an MP4 whose header says that it is turned; skips where this FFmpeg does not read it."""

    def turn(source: Path, target: Path, degrees: int) -> Path:
        data = bytearray(source.read_bytes())
        at = data.index(b"tkhd") + 4 + 40
        cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
        # 16.16 numbers a, b, u, c, d, v, x, y, w. The matrix turns clockwise, rotation is counted counter-clockwise.
        for index, cell in enumerate((cos, -sin, 0, sin, cos, 0, 0, 0)):
            data[at + 4 * index : at + 4 * index + 4] = (cell << 16).to_bytes(4, "big", signed=True)
        target.write_bytes(data)
        with av.open(str(target)) as container:
            if next(container.decode(video=0)).rotation % 360 != degrees:
                pytest.skip("this FFmpeg does not read the display matrix as written here")
        return target

    return turn

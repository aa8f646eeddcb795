"""Maps as OpenPose's network draws them of known people, and controlnet-aux's own answer to them."""

import numpy as np
import torch

from idol_prep.annotators import openpose
from idol_prep.annotators._openpose_people import _FIELDS, LIMBS

_FIGURE = np.array(
    [
        (0, -45), (0, -30), (-14, -30), (-20, -12), (-22, 4), (14, -30), (20, -12), (22, 4), (-8, 4),
        (-9, 26), (-10, 46), (8, 4), (9, 26), (10, 46), (-3, -48), (3, -48), (-7, -46), (7, -46),
    ]
)  # fmt: skip


def maps_of(people: list[np.ndarray], size: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Heat maps and fields at the network's cells as a trained network draws them for joints [18,2] in pixels."""
    rng = np.random.default_rng(seed)
    shape = openpose.network_input(np.zeros((*size, 3), np.uint8)).shape
    rows, columns = shape[1] // 8, shape[2] // 8
    at = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1) * 8 + 3.5
    heat = rng.normal(0, 0.004, (19, rows, columns))
    fields = rng.normal(0, 0.004, (38, rows, columns))
    for joints in people:
        inside = joints * (184 / size[0])
        for joint, place in enumerate(inside):
            heat[joint] = np.maximum(heat[joint], 0.9 * np.exp(-((at - place) ** 2).sum(-1) / (2 * 7.0**2)))
        for limb, (start, end) in enumerate(LIMBS):
            _draw_limb(fields[_FIELDS[limb] : _FIELDS[limb] + 2], at, inside[start], inside[end])
    return heat.astype(np.float32), fields.astype(np.float32)


def _draw_limb(field: np.ndarray, at: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    line = end - start
    length = max(float(np.linalg.norm(line)), 1e-3)
    t = np.clip(((at - start) @ line) / length**2, 0, 1)
    near = np.linalg.norm(at - start - t[..., None] * line, axis=-1) < 9
    for axis in range(2):
        field[axis][near] = line[axis] / length


def reference(heat: np.ndarray, fields: np.ndarray, size: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """controlnet-aux's own answer: its `Body` with the maps in place of its network."""
    from controlnet_aux.open_pose.body import Body

    class Maps(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, _: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.from_numpy(fields)[None], torch.from_numpy(heat)[None]

    body = Body.__new__(Body)
    body.model = Maps()
    found = Body.format_body_result(*body(np.zeros((*size, 3), np.uint8)))
    return [
        (
            np.array([(-1, -1) if k is None else (k.x + 0.5, k.y + 0.5) for k in person.keypoints]),
            np.array([0 if k is None else k.score for k in person.keypoints]),
        )
        for person in found
    ]


def crowd(count: int, size: tuple[int, int], seed: int) -> list[np.ndarray]:
    """Standing people side by side, each a little different."""
    rng = np.random.default_rng(seed)
    scale = min(size[0] / 110, size[1] / (60 * count)) * 0.9
    centres = [(size[1] * (i + 0.5) / count, size[0] * 0.5) for i in range(count)]
    return [_FIGURE * scale + centre + rng.normal(0, 2.0, (18, 2)) * scale for centre in centres]

"""Names of published weights, as recipes write them; what they stand for is in `idol_model.weights.sources`."""

from typing import Literal

WeightsName = Literal[
    "sd-image-variations",
    "sd-1.4",
    "sd-1.5",
    "clip-vit-l14",
    "controlnet-openpose",
    "t2i-adapter-openpose",
    "animatediff-v1-5-2",
    "animatediff-v1-5-3",
]

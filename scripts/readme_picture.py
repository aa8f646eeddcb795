"""The README's picture: two held-out dancers, what the model is given and what it makes of it.

python scripts/readme_picture.py docs/demo.png
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from idol_model import IdolPipeline
from idol_model.checkpoint import shipped
from idol_model.data import ClipInputs, clip_inputs
from idol_model.outputs import IdolOutput
from idol_model.pictures import crop_foreground
from idol_model.render.bands import Band, draw
from idol_prep.schema import Dataset
from idol_prep.sources import synthetic

DANCERS, EVERY, TILE = (1, 6), 2, 96
"""Numbers of the dancers, which frames are shown, side of a tile in pixels."""


def bands(number: int, given: ClipInputs, made: IdolOutput) -> list[Band]:
    """What goes in, then what comes out."""
    person = crop_foreground(given.foreground, given.frames.shape[1])
    inputs = [np.where(person[..., 3:] > 0, person[..., :3], 255).astype(np.uint8), given.background[..., :3]]
    return [
        Band(label=f"dancer {number}: person, background, poses", rows=[[*inputs, *given.poses[::EVERY]]]),
        Band(label="video, depth", rows=[[*made.video[::EVERY], *made.depth_rgb[::EVERY]]]),
    ]


def main() -> None:
    """Generate and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    pipe = IdolPipeline.from_pretrained(shipped())
    pipe.set_progress_bar_config(disable=True)
    drawn: list[Band] = []
    with tempfile.TemporaryDirectory() as folder:
        clips: Dataset = synthetic.held_out(Path(folder))
        for number in DANCERS:
            clip = clips.clip(clips.records()[number].id)
            given = clip_inputs(clip, pipe.recipe.data, stop=8, background="plate")
            drawn += bands(number, given, pipe(given.foreground, given.background, given.poses, seed=0))
    draw(drawn, out, tile=TILE)


if __name__ == "__main__":
    main()

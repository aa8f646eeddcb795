"""Losses of the ``debug`` recipe, pinned: a change of anything that training does shows here first."""

import json

import pytest
from tiny_training import run

from idol_model import recipes

GOLDEN = (
    *(2.1924992, 2.2028725, 2.4943461, 2.0866630, 2.0366981, 2.4310718, 2.2182519, 2.1761045, 1.8112605, 2.2295468),
    *(1.9261688, 1.9748406, 2.1196527, 2.2222903, 2.1217995, 1.9261705, 1.9414849, 2.1404173, 1.9568442, 2.2298644),
)
"""Ten steps of the image stage, ten of the video stage. The widest difference between instruction sets was 4e-7."""


def test_twenty_steps_of_debug(tmp_path) -> None:
    run(recipes.get("debug"), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["total"] for line in lines if line["stage"] != "codec"]
    assert losses == pytest.approx(GOLDEN, rel=1e-5)

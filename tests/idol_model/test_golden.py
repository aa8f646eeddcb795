"""Losses of the ``debug`` recipe, pinned: a change of anything that training does shows here first."""

import json

import pytest
from tiny_training import run

from idol_model import recipes

GOLDEN = (
    *(2.1924865, 2.2028708, 2.4943364, 2.0866590, 2.0366955, 2.4310529, 2.2182293, 2.1760843, 1.8112342, 2.2295387),
    *(1.9255015, 1.9742386, 2.1190543, 2.2215736, 2.1212795, 1.9256150, 1.9409083, 2.1397698, 1.9561751, 2.2291629),
)
"""Ten steps of the image stage, ten of the video stage. The widest difference between instruction sets was 4e-7."""


def test_twenty_steps_of_debug(tmp_path) -> None:
    run(recipes.get("debug"), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["total"] for line in lines if line["stage"] != "codec"]
    assert losses == pytest.approx(GOLDEN, rel=1e-5)

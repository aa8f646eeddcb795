"""The example of a variant in CONTRIBUTING.md does what it says."""

import re
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from idol_model.unet import DualModalUNet, UNetConfig
from idol_model.unet.coupling import COUPLING, CouplingKind

GUIDE = Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    (block,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    before, names = dict(COUPLING), {}
    # The one line of the example that only an edit can make: the name in the union.
    monkeypatch.setitem(UNetConfig.__annotations__, "coupling", Literal[CouplingKind, "mean"])
    exec(compile(block, str(GUIDE), "exec"), names)
    yield names
    COUPLING.clear()
    COUPLING.update(before)


def test_a_variant_takes_a_class_a_name_and_a_recipe(example: Any) -> None:
    assert example["mean_coupled"]().unet.coupling == "mean"
    config = UNetConfig(
        widths=(16, 32),
        depth=1,
        attention=(True, False),
        tokens=12,
        heads=2,
        groups=4,
        temporal="none",
        coupling="mean",
    )  # type: ignore[arg-type]
    torch.manual_seed(0)
    net = DualModalUNet.of(config).eval()
    z = torch.randn(2, 1, 1, 4, 8, 8)
    disturbed = z.clone()
    disturbed[0] += 1
    with torch.no_grad():
        first, second = (
            net(x, torch.tensor([3]), torch.ones(1, 2, 12), torch.zeros(1, 4, 8, 8)) for x in (z, disturbed)
        )
    assert not torch.equal(first[1], second[1])

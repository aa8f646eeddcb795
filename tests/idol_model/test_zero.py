"""DeepSpeed's descent beside accelerate's, and what engine deepspeed refuses."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from several_processes import environment
from torch import nn

from idol_model import engines
from idol_model.engines import partitioned, zero
from idol_model.recipe import MemoryConfig, Recipe, Stage

needs_deepspeed = pytest.mark.skipif(find_spec("deepspeed") is None, reason="deepspeed is not installed")

_CHILD = """
import copy, json, sys, torch
from torch import nn
from idol_model import engines
from idol_model.objective import Losses
from idol_model.recipe import MemoryConfig, Recipe, Stage
stage = Stage(name="s", steps=9, lr=0.1, weight_decay=0.3, clip_norm=0.5)
offload = json.loads(sys.argv[1])
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.idle, self.frozen = nn.Linear(7, 5), nn.Linear(3, 3), nn.Linear(5, 2)
        self.frozen.requires_grad_(False)
    def forward(self, batch, chance):
        return Losses(self.frozen(self.used(batch)).square().mean(), {})
def descent(kind, net, offload=False):
    recipe = Recipe(name="r", summary="s", stages=(stage,), memory=MemoryConfig(offload=offload))
    engine = engines.start(kind, recipe, "cpu")
    named = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    return engine.descent(engine.wrapped(net, []), named, stage)
def steps(moving, count, seed):
    torch.manual_seed(seed)
    for _ in range(count):
        for last in (False, True):
            moving.add(torch.randn(4, 7), None, 0.5, last=last)
        moving.step(0.1, {"total": torch.zeros(())})
def apart(ours, theirs):
    assert ours.keys() == theirs.keys(), (list(ours), list(theirs))
    return max((ours[name] - theirs[name]).abs().max().item() for name in ours)
torch.manual_seed(0)
net = Net()
other, idle = copy.deepcopy(net), net.idle.weight.detach().clone()
plain, divided = descent("ddp", net), descent("deepspeed", other, offload)
steps(plain, 3, 1), steps(divided, 3, 1)
said = {"weights": apart(dict(other.named_parameters()), dict(net.named_parameters()))}
theirs, state = plain.state(), divided.state()
said["state"] = apart(state, theirs) if divided._engine.main else 0.0
said["idle"] = torch.equal(other.idle.weight, idle)
before = other.used.weight.detach().clone()
divided.add(torch.full((4, 7), 1e30), None, 1.0, last=True)
try:
    divided.step(0.1, {"total": torch.zeros(())})
except ValueError as error:
    said["refused"] = str(error)
said["kept"] = torch.equal(other.used.weight, before)
divided.close()
said["own"] = other.used.weight.untyped_storage().nbytes() == other.used.weight.nbytes
again, back = descent("deepspeed", other, offload), descent("ddp", net)
again.load(theirs), back.load(state or theirs)
steps(again, 2, 2), steps(back, 2, 2)
said["continued"] = apart(dict(other.named_parameters()), dict(net.named_parameters()))
if divided._engine.main:
    print(json.dumps(said))
"""

_HELD = """
import json, os, sys
os.environ["DS_ACCELERATOR"] = "cpu"
import deepspeed, torch
from torch import nn
from idol_model import engines, memory_plan
from idol_model.engines import zero
from idol_model.live_bytes import LiveBytes
from idol_model.objective import Losses
from idol_model.recipe import MemoryConfig, Recipe, Stage
class Real(LiveBytes):
    def _count(self, storage):
        if storage.device.type != "meta":
            super()._count(storage)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(100, 100) for _ in range(40)))
    def forward(self, batch, chance):
        return Losses(self.layers(batch).square().mean(), {})
zero.BUCKET = 20_000
pieces = json.loads(sys.argv[1])
stage = Stage(name="s", steps=9)
recipe = Recipe(name="r", summary="s", stages=(stage,), memory=MemoryConfig(offload=True, micro_batch=pieces and 1))
net = Net()
trained = list(net.parameters())
weights = sum(parameter.nbytes for parameter in trained)
with Real() as live:
    engine = engines.start("deepspeed", recipe, "cpu")
    moving = engine.descent(engine.wrapped(net, []), list(net.named_parameters()), stage)
    for _ in range(2):
        for last in (False, True) if pieces else (True,):
            moving.add(torch.randn(1, 100), None, 1.0, last=last)
        moving.step(0.1, {"total": torch.zeros(())})
planned = memory_plan._offloaded(recipe, trained, 2 * weights)
print(json.dumps({"held": live.most, "planned": weights + sum(planned.values())}))
"""


def ended(program: str, argument: object, folder: Path, count: int = 1) -> dict:
    """What a program prints on stdout, which is JSON and nothing else."""
    file = folder / "child.py"
    file.write_text(program)
    launch = ["-m", "torch.distributed.run", f"--nproc-per-node={count}", "--standalone"] if count > 1 else []
    command = [sys.executable, *launch, str(file), json.dumps(argument)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_deepspeed
@pytest.mark.slow
@pytest.mark.parametrize("pieces", [None, True])
def test_offload_holds_what_the_plan_counts(pieces: bool | None, tmp_path: Path) -> None:
    said = ended(_HELD, pieces, tmp_path)
    assert said["held"] == pytest.approx(said["planned"], rel=0.02)


@needs_deepspeed
@pytest.mark.parametrize(
    ("count", "offload"),
    [(1, False), *(pytest.param(*how, marks=pytest.mark.slow) for how in ((1, True), (2, False), (2, True)))],
)
def test_it_descends_as_accelerate_does(count: int, offload: bool, tmp_path: Path) -> None:
    said = ended(_CHILD, offload, tmp_path, count)
    assert said["refused"] == "the gradient is not a number"
    assert all(said[name] for name in ("idle", "kept", "own"))
    assert max(said[name] for name in ("weights", "state", "continued")) < 1e-6


def recipe(**changes) -> Recipe:
    return Recipe(name="r", summary="s", stages=(Stage(name="image", steps=1),), **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"precision": "fp16"}, "engine deepspeed: precision=fp16 .*; set precision=bf16, or use --engine ddp"),
        ({"optimizer": "adamw_8bit"}, "engine deepspeed: optimizer=adamw_8bit .*; set optimizer=adamw"),
    ],
)
def test_what_it_cannot_do_is_refused_with_the_field(changes, said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitioned, "find_spec", lambda name: name)
    with pytest.raises(ValueError, match=said):
        partitioned.Partitioned(Accelerator(cpu=True), recipe(**changes))


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitioned, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"engine deepspeed: needs deepspeed; pip install .*\[deepspeed\]"):
        engines.start("deepspeed", recipe(), "cpu")


def test_other_engines_refuse_to_offload() -> None:
    with pytest.raises(ValueError, match=r"memory.offload: only engine deepspeed .*; add --engine deepspeed, or set"):
        engines.start("ddp", recipe(memory=MemoryConfig(offload=True)), "cpu")


def test_weights_that_a_row_cannot_hold_as_they_are_are_refused() -> None:
    named = [("conv.weight", nn.Parameter(torch.zeros(2, 3, 3, 3).to(memory_format=torch.channels_last)))]
    with pytest.raises(ValueError, match=r"engine deepspeed: conv.weight has its channels last"):
        zero._check_layout(named)


def test_steps_that_differ_by_parameter_are_refused() -> None:
    with pytest.raises(ValueError, match=r"deepspeed: a has made 3 steps and others 5, .* --engine ddp or fsdp"):
        zero._check_step("a", torch.tensor(3.0), torch.tensor(5.0))

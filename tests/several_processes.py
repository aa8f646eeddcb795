"""One training in several processes on this machine, as torchrun starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from idol_model.recipe import Recipe

_CHILD = """
import json, sys
from pathlib import Path
from idol_model.recipe import Recipe
from idol_model.training import TrainOptions, train
recipe, data, folder, engine, stop_after = sys.argv[1:]
def report(progress):
    if progress.done == int(stop_after):
        raise SystemExit(0)
options = TrainOptions(device="cpu", engine=engine, report=report, command=["test"])
train(Recipe.from_dict(json.loads(recipe)), Path(data), Path(folder), options)
"""


def environment() -> dict[str, str]:
    """For a child: one thread, this checkout's packages before those that the parent was given."""
    packages = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": packages}


def train_in_processes(
    recipe: Recipe, data: Path, folder: Path, *, count: int = 2, engine: str = "ddp", stop_after: int = -1
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, or until ``stop_after`` steps of a stage are done; the caller looks at the return code."""
    launch = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={count}", "--standalone"]
    program = folder.parent / f"{folder.name}-child.py"
    program.write_text(_CHILD)
    arguments = [json.dumps(recipe.to_dict()), str(data), str(folder), engine, str(stop_after)]
    command = [*launch, str(program), *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=280)

"""A tiny finished checkpoint that others are trained from."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import torch
from tiny_training import tiny

from idol_model import IdolModel, IdolPipeline


@functools.cache
def base() -> Path:
    """The debug recipe's networks, no layer of them the identity any more; made once a session."""
    folder = Path(tempfile.mkdtemp(prefix="idol-base-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    recipe = tiny()
    torch.manual_seed(5)
    model = IdolModel.from_recipe(recipe).eval()
    with torch.no_grad():
        for parameter in (*model.unet.parameters(), *model.pose_control.parameters()):
            parameter.add_(0.02 * torch.randn_like(parameter))
    IdolPipeline.from_model(model, recipe).save_pretrained(folder)
    return folder

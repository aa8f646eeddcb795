"""Variants are objects: nothing in the forward pass, the trainer or the sampler asks what was configured."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2] / "idol_model"
ASKED = {"config", "recipe", "sizes", "own", "stage", "spec", "kind", "isinstance"}
COUNTS = {"steps", "log_every", "save_every"}
"""How often and how long is no variant."""
WALKED = ("forward", "run_encoder", "embed", "attend", "added", "into_stage")


def questions(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            yield node.test
        if isinstance(node, ast.Match):
            yield node.subject


def words(test: ast.expr) -> set[str]:
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(test) if isinstance(node, ast.Attribute)}


def asked(tree: ast.AST) -> list[str]:
    return [ast.unparse(t) for t in questions(tree) if words(t) & ASKED and not words(t) & COUNTS]


@pytest.mark.parametrize("file", ["trainer.py", "sampling.py", "objective.py", "long_video.py"])
def test_loops_do_not_ask_what_was_configured(file: str) -> None:
    assert asked(ast.parse((HOME / file).read_text())) == []


def test_the_forward_pass_does_not_ask_what_was_configured() -> None:
    seen = 0
    for file in [
        *HOME.glob("unet/*.py"),
        *HOME.glob("pose_control/*.py"),
        *HOME.glob("codecs/*.py"),
        HOME / "model.py",
    ]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name in WALKED:
                seen += 1
                assert asked(node) == [], f"{file.name}: {node.name}"
    assert seen > 15


def test_the_check_sees_what_it_should() -> None:
    assert asked(ast.parse("if self.config.coupling == 'none':\n    pass"))
    assert asked(ast.parse("x = a if isinstance(net, ControlNet) else b"))
    assert not asked(ast.parse("if layout.frames == 1:\n    pass"))

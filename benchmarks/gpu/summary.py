"""All figures in ``summary.json``, and to read in ``summary.md``; written anew after every part."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu import goals
from benchmarks.gpu.ledger import read, write_json
from benchmarks.gpu.setting import Setting

_CARE = (
    "Processors draw dancers and count memory at the lowest priority beside the parts before *train*; launches of "
    "kernels may have waited for them."
)
_NOTHING = "A rehearsal at toy size: every line ran, no figure means anything."


def write(setting: Setting, parts: Sequence[str], command: str) -> dict[str, Any]:
    """Gather what is there of each part; returns the whole."""
    file = setting.work / "machine.json"
    machine = json.loads(file.read_text()) if file.is_file() else {}
    found = {name: read(setting.work / f"{name}.json") for name in parts}
    document = {
        "format": "idol-gpu-benchmark",
        "command": command,
        "rehearsal": setting.rehearse,
        "machine": machine,
        "goals": [] if setting.rehearse else goals.goals(found),
        "parts": found,
    }
    write_json(setting.out / "summary.json", document)
    text = setting.out / "summary.md"
    text.write_text("\n".join(_lines(document)) + "\n", encoding="utf-8")
    return document


def _lines(document: Mapping[str, Any]) -> list[str]:
    machine = document["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine.get("packages", {}).items())
    lines = ["# GPU benchmark", "", f"`{document['command']}`", ""]
    lines += [f"- card: {machine.get('card', 'unknown')}, CUDA {machine.get('cuda')}, {machine.get('cores')} cores"]
    lines += [f"- {packages}", f"- commit {machine.get('commit')}, source {machine.get('source')}"]
    lines += [f"- {_NOTHING if document['rehearsal'] else _CARE}", "", *_goal_lines(document["goals"])]
    for part, figures in document["parts"].items():
        lines += ["", f"## {part}", "", "| figure | | what |", "|---|---|---|"]
        lines += [f"| {name} | {found['status']} | {_cell(found)} |" for name, found in figures.items()]
    return lines


def _goal_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    if not found:
        return []
    words = {None: "not measured", True: "met", False: "missed"}
    lines = ["| goal | wanted | value | |", "|---|---|---|---|"]
    return lines + [
        f"| {one['goal']} | {one['wanted']} | {short(one['value'])} | {words[one['met']]} |" for one in found
    ]


def _cell(found: Mapping[str, Any]) -> str:
    if found["status"] != "done":
        return str(found.get("reason", "")).replace("|", "/").replace("\n", " ")
    return "; ".join(f"{name} {short(value)}" for name, value in found["values"].items()).replace("|", "/")


def short(value: Any) -> str:
    """A value in few letters: four digits of a number, three items of a list."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        if "tried" in value or len(value) <= 8:
            return "(" + ", ".join(f"{name} {short(item)}" for name, item in value.items()) + ")"
        return f"({len(value)} values)"
    if isinstance(value, list):
        more = ", ..." if len(value) > 3 else ""
        return "[" + ", ".join(short(item) for item in value[:3]) + more + "]"
    return "-" if value is None else str(value)


def exists(out: Path) -> bool:
    """Whether an invocation has written there before."""
    return (out / "summary.json").is_file()

"""Tables in files: Markdown, LaTeX, HTML or JSON by the file's ending."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli._output import Output
from idol_eval.report import table_markdown


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One table: its headings and lines, and what is to be said below it.

    ``below`` is HTML that a page has under the table, made for the file that is written.
    """

    title: str
    cells: tuple[list[str], list[list[str]]]
    remarks: Sequence[str] = ()
    below: Callable[[Path], str] = field(default=lambda file: "", kw_only=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """Tables under one title; ``data`` is what JSON gets."""

    title: str
    blocks: Sequence[Block]
    data: dict[str, Any]

    def show(self, out: Output, files: Sequence[Path]) -> None:
        """On the terminal, in ``files``, as the command's result."""
        for block in self.blocks:
            out.table(block.title, *block.cells)
            for text in block.remarks:
                out.line(text)
        for file in files:
            write_text(file, self.text(file))
            out.line(str(file))
        out.result(self.data)

    def text(self, file: Path) -> str:
        """All of it in the form of the file's ending."""
        ending = check_ending(file)
        if ending == ".json":
            return json.dumps(self.data, indent=2) + "\n"
        if ending == ".md":
            return "\n\n".join(_markdown(block) for block in self.blocks) + "\n"
        if ending == ".tex":
            from idol_eval.latex import plain_table

            return "\n".join(plain_table(block.title, *block.cells, block.remarks) for block in self.blocks)
        from idol_eval.pages import page, section

        sections = [section(one.title, one.cells, one.remarks) + one.below(file) for one in self.blocks]
        return page(self.title, "".join(sections))


def _markdown(block: Block) -> str:
    said = "\n".join(f"- {text}" for text in block.remarks)
    return f"## {block.title}\n\n{table_markdown(*block.cells)}\n\n{said}".rstrip()


def check_ending(file: Path) -> str:
    """The file's ending in small letters. Raises ValueError for one that nothing is written for."""
    ending = file.suffix.lower()
    if ending not in (".json", ".md", ".tex", ".html"):
        raise ValueError(f"{file}: name a file that ends in .md, .tex, .html or .json")
    return ending


def write_text(file: Path, content: str) -> None:
    """The file appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    hidden = file.with_name(f".{file.name}.part")
    hidden.write_text(content, encoding="utf-8")
    hidden.replace(file)

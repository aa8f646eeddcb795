"""Rows as a LaTeX table (booktabs), best value of each column in bold, second underlined, as the paper prints them."""

from collections.abc import Sequence

from idol_eval.catalogue import Metric
from idol_eval.protocol import Protocol
from idol_eval.report import BRIEF, columns, protocol_text, remarks
from idol_eval.row import Row

_SPECIAL = {
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
}
_SIGNS = str.maketrans({"δ": r"$\delta$", "^": r"\^{}", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "→": r"$\to$"})
_ARROWS = {"lower": r"$\downarrow$", "higher": r"$\uparrow$", "one": r"$\to 1$"}


def scores_table(rows: Sequence[Row], protocol: Protocol) -> str:
    """A ``table`` environment; only measured rows compete for bold. What was left out is in comments above it."""
    shown = columns(rows, BRIEF)
    heads = " & ".join(["", *(f"{escaped(metric.title)}{_ARROWS[metric.better]}" for metric in shown)])
    marks = {metric.key: _ranked(metric, rows) for metric in shown}
    lines = [
        " & ".join([escaped(row.name), *(_cell(metric, row, marks[metric.key]) for metric in shown)]) for row in rows
    ]
    comments = [f"% {text}" for text in (protocol_text(protocol, rows), *remarks(rows))]
    body = [rf"\begin{{tabular}}{{l{'c' * len(shown)}}}", r"\toprule", rf"{heads} \\", r"\midrule"]
    body += [rf"{line} \\" for line in lines] + [r"\bottomrule", r"\end{tabular}"]
    caption = rf"\caption{{Protocol {escaped(protocol.id)}.}}"
    return "\n".join([*comments, r"\begin{table}", r"\centering", *body, caption, r"\end{table}"]) + "\n"


def plain_table(title: str, headings: Sequence[str], lines: Sequence[Sequence[str]], comments: Sequence[str]) -> str:
    """Any table of text."""
    text = [f"% {one}" for one in comments]
    text += [r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{l{'c' * (len(headings) - 1)}}}", r"\toprule"]
    text += [" & ".join(escaped(one) for one in headings) + r" \\", r"\midrule"]
    text += [" & ".join(escaped(one) for one in line) + r" \\" for line in lines]
    text += [r"\bottomrule", r"\end{tabular}", rf"\caption{{{escaped(title)}.}}", r"\end{table}"]
    return "\n".join(text) + "\n"


def escaped(text: str) -> str:
    """``text`` with LaTeX's own signs made harmless."""
    plain = text.replace("\\", "/")
    return "".join(_SPECIAL.get(sign, sign) for sign in plain).translate(_SIGNS)


def _ranked(metric: Metric, rows: Sequence[Row]) -> list[float]:
    """Values of measured rows from best on."""
    values = {row.values.get(metric.key) for row in rows if row.kind == "measured"}
    known = [value for value in values if value is not None]
    if metric.better == "one":
        return sorted(known, key=lambda value: abs(value - 1))
    return sorted(known, reverse=metric.better == "higher")


def _cell(metric: Metric, row: Row, ranked: Sequence[float]) -> str:
    value = row.values.get(metric.key)
    if value is None:
        return "--"
    text = format(value, metric.form)
    if row.kind != "measured" or len(ranked) < 2:
        return text
    place = ranked.index(value)
    return rf"\textbf{{{text}}}" if place == 0 else rf"\underline{{{text}}}" if place == 1 else text

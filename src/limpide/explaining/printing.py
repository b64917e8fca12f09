"""Sections as plain text, for a terminal of any width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from limpide.explaining.arithmetic import Number
from limpide.explaining.sections import Section
from limpide.explaining.writing import Text

INDENT = "  "


def as_text(head: Sequence[str], sections: Sequence[Section], foot: Sequence[str], width: int) -> str:
    """The whole telling."""
    lines = [line for text in head for line in _wrapped(text, width, "", "")]
    for section in sections:
        lines += ["", section.title, "─" * min(len(section.title), width)]
        lines += list(_section(section, width))
    lines.append("")
    lines += [line for text in foot for line in _wrapped(text, width, "", INDENT)]
    return "\n".join(lines) + "\n"


def _section(section: Section, width: int) -> Iterator[str]:
    for text in section.lines:
        yield from _wrapped(text, width, INDENT, INDENT)
    if section.table is not None:
        yield from _table(*section.table, width)
    writer = Text(section.digits, section.most)
    for number in section.numbers:
        yield from _equation(writer, number, width)
    if section.more:
        yield from _wrapped(f"({section.more})", width, INDENT, INDENT)


def _equation(writer: Text, number: Number, width: int) -> Iterator[str]:
    """On one line where there is room, else each step under the other."""
    parts = writer.equation(number)
    line = INDENT + " = ".join(parts)
    if len(line) <= width:
        yield line
        return
    margin = " " * (len(INDENT) + len(parts[0]))
    for i, part in enumerate(parts[1:]):
        first = (INDENT + parts[0] if i == 0 else margin) + " = "
        yield from _wrapped(part, width, first, margin + "   ")


def _wrapped(text: str, width: int, first: str, later: str) -> list[str]:
    wrapped = textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
    return wrapped or [first.rstrip()]


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    every = [*([headers] if headers else []), *rows]
    widths = [max(len(row[i]) for row in every) for i in range(len(every[0]))]
    for row in every:
        cells = [cell.ljust(w) if i == 0 and headers else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        line = INDENT + "  ".join(cells).rstrip()
        yield line if len(line) <= width else line[: width - 1] + "…"

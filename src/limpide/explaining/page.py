"""Sections as HTML with MathML: parts for a notebook, one offline file for a browser."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from limpide.explaining.arithmetic import Number, leaves
from limpide.explaining.sections import Section
from limpide.explaining.writing import mathml
from limpide.markup import paragraph, picture, table
from limpide.report import fill

PICTURE_WIDTH, MOST_LINKS = 140, 8


def as_parts(sections: Sequence[Section], is_page: bool = False) -> str:
    """The sections, one under the other; on a page the numbers lead to those they are made of."""
    known = {number.name for section in sections for number in section.numbers if number.name} if is_page else set()
    placed: set[str] = set()
    return "".join(_section(section, known, placed) for section in sections)


def _section(section: Section, known: set[str], placed: set[str]) -> str:
    parts = [f"<h3>{escape(section.title)}</h3>", *map(paragraph, section.lines)]
    if section.png:
        parts.append(picture(section.png, section.title, PICTURE_WIDTH))
    if section.table is not None:
        headers, rows = section.table
        width = len(rows[0]) if rows else 0
        parts.append(table(headers, rows, right=range(1 if headers else 0, width)))
    parts += [_number(number, section, known, placed) for number in section.numbers]
    if section.more:
        parts.append(paragraph(section.more))
    return f'<section class="opened">{"".join(parts)}</section>'


def _number(number: Number, section: Section, known: set[str], placed: set[str]) -> str:
    """An equation, its address beside it, and the way to those of its numbers that are on the page."""
    mark = f' id="{escape(number.name)}"' if number.name in known - placed else ""
    placed.add(number.name)
    words = [f"<small>{escape(number.word)}</small>"] if number.word else []
    words += [f"<code>{escape(number.name)}</code>"] if number.name else []
    expression = number.expression()
    made_of = [] if expression is None else list(dict.fromkeys(leaf.name for leaf in leaves(expression)))
    links = [name for name in made_of if name in known and name != number.name][:MOST_LINKS]
    anchors = " ".join(f'<a href="#{quote(name)}">{escape(name)}</a>' for name in links)
    made = f'<p class="made-of">{anchors}</p>' if links else ""
    return (
        f'<div class="number-opened"{mark}>{mathml(number, section.digits, section.most)}{"".join(words)}{made}</div>'
    )


def as_page(title: str, head: Sequence[str], sections: Sequence[Section], foot: Sequence[str]) -> str:
    """One offline HTML file."""
    return fill("explain.html", {"name": title, "head": head, "foot": foot, "body": as_parts(sections, is_page=True)})

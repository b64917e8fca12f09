"""HTML for notebooks: tables and pictures that need nothing from outside and take the page's own colours."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape

MOST_ROWS = 60
"""Shown of a table: the first half and the last."""


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = (), caption: str = "") -> str:
    """A table; every text is escaped.

    right  columns of numbers, set flush right

    >>> table(("a",), [("<b>",)])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    every = list(rows)
    if len(every) > MOST_ROWS:
        every = [*every[: MOST_ROWS // 2], ["⋮"] * len(headers), *every[-MOST_ROWS // 2 :]]
    sides = [' style="text-align:right"' if i in right else "" for i in range(len(headers))]
    named = f'<caption style="text-align:left">{escape(caption)}</caption>' if caption else ""
    head = "".join(f"<th{side}>{escape(header)}</th>" for side, header in zip(sides, headers))
    body = "".join(
        f"<tr>{''.join(f'<td{side}>{escape(cell)}</td>' for side, cell in zip(sides, row))}</tr>" for row in every
    )
    return f"<table>{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def picture(png: str, words: str, width: int) -> str:
    """A picture given as base64, its pixels left sharp.

    words  what it shows, for who cannot see it
    width  in pixels of the page
    """
    style = "image-rendering:pixelated;margin:2px"
    return f'<img src="data:image/png;base64,{png}" alt="{escape(words)}" width="{width}" style="{style}">'


def paragraph(text: str) -> str:
    """One paragraph of plain text."""
    return f"<p>{escape(text)}</p>"

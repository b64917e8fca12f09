"""A picture: a title, how to read it, the table behind it, and the drawing, as SVG, PNG or PDF.

The colours stand in the SVG as plain values, so that every program shows them; `DARK_STYLE` maps each to its twin for a
dark page. The object interface of matplotlib only: no window, no global figure, the same bytes every time.
"""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpide.checkpoint import write_file
from limpide.errors import InputError, problem
from limpide.i18n import _, format_count, format_number, get_language

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1c2530", "#5c6875", "#e4e8ed", "#ffffff"
BLUE, ORANGE, GREEN, RED = "#0b62ad", "#b85100", "#1a7d49", "#c0302b"
ON_COLOUR = "#fefefe"

_DARK = {
    INK: "#e6eaf0",
    MUTED: "#9ba7b4",
    GRID: "#2a313a",
    PAPER: "#12161b",
    BLUE: "#6bb1f7",
    ORANGE: "#ffa35a",
    GREEN: "#5ccb92",
    RED: "#ff8078",
    ON_COLOUR: "#0c1015",
}

DARK_STYLE = (
    "@media screen and (prefers-color-scheme:dark){"
    + "".join(
        f'.limpide-figure [style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in _DARK.items()
        for what in ("fill", "stroke")
    )
    + "}"
)
"""The style sheet that turns every figure of a page dark when the reader's screen is."""

FONTS = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
TEXT_SIZE = 10.5

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.color": INK,
    "text.usetex": False,
    "path.simplify": True,
    "font.family": ["DejaVu Sans"],
    "font.size": TEXT_SIZE,
    "figure.facecolor": PAPER,
    "figure.edgecolor": PAPER,
    "savefig.facecolor": "auto",
    "savefig.bbox": None,
    "axes.facecolor": "none",
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.labelsize": TEXT_SIZE,
    "axes.titlesize": TEXT_SIZE,
    "axes.titlecolor": INK,
    "axes.linewidth": 1.0,
    "axes.grid": False,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": TEXT_SIZE,
    "ytick.labelsize": TEXT_SIZE,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "xtick.major.pad": 6.0,
    "ytick.major.pad": 6.0,
}

_DRAWN = tuple(
    f"{group}."
    for group in (
        *("axes", "figure", "font", "grid", "image", "lines", "markers", "patch", "path", "pdf", "savefig"),
        *("scatter", "svg", "text", "xaxis", "xtick", "yaxis", "ytick"),
    )
)
_TITLE_HEIGHT = 0.42
_CAPTION_SIZE, _LINE_HEIGHT = 9.0, 0.175
_Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """The data behind a picture: the names of the columns, and the rows."""

    header: tuple[str, ...]
    rows: tuple[tuple[_Cell, ...], ...]

    def html(self) -> str:
        """The table as HTML; numbers stand in cells of class "number"."""
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.header)
        body = "".join("<tr>" + "".join(_html_cell(cell) for cell in row) + "</tr>" for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __str__(self) -> str:
        """The columns under their names, numbers to the right."""
        texts = [self.header, *(tuple(map(_text, row)) for row in self.rows)]
        columns = []
        for i, column in enumerate(zip(*texts)):
            width = max(map(len, column))
            is_number = any(isinstance(row[i], int | float) for row in self.rows)
            cells = [text.rjust(width) if is_number else text.ljust(width) for text in column]
            columns.append([cells[0], "─" * width, *cells[1:]])
        return "\n".join("  ".join(line).rstrip() for line in zip(*columns))

    def _repr_html_(self) -> str:
        return self.html()


def _text(cell: _Cell) -> str:
    if isinstance(cell, str) or cell is None:
        return cell or ""
    return format_count(cell) if isinstance(cell, int) else format_number(cell)


def _html_cell(cell: _Cell) -> str:
    opening = "<td>" if isinstance(cell, str) or cell is None else '<td class="number">'
    return f"{opening}{escape(_text(cell))}</td>"


@dataclass(frozen=True)
class Sheet:
    """Where a picture is drawn: lengths in inches, the strips of the title and of the caption left out.

    below  the height of the caption
    """

    figure: Figure
    width: float
    height: float
    below: float = 0.0

    def axes(self, left: float, bottom: float, right: float = 0.12, top: float = 0.12) -> Axes:
        """One pair of axes with these margins."""
        return self.panel(left, bottom, self.width - left - right, self.height - bottom - top)

    def panel(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """One pair of axes with its lower left corner and its size."""
        total = float(self.figure.get_size_inches()[1])
        box = (left / self.width, (bottom + self.below) / total, width / self.width, height / total)
        return self.figure.add_axes(box)


@dataclass(frozen=True)
class Picture:
    """A figure of a run: shown in a notebook, or saved as SVG, PNG or PDF.

    caption  one line: how to read it
    table    the data behind it
    size     inches, the title left out
    """

    name: str
    title: str
    caption: str
    table: Table
    draw: Callable[[Sheet], None] = field(repr=False)
    size: tuple[float, float] = (5.4, 3.3)

    def svg(self, titled: bool = True, dark: bool = True, captioned: bool = False) -> str:
        """One `<svg>` element, the same characters every time.

        titled     with the title in the picture
        dark       with the style that follows the reader's dark screen (a page with several figures states it once)
        captioned  with the caption under it
        """
        text = StringIO()
        self._print("svg", text, titled, captioned, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        return _compact(text.getvalue(), f"{self.title}. {self.caption}", DARK_STYLE if dark else "")

    def png(self, dpi: int = 160, captioned: bool = False) -> bytes:
        """The bytes of a PNG, its title in the picture; `captioned` and with the caption under it too."""
        content = BytesIO()
        self._print("png", content, titled=True, captioned=captioned, dpi=dpi, metadata={"Software": None})
        return content.getvalue()

    def save(self, path: str | Path) -> Path:
        """The picture with its caption in a file; the suffix says how: .svg, .png or .pdf.

        Raises  InputError for another suffix; RunError when the file cannot be written
        """
        path = Path(path)
        match path.suffix.lower():
            case ".svg":
                content = self.svg(captioned=True).encode()
            case ".png":
                content = self.png(captioned=True)
            case ".pdf":
                file = BytesIO()
                self._print("pdf", file, titled=True, captioned=True, metadata={"CreationDate": None})
                content = file.getvalue()
            case suffix:
                expected, mend = _("a name that ends in .svg, .png or .pdf"), _("change its ending")
                raise InputError(problem(str(path), expected, repr(suffix), mend))
        return write_file(path, content)

    def _print(self, kind: str, target: Any, titled: bool, captioned: bool, **options: Any) -> None:
        from matplotlib import rc_context, rcParamsDefault
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        width, height = self.size
        caption = self._caption_lines() if captioned else []
        # the user's own matplotlib style must not leak in, nor this one out
        style = {key: value for key, value in rcParamsDefault.items() if key.startswith(_DRAWN)} | _STYLE
        # words of people's files may hold signs that matplotlib's own font lacks; the reader's fonts have them.
        with rc_context(style | {"svg.hashsalt": self.name}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            below = len(caption) * _LINE_HEIGHT + (0.12 if caption else 0)
            total = height + (_TITLE_HEIGHT if titled else 0) + below
            figure = Figure(figsize=(width, total))
            FigureCanvasAgg(figure)
            self.draw(Sheet(figure, width, height, below))
            if titled:
                figure.text(0.1 / width, 1 - 0.12 / total, self.title, size=13, weight="bold", va="top")
            for i, line in enumerate(caption, 1):
                bottom = (0.08 + (len(caption) - i) * _LINE_HEIGHT) / total
                figure.text(0.1 / width, bottom, line, size=_CAPTION_SIZE, color=MUTED)
            figure.savefig(target, format=kind, **options)

    def _caption_lines(self) -> list[str]:
        """The caption in lines as wide as the picture."""
        return textwrap.wrap(self.caption, max(int((self.size[0] - 0.2) * 72 / (0.53 * _CAPTION_SIZE)), 20))

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return (
            f'<figure style="margin:1em 0;max-width:{self.size[0]}in">{self.svg()}'
            f'<figcaption style="font-family:{FONTS}">{escape(self.caption)}</figcaption>'
            f"<details><summary>{escape(_('The numbers behind it'))}</summary>{self.table.html()}</details></figure>"
        )


def _compact(svg: str, description: str, style: str) -> str:
    """matplotlib's SVG without what a page does not need: prolog, identifiers met twice, fonts, spare decimals."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r'(width|height)="([\d.]+)pt"', r'\1="\2"', svg, count=2)
    svg = re.sub(r' id="[A-Za-z.]\w*?_\d+"| id="matplotlib\.axis_\d+"', "", svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    # A marker takes its colours where it is used: styles inside `defs` are out of reach of the dark style.
    svg = re.sub(r'(<path id="m[^>]*?) style="[^"]*"', r"\1", svg)
    svg = re.sub(r' transform="rotate\(-0 [^"]*"', "", svg)
    svg = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg).replace(" \n", "\n")
    svg = re.sub(r'<style type="text/css">.*?</style>', f"<style>{style}</style>" if style else "", svg, count=1)
    attributes = (
        f'<svg class="limpide-figure" role="img" lang="{get_language()}" aria-label="{escape(description)}" '
        f'style="font-family:{FONTS};stroke-linejoin:round;max-width:100%;height:auto" '
    )
    return svg.replace("<svg ", attributes, 1)

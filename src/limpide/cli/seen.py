"""What the network saw of people's own images: on a terminal, and as a page with a file for each image."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from limpide.cli.screen import printable
from limpide.data.dataset import Dataset, Note
from limpide.i18n import format_count, format_percent, ngettext

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console
    from rich.text import Text

    from limpide.runs import Run

SHOWN_WIDTH = 28
"""Columns of a terminal for an image; a larger one is reduced."""
SHOWN_LINES = 2
"""Lines of images side by side on a terminal."""
SHOWN_DOUBTS = 10
SHADES = " ░▒▓█"
FILE_WIDTH = 280
"""Pixels that a file shows an image with, at least."""
ORIGINAL_SIDE = 280


class Seen(NamedTuple):
    """One image, and what came of it."""

    name: str
    pixels: np.ndarray
    said: str
    doubt: str
    prediction: str
    confidence: float | None


def what_was_seen(run: Run, dataset: Dataset, predictions: pl.DataFrame) -> list[Seen]:
    """Each image of a data set with its prediction and its doubt; nothing for a table."""
    if run.likeness is None or not isinstance(dataset.inputs, np.ndarray):
        return []
    images = dataset.inputs
    names = dataset.names or tuple(format_count(i + 1) for i in range(len(images)))
    said = [treated.said for treated in dataset.treated] or [""] * len(images)
    doubts = run.likeness.doubts(images, run.target.labels, dataset.treated)
    answers = predictions["prediction"]
    sure = predictions["confidence"].to_list() if "confidence" in predictions.columns else [None] * len(images)
    return [Seen(*row) for row in zip(names, images, said, doubts, map(str, answers), sure)]


def doubt_notes(seen: list[Seen], where: str) -> list[Note]:
    """A warning for each image that may be none of the kind that was learned; one for all where they are many."""
    doubted = [one for one in seen if one.doubt]
    if len(doubted) <= SHOWN_DOUBTS:
        return [Note("warning", one.name, one.doubt) for one in doubted]
    text = ngettext(
        "{n} image of {all} is unlike the training images, such as {names}: do not rely on its prediction",
        "{n} images of {all} are unlike the training images, such as {names}: do not rely on their predictions",
        len(doubted),
    )
    names = ", ".join(one.name for one in doubted[:5])
    return [Note("warning", where, text.format(n=format_count(len(doubted)), all=format_count(len(seen)), names=names))]


def show_seen(console: Console, seen: list[Seen]) -> None:
    """The first images side by side, as far as the terminal is wide; each cell holds two pixels."""
    from rich.table import Table

    width = min(SHOWN_WIDTH, seen[0].pixels.shape[2])
    across = max(1, (console.width + 2) // (width + 2))
    for start in range(0, min(len(seen), SHOWN_LINES * across), across):
        line = seen[start : start + across]
        grid = Table.grid(padding=(0, 2))
        for _one in line:
            grid.add_column(width=width, overflow="ellipsis", no_wrap=True)
        grid.add_row(*(as_blocks(one.pixels, console.color_system is not None) for one in line))
        grid.add_row(*(printable(one.name) for one in line), style="dim")
        grid.add_row(*(_answer(one) + (" ?" if one.doubt else "") for one in line), style="bold")
        console.print(grid)
        console.print()


def _answer(one: Seen) -> str:
    return one.prediction if one.confidence is None else f"{one.prediction}  {format_percent(one.confidence, 1)}"


def as_blocks(pixels: np.ndarray, in_colour: bool = True) -> Text:
    """An image (channels, rows, cols) in [0, 255] as lines of half blocks, or of shades where there are no colours.

    >>> print(as_blocks(np.array([[[0, 255], [0, 255]]]), in_colour=False))
     █
    """
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    step = -(-pixels.shape[2] // SHOWN_WIDTH)
    small = np.clip(pixels[:, ::step, ::step], 0, 255).astype(np.uint8)
    small = np.pad(small, ((0, 0), (0, small.shape[1] % 2), (0, 0)))
    colours = np.broadcast_to(small, (3, *small.shape[1:])).transpose(1, 2, 0)
    lines = []
    for upper, lower in zip(colours[::2], colours[1::2]):
        if not in_colour:
            light = (upper.astype(int) + lower).mean(axis=1) / 510
            lines.append(Text("".join(SHADES[round(value * (len(SHADES) - 1))] for value in light)))
            continue
        styles = [
            Style(color=Color.from_rgb(*map(int, a)), bgcolor=Color.from_rgb(*map(int, b)))
            for a, b in zip(upper, lower)
        ]
        lines.append(Text.assemble(*(("▀", style) for style in styles)))
    return Text("\n").join(lines)


def write_seen(folder: Path, seen: list[Seen], dataset: Dataset, run_name: str) -> None:
    """A folder with each image as the network saw it, and a page that shows them beside the originals.

    Raises  RunError  when the folder is there and not empty, or cannot be written
    """
    from limpide.checkpoint import write_bytes, write_folder
    from limpide.data.images import to_png_base64

    files = [f"{i + 1:0{len(str(len(seen)))}}-{_safe(one.name)}.png" for i, one in enumerate(seen)]

    def write(place: Path) -> None:
        rows = []
        for file, one in zip(files, seen):
            png = to_png_base64(one.pixels, -(-FILE_WIDTH // one.pixels.shape[2]))
            write_bytes(place / file, base64.b64decode(png))
            rows.append({"file": file, "original": _original(dataset, one.name), "one": one, "answer": _answer(one)})
        write_bytes(place / "index.html", _page(rows, dataset.name, run_name).encode())

    write_folder(folder, write, "--show-seen")


def _safe(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w.-]+", "_", Path(name).stem)[:60]


def _original(dataset: Dataset, name: str) -> str:
    """The image as people know it, small, as base64; nothing where it is no file of its own."""
    from limpide.data.image_files import thumbnail

    source = Path(dataset.source).expanduser()
    return thumbnail(source / name if source.is_dir() else source, ORIGINAL_SIDE)


def _page(rows: list[dict[str, Any]], name: str, run_name: str) -> str:
    from limpide.report import fill

    return fill("seen.html", {"rows": rows, "name": name, "run": run_name})

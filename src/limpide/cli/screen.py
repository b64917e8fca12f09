"""What every command shows with: sentences, tables, sparklines, problems, JSON."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from limpide.i18n import _

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.measure import Measurement
    from rich.table import Table

    from limpide.data.dataset import Note
    from limpide.experiment.comparison import Comparison
    from limpide.tuning.outcome import Search

BARS = "▁▂▃▄▅▆▇█"
PIPE_WIDTH = 240
"""In a pipe nothing wraps, so that lines can be searched and cut."""

REFRESHES = 8
"""Times a second that a drawing is made; it looks at the work by itself, so that the work pays nothing for it."""

# a rule under the headers and one above the totals
_RULES = "    \n    \n ── \n    \n    \n ── \n    \n    \n"


class Drawing:
    """What stands on a terminal while work goes on, and is wiped out at its end; in a pipe there is none."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def draw(self, shown: RenderableType) -> None:
        """Let this stand there from now on."""
        from rich.live import Live

        self.live = Live(shown, console=self.console, refresh_per_second=REFRESHES, transient=True)
        self.live.start()


def open_console(is_json: bool = False) -> Console:
    """Where people read: standard output, or standard error when standard output is for JSON."""
    from rich.console import Console

    file = sys.stderr if is_json else sys.stdout
    width = None if file.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(file=file, width=width, markup=False, highlight=False, emoji=False)


def print_json(facts: Mapping[str, Any]) -> None:
    """One JSON object on one line of standard output, in ASCII: safe in any pipe."""
    click.echo(json.dumps(facts, allow_nan=False))


def complain(problems: Iterable[str]) -> None:
    """Each problem on standard error behind a red mark; on a terminal long ones wrap under themselves, at spaces."""
    is_terminal = sys.stderr.isatty()
    mark = click.style("✗", fg="red") if is_terminal and not os.environ.get("NO_COLOR") else "✗"
    width = shutil.get_terminal_size().columns - 2
    for text in problems:
        lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) if is_terminal else [text]
        print(mark, "\n  ".join(lines), file=sys.stderr)


def as_command(*words: str | Path) -> str:
    """A command of limpide, ready to be pasted into a shell."""
    return shlex.join(["limpide", *map(str, words)])


def printable(text: str) -> str:
    """The text without what would move the cursor: names come from files.

    >>> printable("a\\nb\\x1b[31m")
    'a b�[31m'
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "\N{REPLACEMENT CHARACTER}", re.sub(r"\s*[\r\n\t]\s*", " ", text))


def labelled(name: str, text: str) -> str:
    """A name and what is said of it, with the colon of the user's language.

    >>> labelled("iris", "150 rows")
    'iris: 150 rows'
    """
    return _("{name}: {text}").format(name=name, text=text)


def sparkline(counts: Sequence[int]) -> str:
    """Counts as bars of eighths; nothing stands for none at all.

    >>> sparkline([1, 0, 4, 8])
    '▁ ▄█'
    """
    top = max(counts, default=0)
    return "".join(BARS[max(0, -(-8 * n // top) - 1)] if n else " " for n in counts)


def empty_table(show_footer: bool = False) -> Table:
    """A table without columns yet, in the house's style."""
    from rich.box import Box
    from rich.table import Table

    return Table(
        box=Box(_RULES),
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        show_footer=show_footer,
        header_style="bold",
    )


def make_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Collection[int] = (),
    total: Sequence[str] = (),
    fixed: Collection[int] = (),
    cut: Collection[int] = (),
) -> Table:
    """A table with a rule under its headers.

    right  columns of numbers, set flush right
    total  a last row, under a rule of its own
    fixed  columns that never wrap, besides those of numbers
    cut    columns that are cut short where others need the room
    """
    table = empty_table(show_footer=bool(total))
    for i, header in enumerate(headers):
        table.add_column(
            header,
            total[i] if total else "",
            justify="right" if i in right else "left",
            no_wrap=i in right or i in fixed,
            overflow="ellipsis" if i in fixed or i in cut else "fold",
        )
    for row in rows:
        table.add_row(*(printable(cell) for cell in row))
    return table


def natural_width(table: Table) -> int:
    """The columns of a terminal on which nothing of the table wraps."""
    return _measured(table).maximum


def least_width(table: Table) -> int:
    """The columns of a terminal on which no word of the table is cut."""
    return _measured(table).minimum


def _measured(table: Table) -> Measurement:
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(width=10_000)
    return Measurement.get(console, console.options, table)


def show_facts(console: Console, facts: Iterable[tuple[str, str]], style: str = "") -> None:
    """A word and what it stands for, line by line; long ones wrap under themselves."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style=style or "bold")
    grid.add_column(style=style, overflow="fold")
    for word, text in facts:
        grid.add_row(word, printable(text))
    console.print(grid)


def show_notes(console: Console, notes: Iterable[Note]) -> None:
    """What is worth knowing of the data: warnings behind a yellow mark, the rest dim."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for note in notes:
        is_warning = note.level == "warning"
        mark = Text("!", style="bold yellow") if is_warning else Text("·", style="dim")
        grid.add_row(mark, Text(printable(labelled(note.where, note.text)), style="" if is_warning else "dim"))
    if grid.row_count:
        console.print(grid)


def show_verdict(console: Console, found: Comparison | Search, quiet: bool) -> None:
    """What was found, in sentences: the verdict, how it ended, what went wrong, what it does not say."""
    soft = not console.is_terminal
    console.print(printable(found.verdict), style="bold", soft_wrap=soft)
    console.print(printable(found.ending()), soft_wrap=soft)
    for text in found.troubles():
        console.print(printable(f"! {text}"), style="yellow", soft_wrap=soft)
    for text in [] if quiet else found.notes():
        console.print(printable(f"· {text}"), style="dim", soft_wrap=soft)

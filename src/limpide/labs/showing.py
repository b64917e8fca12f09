"""How a cell shows what it found: on the page of the lab that runs it, or where the script is run."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from limpide.arrays import show_shape
from limpide.errors import LimpideError
from limpide.i18n import _, format_count, format_text
from limpide.nn.network import Network

_SINK: ContextVar[Callable[[Any], None] | None] = ContextVar("sink", default=None)
_FULL: ContextVar[bool | None] = ContextVar("full", default=None)


def show(*things: Any) -> None:
    """Show each thing: a text, a table, a picture, a run, a network.

    In a lab it goes onto the page; in a notebook it is displayed; in a script it is printed, and a picture becomes a
    file with its title for a name. Numbers that stand in a table as text get the marks of the user's language.
    """
    sink = _SINK.get()
    for thing in map(_in_language, things):
        if sink is not None:
            sink(thing)
        elif "ipykernel" in sys.modules:
            from IPython.display import display

            display(thing)
        else:
            _print(thing)


def _in_language(thing: Any) -> Any:
    from limpide.figures.picture import Table

    if not isinstance(thing, Table):
        return thing
    rows = (tuple(format_text(cell) if isinstance(cell, str) else cell for cell in row) for row in thing.rows)
    return Table(thing.header, tuple(rows))


def _print(thing: Any) -> None:
    from limpide.figures.picture import Picture

    if isinstance(thing, Picture):
        print(thing.save(_file_name(thing.title) + ".png"))
    elif isinstance(thing, Network):
        print(thing, _layers(thing), sep="\n")
    else:
        print(thing)


def _file_name(title: str) -> str:
    """The title in plain letters, for a name that every system takes.

    >>> _file_name("Deux variables, telles qu’elles")
    'deux-variables-telles-qu-elles'
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", title.lower()) if not unicodedata.combining(c))
    return "-".join(re.findall("[a-z0-9]+", plain))


def _layers(network: Network) -> Any:
    from limpide.figures.picture import Table

    rows = [(f"{row.index}.{row.type}", show_shape(row.output), row.arithmetic) for row in network.table()]
    total = (_("total"), "", format_count(network.n_parameters))
    return Table((_("layer"), _("output"), _("parameters")), (*rows, total))


def is_full() -> bool:
    """Whether the whole of a long experiment is asked for, and not the stated part of it."""
    full = _FULL.get()
    return "--full" in sys.argv if full is None else full


class OnlyFull(LimpideError):
    """A claim that a part of its experiment cannot decide, and the whole was not asked for."""


@contextmanager
def collecting(sink: Callable[[Any], None], full: bool) -> Iterator[None]:
    """What is shown goes to `sink` for a while."""
    tokens = _SINK.set(sink), _FULL.set(full)
    try:
        yield
    finally:
        _SINK.reset(tokens[0])
        _FULL.reset(tokens[1])

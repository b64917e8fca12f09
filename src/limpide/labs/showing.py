"""How a cell shows what it found: on the page of the lab that runs it, or where the script is run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from limpide.errors import LimpideError

_SINK: ContextVar[Callable[[Any], None] | None] = ContextVar("sink", default=None)
_FULL: ContextVar[bool | None] = ContextVar("full", default=None)


def show(*things: Any) -> None:
    """Show each thing: a text, a table, a picture, a run, a network.

    In a lab it goes onto the page; in a notebook it is displayed; in a script a picture becomes a file of its name.
    """
    sink = _SINK.get()
    for thing in things:
        if sink is not None:
            sink(thing)
        elif "ipykernel" in sys.modules:
            from IPython.display import display

            display(thing)
        else:
            _print(thing)


def _print(thing: Any) -> None:
    from limpide.figures.picture import Picture

    if isinstance(thing, Picture):
        print(thing.save("-".join(thing.title.lower().split()) + ".png"))
    else:
        print(thing)


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

"""One training shared by several processes that `torchrun` started: which of them this one is, and how their job ends.

Every process prepares the same data and takes its share of each batch; the torch engine adds their gradients up. The
first one alone writes the run, prints and fits the baselines. Of data larger than memory each keeps the prepared rows
on the disk for itself, and reads the same windows of them.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple, NoReturn

from limpide.errors import ProcessLost, problem
from limpide.i18n import _


class Place(NamedTuple):
    """Which process this is.

    rank        its number among all of them, from 0
    size        how many there are, on all machines
    local_rank  its number on this machine, from 0
    """

    rank: int
    size: int
    local_rank: int

    @property
    def is_shared(self) -> bool:
        """Whether there are others."""
        return self.size > 1

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes and prints."""
        return self.rank == 0

    def __str__(self) -> str:
        return _("process {rank} of {size}").format(rank=self.rank + 1, size=self.size)


def place() -> Place:
    """Where `torchrun` put this process; without it, the only one.

    >>> place()
    Place(rank=0, size=1, local_rank=0)
    """
    # other launchers set WORLD_SIZE too, for programs that know nothing of one another
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Place(0, 1, 0)
    return Place(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))


def neighbours() -> int:
    """How many processes of the job this machine has, this one among them."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if place().is_shared else 1


def lost(why: str) -> ProcessLost:
    """The error of a job that has lost one of its processes; from here on signals are ignored, so that its state can be
    written."""
    here = place()
    if here.is_first and here.is_shared and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    # gloo says where in its source it stands, and adds advice for its own users
    plain = re.sub(r"^\[\S+:\d+\] ", "", why).partition(". This is ")[0]
    # the first one says which run it keeps; it may be the one that is lost
    others = _("if a run was begun, go on: {command}").format(command="torchrun ... -m limpide resume RUN")
    mend = "" if here.is_first else others
    return ProcessLost(
        problem(str(here), _("every process of the job at work"), _("one lost: {why}").format(why=plain), mend)
    )


def signed(problems: Iterable[str]) -> list[str]:
    """What went wrong, with the process it went wrong in where it is not the first."""
    here = place()
    return [
        text if here.is_first or text.startswith(str(here)) else _("{name}: {text}").format(name=here, text=text)
        for text in problems
    ]


@contextmanager
def steady() -> Iterator[None]:
    """While a job of several processes runs: what `torchrun` tells them by signals.

    Ctrl-C reaches each process twice, from the terminal and from `torchrun`: the first one counts. SIGTERM says that a
    process is lost, and gives the first one the time to say how to go on.
    """
    here = place()
    if not here.is_shared or threading.current_thread() is not threading.main_thread():
        yield
        return
    answers = {signal.SIGINT: _interrupted, **({signal.SIGTERM: _ended} if here.is_first else {})}
    before = {number: signal.signal(number, answer) for number, answer in answers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            # one that came is not heard again: the run is being shown
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, handler)


def _interrupted(_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _ended(_number: int, _frame: FrameType | None) -> NoReturn:
    raise lost(_("torchrun ends the job"))

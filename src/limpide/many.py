"""Many trainings at once: one thread of arithmetic for each, as many side by side as there are cores.

Python's lock lets one thread at a time do what is not arithmetic: most of a small training, next to nothing of a large
one. So workers have processes of their own, but for the first one's trainings with the compiled engine, which need no
second copy of the data; with large data all of that engine's trainings share this process. Who trains where changes no
number: a run is the same bits as alone on one thread (`OMP_NUM_THREADS=1`), with any number of workers.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from limpide.data.dataset import Dataset
from limpide.data.frames import from_frame
from limpide.engines.base import is_compiled, may_need_shares
from limpide.errors import InputError, LimpideError, problem
from limpide.history import Epoch
from limpide.i18n import _
from limpide.recipe import Recipe
from limpide.workers import Elsewhere, Here, Outcome, Stopped, Task, Terms

IN_THIS_PROCESS = ("compiled",)
"""The engines that several threads of one process can run side by side."""

LARGE = 20_000_000
"""Bytes of data that are not read once for each process where threads can share them."""

UNTIL_READY = 0.02
"""Seconds between two looks at a process that is being started."""

LOOKS_UP = 0.2
"""Seconds after which a wait lets Ctrl-C through."""

Watch = Callable[[int, Epoch | None], None]


def train_many(
    recipes: Iterable[Recipe | None],
    *,
    workers: int | None = None,
    source: Any = None,
    baselines: bool = False,
    out: str | Path | None = None,
    report: bool = False,
    test: bool = True,
    watch: Watch | None = None,
) -> Iterator[tuple[int, Outcome]]:
    """Train many recipes side by side: each one's number and outcome, as it ends.

    recipes    asked for one by one as workers become free; an iterator that waits for an outcome before it knows the
               next gives None, and is asked again after it; numbers count recipes alone
    workers    how many train at once; None: as many as there are cores
    source     the data, where the recipes cannot name it: a frame
    baselines  whether to fit the models to compare with, for each run
    out        a folder in which each run gets its own, 001, 002, ...; None keeps the runs in memory only
    report     whether to write each folder's report.html
    test       False keeps the test set shut, and measures each run on its validation rows alone; without folders only
    watch      called with a recipe's number before its first epoch (None) and after each, while an outcome is awaited
    Raises     InputError for a number of workers below 1; DataError for a source that is no table

    A recipe that fails is an outcome like any other, a worker that is killed too. After Ctrl-C come the outcomes that
    are ready, then KeyboardInterrupt; folders of trainings that had begun can be resumed. BLAS is held to one thread
    in this process until the iterator is used up or closed.

    >>> recipe = Recipe.from_options("iris", engine="compiled", epochs=2)
    >>> sorted(i for i, outcome in train_many([recipe, recipe.replace(seed=1)]) if outcome.run)
    [0, 1]
    """
    if workers is not None and workers < 1:
        raise InputError(problem("workers", _("a number of at least {bound}").format(bound=1), str(workers)))
    if not test and out is not None:
        raise InputError(problem("test", _("runs kept in memory"), _("a folder"), _("leave out one of the two")))
    n = usable_cores() if workers is None else workers
    if isinstance(recipes, Sized):
        n = max(min(n, len(recipes)), 1)
    terms = Terms(_plain(source), baselines, report, test, watch is not None, n)
    return _outcomes(recipes, terms, None if out is None else Path(out), watch)


def _plain(source: Any) -> Any:
    """The source as it can be sent to any process: of a frame, which may hold what cannot, the columns alone."""
    if source is None or isinstance(source, str | os.PathLike | Dataset | tuple | np.ndarray):
        return source
    return from_frame(source)


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _outcomes(
    recipes: Iterable[Recipe | None], terms: Terms, out: Path | None, watch: Watch | None
) -> Iterator[tuple[int, Outcome]]:
    # a list is known from the start: a worker need not wait for its next recipe
    most = terms.n_workers * (2 if isinstance(recipes, Sized) else 1)
    to_come, is_open, given, under_way = iter(recipes), True, 0, 0
    with threadpool_limits(1, "blas"):
        crew = _Crew(terms)
        try:
            while True:
                while is_open and under_way < most:
                    try:
                        recipe = next(to_come)
                    except StopIteration:
                        is_open = False
                        break
                    if recipe is None:
                        break
                    if not isinstance(recipe, Recipe):
                        raise InputError(problem(_("recipe {n}").format(n=given + 1), "Recipe", repr(recipe)))
                    crew.tasks.put(Task(given, recipe, out and out / f"{given + 1:03d}"))
                    given, under_way = given + 1, under_way + 1
                if under_way == 0:
                    if is_open:
                        continue
                    return
                index, news = crew.next_news()
                if isinstance(news, Outcome):
                    under_way -= 1
                    yield index, news
                elif watch is not None:
                    watch(index, news)
        except KeyboardInterrupt:
            crew.stop()
            yield from crew.finished()
            raise
        finally:
            crew.stop()


class _Crew:
    """The workers: threads that take tasks, train or have a process train, and send news.

    news  epochs (None before the first) and outcomes, each with its recipe's number
    """

    def __init__(self, terms: Terms) -> None:
        self.tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.news: queue.SimpleQueue[tuple[int, Outcome | Epoch | None]] = queue.SimpleQueue()
        self._terms, self._here, self._is_stopped = terms, Here(terms), threading.Event()
        self._processes = [Elsewhere(terms) for _i in range(terms.n_workers)]
        self._threads = [threading.Thread(target=self._serve, args=(i,), daemon=True) for i in range(terms.n_workers)]
        for thread in self._threads:
            thread.start()

    def _serve(self, worker: int) -> None:
        process = self._processes[worker]
        with suppress(Stopped):
            while (task := self.tasks.get()) is not None and not self._is_stopped.is_set():
                is_shared = task.recipe.engine in IN_THIS_PROCESS
                is_for_here = is_shared and (worker == 0 or self._is_for_here(task.recipe))
                if is_shared and not is_for_here and not process.is_ready():
                    # the first worker may have done it before
                    self.tasks.put(task)
                    time.sleep(UNTIL_READY)
                    continue
                place = self._here if is_for_here else process
                outcome = place.train(task, lambda epoch, i=task.number: self._tell(i, epoch))  # type: ignore[misc]
                # what was killed by `stop` did not fail
                if outcome.run is not None or not self._is_stopped.is_set():
                    self.news.put((task.number, outcome))
        process.end()

    def _is_for_here(self, recipe: Recipe) -> bool:
        """Whether another worker than the first trains in this process too."""
        # what is not on disk would be compiled by each process
        if not is_compiled(may_need_shares(recipe.network.layers)):
            return True
        try:
            dataset = self._here.open(recipe)
        except LimpideError:
            return True
        return dataset is None or dataset.nbytes >= LARGE

    def _tell(self, index: int, epoch: Epoch | None) -> None:
        if self._is_stopped.is_set():
            raise Stopped
        if self._terms.watched:
            self.news.put((index, epoch))

    def next_news(self) -> tuple[int, Outcome | Epoch | None]:
        """Wait for what comes next.

        In short waits: where a library has put its own handler before Python's, as polars does, and on Windows, Ctrl-C
        does not wake a waiting thread.
        """
        while True:
            with suppress(queue.Empty):
                return self.news.get(timeout=LOOKS_UP)

    def stop(self) -> None:
        """End every worker: a process at once, a thread after the epoch that it is in."""
        self._is_stopped.set()
        for process in self._processes:
            process.end()
            self.tasks.put(None)
        for thread in self._threads:
            thread.join()

    def finished(self) -> Iterator[tuple[int, Outcome]]:
        """The outcomes that nobody has taken yet."""
        while not self.news.empty():
            index, news = self.news.get()
            if isinstance(news, Outcome):
                yield index, news

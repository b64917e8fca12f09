"""Many trainings at once: one thread of arithmetic for each, as many side by side as there are cores.

The compiled engine lets go of Python's lock while it computes, so its runs share this process. All others train in
processes of their own, each of which ends with this one. Who trains where changes no number: a run is the same bits as
alone on one thread (`OMP_NUM_THREADS=1`), with any number of workers.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from threadpoolctl import threadpool_limits

from limpide.data.dataset import Dataset
from limpide.errors import InputError, LimpideError, problem
from limpide.history import Epoch
from limpide.i18n import _, get_language, set_language
from limpide.job import open_recipe, prepare
from limpide.recipe import Recipe
from limpide.runs import Run
from limpide.streaming import open_stream
from limpide.training import Fit, finish

IN_THIS_PROCESS = ("compiled",)
"""The engines that several threads of one process can run side by side."""

START = (
    # Ctrl-C is for the process that started this one, which then ends it
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = {path!r}; "
    "from limpide.many import serve; serve()"
)
LOOKS_UP = 0.2
"""Seconds after which a wait lets Ctrl-C through."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True)
class Outcome:
    """What became of a recipe: a run, or why there is none."""

    recipe: Recipe
    run: Run | None
    error: LimpideError | None


Watch = Callable[[int, Epoch | None], None]


class _Task(NamedTuple):
    """A recipe's number, the recipe, the run's folder."""

    number: int
    recipe: Recipe
    out: Path | None


@dataclass(frozen=True)
class _Terms:
    """What holds for all trainings: the same words as in `train_many`."""

    source: Any
    baselines: bool
    report: bool
    test: bool
    watched: bool
    n_workers: int


class _Stopped(BaseException):
    """The training is not wanted any more."""


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
    Raises     InputError for a number of workers below 1

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
    terms = _Terms(source, baselines, report, test, watch is not None, n)
    return _outcomes(recipes, terms, None if out is None else Path(out), watch)


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _outcomes(
    recipes: Iterable[Recipe | None], terms: _Terms, out: Path | None, watch: Watch | None
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
                    crew.tasks.put(_Task(given, recipe, out and out / f"{given + 1:03d}"))
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

    def __init__(self, terms: _Terms) -> None:
        self.tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self.news: queue.SimpleQueue[tuple[int, Outcome | Epoch | None]] = queue.SimpleQueue()
        self._terms, self._here, self._is_stopped = terms, _Here(terms), threading.Event()
        self._processes = [_Process(terms) for _i in range(terms.n_workers)]
        self._threads = [
            threading.Thread(target=self._serve, args=(process,), daemon=True) for process in self._processes
        ]
        for thread in self._threads:
            thread.start()

    def _serve(self, process: _Process) -> None:
        with suppress(_Stopped):
            while (task := self.tasks.get()) is not None and not self._is_stopped.is_set():
                place = self._here if task.recipe.engine in IN_THIS_PROCESS else process
                outcome = place.train(task, lambda epoch, i=task.number: self._tell(i, epoch))  # type: ignore[misc]
                # what was killed by `stop` did not fail
                if outcome.run is not None or not self._is_stopped.is_set():
                    self.news.put((task.number, outcome))
        process.end()

    def _tell(self, index: int, epoch: Epoch | None) -> None:
        if self._is_stopped.is_set():
            raise _Stopped
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


class _Here:
    """Trains in this process. Data that several recipes learn from is opened once."""

    def __init__(self, terms: _Terms) -> None:
        self._terms, self._lock = terms, threading.Lock()
        self._opened: dict[str, Dataset | None] = {}

    def train(self, task: _Task, tell: Callable[[Epoch | None], None]) -> Outcome:
        """The outcome of a recipe."""
        terms, recipe = self._terms, task.recipe
        try:
            recipe.check()
            training = Fit(prepare(recipe, self._open(recipe)))
            run = finish(
                training,
                out=task.out,
                save=task.out is not None,
                report=terms.report,
                baselines=terms.baselines,
                test=terms.test,
                watch=lambda _training, epoch: tell(epoch),
            )
        except LimpideError as error:
            return Outcome(recipe, None, error)
        except Exception as error:  # a fault of one recipe's training must not lose the others
            told = "".join(traceback.format_exception_only(error)).strip()
            failed = LimpideError(problem(_("recipe {n}").format(n=task.number + 1), _("a run"), told))
            failed.__cause__ = error
            return Outcome(recipe, None, failed)
        return Outcome(recipe, run, None)

    def _open(self, recipe: Recipe) -> Dataset | None:
        """The data of a recipe, None where it streams; of those opened, as many are kept as there are workers."""
        key = recipe.data.model_dump_json() + str(recipe.preparation.image_size)
        with self._lock:
            if key not in self._opened:
                source = self._terms.source
                is_stream = source is None and open_stream(recipe) is not None
                dataset = None if is_stream else open_recipe(recipe, source)
                if len(self._opened) >= self._terms.n_workers:
                    del self._opened[next(iter(self._opened))]
                self._opened[key] = dataset
            return self._opened[key]


class _Process:
    """Has a process of its own train: started when first needed, and anew when it was killed."""

    def __init__(self, terms: _Terms) -> None:
        self._terms = terms
        self._process: subprocess.Popen[bytes] | None = None
        self._lock, self._is_ended = threading.Lock(), False

    def train(self, task: _Task, tell: Callable[[Epoch | None], None]) -> Outcome:
        """The outcome of a recipe."""
        try:
            process = self._start()
            assert process.stdin is not None and process.stdout is not None
            _send(process.stdin, task)
            while not isinstance(news := pickle.load(process.stdout), Outcome):
                tell(news)
            return news
        except Exception as error:  # however it died, and whatever cannot be sent to it
            return Outcome(task.recipe, None, self._died(task.number, error))

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_ended:
                raise _Stopped
            if self._process is None:
                # not `multiprocessing`, which would run the user's script again in each process
                self._process = subprocess.Popen(
                    [sys.executable, "-c", START.format(path=sys.path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, **dict.fromkeys(THREADS, "1")},
                )
                assert self._process.stdin is not None
                _send(self._process.stdin, (get_language(), self._terms))
            return self._process

    def _died(self, index: int, error: Exception) -> LimpideError:
        where, got, mend = _("recipe {n}").format(n=index + 1), str(error), ""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                code = _release(self._process)
                got = _("one that ended with code {code}").format(code=code)
                if code < 0:
                    mend = _("it was killed, or ran out of memory: train with fewer workers")
                self._process = None
        return LimpideError(problem(where, _("a process that trains it to the end"), got, mend))

    def end(self) -> None:
        """Kill the process; none is started any more."""
        with self._lock:
            self._is_ended = True
            if self._process is not None:
                self._process.kill()
                _release(self._process)
                self._process = None


def _release(process: subprocess.Popen[bytes]) -> int:
    """Wait for its end, close its pipes; the code it ended with."""
    code = process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()
    return code


def _send(pipe: Any, message: Any) -> None:
    pickle.dump(message, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def serve() -> None:
    """Be a worker process: train what comes by standard input, tell of it by standard output, until the input ends."""
    given, told = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # whatever a library prints must not come between
    os.dup2(2, 1)
    language, terms = pickle.load(given)
    set_language(language)
    here = _Here(terms)
    tasks: queue.SimpleQueue[_Task] = queue.SimpleQueue()

    def listen() -> None:
        with suppress(EOFError, pickle.UnpicklingError, OSError):
            while True:
                tasks.put(pickle.load(given))
        # nobody wants the run any more
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        _send(told, here.train(tasks.get(), lambda epoch: _send(told, epoch) if terms.watched else None))

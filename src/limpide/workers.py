"""Where one of many trainings is done: in this process, or in one of its own.

Such a process ends with this one, and by itself when it has had nothing to do for a while: until then it is kept for
the trainings to come, because starting one takes as long as a small training.
"""

from __future__ import annotations

import atexit
import os
import pickle
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from limpide.data.dataset import Dataset
from limpide.errors import LimpideError, problem
from limpide.history import Epoch
from limpide.i18n import _, get_language, set_language
from limpide.job import data_key, open_recipe, prepare
from limpide.recipe import Recipe
from limpide.runs import Run
from limpide.streaming import open_stream
from limpide.training import Fit, finish

START = (
    # Ctrl-C is for the process that started this one, which then ends it
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = {path!r}; "
    "from limpide.workers import serve; serve()"
)

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")

READ_AT_START = ("LIMPIDE_", "NUMBA_", "CUDA_", "TORCH", "XDG_", "HOME", "TMPDIR")
"""How the variables begin that a process reads once, at its start: where one has changed, no kept process is used."""

REST_SECONDS, RESTED = 30.0, 75
"""After how long without work a process ends, and the code it ends with."""


@dataclass(frozen=True)
class Outcome:
    """What became of a recipe: a run, or why there is none."""

    recipe: Recipe
    run: Run | None
    error: LimpideError | None


class Task(NamedTuple):
    """A recipe's number, the recipe, the run's folder."""

    number: int
    recipe: Recipe
    out: Path | None


@dataclass(frozen=True)
class Terms:
    """What holds for all trainings: the same words as in `train_many`."""

    source: Any
    baselines: bool
    report: bool
    test: bool
    watched: bool
    n_workers: int


Tell = Callable[[Epoch | None], None]


class Stopped(BaseException):
    """The training is not wanted any more."""


class Here:
    """Trains in this process. Data that several recipes learn from is opened once."""

    def __init__(self, terms: Terms) -> None:
        self._terms, self._lock = terms, threading.Lock()
        self._opened: dict[str, Dataset | None] = {}

    def train(self, task: Task, tell: Tell) -> Outcome:
        """The outcome of a recipe."""
        terms, recipe = self._terms, task.recipe
        try:
            recipe.check()
            training = Fit(prepare(recipe, self.open(recipe)))
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

    def open(self, recipe: Recipe) -> Dataset | None:
        """The data of a recipe, None where it streams; of those opened, as many are kept as there are workers.

        Raises  as `open_recipe`
        """
        key = data_key(recipe)
        with self._lock:
            if key not in self._opened:
                source = self._terms.source
                is_stream = source is None and open_stream(recipe) is not None
                dataset = None if is_stream else open_recipe(recipe, source)
                if len(self._opened) >= self._terms.n_workers:
                    del self._opened[next(iter(self._opened))]
                self._opened[key] = dataset
            return self._opened[key]


class Elsewhere:
    """Trains in a process of its own: one that was kept, or a new one; where it was killed, another."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._process: _Process | None = None
        self._lock, self._is_at_work, self._is_ended = threading.Lock(), False, False

    def is_ready(self) -> bool:
        """Whether the process has begun, or failed to; the first to ask calls for it."""
        with self._lock:
            try:
                return (self._process or self._called()).is_ready.is_set()
            except Exception:
                # the training that is sent there tells of it
                return True

    def _called(self) -> _Process:
        if self._is_ended:
            raise Stopped
        if self._process is not None and self._process.code is not None:
            self._process.end()
            self._process = None
        if self._process is None:
            process = _kept.take(_circumstances()) or _Process()
            try:
                process.send((get_language(), self._terms))
            except BaseException:
                process.end()
                raise
            self._process = process
        return self._process

    def train(self, task: Task, tell: Tell) -> Outcome:
        """The outcome of a recipe."""
        while True:
            try:
                with self._lock:
                    process, self._is_at_work = self._called(), True
                process.send(task)
                while not isinstance(news := process.receive(), Outcome):
                    tell(news)
                self._is_at_work = False
                return news
            except Exception as error:  # however it died, and whatever cannot be sent to it
                if not self._has_rested(error):
                    return Outcome(task.recipe, None, self._died(task.number, error))

    def _has_rested(self, error: Exception) -> bool:
        """Whether the process had ended by itself, before it knew of the training."""
        with self._lock:
            gone = self._process if isinstance(error, EOFError | OSError) else None
            return gone is not None and gone.wait() == RESTED

    def _died(self, index: int, error: Exception) -> LimpideError:
        where, got, mend = _("recipe {n}").format(n=index + 1), str(error), ""
        with self._lock:
            if self._process is not None:
                if isinstance(error, EOFError | OSError):
                    code = self._process.wait()
                    got = _("one that ended with code {code}").format(code=code)
                    if code < 0:
                        mend = _("it was killed, or ran out of memory: train with fewer workers")
                self._process.end()
                self._process = None
        return LimpideError(problem(where, _("a process that trains it to the end"), got, mend))

    def end(self) -> None:
        """Kill the process if it is at work, else keep it; none is called any more."""
        with self._lock:
            self._is_ended = True
            if self._process is None:
                return
            if self._is_at_work:
                self._process.end()
            else:
                _kept.put(self._process)
            self._process = None


def _circumstances() -> tuple[Any, ...]:
    """What a process is started under."""
    read = sorted(pair for pair in os.environ.items() if pair[0].startswith(READ_AT_START))
    return os.getcwd(), tuple(sys.path), tuple(read)


class _Process:
    """A process that trains what it is sent.

    is_ready  set once it has all that it needs to begin
    """

    def __init__(self) -> None:
        self.circumstances, self.is_ready = _circumstances(), threading.Event()
        # not `multiprocessing`, which would run the user's script again in each process
        self._popen = subprocess.Popen(
            [sys.executable, "-c", START.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **dict.fromkeys(THREADS, "1")},
        )
        self.pid = self._popen.pid
        threading.Thread(target=self._hear_first_word, daemon=True).start()

    def _hear_first_word(self) -> None:
        with suppress(Exception):
            pickle.load(self._popen.stdout)  # type: ignore[arg-type]
        self.is_ready.set()

    def send(self, message: Any) -> None:
        """Raises  OSError when it has ended; what pickle says of what cannot be sent"""
        _send(self._popen.stdin, message)

    def receive(self) -> Any:
        """What it says next; EOFError when it has ended."""
        self.is_ready.wait()
        return pickle.load(self._popen.stdout)  # type: ignore[arg-type]

    @property
    def code(self) -> int | None:
        """The code it ended with; None while it lives."""
        return self._popen.poll()

    def wait(self) -> int:
        """Wait for its end; the code it ended with."""
        return self._popen.wait()

    def end(self) -> None:
        """Kill it if it lives, close its pipes."""
        self._popen.kill()
        self.wait()
        # whoever waits for its first word still reads from a pipe
        self.is_ready.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()


class _Kept:
    """Processes that wait for work."""

    def __init__(self) -> None:
        self._lock, self._waiting = threading.Lock(), list[_Process]()

    def take(self, circumstances: tuple[Any, ...]) -> _Process | None:
        """One that was started under these circumstances and has not ended."""
        with self._lock:
            for process in [process for process in self._waiting if process.code is not None]:
                self._waiting.remove(process)
                process.end()
            for process in self._waiting:
                if process.circumstances == circumstances:
                    self._waiting.remove(process)
                    return process
            return None

    def put(self, process: _Process) -> None:
        """One that has no work for now."""
        with self._lock:
            self._waiting.append(process)

    def pids(self) -> list[int]:
        """The system's numbers for them."""
        with self._lock:
            return [process.pid for process in self._waiting]

    def end(self) -> None:
        """Kill them all."""
        with self._lock:
            for process in self._waiting:
                process.end()
            self._waiting.clear()


_kept = _Kept()
atexit.register(_kept.end)


def _send(pipe: Any, message: Any) -> None:
    pickle.dump(message, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def _keep_quiet(_epoch: Epoch | None) -> None:
    """Nobody watches."""


def serve() -> None:
    """Be a worker process: train what comes by standard input, tell of it by standard output, until the input ends.

    What comes is a language with the terms of the trainings behind it, and tasks.
    """
    given, told = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # whatever a library prints must not come between
    os.dup2(2, 1)
    messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
    _send(told, "ready")

    def listen() -> None:
        with suppress(EOFError, pickle.UnpicklingError, OSError):
            while True:
                messages.put(pickle.load(given))
        # nobody wants the run any more
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    here, watched = None, False
    while True:
        try:
            message = messages.get(timeout=REST_SECONDS)
        except queue.Empty:
            os._exit(RESTED)
        if isinstance(message, Task):
            assert here is not None
            _send(told, here.train(message, partial(_send, told) if watched else _keep_quiet))
        else:
            language, terms = message
            set_language(language)
            here, watched = Here(terms), terms.watched

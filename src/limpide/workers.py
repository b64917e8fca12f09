"""Where one of many trainings is done: in this process, or in one of its own.

A process of its own ends with this one, and by itself when it has had nothing to do for a while: until then it is kept
for the trainings to come, for starting it takes as long as many a small training.
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
from limpide.job import open_recipe, prepare
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
"""How the variables begin that a process reads once: where they have changed, none that was kept is taken."""

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


class Elsewhere:
    """Has a process of its own train: one that was kept, or a new one; another where it was killed."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._process: subprocess.Popen[bytes] | None = None
        self._circumstances: tuple[Any, ...] = ()
        self._lock, self._is_at_work, self._is_ended = threading.Lock(), False, False

    def train(self, task: Task, tell: Tell) -> Outcome:
        """The outcome of a recipe."""
        while True:
            try:
                process = self._start()
                assert process.stdin is not None and process.stdout is not None
                _send(process.stdin, task)
                while not isinstance(news := pickle.load(process.stdout), Outcome):
                    tell(news)
                self._is_at_work = False
                return news
            except Exception as error:  # however it died, and whatever cannot be sent to it
                if not self._has_rested(error):
                    return Outcome(task.recipe, None, self._died(task.number, error))

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_ended:
                raise Stopped
            self._is_at_work = True
            if self._process is not None and self._process.poll() is not None:
                _release(self._process)
                self._process = None
            if self._process is None:
                self._circumstances = _circumstances()
                self._process = _kept.take(self._circumstances) or _new_process()
                assert self._process.stdin is not None
                _send(self._process.stdin, (get_language(), self._terms))
            return self._process

    def _has_rested(self, error: Exception) -> bool:
        """Whether the process had ended by itself, before it knew of the training."""
        with self._lock:
            if not isinstance(error, EOFError | OSError) or self._process is None or self._process.wait() != RESTED:
                return False
            _release(self._process)
            self._process = None
            return True

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
        """Kill the process if it is at work, else keep it; none is started any more."""
        with self._lock:
            self._is_ended = True
            if self._process is None:
                return
            if self._is_at_work:
                self._process.kill()
                _release(self._process)
            else:
                _kept.put(self._circumstances, self._process)
            self._process = None


def _circumstances() -> tuple[Any, ...]:
    """What a process was started under."""
    read = sorted(pair for pair in os.environ.items() if pair[0].startswith(READ_AT_START))
    return os.getcwd(), tuple(sys.path), tuple(read)


class _Kept:
    """Processes that wait for work, each with its circumstances."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[tuple[Any, ...], subprocess.Popen[bytes]]] = []

    def take(self, circumstances: tuple[Any, ...]) -> subprocess.Popen[bytes] | None:
        """One of these circumstances that has not ended."""
        with self._lock:
            for entry in [entry for entry in self._waiting if entry[1].poll() is not None]:
                self._waiting.remove(entry)
                _release(entry[1])
            for entry in self._waiting:
                if entry[0] == circumstances:
                    self._waiting.remove(entry)
                    return entry[1]
            return None

    def put(self, circumstances: tuple[Any, ...], process: subprocess.Popen[bytes]) -> None:
        """One that has no work for now."""
        with self._lock:
            self._waiting.append((circumstances, process))

    def end(self) -> None:
        """Kill them all."""
        with self._lock:
            for _of, process in self._waiting:
                process.kill()
                _release(process)
            self._waiting.clear()


_kept = _Kept()
atexit.register(_kept.end)


def _new_process() -> subprocess.Popen[bytes]:
    # not `multiprocessing`, which would run the user's script again in each process
    return subprocess.Popen(
        [sys.executable, "-c", START.format(path=sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **dict.fromkeys(THREADS, "1")},
    )


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

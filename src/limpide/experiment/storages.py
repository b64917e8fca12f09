"""An Optuna storage: an address of a database, or a journal in a folder; and an experiment's records in one.

A record is a finished trial of a study of its own, a claim one that runs. The storage numbers trials one by one,
whoever adds them: of several claims to the same work, the first that is alive holds it.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from limpide.checkpoint import cannot_write
from limpide.errors import MissingPackage, RunError, problem
from limpide.experiment.boards import Heart, Holder
from limpide.i18n import _

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial

JOURNAL = "journal.log"
FRESH = 0.25
"""Seconds for which what was read of a storage holds."""

PLAIN = "postgresql://"
CONNECT = 10
"""Seconds that a database may take to answer."""


def need_optuna() -> None:
    """MissingPackage where Optuna is not installed."""
    if find_spec("optuna") is None:
        mend = _("install it: {command}").format(command="pip install 'limpide[search]'")
        raise MissingPackage(problem("optuna", _("an installed package"), _("none"), mend))


def open_storage(address: str) -> BaseStorage:
    """The storage of an address such as postgresql://user@host/name.

    Raises  MissingPackage, the driver of the database among them; RunError when it cannot be reached
    """
    need_optuna()
    from optuna.storages import RDBStorage, get_storage
    from sqlalchemy.exc import SQLAlchemyError

    if address.startswith(PLAIN) and find_spec("psycopg") is None and find_spec("psycopg2") is not None:
        # which of the two drivers an address means has changed with SQLAlchemy
        address = address.replace(PLAIN, "postgresql+psycopg2://", 1)
    # a host that is down would be waited for until the system gives up
    terms = {"connect_args": {"connect_timeout": CONNECT}} if address.startswith("postgresql") else {}
    with _told_at(address):
        for pause in (0.5, 1.0, 2.0):
            try:
                return get_storage(RDBStorage(address, engine_kwargs=terms))
            except SQLAlchemyError as error:
                # another process makes the tables at this moment
                if not re.search("exist|unique", str(error), re.IGNORECASE) or "database" in str(error):
                    raise
                time.sleep(pause)
        return get_storage(RDBStorage(address, engine_kwargs=terms))


def open_journal(folder: Path) -> BaseStorage:
    """The storage in the journal of a folder, which may be shared: its lock is a link.

    Raises  MissingPackage; RunError when it is damaged, or cannot be written
    """
    need_optuna()
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

    path = folder / JOURNAL
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = JournalFileSymlinkLock(str(path))
        lock.acquire()
        try:
            _mend(path)
        finally:
            lock.release()
        storage = JournalStorage(JournalFileBackend(str(path), lock))
        storage.get_all_studies()
        return storage
    except OSError as error:
        raise cannot_write(path, error) from None
    except (ValueError, KeyError) as error:
        mend = _("take a copy that is not damaged")
        raise RunError(problem(str(path), _("a journal of Optuna"), str(error), mend)) from None


def _mend(path: Path) -> None:
    """Take a last line away that was cut short: by a power failure, or a full disk."""
    if path.is_file() and (size := path.stat().st_size):
        with path.open("rb+") as file:
            file.seek(max(size - 2**20, 0))
            tail = file.read()
            if not tail.endswith(b"\n"):
                os.truncate(path, size - len(tail) + tail.rfind(b"\n") + 1)


@contextmanager
def _told_at(address: str) -> Iterator[None]:
    """What goes wrong with a database, in a line, and without its password."""
    import optuna
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    mend = _("look at the address, and whether the database runs")
    try:
        yield
    except ImportError as error:
        raise MissingPackage(problem(_("storage"), _("the driver of this database"), str(error.__cause__))) from None
    except (SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        try:
            shown = make_url(address).render_as_string(hide_password=True)
        except SQLAlchemyError:
            shown, mend = "", _("write one such as postgresql://user@host/name")
        cause = getattr(error, "orig", None) or error.__cause__ or error
        told = (str(getattr(cause, "orig", None) or cause).strip().splitlines() or [type(error).__name__])[0]
        where = f"{_('storage')} {shown}".strip()
        raise RunError(problem(where, _("a database that answers"), told, mend)) from None


def open_study(storage: BaseStorage, name: str, direction: StudyDirection) -> int:
    """The study of a name in a storage, made where there is none: its number."""
    import optuna

    with quiet():
        try:
            return storage.create_new_study([direction], name)
        except optuna.exceptions.DuplicatedStudyError:
            return storage.get_study_id_from_name(name)


@contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's own lines on studies that are made."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


class StorageBoard:
    """Records and claims in an Optuna storage that several machines share."""

    def __init__(self, address: str, name: str) -> None:
        """Raises  as `open_storage`"""
        from optuna.study import StudyDirection

        self._address, self.storage = address, open_storage(address)
        with _told_at(address):
            self._study = open_study(self.storage, f"{name}/records", StudyDirection.MINIMIZE)
        self._holder, self._heart = Holder(), Heart(self._beat)
        self._mine: dict[str, int] = {}
        self._n_beats, self._read_at, self._lock = 0, -FRESH, threading.RLock()
        self._records: dict[str, str] = {}
        self._claims: list[FrozenTrial] = []

    def _refresh(self, at_once: bool = False) -> None:
        with self._lock, _told_at(self._address):
            if not at_once and time.monotonic() - self._read_at < FRESH:
                return
            trials = self.storage.get_all_trials(self._study, deepcopy=False)
            self._records = dict(t.user_attrs["record"] for t in trials if "record" in t.user_attrs)
            self._claims = [t for t in trials if "claim" in t.user_attrs and not t.state.is_finished()]
            self._read_at = time.monotonic()

    def _add(self, kind: Literal["record", "claim"], name: str, text: str) -> int:
        from optuna.trial import TrialState, create_trial

        state, value = (TrialState.COMPLETE, 0.0) if kind == "record" else (TrialState.RUNNING, None)
        with self._lock, _told_at(self._address):
            trial = create_trial(state=state, value=value, user_attrs={kind: [name, text]})
            return self.storage.create_new_trial(self._study, trial)

    def read(self, name: str) -> str | None:
        """As `Board.read`."""
        self._refresh()
        return self._records.get(name)

    def write(self, name: str, text: str) -> None:
        """As `Board.write`."""
        self._add("record", name, text)
        self._records[name] = text

    def claim(self, name: str) -> bool:
        """As `Board.claim`."""
        self._refresh()
        if self._first(name) is not None:
            return False
        number = self._add("claim", name, self._holder.text())
        self._refresh(at_once=True)
        if self._first(name) != number:
            self._end(number)
            return False
        self._mine[name] = number
        self._heart.hold(name)
        return True

    def _first(self, name: str) -> int | None:
        """The claim of a name that holds: the first that is alive."""
        for trial in self._claims:
            claimed, holder = trial.user_attrs["claim"]
            beat = trial.user_attrs.get("beat", 0)
            if claimed == name and not self._holder.is_dead(trial.number, holder, beat):
                return trial._trial_id
        return None

    def _beat(self, name: str) -> None:
        number = self._mine.get(name)
        if number is not None:
            self._n_beats += 1
            with self._lock:
                self.storage.set_trial_user_attr(number, "beat", self._n_beats)

    def release(self, name: str) -> None:
        """As `Board.release`."""
        self._heart.let_go(name)
        number = self._mine.pop(name, None)
        if number is not None:
            self._end(number)

    def _end(self, number: int) -> None:
        from optuna.trial import TrialState

        with self._lock, _told_at(self._address):
            self.storage.set_trial_state_values(number, TrialState.FAIL)

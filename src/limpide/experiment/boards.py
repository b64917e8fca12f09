"""Where an experiment's records are kept, and who works on what where several processes share them.

A record is a text under a name, there whole or not at all. A claim is held by one process at a time; it beats for as
long as its holder lives. One that has stopped beating is free again, so that whoever dies leaves nothing half done. Two
may still do the same work, when one that was taken for dead comes back: the records of both are the same.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import sys
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from limpide.checkpoint import cannot_write, write_file

BEAT, GRACE = 5.0, 30.0
"""Seconds between two beats of a claim; seconds without a beat after which its holder is taken for dead."""


class Board(Protocol):
    """Records and claims by name."""

    def read(self, name: str) -> str | None:
        """The record of a name; None where there is none."""

    def write(self, name: str, text: str) -> None:
        """Keep a record, in the place of an older one. RunError when it cannot be written."""

    def claim(self, name: str) -> bool:
        """Whether the work of this name is now this process's own. RunError when nothing can be written."""

    def release(self, name: str) -> None:
        """Give a claim back."""


class Holder:
    """Who holds a claim, as a text, and what is seen of other holders.

    token  of this object and no other
    """

    def __init__(self) -> None:
        self.token = secrets.token_hex(8)
        self._seen: dict[Hashable, tuple[Hashable, float]] = {}

    def text(self) -> str:
        """JSON."""
        return json.dumps({"machine": _machine(), "process": os.getpid(), "token": self.token})

    def owns(self, text: str) -> bool:
        """Whether a claim is this holder's."""
        return self.token in text

    def is_dead(self, claim: Hashable, text: str, beat: Hashable) -> bool:
        """Whether the holder of a claim is gone: its process is not there, or the claim was seen to beat no more.

        Times are this process's own: the clocks of machines need not agree.

        claim  what tells it from others
        beat   changes with each beat
        """
        if self.owns(text):
            return False
        with suppress(ValueError, KeyError, TypeError):
            held = json.loads(text)
            if held["machine"] == _machine() and not _is_alive(int(held["process"])):
                return True
        now = time.monotonic()
        last, since = self._seen.get(claim, (None, now))
        if last != beat:
            self._seen[claim] = (beat, now)
            return False
        return now - since > GRACE


def _machine() -> str:
    """This machine; in a container, this container: process numbers are of that."""
    with suppress(OSError):
        return f"{platform.node()} {os.readlink('/proc/self/ns/pid')}"
    return platform.node()


def _is_alive(process: int) -> bool:
    """Whether a process of this machine is there; where it cannot be known, it is taken to be."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class Heart:
    """A thread that beats for as long as this process holds claims."""

    def __init__(self, beat: Callable[[str], None]) -> None:
        """beat  makes the claim of a name beat"""
        self._beat, self._held = beat, set[str]()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def hold(self, name: str) -> None:
        """Beat for one more."""
        with self._lock:
            self._held.add(name)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def let_go(self, name: str) -> None:
        """Beat for one fewer."""
        with self._lock:
            self._held.discard(name)

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(BEAT):
            with self._lock:
                if not self._held:
                    self._thread = None
                    return
                held = tuple(self._held)
            for name in held:
                # a beat that is missed is made up for by the next
                with suppress(Exception):
                    self._beat(name)


class FolderBoard:
    """Records and claims as files of a folder that several machines may share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._holder, self._heart = Holder(), Heart(lambda name: os.utime(self._claim(name)))

    def _claim(self, name: str) -> Path:
        return self.folder / f"{name}.claim"

    def read(self, name: str) -> str | None:
        """As `Board.read`; a file that is no text is as good as none."""
        try:
            return (self.folder / f"{name}.json").read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def write(self, name: str, text: str) -> None:
        """As `Board.write`."""
        write_file(self.folder / f"{name}.json", text.encode())

    def claim(self, name: str) -> bool:
        """As `Board.claim`. A file is made by one process alone, on a shared disk too."""
        path = self._claim(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not self._is_made(path) and not (self._is_cleared(path) and self._is_made(path)):
                return False
        except OSError as error:
            raise cannot_write(path, error) from None
        self._heart.hold(name)
        return True

    def _is_made(self, path: Path) -> bool:
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(self._holder.text())
        except FileExistsError:
            return False
        return True

    def _is_cleared(self, path: Path) -> bool:
        """Take a claim away whose holder is dead; whether that was done."""
        try:
            text, beat = path.read_text("utf-8"), path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        if not self._holder.is_dead((path, text), text, beat):
            return False
        away = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with suppress(FileNotFoundError):
            path.rename(away)
            away.unlink()
            return True
        return False

    def release(self, name: str) -> None:
        """As `Board.release`."""
        self._heart.let_go(name)
        path = self._claim(name)
        with suppress(OSError):
            if self._holder.owns(path.read_text("utf-8")):
                path.unlink()

"""Data fetched once, checked against known sums, and kept in the user's data folder.

A download that breaks off goes on where it stopped; a file whose content is not the one known is never kept.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from limpide.errors import MissingData, problem, reason_of
from limpide.i18n import _
from limpide.settings import setting

Watch = Callable[[str, int, int], None]

WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)
"""Who is told of a download's progress: the file's name, the bytes so far, and those in all (0: unknown)."""

BLOCK = 1 << 16
SECONDS = 30
"""Without a byte for so long, a mirror is given up."""


class Remote(NamedTuple):
    """A gzip file that can be fetched.

    n_bytes     of its content unpacked; no more is ever unpacked
    sha256      of its content unpacked: packing differs between mirrors, the content does not
    packed_md5  of the file itself, where its authors publish that alone
    """

    name: str
    n_bytes: int
    sha256: str = ""
    packed_md5: str = ""


def data_folder() -> Path:
    """Where data is kept: `LIMPIDE_DATA`, else the system's place for a user's data.

    >>> data_folder().name
    'limpide'
    """
    if named := setting("LIMPIDE_DATA"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "limpide"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "limpide"
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "limpide"


def fetch_all(files: Sequence[Remote], mirrors: Sequence[str], folder: Path) -> Path:
    """The folder, with every file in it, fetched where it was missing.

    Raises  MissingData when no mirror gives a file, with what each answered and how to do without
    """
    for remote in files:
        if not (folder / remote.name).is_file():
            _fetch(remote, mirrors, folder)
    return folder


def _fetch(remote: Remote, mirrors: Sequence[str], folder: Path) -> None:
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MissingData(
            problem(str(folder), _("a folder that can be written"), reason_of(error), _set_elsewhere(folder))
        ) from None
    part = folder / f"{remote.name}.part"
    answers = []
    for mirror in mirrors:
        try:
            _download(f"{mirror}/{remote.name}", part, remote)
            _check(part, remote)
        except (OSError, HTTPException, ValueError, EOFError, zlib.error) as error:
            answers.append(f"{mirror}: {_cause_of(error)}")
            continue
        part.replace(folder / remote.name)
        return
    # what came in part is kept, and its folder is then not empty
    with suppress(OSError):
        for place in made:
            place.rmdir()
    mend = _set_elsewhere(folder)
    raise MissingData(problem(remote.name, _("a copy from one of its mirrors"), "; ".join(answers), mend))


def _cause_of(error: Exception) -> str:
    if isinstance(error, URLError) and isinstance(error.reason, OSError):
        return reason_of(error.reason)
    return str(error)


def _set_elsewhere(folder: Path) -> str:
    text = _("without a network, put the files into {folder}, or name the folder that has them in LIMPIDE_DATA")
    return text.format(folder=folder)


def _download(url: str, part: Path, remote: Remote) -> None:
    """The file beside its place, from where an earlier download stopped."""
    done = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        answer = urlopen(request, timeout=SECONDS)
    except HTTPError as error:
        # 416: all of it was there already
        if error.code == 416 and done:
            return
        raise
    with answer:
        if answer.status != 206:
            done = 0
        total = done + int(answer.headers.get("Content-Length") or 0)
        watch = WATCH.get()
        with part.open("ab" if done else "wb") as file:
            while block := answer.read(BLOCK):
                done += len(block)
                if done > 2 * remote.n_bytes + BLOCK:
                    raise ValueError(_("more bytes than the file has"))
                file.write(block)
                if watch:
                    watch(remote.name, done, total)
    if total and done < total:
        raise ValueError(_("the connection broke after {done} of {total} bytes").format(done=done, total=total))


def _check(part: Path, remote: Remote) -> None:
    """ValueError, and the file gone, when its content is not the one known."""
    digest, n_bytes = hashlib.sha256(), 0
    try:
        if remote.packed_md5:
            with part.open("rb") as packed:
                if (
                    hashlib.file_digest(packed, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
                    != remote.packed_md5
                ):
                    raise ValueError(_("its content is not the one known (MD5)"))
        with gzip.open(part) as file:
            while block := file.read(BLOCK):
                n_bytes += len(block)
                if n_bytes > remote.n_bytes:
                    break
                digest.update(block)
        if n_bytes != remote.n_bytes or digest.hexdigest() != (remote.sha256 or digest.hexdigest()):
            raise ValueError(_("its content is not the one known (SHA-256)"))
    except (OSError, ValueError, EOFError, zlib.error):
        part.unlink()
        raise

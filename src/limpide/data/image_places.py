"""Where images lie: the files of a folder and the entries of a zip file, counted and bounded before one is opened."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from limpide.errors import DataError, problem
from limpide.i18n import _, format_count, ngettext

MOST_ZIP_BYTES = 16 * 2**30
SHOWN_PROBLEMS = 10


@dataclass(frozen=True)
class Picture:
    """One file in a folder or a zip: its place below the root, and how to read it."""

    place: PurePosixPath
    n_bytes: int
    read: Callable[[], bytes]


def in_folder(folder: Path) -> Iterator[Picture]:
    """The files below a folder. Links are followed, but none that leads back to a folder it stands in."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        place = Path(parent)
        above = {os.path.realpath(part) for part in (place, *place.parents)}
        folders[:] = [name for name in folders if os.path.realpath(place / name) not in above]
        for name in names:
            path = place / name
            if path.is_file():
                yield Picture(PurePosixPath(path.relative_to(folder).as_posix()), size_of(path), path.read_bytes)


def size_of(path: Path) -> int:
    """The bytes of a file."""
    return path.stat().st_size


def in_zip(archive: zipfile.ZipFile, where: str) -> list[Picture]:
    """The entries of a zip file, every problem of its directory told at once, before anything is unpacked."""
    problems: list[str] = []
    pictures: list[Picture] = []
    for entry in archive.infolist():
        place = PurePosixPath(entry.filename)
        if entry.filename.endswith("/"):
            continue
        if (
            not place.parts
            or place.is_absolute()
            or ".." in place.parts
            or "\\" in entry.filename
            or ":" in place.parts[0]
        ):
            problems.append(problem(where, _("names inside the zip file"), repr(entry.filename)))
        elif entry.flag_bits & 1:
            problems.append(problem(f"{where}/{place}", _("a file without a password"), _("a locked one")))
        else:
            pictures.append(Picture(place, entry.file_size, lambda entry=entry: _entry_bytes(archive, entry)))  # type: ignore[misc]
    total = sum(picture.n_bytes for picture in pictures)
    if total > MOST_ZIP_BYTES:
        expected = _("at most {n} bytes once unpacked").format(n=format_count(MOST_ZIP_BYTES))
        problems.append(problem(where, expected, format_count(total)))
    if problems:
        raise DataError(*bounded(problems))
    return pictures


def _entry_bytes(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    # Asking for one byte more than announced makes zipfile check the sum, and never unpack more than that.
    with archive.open(entry) as stream:
        return stream.read(entry.file_size + 1)


def bounded(problems: list[str]) -> list[str]:
    """The first problems, and how many more there are."""
    more = len(problems) - SHOWN_PROBLEMS
    if more <= 0:
        return problems
    text = ngettext("and {n} more problem", "and {n} more problems", more)
    return [*problems[:SHOWN_PROBLEMS], text.format(n=format_count(more))]

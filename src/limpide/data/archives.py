"""One table packed in a file: .gz, .bz2, .xz, .zip. Nothing goes to the disk, and no more is unpacked than allowed."""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from limpide.data import limits
from limpide.data.image_files import is_image_name
from limpide.errors import DataError, problem
from limpide.i18n import _, format_count

LITTER = ("__macosx", "thumbs.db", "desktop.ini", ".ds_store")
SHOWN_NAMES = 5
CHUNK = 1 << 20
MEMORY = 1 << 28
"""What the decompressor of an .xz file may take for itself."""

Decompressor = Any
STREAMS: dict[bytes, tuple[str, Callable[[], Decompressor]]] = {
    b"\x1f\x8b": ("gzip", lambda: zlib.decompressobj(wbits=31)),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ\0": ("xz", lambda: lzma.LZMADecompressor(memlimit=MEMORY)),
}
"""First bytes -> the name of the packing, and what unpacks it."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def packing_of(content: bytes) -> str:
    """The packing of a stream by its first bytes, or ""."""
    return next((name for start, (name, _make) in STREAMS.items() if content.startswith(start)), "")


def unpack(where: str, content: bytes) -> bytes:
    """What a packed stream holds.

    Raises  DataError  when it is cut or damaged, or unpacks to more than is read
    """
    name, make = next(entry for start, entry in STREAMS.items() if content.startswith(start))
    out = io.BytesIO()
    rest = memoryview(content)
    mend = _("download it again: it is cut or damaged")
    try:
        while len(rest):
            one, fed, n_before = make(), 0, out.tell()
            while not one.eof and fed < len(rest):
                piece = bytes(rest[fed : fed + CHUNK])
                fed += len(piece)
                _write(where, one, piece, out, len(content))
            if not one.eof:
                raise DataError(problem(where, _("a whole {form} stream").format(form=name), _("one cut short"), mend))
            rest = rest[fed - len(one.unused_data) :]
            if not bytes(rest[:CHUNK]).strip(b"\0") or (out.tell() == n_before and not one.unused_data):
                break
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, DataError):
            raise
        got = _("a damaged one ({reason})").format(reason=error)
        raise DataError(problem(where, _("a whole {form} stream").format(form=name), got, mend)) from error
    return out.getvalue()


def _write(where: str, one: Decompressor, piece: bytes, out: io.BytesIO, n_packed: int) -> None:
    """Unpack one piece, never more than a chunk at a time, so that a bomb is seen before it goes off."""
    while not one.eof:
        made = one.decompress(piece, CHUNK)
        out.write(made)
        limits.check_size(where, out.tell())
        limits.check_ratio(where, out.tell(), n_packed)
        # zlib hands back what it has not looked at yet; the others keep it
        piece = getattr(one, "unconsumed_tail", b"")
        if not piece and len(made) < CHUNK:
            return


def open_zip(where: str, content: bytes) -> zipfile.ZipFile:
    """The zip file with this content, its directory read.

    Raises  DataError  when it is cut or damaged
    """
    with limits.foreign(where, _("a whole zip file"), _("download it again: it is cut or damaged")):
        return zipfile.ZipFile(io.BytesIO(content))


def holds_images(path: Path) -> bool:
    """True for a zip file with a picture in it; for one that is damaged or empty too, of which its reader says so."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    except Exception:  # a damaged directory fails in as many ways as it has fields
        return True
    return not names or any(map(is_image_name, names))


def entries(where: str, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files in a zip, litter left by systems apart.

    Raises  DataError  with every entry that points outside, is locked or is packed in an unknown way
    """
    found, problems = [], []
    for entry in archive.infolist():
        place = PurePosixPath(entry.filename)
        name = entry.filename
        if name.endswith("/"):
            continue
        if not place.parts or place.is_absolute() or ".." in place.parts or "\\" in name or ":" in place.parts[0]:
            problems.append(problem(where, _("names inside the zip file"), repr(name)))
        elif any(part.lower() in LITTER or part.startswith("._") for part in place.parts):
            continue
        elif entry.flag_bits & 1:
            problems.append(problem(f"{where}/{place}", _("a file without a password"), _("a locked one")))
        elif entry.compress_type not in METHODS:
            got = _("method {number}").format(number=entry.compress_type)
            problems.append(problem(f"{where}/{place}", _("a usual way of packing"), got, _("pack it again as .zip")))
        else:
            found.append(entry)
    if problems:
        raise DataError(*problems[:10])
    return found


def read_entry(where: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """What one entry holds, its size looked at first and its sum compared.

    Raises  DataError  when it is too large or damaged
    """
    place = f"{where}/{entry.filename}"
    limits.check_size(place, entry.file_size)
    limits.check_ratio(place, entry.file_size, entry.compress_size)
    mend = _("download it again: it is cut or damaged")
    with limits.foreign(place, _("a whole file"), mend), archive.open(entry) as stream:
        # asking for one byte more than announced makes zipfile check the sum, and never unpack more than that
        return stream.read(entry.file_size + 1)


def only_entry(where: str, content: bytes) -> tuple[str, bytes]:
    """The name and the content of the one file in a zip.

    Raises  DataError  when it holds none or several; they are named
    """
    with open_zip(where, content) as archive:
        found = entries(where, archive)
        if len(found) != 1:
            names = ", ".join(entry.filename for entry in found[:SHOWN_NAMES])
            names += ", ..." if len(found) > SHOWN_NAMES else ""
            got = _("{n} files: {names}").format(n=format_count(len(found)), names=names) if found else _("none")
            raise DataError(problem(where, _("one table in the zip file"), got, _("unpack it, and name one of them")))
        return PurePosixPath(found[0].filename).name, read_entry(where, archive, found[0])

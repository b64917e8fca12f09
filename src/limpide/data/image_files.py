"""Folders and zip files of images: which file is of which class, and all of them brought to one size."""

from __future__ import annotations

import hashlib
import io
import os
import re
import statistics
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import polars as pl
from PIL import Image, UnidentifiedImageError

from limpide import seeds
from limpide.data.dataset import Dataset, Note
from limpide.data.images import Size, brought_to
from limpide.errors import DataError, problem
from limpide.i18n import _, format_count, ngettext

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""What Pillow may open: its other readers start programs or are seldom tried."""
LITTER = ("thumbs.db", "desktop.ini", "__macosx")
PARTS = {"train": 0, "training": 0, "valid": 1, "val": 1, "validation": 1, "test": 2, "testing": 2}
"""Folders that are parts of one set rather than classes, and the order of their rows."""

KEPT_SIDE = 128
"""Images all of one size keep it up to this side; a network on more pixels grows without a reason."""
DEFAULT_SIDE = 64
MOST_FILES = 2_000_000
MOST_PIXELS = 100_000_000
MOST_FILE_BYTES = 512 * 2**20
MOST_ZIP_BYTES = 16 * 2**30
MOST_ARRAY_BYTES = 4 * 2**30
SHOWN_PROBLEMS = 10

Found = TypeVar("Found")


@dataclass(frozen=True)
class Picture:
    """One file in a folder or a zip: its place below the root, and how to read it."""

    place: PurePosixPath
    n_bytes: int
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Wanted:
    """How images shall be read.

    size         rows and columns; None keeps the common size of small images, else takes a median one of at most 64
    channels     1 for grey, 3 for colour; None looks whether any image has colour
    need_target  each image must lie in the folder of its class
    """

    size: Size | None = None
    channels: int | None = None
    need_target: bool = True


def read_image_folder(folder: Path, wanted: Wanted) -> Dataset:
    """The images below a folder; the first sub-folder of each is its class."""
    files = list(islice(_in_folder(folder), MOST_FILES + 1))
    if len(files) > MOST_FILES:
        expected = _("a folder of at most {n} files").format(n=format_count(MOST_FILES))
        raise DataError(problem(str(folder), expected, _("more"), _("name the folder that holds the classes")))
    return _assembled(folder.resolve().name, str(folder), files, wanted)


def read_image_zip(path: Path, wanted: Wanted) -> Dataset:
    """The images of a zip file, read in place: nothing is unpacked on the disk.

    Raises  DataError   also for entries that point outside, are locked, or would unpack to an absurd size
    """
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a damaged directory fails in as many ways as it has fields
        raise DataError(problem(path.name, _("a zip file"), _("a file that is not one, or is damaged"))) from error
    with archive:
        return _assembled(path.name, str(path), _in_zip(archive, path.name), wanted)


def read_image_file(path: Path, wanted: Wanted) -> Dataset:
    """One image, without a class: something to predict."""
    return _assembled(path.name, str(path), [Picture(PurePosixPath(path.name), _size(path), path.read_bytes)], wanted)


def is_image_name(name: str) -> bool:
    """True when a file name ends as those of images do."""
    return name.lower().endswith(SUFFIXES)


def _in_folder(folder: Path) -> Iterator[Picture]:
    for parent, _folders, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            if path.is_file():
                yield Picture(PurePosixPath(path.relative_to(folder).as_posix()), _size(path), path.read_bytes)


def _size(path: Path) -> int:
    return path.stat().st_size


def _in_zip(archive: zipfile.ZipFile, where: str) -> list[Picture]:
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
        raise DataError(*_bounded(problems))
    return pictures


def _entry_bytes(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    # Asking for one byte more than announced makes zipfile check the sum, and never unpack more than that.
    with archive.open(entry) as stream:
        return stream.read(entry.file_size + 1)


def _assembled(name: str, source: str, files: list[Picture], wanted: Wanted) -> Dataset:
    """The data set of these files: sorted, checked, read and stacked."""
    pictures, notes = _images_among(files, name)
    if not pictures:
        raise DataError(problem(name, _("images ({suffixes})").format(suffixes=", ".join(SUFFIXES)), _("none")))
    pictures = _without_common_folder(pictures)
    suggested: dict[str, object] = {}
    if wanted.need_target:
        pictures, suggested, part_notes = _in_parts(pictures, name)
        notes += part_notes
    classes = _classes(pictures, name, wanted.need_target)
    with warnings.catch_warnings():
        # Decoders warn of harmless oddities; what matters is refused below.
        warnings.simplefilter("ignore")
        size, size_notes = _size_for(pictures, name, wanted)
        images, digest = _read_all(pictures, name, size, wanted.channels)
    colour = _("grey, one channel") if images.shape[1] == 1 else _("in colour, three channels")
    text = _("{n} images of {rows} × {cols} pixels, {colour}").format(
        n=format_count(len(images)), rows=size[0], cols=size[1], colour=colour
    )
    all_notes = (Note("info", name, text), *size_notes, *notes)
    target = None if classes is None else pl.Series("class", classes, dtype=pl.String)
    names = tuple(str(picture.place) for picture in pictures)
    return Dataset(name, source, images, target, (), all_notes, digest, suggested, names)


def _images_among(files: list[Picture], name: str) -> tuple[list[Picture], list[Note]]:
    """The images, in the natural order of their names, and what was left out."""
    clean = [file for file in files if not _is_litter(file.place)]
    pictures = sorted((file for file in clean if is_image_name(file.place.name)), key=lambda file: _natural(file.place))
    others = sorted(str(file.place) for file in clean if not is_image_name(file.place.name))
    notes = []
    if len(clean) < len(files):
        n = len(files) - len(clean)
        text = ngettext("{n} file left by the system was ignored", "{n} files left by the system were ignored", n)
        notes.append(Note("info", name, text.format(n=format_count(n))))
    if others:
        text = ngettext(
            "{n} file is not an image and was left out: {names}",
            "{n} files are not images and were left out: {names}",
            len(others),
        )
        shown = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
        notes.append(Note("warning", name, text.format(n=format_count(len(others)), names=shown)))
    return pictures, notes


def _is_litter(place: PurePosixPath) -> bool:
    return any(part.startswith(".") or part.lower() in LITTER for part in place.parts)


def _natural(place: PurePosixPath) -> list[list[str | tuple[int, str]]]:
    """A sorting key that puts 2.png before 10.png."""
    return [[(int(bit), bit) if bit.isdecimal() else bit for bit in re.split(r"(\d+)", part)] for part in place.parts]


def _without_common_folder(pictures: list[Picture]) -> list[Picture]:
    """Places below the folder that holds the classes: a zip file often wraps them all in one more folder."""
    while all(len(picture.place.parts) > 2 for picture in pictures):
        if len({picture.place.parts[0] for picture in pictures}) > 1:
            break
        pictures = [Picture(PurePosixPath(*p.place.parts[1:]), p.n_bytes, p.read) for p in pictures]
    return pictures


def _in_parts(pictures: list[Picture], name: str) -> tuple[list[Picture], dict[str, object], list[Note]]:
    """The pictures with the folders "train" and "test" recognised as parts of one set, and the split they mean."""
    folders = {picture.place.parts[0].lower() for picture in pictures if len(picture.place.parts) > 2}
    if not folders or not folders <= PARTS.keys() or any(len(picture.place.parts) < 3 for picture in pictures):
        return pictures, {}, []
    parts: dict[int, list[Picture]] = {}
    for picture in pictures:
        below = Picture(PurePosixPath(*picture.place.parts[1:]), picture.n_bytes, picture.read)
        parts.setdefault(PARTS[picture.place.parts[0].lower()], []).append(below)
    if len(parts) == 1:
        return next(iter(parts.values())), {}, []
    counts = [len(parts[part]) for part in sorted(parts)]
    suggested: dict[str, object] = {"split.method": "ordered", "split.test": counts[-1] / sum(counts)}
    if len(counts) == 3:
        suggested["split.validation"] = counts[1] / sum(counts)
    # The validation rows may be cut from the end of the first part: its classes must not follow one another.
    first, *rest = (parts[part] for part in sorted(parts))
    mixed = [first[i] for i in seeds.stream(0, "images").permutation(len(first))]
    text = _("its folders {folders} are parts of one set: the last one is suggested as the test set")
    note = Note("info", name, text.format(folders=", ".join(sorted(folders, key=PARTS.__getitem__))))
    return mixed + [picture for part in rest for picture in part], suggested, [note]


def _classes(pictures: list[Picture], name: str, need_target: bool) -> list[str] | None:
    """The class of each picture; None when they lie side by side, without folders."""
    loose = [picture for picture in pictures if len(picture.place.parts) < 2]
    mend = _("put the images of each class in a folder that bears its name")
    if loose and need_target:
        got = ngettext("{n} image outside of them: {names}", "{n} images outside of them: {names}", len(loose))
        names = ", ".join(str(picture.place) for picture in loose[:5]) + (", ..." if len(loose) > 5 else "")
        got = got.format(n=format_count(len(loose)), names=names)
        raise DataError(problem(name, _("a folder for each class"), got, mend))
    if loose:
        return None
    classes = [picture.place.parts[0] for picture in pictures]
    if need_target and len(set(classes)) < 2:
        raise DataError(problem(name, _("at least two classes"), _("only {name}").format(name=repr(classes[0])), mend))
    return classes


def _size_for(pictures: list[Picture], name: str, wanted: Wanted) -> tuple[Size, list[Note]]:
    """The size of the array, its memory checked, and why it was chosen."""
    size, notes = wanted.size, list[Note]()
    if size is None:
        found = Counter(_each(pictures, name, _upright_size))
        size = _one_size(found)
        if len(found) > 1 or size not in found:
            text = ngettext(
                "the images come in {n} size and are brought to {rows} × {cols}; the option size changes it",
                "the images come in {n} sizes and are brought to {rows} × {cols}; the option size changes it",
                len(found),
            )
            notes.append(Note("info", name, text.format(n=format_count(len(found)), rows=size[0], cols=size[1])))
    n_bytes = len(pictures) * (wanted.channels or 3) * size[0] * size[1]
    if n_bytes > MOST_ARRAY_BYTES:
        expected = _("at most {n} bytes of pixels").format(n=format_count(MOST_ARRAY_BYTES))
        raise DataError(problem(name, expected, format_count(n_bytes), _("choose a smaller size, such as size=32x32")))
    return size, notes


def _one_size(found: Counter[Size]) -> Size:
    """The size of all when they agree and are small, else the median one, its longer side at most `DEFAULT_SIDE`."""
    if len(found) == 1 and max(next(iter(found))) <= KEPT_SIDE:
        return next(iter(found))
    rows, cols = (statistics.median(size[axis] for size in found.elements()) for axis in (0, 1))
    factor = min(1.0, DEFAULT_SIDE / max(rows, cols))
    return max(1, round(rows * factor)), max(1, round(cols * factor))


def _upright_size(data: bytes) -> Size:
    image = _opened(data)
    sideways = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (image.width, image.height) if sideways else (image.height, image.width)


def _read_all(pictures: list[Picture], name: str, size: Size, channels: int | None) -> tuple[np.ndarray, str]:
    digest = hashlib.sha256()

    def read(data: bytes) -> np.ndarray:
        digest.update(hashlib.sha256(data).digest())
        return brought_to(_opened(data), size, channels)

    planes = _each(pictures, name, read)
    images = np.empty((len(planes), max(len(plane) for plane in planes), *size), np.uint8)
    for i, plane in enumerate(planes):
        images[i] = plane
    for picture in pictures:
        digest.update(str(picture.place).encode())
    return images, digest.hexdigest()


def _opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > MOST_PIXELS:
        raise DataError(_("more than {most} pixels").format(most=format_count(MOST_PIXELS)))
    return image


def _each(pictures: list[Picture], name: str, look: Callable[[bytes], Found]) -> list[Found]:
    """What `look` finds in each file; those that cannot be read are told together."""
    results: list[Found] = []
    problems: list[str] = []
    for picture in pictures:
        where = f"{name}/{picture.place}"
        if picture.n_bytes > MOST_FILE_BYTES:
            expected = _("at most {n} bytes").format(n=format_count(MOST_FILE_BYTES))
            problems.append(problem(where, expected, format_count(picture.n_bytes)))
            continue
        try:
            results.append(look(picture.read()))
        except Exception as error:  # a decoder fails in a hundred ways, and each is about this file
            problems.append(problem(where, _("an image that can be read"), _reason(error)))
    if problems:
        raise DataError(*_bounded(problems))
    return results


def _reason(error: Exception) -> str:
    """What went wrong with a file, in words for the person who made it."""
    if isinstance(error, DataError):
        return str(error)
    if isinstance(error, PermissionError):
        return _("a file that may not be read")
    if isinstance(error, Image.DecompressionBombError):
        return _("more than {most} pixels").format(most=format_count(MOST_PIXELS))
    if isinstance(error, NotImplementedError):
        return _("a compression that is not supported")
    if isinstance(error, UnidentifiedImageError):
        return _("a file that is not an image")
    return _("a damaged or unfinished file")


def _bounded(problems: list[str]) -> list[str]:
    """The first problems, and how many more there are."""
    more = len(problems) - SHOWN_PROBLEMS
    if more <= 0:
        return problems
    text = ngettext("and {n} more problem", "and {n} more problems", more)
    return [*problems[:SHOWN_PROBLEMS], text.format(n=format_count(more))]

"""Folders and zip files of images: which file is of which class, and all of them brought to one size."""

from __future__ import annotations

import hashlib
import io
import os
import re
import statistics
import unicodedata
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

import numpy as np
import polars as pl
from PIL import Image, UnidentifiedImageError

from limpide import seeds
from limpide.data.dataset import Dataset, Note, Treated
from limpide.data.image_places import Picture, bounded, in_folder, in_zip, size_of
from limpide.data.images import Size, Wanted, brought_to, to_png_base64, upright
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
MOST_ARRAY_BYTES = 4 * 2**30
SHOWN_TREATED = 12

Found = TypeVar("Found")


def read_image_folder(folder: Path, wanted: Wanted) -> Dataset:
    """The images below a folder; the first sub-folder of each is its class."""
    files = list(islice(in_folder(folder), MOST_FILES + 1))
    if len(files) > MOST_FILES:
        expected = _("a folder of at most {n} files").format(n=format_count(MOST_FILES))
        raise DataError(problem(str(folder), expected, _("more"), _("name the folder that holds the classes")))
    dataset = _assembled(folder.resolve().name, str(folder), files, wanted)
    return replace(dataset, notes=(*dataset.notes, *_empty_classes(folder, dataset))) if wanted.need_target else dataset


def _empty_classes(folder: Path, dataset: Dataset) -> list[Note]:
    """A warning for folders of classes in which no image lies."""
    names = sorted(
        entry.name for entry in os.scandir(folder) if entry.is_dir() and not _is_litter(PurePosixPath(entry.name))
    )
    classes = set(dataset.target) if dataset.target is not None else set()
    empty = [name for name in names if _normal(name) not in classes]
    if not empty or len(empty) == len(names):
        return []
    text = ngettext("no image lies in the folder {names}", "no image lies in the folders {names}", len(empty))
    return [
        Note("warning", dataset.name, text.format(names=", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")))
    ]


def read_image_zip(path: Path, wanted: Wanted) -> Dataset:
    """The images of a zip file, read in place: nothing is unpacked on the disk.

    Raises  DataError   also for entries that point outside, are locked, or would unpack to an absurd size
    """
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a damaged directory fails in as many ways as it has fields
        raise DataError(problem(path.name, _("a zip file"), _("a file that is not one, or is damaged"))) from error
    with archive:
        return _assembled(path.name, str(path), in_zip(archive, path.name), wanted)


def read_image_file(path: Path, wanted: Wanted) -> Dataset:
    """One image, without a class: something to predict."""
    return _assembled(path.name, str(path), [Picture(PurePosixPath(path.name), size_of(path), path.read_bytes)], wanted)


def thumbnail(path: Path, side: int) -> str:
    """An image file made small and upright, as the base64 of a PNG; nothing where it cannot be read."""
    try:
        if size_of(path) > MOST_FILE_BYTES:
            return ""
        image = _opened(path.read_bytes())
        image.draft(image.mode, (2 * side, 2 * side))
        image = upright(image, light_ink=True)
    except Exception:  # a decoder fails in a hundred ways; the file was read or refused before
        return ""
    image.thumbnail((side, side))
    pixels = np.asarray(image)
    return to_png_base64(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def is_image_name(name: str) -> bool:
    """True when a file name ends as those of images do."""
    return name.lower().endswith(SUFFIXES)


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
        images, read = _read_all(pictures, name, replace(wanted, size=size))
    colour = _("grey, one channel") if images.shape[1] == 1 else _("in colour, three channels")
    text = ngettext(
        "{n} image of {rows} × {cols} pixels, {colour}", "{n} images of {rows} × {cols} pixels, {colour}", len(images)
    ).format(n=format_count(len(images)), rows=size[0], cols=size[1], colour=colour)
    all_notes = [Note("info", name, text), *size_notes, *notes, *_first_of_several(read, pictures, name)]
    if classes is not None:
        all_notes += _in_two_classes(read, pictures, classes, name)
    target = None if classes is None else pl.Series("class", classes, dtype=pl.String)
    names = tuple(str(picture.place) for picture in pictures)
    treated = tuple(one.treated for one in read)
    all_notes += _said(name, names, treated) if wanted.centring else []
    digest = hashlib.sha256(b"".join(one.digest for one in read) + "".join(names).encode()).hexdigest()
    return Dataset(name, source, images, target, (), tuple(all_notes), digest, suggested, names, treated=treated)


class _Read(NamedTuple):
    """What came of one file: its pixels, the SHA-256 of its bytes, whether it holds more pictures than the first."""

    planes: np.ndarray
    treated: Treated
    digest: bytes
    holds_several: bool


def _first_of_several(read: list[_Read], pictures: list[Picture], name: str) -> list[Note]:
    """A warning for files that hold several pictures, such as a moving GIF."""
    several = [str(picture.place) for one, picture in zip(read, pictures) if one.holds_several]
    if not several:
        return []
    text = ngettext(
        "{n} file holds several pictures, of which the first is taken: {names}",
        "{n} files hold several pictures, of which the first is taken: {names}",
        len(several),
    )
    return [Note("warning", name, text.format(n=format_count(len(several)), names=_listed(several)))]


def _in_two_classes(read: list[_Read], pictures: list[Picture], classes: list[str], name: str) -> list[Note]:
    """A warning for files of the same bytes that lie in folders of different classes: one of these is wrong."""
    first: dict[bytes, int] = {}
    pairs = []
    for i, one in enumerate(read):
        j = first.setdefault(one.digest, i)
        if classes[i] != classes[j]:
            pairs.append(_("{one} and {other}").format(one=pictures[j].place, other=pictures[i].place))
    if not pairs:
        return []
    text = ngettext(
        "{n} image lies in two classes, so one of them is wrong: {names}",
        "{n} images lie in two classes each, so one of them is wrong: {names}",
        len(pairs),
    )
    return [Note("warning", name, text.format(n=format_count(len(pairs)), names=_listed(pairs)))]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _normal(name: str) -> str:
    """A name in one form: a Mac writes é as two characters, other systems as one."""
    return unicodedata.normalize("NFC", name)


def _said(name: str, names: Sequence[str], treated: Sequence[Treated]) -> list[Note]:
    """What was done to each image, one by one where they are few."""
    changed = [(image, one.said) for image, one in zip(names, treated) if one.said]
    if len(changed) <= SHOWN_TREATED:
        return [Note("info", image, text) for image, text in changed]
    text = ngettext(
        "{n} image is not as the training images are: its strokes were brought to their size and place",
        "{n} images are not as the training images are: their strokes were brought to their size and place",
        len(changed),
    )
    return [Note("info", name, text.format(n=format_count(len(changed))))]


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
        notes.append(Note("warning", name, text.format(n=format_count(len(others)), names=_listed(others))))
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
        got = got.format(n=format_count(len(loose)), names=_listed([str(picture.place) for picture in loose]))
        raise DataError(problem(name, _("a folder for each class"), got, mend))
    if loose:
        return None
    classes = [_normal(picture.place.parts[0]) for picture in pictures]
    if need_target and len(set(classes)) < 2:
        raise DataError(problem(name, _("at least two classes"), _("only {name}").format(name=repr(classes[0])), mend))
    return classes


def _size_for(pictures: list[Picture], name: str, wanted: Wanted) -> tuple[Size, list[Note]]:
    """The size of the array, its memory checked, and why it was chosen."""
    size, notes = wanted.size, list[Note]()
    if size is None:
        try:
            found = Counter(_each(pictures, name, _upright_size))
        except DataError:
            # files that open may still be damaged further on: all are told together
            _each(pictures, name, lambda data: brought_to(_opened(data), (8, 8)))
            raise
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


def _read_all(pictures: list[Picture], name: str, wanted: Wanted) -> tuple[np.ndarray, list[_Read]]:
    """The images, and what came of each file."""
    assert wanted.size is not None
    size = wanted.size

    def read(data: bytes) -> _Read:
        image, treated = _opened(data), Treated()
        # a telephone's MPO holds one photograph in several forms
        holds_several = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
        if wanted.centring is None:
            planes = brought_to(image, size, wanted.channels)
        else:
            seen = wanted.centring.applied(upright(image, light_ink=True))
            planes, treated = seen.pixels[None], Treated(seen.said, seen.doubt)
        return _Read(planes, treated, hashlib.sha256(data).digest(), holds_several)

    read_in = _each(pictures, name, read)
    planes = [one.planes for one in read_in]
    images = np.empty((len(planes), max(len(plane) for plane in planes), *size), np.uint8)
    for i, plane in enumerate(planes):
        images[i] = plane
    return images, read_in


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
        where = name if str(picture.place) == name else f"{name}/{picture.place}"
        if picture.n_bytes > MOST_FILE_BYTES:
            expected = _("at most {n} bytes").format(n=format_count(MOST_FILE_BYTES))
            problems.append(problem(where, expected, format_count(picture.n_bytes)))
            continue
        try:
            results.append(look(picture.read()))
        except Exception as error:  # a decoder fails in a hundred ways, and each is about this file
            problems.append(problem(where, _("an image that can be read"), _reason(error)))
    if problems:
        raise DataError(*bounded(problems))
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

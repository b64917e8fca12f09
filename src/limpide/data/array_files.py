"""Arrays from NumPy's files, .npy and .npz: numbers and words, never objects, for those may run code.

Source  NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays"
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from limpide.arrays import show_shape
from limpide.data import archives, limits
from limpide.errors import DataError, problem
from limpide.i18n import _, format_count

MAGIC = b"\x93NUMPY"
MOST_HEADER = 1 << 20
_TYPE = re.compile(r"[<>|=]?([biufUSM])(\d{1,9})?(\[\w+\])?")
_FIELD = re.compile(r"\(\s*'([^']+)'\s*,\s*'([^']+)'\s*\)")

INPUTS = ("x", "data", "images", "inputs", "features")
LABELS = ("y", "labels", "label", "target", "targets", "classes")


class Arrays(NamedTuple):
    """What a file holds to learn from.

    inputs  a matrix, images, or columns by name
    labels  the answers, where they are there
    n_test  how many rows at the end are meant as the test set, 0 when nothing is said
    """

    inputs: np.ndarray | dict[str, np.ndarray]
    labels: np.ndarray | None = None
    n_test: int = 0


def is_array_file(path: Path) -> bool:
    """True for an .npy or .npz, by its content."""
    with path.open("rb") as file:
        start = file.read(len(MAGIC))
    if start == MAGIC:
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def read_arrays_file(path: Path) -> Arrays:
    """The arrays of a file, sorted into inputs and labels.

    Raises  DataError  for objects, for a file that is cut, for arrays that do not belong together
    """
    where = path.name
    limits.check_size(where, path.stat().st_size)
    content = path.read_bytes()
    if content.startswith(MAGIC):
        return Arrays(read_npy(where, content))
    with archives.open_zip(where, content) as archive:
        found = archives.entries(where, archive)
        limits.check_size(where, sum(entry.file_size for entry in found))
        arrays = {
            Path(entry.filename).stem: read_npy(f"{where}/{entry.filename}", archives.read_entry(where, archive, entry))
            for entry in found
        }
    return _sorted(where, arrays)


def read_npy(where: str, content: bytes) -> np.ndarray | dict[str, np.ndarray]:
    """The array of an .npy; that of records as columns by name."""
    mend = _("save it again with numpy.save, or as .csv")
    head = content[len(MAGIC) : len(MAGIC) + 6]
    if not content.startswith(MAGIC) or len(head) < 6 or head[0] not in (1, 2, 3):
        raise DataError(problem(where, _("a NumPy file of version 1, 2 or 3"), head[:2].hex(" ") or _("nothing"), mend))
    n_length = 2 if head[0] == 1 else 4
    start = len(MAGIC) + 2 + n_length
    n_header = int.from_bytes(head[2 : 2 + n_length], "little")
    header = content[start : start + n_header].decode("latin-1") if n_header <= MOST_HEADER else ""
    dtype, shape, order = _described(where, header, mend)
    n = math.prod(shape)
    body = memoryview(content)[start + n_header :]
    if len(body) != n * dtype.itemsize:
        expected = _("{n} bytes of values, as its header says").format(n=format_count(n * dtype.itemsize))
        raise DataError(problem(where, expected, format_count(len(body)), _("save it again: it is cut or damaged")))
    if not n or not dtype.itemsize:
        raise DataError(problem(where, _("an array that holds something"), show_shape(shape)))
    array = np.frombuffer(body, dtype, n).reshape(shape, order="F" if order else "C")
    if dtype.names:
        return {name: _native(where, array[name]) for name in dtype.names}
    return _native(where, array)


def _described(where: str, header: str, mend: str) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """The type, the shape and the order that a header announces; nothing in it is evaluated."""
    shape = re.search(r"'shape'\s*:\s*\(([\d,\s]*)\)", header)
    order = re.search(r"'fortran_order'\s*:\s*(True|False)", header)
    single = re.search(r"'descr'\s*:\s*'([^']*)'", header)
    several = re.search(r"'descr'\s*:\s*\[(.*)\]\s*,\s*'fortran_order'", header, re.DOTALL)
    fields = _FIELD.findall(several[1]) if several else []
    if not shape or not order or not (single or several):
        raise DataError(problem(where, _("a header of NumPy"), repr(header[:60]), mend))
    sizes = tuple(int(size[:20]) for size in shape[1].replace(",", " ").split())
    codes = [single[1]] if single else [code for _name, code in fields]
    wrong = [code for code in codes if not _TYPE.fullmatch(code)]
    if wrong or (several and _FIELD.sub("", several[1]).strip(" ,\n")):
        got = ", ".join(wrong or codes)
        if any("O" in code for code in wrong):
            got = _("Python objects, which may run code")
        elif wrong and all("c" in code for code in wrong):
            got = _("complex numbers")
        raise DataError(problem(where, _("an array of numbers or words"), got, _("save it as numbers, or as .csv")))
    try:
        return np.dtype(codes[0] if single else fields), sizes, order[1] == "True"
    except (TypeError, ValueError) as error:
        raise DataError(problem(where, _("an array of numbers or words"), str(error), mend)) from error


def _native(where: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "U":
        codes = np.ascontiguousarray(array).view(f"{array.dtype.byteorder}u4")
        if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any():
            raise DataError(problem(where, _("words"), _("numbers that are no letters"), _("save it again")))
    if array.dtype.kind == "S":
        return np.char.decode(array, "latin-1")
    if array.dtype.kind == "M":
        return array.astype("datetime64[us]")
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _sorted(where: str, arrays: Mapping[str, Any]) -> Arrays:
    """Which of the arrays are inputs and which labels, by their names."""
    if len(arrays) == 1:
        return Arrays(next(iter(arrays.values())))
    plain = {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}
    train, test = (_pair(plain, part) for part in ("train", "test"))
    if train and test:
        if train[0].shape[1:] != test[0].shape[1:]:
            shapes = _(" and ").join(show_shape(pair[0].shape) for pair in (train, test))
            raise DataError(problem(where, _("inputs of one size"), shapes))
        inputs, labels = (np.concatenate([train[i], test[i]]) for i in (0, 1))
        return Arrays(inputs, labels, len(test[0]))
    both = _pair(plain, "")
    if both:
        return Arrays(*both)
    shown = ", ".join(f"{name} {show_shape(getattr(array, 'shape', ()))}" for name, array in list(arrays.items())[:10])
    raise DataError(problem(where, _("an array x with its labels y, or x_train, y_train, x_test and y_test"), shown,
                            _("save the arrays under these names")))  # fmt: skip


def _pair(arrays: Mapping[str, np.ndarray], part: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The inputs and the labels of a part, when both are there."""
    found = []
    for names in (INPUTS, LABELS):
        keys = {key for name in names for key in ((f"{name}_{part}", f"{part}_{name}") if part else (name,))}
        matching = [array for name, array in arrays.items() if name.lower() in keys]
        if len(matching) != 1:
            return None
        found.append(matching[0])
    inputs, labels = found[0], found[1].ravel() if found[1].ndim == 2 and found[1].shape[1] == 1 else found[1]
    return (inputs, labels) if labels.ndim == 1 and len(labels) == len(inputs) else None

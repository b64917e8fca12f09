"""IDX: the format of MNIST and its family, images in one file and labels in another, gzipped or not."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np
import polars as pl

from limpide.arrays import show_shape
from limpide.data.dataset import Dataset, Note
from limpide.errors import DataError, problem
from limpide.i18n import _, format_count

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The third byte of a file: the type of its values, highest byte first."""

MOST_BYTES = 4 * 2**30
MOST_CLASSES = 10_000
DEFLATE_LIMIT = 1032
"""No gzip stream holds more than this many bytes for each of its own, so a header that announces more is wrong."""

PARTS = ("train", "t10k")
"""The parts of a folder, in the order of the rows: what to learn from, then what to be judged on."""


@dataclass(frozen=True)
class IdxArray:
    """The values of one file, and the SHA-256 of its unpacked bytes: the same whether it came gzipped or not."""

    values: np.ndarray
    sha256: str


def is_idx(path: Path) -> bool:
    """True when a file opens like an IDX file, gzipped or not."""
    try:
        with _unpacked(path) as stream:
            start = stream.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(start) == 4 and start[:2] == b"\0\0" and start[2] in TYPES and 1 <= start[3] <= 4


def read_idx_array(path: Path) -> IdxArray:
    """The array of one file.

    Two zero bytes, the type, the number of axes, the size of each axis on four bytes, then the values. Sizes are
    compared with the file before memory is taken for them.

    Raises  DataError   when the file is not IDX, or its length is not what its header announces
    Source  LeCun, Cortes & Burges, The MNIST database, "The IDX file format"
    """
    where = path.name
    try:
        with _unpacked(path) as stream:
            start = stream.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES or not 1 <= start[3] <= 4:
                raise DataError(
                    problem(where, _("an IDX file, which begins with 00 00 08"), start.hex(" ") or _("an empty file"))
                )
            sizes = stream.read(4 * start[3])
            if len(sizes) < 4 * start[3]:
                raise DataError(problem(where, _("a size for each axis"), _("a file that ends before"), _mend()))
            shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
            if 0 in shape:
                raise DataError(problem(where, _("sizes of 1 or more"), show_shape(shape), _mend()))
            dtype = np.dtype(TYPES[start[2]])
            n_bytes = math.prod(shape) * dtype.itemsize
            _check_announced(path, n_bytes, len(start) + len(sizes))
            values = stream.read(n_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(problem(where, _("a whole IDX file"), _reason(error), _mend())) from error
    if len(values) != n_bytes:
        got = _("more") if len(values) > n_bytes else format_count(len(values))
        raise DataError(_wrong_length(path, n_bytes, got))
    digest = hashlib.sha256(start + sizes)
    digest.update(values)
    return IdxArray(np.frombuffer(values, dtype).reshape(shape), digest.hexdigest())


def read_idx(images: Path, labels: Path | None, source: str = "") -> Dataset:
    """The data set of a pair of files, or of images alone when there is nothing to compare with."""
    name = images.name.removesuffix(".gz")
    pictures, words, digests = _pair(images, labels)
    return Dataset(name, source or str(images), pictures, _series(words), (), (), _joined(digests))


def read_idx_folder(folder: Path, need_target: bool = True) -> Dataset:
    """The data set of a folder of IDX files, named as MNIST names them.

    With both parts present, the rows of `train` come first and those of `t10k` last, and the split suggested takes
    the latter as the test set, as the authors meant.
    """
    found = [(part, find_idx(folder, part, "images"), find_idx(folder, part, "labels")) for part in PARTS]
    parts = [(part, images, labels) for part, images, labels in found if images is not None]
    if not parts:
        raise DataError(
            problem(str(folder), _("train-images-idx3-ubyte beside train-labels-idx1-ubyte"), _("neither of them"))
        )
    missing = [part for part, images, labels in parts if labels is None]
    if missing and need_target:
        raise DataError(
            *(problem(str(folder), f"{part}-labels-idx1-ubyte", _("images without their labels")) for part in missing)
        )
    read = [_pair(images, labels) for _part, images, labels in parts]
    pictures = _stacked(folder, [pair[0] for pair in read])
    words = None if missing else np.concatenate([pair[1] for pair in read if pair[1] is not None])
    notes: tuple[Note, ...] = ()
    suggested: dict[str, object] = {}
    if len(read) == 2:
        n_test = len(read[1][0])
        suggested = {"split.method": "ordered", "split.test": n_test / len(pictures)}
        text = _("the {n} images of t10k come last and are suggested as the test set").format(n=format_count(n_test))
        notes = (Note("info", folder.resolve().name, text),)
    digests = [digest for pair in read for digest in pair[2]]
    return Dataset(folder.resolve().name, str(folder), pictures, _series(words), (), notes, _joined(digests), suggested)


def find_idx(folder: Path, part: str, role: str) -> Path | None:
    """The file of a part ("train" or "t10k") in a role ("images" or "labels"), or None."""
    ends = ("idx3-ubyte", "idx1-ubyte")
    for end in ends:
        for name in (f"{part}-{role}-{end}", f"{part}-{role}.{end}"):
            for suffix in ("", ".gz"):
                if (folder / (name + suffix)).is_file():
                    return folder / (name + suffix)
    return None


def labels_beside(images: Path) -> Path | None:
    """The labels file that goes with an images file by its name, or None."""
    name = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    known = {name, name.replace("-idx1", ".idx1"), name.replace(".idx1", "-idx1")} - {images.name.removesuffix(".gz")}
    beside = [images.with_name(other + suffix) for other in sorted(known) for suffix in ("", ".gz")]
    return next((path for path in beside if path.is_file()), None)


def _unpacked(path: Path) -> gzip.GzipFile | BufferedReader:
    """The bytes of a file, gunzipped when it begins as gzip does, whatever its name."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")


def _check_announced(path: Path, n_bytes: int, n_header: int) -> None:
    """Refuse a header that announces more than the file can hold, or than is sensible to read."""
    if n_bytes > MOST_BYTES:
        expected = _("at most {n} bytes of values").format(n=format_count(MOST_BYTES))
        raise DataError(problem(path.name, expected, format_count(n_bytes)))
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    on_disk = path.stat().st_size
    possible = on_disk * DEFLATE_LIMIT if packed else on_disk - n_header
    if n_bytes > possible:
        raise DataError(_wrong_length(path, n_bytes, format_count(possible)))


def _wrong_length(path: Path, n_bytes: int, got: str) -> str:
    expected = _("{n} bytes of values, as its header says").format(n=format_count(n_bytes))
    return problem(path.name, expected, got, _mend())


def _pair(images: Path, labels: Path | None) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """Images as (n, channels, rows, cols), labels as whole numbers, and the digests of both; all problems at once."""
    problems: list[str] = []
    arrays: list[IdxArray | None] = []
    for path in (images, labels):
        try:
            arrays.append(None if path is None else read_idx_array(path))
        except DataError as error:
            problems.extend(error.problems)
            arrays.append(None)
    read, answers = arrays
    pictures = read.values if read is not None else np.zeros((0, 0, 0), np.uint8)
    words = answers.values if answers is not None else None
    if read is not None:
        problems.extend(_image_problems(images.name, pictures))
    if words is not None and labels is not None:
        problems.extend(_label_problems(labels.name, words))
        if read is not None and words.ndim == 1 and len(words) != len(pictures):
            expected = _("a label for each of the {n} images").format(n=format_count(len(pictures)))
            problems.append(
                problem(labels.name, expected, format_count(len(words)), _("give the two files of one set"))
            )
    if problems:
        raise DataError(*problems)
    if pictures.ndim == 3:
        pictures = pictures[:, None]
    return pictures, words, [array.sha256 for array in (read, answers) if array is not None]


def _image_problems(where: str, pictures: np.ndarray) -> list[str]:
    n_axes = pictures.ndim
    if pictures.dtype != np.uint8 or not (n_axes == 3 or (n_axes == 4 and pictures.shape[1] in (1, 3))):
        got = _("{shape} values of {type}").format(
            shape=show_shape(pictures.shape), type=pictures.dtype.newbyteorder("=").name
        )
        return [problem(where, _("images: count, rows and columns of bytes"), got)]
    if 0 in pictures.shape:
        return [problem(where, _("at least one image"), _("none"))]
    return []


def _label_problems(where: str, words: np.ndarray) -> list[str]:
    if words.ndim != 1 or words.dtype.kind not in "iu":
        got = _("{shape} values of {type}").format(
            shape=show_shape(words.shape), type=words.dtype.newbyteorder("=").name
        )
        return [problem(where, _("labels: one whole number for each image"), got)]
    n_distinct = len(np.unique(words))
    if n_distinct > MOST_CLASSES:
        return [
            problem(
                where,
                _("at most {n} different labels").format(n=format_count(MOST_CLASSES)),
                format_count(n_distinct),
            )
        ]
    return []


def _stacked(folder: Path, parts: list[np.ndarray]) -> np.ndarray:
    if len({part.shape[1:] for part in parts}) > 1:
        sizes = _(" and ").join("×".join(str(size) for size in part.shape[1:]) for part in parts)
        raise DataError(problem(str(folder), _("images of one size"), sizes))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _series(words: np.ndarray | None) -> pl.Series | None:
    """Labels as words: the digits of MNIST are names, nothing is measured by them."""
    return None if words is None else pl.Series("label", words.astype("=i8")).cast(pl.String)


def _joined(digests: list[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _reason(error: Exception) -> str:
    """What an operating system or a decompressor said, in our words where it is about the content."""
    if isinstance(error, (gzip.BadGzipFile, EOFError, zlib.error)):
        return _("a broken gzip stream")
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _mend() -> str:
    return _("download it again: it is cut or damaged")

"""IDX: the format of MNIST and its family, images in one file and labels in another, gzipped or not."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from limpide.arrays import show_shape
from limpide.data.dataset import Dataset, Note
from limpide.errors import DataError, problem, reason_of
from limpide.i18n import _, format_count

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The third byte of a file: the type of its values, highest byte first."""

MOST_BYTES = 4 * 2**30
MOST_CLASSES = 10_000
DEFLATE_LIMIT = 1032
"""No gzip stream holds more than this many bytes for each of its own, so a header that announces more is wrong."""

GZIP = 31
"""What zlib calls a stream with the header and the checksum of gzip."""

PARTS = ("train", "t10k")
"""The parts of a folder, in the order of the rows: what to learn from, then what to be judged on."""


BLOCK = 1 << 20
"""Bytes read from the disk at a time."""


class Head(NamedTuple):
    """What a file says of itself before its values, compared with the file's length.

    start  the bytes of it
    """

    path: Path
    start: bytes
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def n_bytes(self) -> int:
        """Of the values that it announces."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class IdxArray:
    """The values of one file."""

    head: Head
    values: np.ndarray

    @property
    def sha256(self) -> str:
        """Of the file's unpacked bytes: the same whether it came gzipped or not."""
        digest = hashlib.sha256(self.head.start)
        digest.update(np.ascontiguousarray(self.values).view(np.uint8).data)
        return digest.hexdigest()


class IdxImages(NamedTuple):
    """What one or more pairs of files hold.

    pictures  (n, channels, rows, cols) bytes
    words     the whole number of each image, where there are labels
    n_last    images of the last pair
    files     images and labels, in the order they were read
    """

    pictures: np.ndarray
    words: np.ndarray | None
    n_last: int
    files: list[IdxArray]

    @property
    def sha256(self) -> str:
        """Of all files."""
        return hashlib.sha256("".join(file.sha256 for file in self.files).encode()).hexdigest()


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
    head = _read_head(path)
    return _read_values(head, np.empty(head.shape, head.dtype))


def read_idx(images: Path, labels: Path | None, source: str = "") -> Dataset:
    """The data set of a pair of files, or of images alone when there is nothing to compare with."""
    name = images.name.removesuffix(".gz")
    read = _read_pairs([(images, labels)])
    return Dataset(name, source or str(images), read.pictures, _series(read.words), (), (), read.sha256)


def read_idx_folder(folder: Path, need_target: bool = True) -> Dataset:
    """The data set of a folder of IDX files, named as MNIST names them.

    With both parts present, the rows of `train` come first and those of `t10k` last, and the split suggested takes
    the latter as the test set, as the authors meant.
    """
    read = read_idx_parts(folder, need_target)
    notes: tuple[Note, ...] = ()
    suggested: dict[str, object] = {}
    if read.n_last < len(read.pictures):
        suggested = {"split.method": "ordered", "split.test": read.n_last / len(read.pictures)}
        text = _("the {n} images of t10k come last and are suggested as the test set")
        notes = (Note("info", folder.resolve().name, text.format(n=format_count(read.n_last))),)
    words = _series(read.words)
    return Dataset(folder.resolve().name, str(folder), read.pictures, words, (), notes, read.sha256, suggested)


def read_idx_parts(folder: Path, need_target: bool = True) -> IdxImages:
    """The images of a folder, those of `train` first, with their labels where no part lacks them.

    Raises  DataError  when there are no images, or images without the labels that are needed
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
    return _read_pairs([(images, labels) for _part, images, labels in parts], str(folder))


def refuse_other_names(folder: Path) -> None:
    """DataError for IDX files that are not named as MNIST's: which belong together is for their owner to say."""
    images = sorted(folder.glob("*images*idx3*"))
    if images:
        expected = _("IDX files named as those of MNIST, train-images-idx3-ubyte and so on")
        mend = _("rename them, or name one pair as IMAGES,LABELS")
        raise DataError(problem(str(folder), expected, images[0].name, mend))


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


def _is_packed(path: Path) -> bool:
    """Whether a file begins as gzip does, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _unpacked(path: Path) -> gzip.GzipFile | BufferedReader:
    """The bytes of a file, gunzipped where it is packed."""
    return gzip.open(path) if _is_packed(path) else path.open("rb")


def _read_head(path: Path) -> Head:
    """The first bytes of a file; a header that announces more than the file can hold is refused."""
    where = path.name
    try:
        with _unpacked(path) as stream:
            start = stream.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES or not 1 <= start[3] <= 4:
                raise DataError(
                    problem(where, _("an IDX file, which begins with 00 00 08"), start.hex(" ") or _("an empty file"))
                )
            sizes = stream.read(4 * start[3])
    except (OSError, EOFError, zlib.error) as error:
        raise _broken(path, error) from error
    if len(sizes) < 4 * start[3]:
        raise DataError(problem(where, _("a size for each axis"), _("a file that ends before"), _mend()))
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    if 0 in shape:
        raise DataError(problem(where, _("sizes of 1 or more"), show_shape(shape), _mend()))
    head = Head(path, start + sizes, shape, np.dtype(TYPES[start[2]]))
    _check_announced(head)
    return head


def _check_announced(head: Head) -> None:
    """Refuse a header that announces more than the file can hold, or than is sensible to read."""
    path, n_bytes = head.path, head.n_bytes
    if n_bytes > MOST_BYTES:
        expected = _("at most {n} bytes of values").format(n=format_count(MOST_BYTES))
        raise DataError(problem(path.name, expected, format_count(n_bytes)))
    on_disk = path.stat().st_size
    possible = on_disk * DEFLATE_LIMIT if _is_packed(path) else on_disk - len(head.start)
    if n_bytes > possible:
        raise DataError(_wrong_length(path, n_bytes, format_count(possible)))


def _read_values(head: Head, out: np.ndarray) -> IdxArray:
    """The values behind a header, written to `out`, which has the shape and the type that it announces."""
    n_bytes, n_start = head.n_bytes, len(head.start)
    room, n = out.reshape(-1).view(np.uint8), -n_start
    try:
        for piece in _pieces(head.path, n_start + n_bytes + 1):
            values = np.frombuffer(piece, np.uint8)[max(0, -n) :][: n_bytes - max(0, n)]
            room[max(0, n) : max(0, n) + len(values)] = values
            n += len(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise _broken(head.path, error) from error
    if n != n_bytes:
        raise DataError(_wrong_length(head.path, n_bytes, _("more") if n > n_bytes else format_count(n)))
    return IdxArray(head, out)


def _pieces(path: Path, most: int) -> Iterator[bytes]:
    """The unpacked bytes of a file, `most` at most, in few large pieces.

    `gzip` unpacks 8 KB at a time and takes Python's lock for each: beside a thread at work it waits a thousand times.
    """
    if not _is_packed(path):
        with path.open("rb") as file:
            while most and (piece := file.read(min(BLOCK, most))):
                most -= len(piece)
                yield piece
        return
    with path.open("rb") as file:
        unpacker, packed = zlib.decompressobj(GZIP), file.read(BLOCK)
        while most:
            piece = unpacker.decompress(packed, most)
            most -= len(piece)
            yield piece
            packed = unpacker.unconsumed_tail or unpacker.unused_data or file.read(BLOCK)
            if unpacker.eof:
                # another stream may follow, or zeros
                while packed and not (packed := packed.lstrip(b"\0")):
                    packed = file.read(BLOCK)
                if not packed:
                    return
                unpacker = zlib.decompressobj(GZIP)
            elif not packed:
                raise EOFError


def _broken(path: Path, error: Exception) -> DataError:
    return DataError(problem(path.name, _("a whole IDX file"), _reason(error), _mend()))


def _wrong_length(path: Path, n_bytes: int, got: str) -> str:
    expected = _("{n} bytes of values, as its header says").format(n=format_count(n_bytes))
    return problem(path.name, expected, got, _mend())


def _read_pairs(pairs: Sequence[tuple[Path, Path | None]], where: str = "") -> IdxImages:
    """The images of the pairs, one after the other; all problems of a pair at once.

    where  the folder they are in
    """
    heads = [_pair_of_heads(images, labels) for images, labels in pairs]
    shapes = [images.shape for images, _labels in heads]
    if len({_sides(shape) for shape in shapes}) > 1:
        got = _(" and ").join("×".join(map(str, _sides(shape))) for shape in shapes)
        raise DataError(problem(where, _("images of one size"), got))
    pictures = np.empty((sum(shape[0] for shape in shapes), *_sides(shapes[0])), np.uint8)
    files: list[IdxArray] = []
    words: list[np.ndarray] = []
    first = 0
    for images, labels in heads:
        room = pictures[first : first + images.shape[0]].reshape(images.shape)
        read = _read_pair(images, labels, room)
        files += read
        words += [file.values for file in read[1:]]
        first += images.shape[0]
    is_labelled = len(words) == len(pairs)
    return IdxImages(pictures, np.concatenate(words) if is_labelled else None, shapes[-1][0], files)


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Channels, rows and columns."""
    return (1, *shape[1:]) if len(shape) == 3 else shape[1:]


def _pair_of_heads(images: Path, labels: Path | None) -> tuple[Head, Head | None]:
    """What the two files of a pair announce; all that is wrong with either at once."""
    problems: list[str] = []
    heads: list[Head | None] = []
    for path, check in ((images, _image_problems), (labels, _label_problems)):
        try:
            head = None if path is None else _read_head(path)
            problems += [] if head is None else check(head)
        except DataError as error:
            head = None
            problems += error.problems
        heads.append(head)
    first, second = heads
    if first is not None and second is not None and len(second.shape) == 1 and second.shape[0] != first.shape[0]:
        expected = _("a label for each of the {n} images").format(n=format_count(first.shape[0]))
        mend = _("give the two files of one set")
        problems.append(problem(second.path.name, expected, format_count(second.shape[0]), mend))
    if problems:
        raise DataError(*problems)
    assert first is not None
    return first, second


def _read_pair(images: Head, labels: Head | None, room: np.ndarray) -> list[IdxArray]:
    """Images, written to `room`, and labels."""
    problems: list[str] = []
    read: list[IdxArray] = []
    for head, out in ((images, room), (labels, None)):
        if head is None:
            continue
        try:
            read.append(_read_values(head, np.empty(head.shape, head.dtype) if out is None else out))
        except DataError as error:
            problems += error.problems
    if labels is not None and not problems and (n := len(np.unique(read[1].values))) > MOST_CLASSES:
        expected = _("at most {n} different labels").format(n=format_count(MOST_CLASSES))
        problems.append(problem(labels.path.name, expected, format_count(n)))
    if problems:
        raise DataError(*problems)
    return read


def _image_problems(head: Head) -> list[str]:
    n_axes = len(head.shape)
    if head.dtype != np.uint8 or not (n_axes == 3 or (n_axes == 4 and head.shape[1] in (1, 3))):
        return [problem(head.path.name, _("images: count, rows and columns of bytes"), _shown(head))]
    return []


def _label_problems(head: Head) -> list[str]:
    if len(head.shape) != 1 or head.dtype.kind not in "iu":
        return [problem(head.path.name, _("labels: one whole number for each image"), _shown(head))]
    return []


def _shown(head: Head) -> str:
    text = _("{shape} values of {type}")
    return text.format(shape=show_shape(head.shape), type=head.dtype.newbyteorder("=").name)


def _series(words: np.ndarray | None) -> pl.Series | None:
    """Labels as words: the digits of MNIST are names, nothing is measured by them."""
    return None if words is None else pl.Series("label", words.astype("=i8")).cast(pl.String)


def _reason(error: Exception) -> str:
    """What an operating system or a decompressor said, in our words where it is about the content."""
    if isinstance(error, (gzip.BadGzipFile, EOFError, zlib.error)):
        return _("a broken gzip stream")
    return reason_of(error) if isinstance(error, OSError) else str(error)


def _mend() -> str:
    return _("download it again: it is cut or damaged")

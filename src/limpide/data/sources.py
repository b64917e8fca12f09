"""The single door to data: a name, a file, a folder, a frame or arrays in; a `Dataset` out."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import numpy as np
import polars as pl

from limpide.data import limits
from limpide.data.archives import holds_images
from limpide.data.array_files import is_array_file, read_arrays_file
from limpide.data.builtin import BUILTIN, YES_NO
from limpide.data.centring import Centring
from limpide.data.columns import take_target, understand
from limpide.data.dataset import Column, Dataset, Note, named_kinds
from limpide.data.frames import from_frame
from limpide.data.idx import find_idx, is_idx, labels_beside, read_idx, read_idx_folder, refuse_other_names
from limpide.data.image_files import is_image_name, read_image_file, read_image_folder, read_image_zip
from limpide.data.images import Size
from limpide.data.images import Wanted as WantedImages
from limpide.data.parts import read_parts, table_files
from limpide.data.reading import Asked, Reading, Table, check_applies
from limpide.data.tables import read_table
from limpide.data.tidying import with_numbers, with_units
from limpide.errors import DataError, UnknownName, did_you_mean, problem, reason_of
from limpide.i18n import _, format_count, ngettext

TARGET_NAMES = (
    "target", "label", "class", "y", "outcome", "price", "cost", "cible", "classe", "etiquette", "étiquette", "prix",
)  # fmt: skip
"""Columns that are the target by their name, the surest first, when none is named."""

IMAGE_OPTIONS = ("size", "channels", "centre")
MOST_SIDE = 4096
NONE: Mapping[str, Any] = MappingProxyType({})


class Wanted(NamedTuple):
    """What a user said of the data, whatever its form.

    target, kinds, drop  as `open_source` takes them
    need_target          False for data to predict
    former               how the table or the images were read that a model learned from
    """

    target: str | None
    kinds: Mapping[str, str]
    drop: Sequence[str]
    need_target: bool
    former: Reading | WantedImages | None = None

    def asked(self, where: str, options: Mapping[str, Any]) -> Asked:
        """What a reader of tables is to know."""
        former = self.former if isinstance(self.former, Reading) else None
        return Asked(Reading.from_options(where, options), self.kinds, tuple(self.drop), former)


def open_source(
    source: Any,
    target: str | None = None,
    kinds: Mapping[str, str] = NONE,
    drop: Sequence[str] = (),
    need_target: bool = True,
    options: Mapping[str, Any] = NONE,
    former: Reading | WantedImages | None = None,
) -> Dataset:
    """The data of a source, whatever its form.

    source       a built-in name (`"moons?noise=0.3"` sets its options), the path of a table (CSV, TSV, JSON, Parquet,
                 Excel; packed or not), of a folder or a pattern of CSV or Parquet files that are one table, of arrays
                 (.npy, .npz), of a folder or zip file of images, of an image, of a folder or a pair of IDX files
                 ("images,labels"), a pandas, polars or pyarrow frame, images as an array
                 or `(images, labels)`, or a `Dataset`
    target       the column to predict; None looks for one by its name, then takes the last
    kinds, drop  what columns are, against what would be guessed; columns to leave out
    need_target  False for data to predict: no target is looked for, and images need no folders of classes
    options      of a built-in, `size`, `channels` and `centre` of images, or how a table is written: delimiter,
                 decimal, thousands, encoding, header, skip, footer, sheet, dates, missing
    former       how the table or the images were read that a model learned from: what is left open is read alike
    Raises       DataError     when it is missing or cannot be read
                 UnknownName   for a name, a column or an option that does not exist; the nearest is named
    """
    wanted = Wanted(target, kinds, drop, need_target, former)
    if isinstance(source, Dataset):
        dataset = source
    elif isinstance(source, (str, os.PathLike)):
        dataset = _from_text(os.fspath(source), wanted, options)
    elif isinstance(source, tuple) or (isinstance(source, np.ndarray) and source.ndim != 2):
        dataset = _from_arrays(source)
    else:
        dataset = _from_frame("frame", "frame", from_frame(source), wanted, options)
    if need_target:
        _check_target(dataset)
    return dataset


def _from_frame(name: str, source: str, frame: pl.DataFrame, wanted: Wanted, options: Mapping[str, Any]) -> Dataset:
    """The data set of a frame, its texts read as those of a file are."""
    file = io.BytesIO()
    frame.write_ipc(file)
    digest = hashlib.sha256(file.getbuffer()).hexdigest()
    asked = wanted.asked(name, options)
    check_applies(name, asked.given, _("frames"), ("decimal", "thousands", "dates", "missing"))
    table = with_numbers(frame, [], asked, Reading())
    return _from_table(name, source, table, digest, wanted)


def _from_text(text: str, wanted: Wanted, given: Mapping[str, Any]) -> Dataset:
    """The data of a name or a path, its options read from behind a question mark."""
    text, options = _with_options(text, given)
    path = _as_path(text)
    if not text.strip():
        raise UnknownName(_("data"), text, BUILTIN)
    if text in BUILTIN:
        dataset = _of_columns(BUILTIN[text].open(options), wanted)
        if os.path.exists(path):
            note = _("a file of that name is here too: write ./{name} to read it").format(name=text)
            dataset = replace(dataset, notes=(*dataset.notes, Note("info", text, note)))
        return dataset
    pair = [_as_path(part.strip()) for part in text.split(",")]
    if len(pair) == 2 and not os.path.exists(path) and all(map(os.path.isfile, pair)):
        _no_options(text, options)
        return read_idx(pair[0], pair[1], text)
    files = [] if os.path.isfile(path) else table_files(text)
    if files:
        found = read_parts(path.name, files, wanted.asked(text, options))
        return _from_table(path.name, text, found.table, found.sha256, wanted)
    if not os.path.exists(path):
        raise _missing(text, path)
    if path.is_dir():
        return _from_folder(path, wanted, options)
    if not path.is_file():
        raise DataError(problem(text, _("a file or a folder"), _("something else")))
    try:
        return _from_file(path, text, wanted, options)
    except OSError as error:
        raise DataError(problem(text, _("a file that can be read"), reason_of(error))) from error


def _from_file(path: Path, text: str, wanted: Wanted, options: Mapping[str, Any]) -> Dataset:
    """The data of one file."""
    if is_array_file(path):
        return _from_array_file(path, text, wanted, options)
    if path.suffix.lower() == ".zip" and holds_images(path):
        return read_image_zip(path, _wanted_images(text, options, wanted))
    if is_image_name(path.name):
        return _from_image(path, wanted, options)
    if is_idx(path):
        _no_options(text, options)
        labels = labels_beside(path)
        if labels is None and wanted.need_target:
            expected = _("a file of labels beside it, such as train-labels-idx1-ubyte beside train-images-idx3-ubyte")
            raise DataError(problem(text, expected, _("none"), _('name both: "images,labels"')))
        return read_idx(path, labels, text)
    file = read_table(path, wanted.asked(text, options))
    return _from_table(path.name, text, file.table, file.sha256, wanted)


def _from_array_file(path: Path, text: str, wanted: Wanted, options: Mapping[str, Any]) -> Dataset:
    """The data of NumPy's files: a matrix or columns are a table, more axes are images."""
    inputs, labels, n_test = read_arrays_file(path)
    if isinstance(inputs, np.ndarray) and inputs.ndim > 2:
        _no_options(text, options)
        dataset = _from_arrays(inputs if labels is None else (inputs, labels))
        dataset = replace(dataset, name=path.name, source=text)
    else:
        n_columns = len(inputs) if isinstance(inputs, dict) else inputs.shape[-1]
        limits.check_shape(path.name, 1, n_columns)
        frame = from_frame(inputs)
        if labels is not None:
            frame = frame.with_columns(pl.Series("target", labels))
        dataset = _from_frame(path.name, text, frame, wanted, options)
    if n_test:
        note = _("the {n} rows of the test arrays come last and are suggested as the test set").format(
            n=format_count(n_test)
        )
        suggested = {"split.method": "ordered", "split.test": n_test / len(dataset)}
        dataset = replace(dataset, suggested=suggested, notes=(*dataset.notes, Note("info", path.name, note)))
    return dataset


def _as_path(text: str) -> Path:
    # `os.path` answers where `Path` raises: a name that is too long, a home that nobody has.
    return Path(os.path.expanduser(text))


def _with_options(text: str, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The source without its question mark, and its options: those behind the mark, then those given apart."""
    name, mark, query = text.partition("?")
    if not mark or os.path.exists(_as_path(text)):
        return text, dict(given)
    try:
        written = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError as error:
        raise DataError(problem(text, _("options such as ?size=32x32&channels=1"), repr(query))) from error
    return name, written | dict(given)


def _from_folder(path: Path, wanted: Wanted, options: Mapping[str, Any]) -> Dataset:
    if any(find_idx(path, part, "images") for part in ("train", "t10k")):
        _no_options(str(path), options)
        return read_idx_folder(path, wanted.need_target)
    refuse_other_names(path)
    return read_image_folder(path, _wanted_images(str(path), options, wanted))


def _from_image(path: Path, wanted: Wanted, options: Mapping[str, Any]) -> Dataset:
    if wanted.need_target:
        expected = _("a folder or a zip file with a folder of images for each class")
        raise DataError(problem(str(path), expected, _("one image")))
    return read_image_file(path, _wanted_images(str(path), options, wanted))


def _wanted_images(where: str, options: Mapping[str, Any], wanted: Wanted) -> WantedImages:
    """How to read images, from options as a person writes them; all that is wrong is told together."""
    problems = [str(UnknownName(where, name, IMAGE_OPTIONS)) for name in options if name not in IMAGE_OPTIONS]
    size = _read_size(options["size"]) if "size" in options else None
    if "size" in options and size is None:
        expected = _("rows and columns such as 32x32, at most {most}").format(most=MOST_SIDE)
        problems.append(problem(f"{where}, size", expected, repr(options["size"])))
    channels = str(options.get("channels", ""))
    if channels not in ("", "1", "3"):
        problems.append(problem(f"{where}, channels", _("1 (grey) or 3 (colour)"), repr(options["channels"])))
    centre = str(options.get("centre", "no")).lower()
    if centre not in YES_NO:
        problems.append(problem(f"{where}, centre", _("yes or no"), repr(options["centre"])))
    if problems:
        raise DataError(*problems)
    former = wanted.former if isinstance(wanted.former, WantedImages) else WantedImages()
    centring = Centring.standard(*(size or (28, 28))) if YES_NO[centre] else None
    return WantedImages(
        size or (former.size if centring is None else (28, 28)),
        int(channels) if channels else former.channels if centring is None else 1,
        wanted.need_target,
        centring if "centre" in options else former.centring,
    )


def _read_size(given: Any) -> Size | None:
    """Rows and columns of "32x28", "32" or (32, 28); None when it is nothing of the kind."""
    words = given if isinstance(given, (tuple, list)) else re.split("[x×]", str(given).lower())
    sides = [int(word) for word in map(str, words) if word.strip().isdecimal()]
    if len(sides) != len(words) or len(sides) not in (1, 2) or not all(1 <= side <= MOST_SIDE for side in sides):
        return None
    return sides[0], sides[-1]


def _no_options(where: str, options: Mapping[str, Any]) -> None:
    if options:
        raise DataError(problem(where, _("no option"), ", ".join(options)))


def _missing(text: str, path: Path) -> DataError | UnknownName:
    """What to say of something that is not there: the nearest built-in name or neighbouring file."""
    if re.match(r"[a-z]+://", text):
        return DataError(problem(text, _("a file on this machine"), _("an address"), _("download it first")))
    known = [*BUILTIN, *_neighbours(path)]
    if not path.suffix and len(path.parts) == 1:
        return UnknownName(_("data"), text, known)
    mend = did_you_mean(path.name, known)
    return DataError(problem(text, _("a file, a folder or the name of a built-in data set"), _("nothing there"), mend))


def _neighbours(path: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(path.parent) if not name.startswith("."))[:1000]
    except (OSError, ValueError):  # no folder, or none that can be: a zero byte in its name
        return []


def _from_arrays(given: np.ndarray | tuple[Any, ...]) -> Dataset:
    """Images as an array (examples, rows, cols) or (examples, channels, rows, cols), with labels or without."""
    pair: tuple[Any, Any] = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    images, labels = pair
    if isinstance(images, np.ndarray) and images.ndim == 3:
        images = images[:, None]
    if not isinstance(images, np.ndarray) or images.ndim != 4 or images.dtype.kind not in "uif":
        expected = _("images as an array (examples, rows, cols) or (examples, channels, rows, cols) of numbers")
        got = repr(images.shape) if isinstance(images, np.ndarray) else type(images).__name__
        mend = _("for a table give columns by name, or a frame, and its target")
        raise DataError(problem(_("arrays"), expected, got, mend))
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
    words = None if labels is None else pl.Series("class", [str(label) for label in np.asarray(labels).ravel()])
    if words is not None and len(words) != len(images):
        expected = _("a label for each of the {n} images").format(n=format_count(len(images)))
        raise DataError(problem(_("arrays"), expected, format_count(len(words))))
    digest = hashlib.sha256(np.ascontiguousarray(images).tobytes())
    digest.update("\n".join(words if words is not None else []).encode())
    return Dataset("arrays", "arrays", images, words, (), (), digest.hexdigest())


def _of_columns(dataset: Dataset, wanted: Wanted) -> Dataset:
    """A built-in with what was asked of its columns: another target, other kinds, fewer of them."""
    assert dataset.target is not None
    own, (target, kinds, drop, *_rest) = dataset.target.name, wanted
    if isinstance(dataset.inputs, np.ndarray):
        _check_names(
            _("column of {name}").format(name=dataset.name), [*([target] if target else []), *kinds, *drop], [own]
        )
        return dataset
    if target in (None, own) and not kinds and not drop:
        return dataset
    frame = dataset.inputs.with_columns(dataset.target)
    found = Table(frame, list(dataset.notes), dataset.reading or Reading())
    wanted = wanted._replace(target=target or own, need_target=True)
    return replace(
        _from_table(dataset.name, dataset.source, found, dataset.sha256, wanted), suggested=dataset.suggested
    )


def _from_table(name: str, source: str, table: Table, digest: str, wanted: Wanted) -> Dataset:
    """A table as a data set; its columns are understood when there is something to learn, for a model knows its own."""
    where = _("column of {name}").format(name=name)
    (frame, notes, reading, places), (target, kinds, drop, need_target, _former) = table, wanted
    named = [*([target] if target and need_target else []), *kinds, *drop]
    _check_names(where, named, frame.columns)
    frame = frame.drop([column for column in drop if column != target])
    if not need_target:
        answers = frame[target] if target in frame.columns else None
        inputs = frame.drop(target or [], strict=False)
        return Dataset(name, source, inputs, answers, (), tuple(notes), digest, reading=reading, places=places)
    if target is None:
        target, why = find_target(name, frame, kinds)
        notes = [*notes, Note("info", target, why)]
    inputs, answers, missing, places = take_target(frame, target, kinds.get(target, ""), places)
    columns, more = understand(inputs.with_columns(answers), target, kinds, (), reading.dates or "day", places)
    if not any(column.is_feature for column in columns):
        mend = _("say what a column is with its kind, number or category")
        doubts = [f"{note.where}: {note.text}" for note in notes if note.level == "warning" and note.where in inputs]
        raise DataError(problem(name, _("at least one column to learn from"), named_kinds(columns), mend), *doubts)
    columns = with_units(columns, reading.units)
    reading = replace(reading, cells=_cells(frame, columns, answers))
    said = (*notes, *missing, *more)
    return Dataset(name, source, inputs, answers, columns, said, digest, reading=reading, places=places)


def _cells(frame: pl.DataFrame, columns: Sequence[Column], target: pl.Series) -> dict[str, str]:
    """How the cells of each column are to be read again: numbers stay numbers, and words words."""
    numbers = {column.name for column in columns if column.kind == "number"}
    numbers |= {target.name} if target.dtype.is_numeric() else set()
    return {
        name: "number" if name in numbers else "text" if frame[name].dtype == pl.String else "other"
        for name in frame.columns
    }


def _check_names(where: str, named: Sequence[str], known: Sequence[str]) -> None:
    """Refuse columns that are not there, all of them at once."""
    unknown = [UnknownName(where, name, known) for name in dict.fromkeys(named) if name not in known]
    if len(unknown) == 1:
        raise unknown[0]
    if unknown:
        raise DataError(*map(str, unknown))


def find_target(name: str, frame: pl.DataFrame, kinds: Mapping[str, str]) -> tuple[str, str]:
    """The column to predict when none was named, and why it."""
    lowered = {column.lower(): column for column in reversed(frame.columns)}
    for word in TARGET_NAMES:
        if word in lowered:
            return lowered[word], _("taken as the target, for its name")
    understood, _notes = understand(frame, None, kinds)
    for column in reversed(understood):
        if column.is_feature and column.kind != "date":
            return column.name, _("taken as the target: the last column that can be predicted")
    got = ngettext("none: there is {n} column", "none among {n} columns", frame.width).format(n=frame.width)
    raise DataError(problem(name, _("a column to predict, of numbers or categories"), got))


def _check_target(dataset: Dataset) -> None:
    """Refuse data from which nothing can be learned: no target, no rows, or one answer for all."""
    if dataset.target is None:
        raise DataError(problem(dataset.name, _("a target to learn from"), _("none")))
    if len(dataset) == 0:
        raise DataError(problem(dataset.name, _("rows with a target"), _("none")))
    if dataset.target.min() == dataset.target.max():
        where = _("{name}, target {target}").format(name=dataset.name, target=dataset.target.name)
        raise DataError(
            problem(where, _("at least two different values"), _("only {name}").format(name=repr(dataset.target[0])))
        )

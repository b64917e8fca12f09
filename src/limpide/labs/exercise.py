"""The layer table as an exercise: a sheet to fill in, corrected cell by cell, the usual mistakes recognised.

A sheet is a CSV file with a line for each layer and the columns of `COLUMNS`, or a TOML file with a table for each.
Sizes may be written as products and sums: "28x28x512 + 512" is as good as 401920.
"""

from __future__ import annotations

import csv
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from math import prod
from pathlib import Path
from typing import Any

from limpide.arrays import Shape, show_shape
from limpide.errors import DataError, UnknownName, problem, reason_of
from limpide.i18n import N_, _, format_count
from limpide.nn.layers import Activation, BatchNorm, Conv2d, Dense, Flatten, Layer
from limpide.nn.network import Network

COLUMNS = ("layer", "type", "input", "output", "parameters")
LARGEST_SHEET = 1_000_000
"""Bytes of a sheet."""

TYPES: dict[str, tuple[str, ...]] = {
    "dense": ("dense", "linear", "fully connected", "affine", "lineaire", "ement connecte"),
    "conv": ("conv",),
    "maxpool": ("maxpool", "max pool", "pool", "pooling", "sous echantillonnage"),
    "avgpool": ("avgpool", "average pool", "pool", "pooling", "sous echantillonnage"),
    "globalavgpool": ("pool", "pooling"),
    "flatten": ("flatten", "aplatissement", "aplatir", "vectorisation"),
    "batchnorm": ("batchnorm", "batch norm", "normalisation", "normalization"),
    "dropout": ("dropout", "abandon"),
    "residual": ("residual", "residuel"),
    "activation": ("activation", "non linear", "non lineaire"),
}
"""By kind of layer, words of which one must stand in the cell, without accents or hyphens."""

KINDS: dict[str, str] = {
    "dense": N_("fully connected (affine)"),
    "conv": N_("convolution"),
    "maxpool": N_("max pooling"),
    "avgpool": N_("average pooling"),
    "globalavgpool": N_("global average pooling"),
    "flatten": N_("flattening"),
    "batchnorm": N_("batch normalisation"),
    "dropout": N_("dropout"),
    "residual": N_("residual block"),
}
"""By kind of layer, what it is called."""

EXERCISES: dict[str, str] = {
    "rn-1": "1x28x28, flatten, 512 relu, 256 relu, 128 relu, 10",
    "rn-2": "1x28x28, conv 32 3x3 pad 1 relu, maxpool 2, conv 64 3x3 pad 1 relu, maxpool 2, flatten, 128 relu, 10",
}
"""Networks of the exam by name; any other is given by its text."""

_SHORT = {"dense": "fc", "maxpool": "pool", "avgpool": "pool", "globalavgpool": "pool", "batchnorm": "bn"}

_THOUSANDS = re.compile(r"(?<=\d)[\s\u00a0\u202f,.'’](?=\d{3}(?!\d))")

Rows = Mapping[str, Mapping[str, str]]
"""What stands in a sheet: the layer's name, then the column."""


@dataclass(frozen=True)
class Correction:
    """What a cell is worth.

    why  what was mistaken, a sentence; "" where it is right
    """

    layer: str
    column: str
    given: str
    expected: str
    is_right: bool
    why: str = ""


def layer_names(network: Network) -> list[str]:
    """A name for each layer, its kind and which of them it is.

    >>> layer_names(Network.parse("1x8x8, conv 4 3x3 relu, maxpool 2, flatten, 9 relu, 2"))
    ['conv1', 'relu1', 'pool1', 'flatten', 'fc1', 'relu2', 'fc2']
    """
    words = [_SHORT.get(row.type, row.type) for row in network.table()]
    seen = [words[: i + 1].count(word) for i, word in enumerate(words)]
    return [word if word == "flatten" and words.count(word) == 1 else f"{word}{n}" for word, n in zip(words, seen)]


def exercise(text: str) -> Network:
    """The network of a name in `EXERCISES`, or of a text.

    Raises  as `Network.parse`
    """
    return Network.parse(EXERCISES.get(text.lower(), text))


def blank_sheet(network: Network) -> str:
    """The sheet to fill in, as CSV."""
    rows = [COLUMNS, *((name, "", "", "", "") for name in layer_names(network))]
    return "".join(",".join(row) + "\n" for row in rows)


def read_sheet(path: str | Path) -> dict[str, dict[str, str]]:
    """The cells of a filled-in sheet: CSV with commas, semicolons or tabs, or TOML with a table for each layer.

    Raises  DataError: not there, not text, or no such columns
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_SHEET:
            got = _("{n} bytes").format(n=format_count(path.stat().st_size))
            raise DataError(problem(str(path), _("a filled-in sheet"), got))
        text = path.read_text("utf-8-sig")
        if path.suffix.lower() == ".toml":
            return _read_toml(path, tomllib.loads(text))
    except OSError as error:
        raise DataError(problem(str(path), _("a filled-in sheet"), reason_of(error))) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(problem(str(path), _("a sheet in CSV or TOML"), str(error))) from None
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows = [row for row in csv.reader(StringIO(text), delimiter=delimiter) if any(cell.strip() for cell in row)]
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        mend = _("start from the sheet that `limpide labs exercise` writes")
        expected = _("the columns {names}").format(names=", ".join(COLUMNS))
        raise DataError(problem(str(path), expected, ", ".join(header) or _("nothing"), mend))
    cells: dict[str, dict[str, str]] = {}
    for row in rows[1:]:
        named = dict(zip(header, [*row, *[""] * len(header)]))
        cells[named["layer"].strip().lower()] = {column: named[column].strip() for column in COLUMNS[1:]}
    return cells


def _read_toml(path: Path, data: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    wrong = [name for name, cells in data.items() if not isinstance(cells, dict)]
    if wrong:
        raise DataError(problem(f"{path}, {wrong[0]}", _("a table for each layer"), repr(data[wrong[0]])))
    return {
        name.lower(): {column: str(cells.get(column, "")).strip() for column in COLUMNS[1:]}
        for name, cells in data.items()
    }


def correct(network: Network, rows: Rows, columns: Sequence[str] = COLUMNS[1:]) -> list[Correction]:
    """Every cell of a sheet, corrected.

    columns  those that are corrected
    Raises   UnknownName for a layer that the network does not have
    """
    names = layer_names(network)
    unknown = [name for name in rows if name not in names]
    if unknown:
        raise UnknownName(_("layer"), unknown[0], names)
    sheet = _Sheet(network, names, rows)
    return [sheet.correct(i, column) for i in range(len(names)) for column in columns]


def read_sizes(text: str) -> tuple[list[int], int] | None:
    """The factors of a product and the value of the whole, of words such as "32x28x28" or "784 x 512 + 512".

    None when it is neither.

    >>> read_sizes("784×512 + 512")
    ([784, 512], 401920)
    """
    plain = text.strip().strip("()[]")
    terms = [re.split(r"\s*[x×*·,]\s*", term.strip().strip("()"), flags=re.IGNORECASE) for term in plain.split("+")]
    if not all(re.fullmatch(r"\d{1,12}", factor) for term in terms for factor in term):
        return None
    factors = [[int(factor) for factor in term] for term in terms]
    return factors[0], sum(prod(term) for term in factors)


class _Sheet:
    """A network's true sizes beside what someone wrote."""

    def __init__(self, network: Network, names: Sequence[str], rows: Rows) -> None:
        self.network, self.names, self.rows = network, names, rows
        self.counts = [row.parameters for row in network.table()]

    def correct(self, i: int, column: str) -> Correction:
        given = self._written(i, column)
        expected = self._expected(i, column)
        if not given:
            return Correction(self.names[i], column, "", expected, False, _("left empty"))
        judge = {"type": self._type, "input": self._input, "output": self._output, "parameters": self._parameters}
        why = judge[column](i, given)
        return Correction(self.names[i], column, given, expected, not why, why)

    def _written(self, i: int, column: str) -> str:
        return self.rows.get(self.names[i], {}).get(column, "")

    def _expected(self, i: int, column: str) -> str:
        if column == "type":
            return in_words(self.network.layers[i])
        if column == "parameters":
            return self.network.table()[i].arithmetic or "0"
        return show_shape(self.network.shapes[i + (column == "output")])

    def _type(self, i: int, given: str) -> str:
        layer = self.network.layers[i]
        said = _plain(given)
        kind = "activation" if isinstance(layer, Activation) else layer.keyword
        own = (_plain(layer.function),) if isinstance(layer, Activation) else ()
        if "regression" in said:
            return _("a regression is a task; the layer is fully connected, which is to say affine")
        if any(word in said for word in (*own, *TYPES[kind])):
            return ""
        return _("it is a layer of the kind {kind}").format(kind=in_words(layer))

    def _input(self, i: int, given: str) -> str:
        return _wrong_shape(given, self.network.shapes[i], self._mistaken_inputs(i))

    def _output(self, i: int, given: str) -> str:
        layer = self.network.layers[i]
        otherwise = ""
        if isinstance(layer, Dense):
            otherwise = _("the layer has {n} units").format(n=format_count(layer.units))
        return _wrong_shape(given, self.network.shapes[i + 1], self._mistaken_outputs(i), otherwise)

    def _mistaken_inputs(self, i: int) -> Iterator[tuple[Shape, str]]:
        before = self.network.shapes[i - 1] if i and isinstance(self.network.layers[i - 1], Flatten) else None
        if before is not None and len(before) == 3:
            yield before[:1], _channels_alone(before)
        yield from self._own(i - 1)

    def _mistaken_outputs(self, i: int) -> Iterator[tuple[Shape, str]]:
        layer, came = self.network.layers[i], self.network.shapes[i]
        if isinstance(layer, Flatten) and len(came) == 3:
            yield came[:1], _channels_alone(came)
            yield came, _("flattening makes one row of numbers of it")
        if isinstance(layer, Conv2d):
            bare = tuple((size - side) // layer.stride + 1 for size, side in zip(came[1:], layer.kernel))
            yield (layer.channels, *bare), _("that is the size without padding")
            yield (came[0], *self.network.shapes[i + 1][1:]), _("a convolution has as many channels as it has filters")
        if layer.keyword in ("maxpool", "avgpool"):
            yield came, _("pooling takes one number of each window: there are fewer rows and columns")
            yield (came[0] // 2, *self.network.shapes[i + 1][1:]), _("pooling leaves the channels as they are")
        yield came, _("that is its input")
        yield from self._own(i - 1)

    def _own(self, i: int) -> Iterator[tuple[Shape, str]]:
        """What the sheet itself says of the output of a layer, or of the one whose numbers it leaves as they are."""
        while i > 0 and not self._written(i, "output") and self.network.shapes[i] == self.network.shapes[i + 1]:
            i -= 1
        written = read_sizes(self._written(i, "output")) if i >= 0 else None
        if written is not None:
            follows = _("it follows from your own output of {layer}, which is wrong")
            yield tuple(written[0]), follows.format(layer=self.names[i])

    def _parameters(self, i: int, given: str) -> str:
        right, given = self.counts[i], _THOUSANDS.sub("", given)
        left, _equals, behind = given.partition("=")
        if behind and not left.strip(" ("):
            left, behind = behind, ""
        left = left.rstrip(" (")
        sizes = read_sizes(left)
        if sizes is None:
            return _("not a number, nor products and sums of numbers")
        value = sizes[1]
        stated = read_sizes(behind.strip(" )")) if behind else None
        if stated is not None and stated[1] != value:
            wrong = _("{left} is {value}, not {stated}").format(
                left=left.strip(), value=format_count(value), stated=format_count(stated[1])
            )
            if value == right:
                return _("; ").join([wrong, *self._copied(i, stated[1])])
            return _("; ").join((wrong, self._mistake(i, value)))
        return "" if value == right else self._mistake(i, value)

    def _mistake(self, i: int, value: int) -> str:
        """What gave a wrong count."""
        candidates = self._mistaken_counts(i, value)
        why = next((why for mistaken, why in candidates if mistaken == value), None)
        return why or next(iter(self._copied(i, value)), _("worked out otherwise"))

    def _copied(self, i: int, value: int) -> list[str]:
        twin = next((name for name, n in zip(self.names, self.counts) if n == value and name != self.names[i]), None)
        return [_("that is the count of {layer}").format(layer=twin)] if twin and value else []

    def _mistaken_counts(self, i: int, value: int) -> Iterator[tuple[int, str]]:
        layer, came = self.network.layers[i], self.network.shapes[i]
        if isinstance(layer, Dense):
            yield from self._mistaken_dense(i, layer, came[0])
        elif isinstance(layer, Conv2d):
            yield from self._mistaken_convolution(i, layer, came[0] // layer.groups)
        elif isinstance(layer, BatchNorm):
            yield 4 * came[0], _("the running mean and variance are measured, not learned")
            yield came[0], _("each channel has two: a scale and a shift")
        if not self.counts[i]:
            yield value, _("there is nothing to learn in it: 0")

    def _mistaken_dense(self, i: int, layer: Dense, n: int) -> Iterator[tuple[int, str]]:
        m = layer.units
        no_bias = _("the biases are missing: one for each of the {n} units").format(n=format_count(m))
        yield n * m, no_bias
        yield n * m + n, _("there is a bias for each output, not for each input")
        yield n * m + 1, no_bias
        before = self.network.shapes[i - 1] if i and isinstance(self.network.layers[i - 1], Flatten) else ()
        if len(before) == 3 and before[0] < n:
            for taken, why in ((before[0], _channels_alone(before)), (prod(before[1:]), _("the channels are missing"))):
                yield taken * m + m, why
                yield taken * m, _("; ").join((why, no_bias))
        wide, deep = read_sizes(self._written(i, "output")), read_sizes(self._written(i, "input"))
        own_n, own_m = prod(deep[0]) if deep else n, wide[1] if wide else m
        if (own_n, own_m) != (n, m):
            if own_n != n and own_m != m:
                follows = _("it follows from your own sizes, {n} and {m}, which are wrong")
            else:
                follows = _("it follows from your own size {wrong}, which is wrong")
            wrong = own_n if own_m == m else own_m
            follows = follows.format(n=format_count(own_n), m=format_count(own_m), wrong=format_count(wrong))
            yield own_n * own_m + own_m, follows
            too = _("the biases are missing too")
            yield own_n * own_m, _("; ").join((follows, too))

    def _mistaken_convolution(self, i: int, layer: Conv2d, n: int) -> Iterator[tuple[int, str]]:
        m, window, places = layer.channels, prod(layer.kernel), prod(self.network.shapes[i + 1][1:])
        no_bias = _("the biases are missing: one for each of the {n} filters").format(n=format_count(m))
        yield n * m * window, no_bias
        if n > 1:
            why = _("each filter reaches over all {n} input channels").format(n=format_count(n))
            yield m * window + m, why
            yield m * window, _("; ").join((why, no_bias))
        yield n * window + 1, _("that is one filter: there are {n}").format(n=format_count(m))
        yield n * window, _("that is one filter without its bias: there are {n}").format(n=format_count(m))
        shared = _("a filter is the same at every place of the image: it is counted once")
        yield n * m * window * places, shared
        yield (n * m * window + m) * places, shared


def _wrong_shape(given: str, right: Shape, mistakes: Iterable[tuple[Shape, str]], otherwise: str = "") -> str:
    sizes = read_sizes(given)
    if sizes is None:
        return _("not a size, such as 32x28x28 or 128")
    shape = tuple(sizes[0])
    if shape in (right, (*right[1:], right[0])) or (len(right) == 1 and sizes[1] == right[0]):
        return ""
    if len(right) == 3:
        if shape == right[:1]:
            return _("the rows and columns are missing")
        if shape in (right[1:], (1, *right[1:])):
            return _("the channels are missing")
        if sizes[1] == prod(right):
            return _("right as a count; until it is flattened it has channels, rows and columns")
    found = next((why for mistaken, why in mistakes if mistaken == shape), otherwise)
    return found or _("worked out otherwise")


def _channels_alone(shape: Shape) -> str:
    return _("that is the channels alone; flattened, an image of {shape} is {n} numbers").format(
        shape=show_shape(shape), n=format_count(prod(shape))
    )


def _plain(text: str) -> str:
    """Small letters without accents, hyphens as spaces."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    return re.sub(r"[-_\s]+", " ", bare)


def in_words(layer: Layer) -> str:
    """A layer's kind in the user's language; an activation by its own name."""
    return layer.label if isinstance(layer, Activation) else _(KINDS[layer.keyword])

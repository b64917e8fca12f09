"""A number for each row from what its cells say: the same on every machine, in every version, beside any other rows.

What libraries call a hash may change with their next version; a split that goes by it would move rows from the test
set to the training set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import polars as pl
from jaxtyping import Float64, UInt64

from limpide.data import values

Hashes = UInt64[np.ndarray, " rows"]

MISSING = np.uint64(0x9E3779B97F4A7C15)

BLOCK = 256
"""Images summed up at a time: few enough to stay in the processor's cache."""


def mixed(z: Hashes) -> Hashes:
    """Each number turned into one that looks drawn by chance; different numbers stay different.

    Source  Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators (SplitMix64)

    >>> [hex(z) for z in mixed(np.arange(2, dtype=np.uint64))]
    ['0x0', '0x5692161d100b05e5']
    """
    z = z ^ (z >> np.uint64(30))
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def row_hashes(rows: pl.DataFrame | np.ndarray, seed: int = 0, column: str | None = None) -> Hashes:
    """A number for each row, equal where the rows are.

    rows    a table, in which neither the order of the columns nor the type they were read as counts; or images
    column  the only one that counts, so that rows of one group go together

    >>> row_hashes(pl.DataFrame({"a": [1, 1]})) == row_hashes(pl.DataFrame({"a": ["1.0", "2"]}))
    array([ True, False])
    """
    total = np.zeros(len(rows), np.uint64)
    if isinstance(rows, np.ndarray):
        total += _of_words(image.tobytes() for image in rows)
    else:
        for series in rows.select(column) if column is not None else rows:
            total += mixed(_of_cells(series) ^ _of_name(series.name))
    return mixed(total ^ _of_name(f"split {seed}"))


def first_equal(images: np.ndarray) -> np.ndarray:
    """For each image the number of the first one that has the same bytes.

    Images are summed up, their words times odd numbers; those whose sums are equal, and no others, are compared.

    >>> first_equal(np.array([[7], [5], [7]], np.uint8)).tolist()
    [0, 1, 0]
    """
    flat = np.ascontiguousarray(images).reshape(len(images), -1).view(np.uint8)
    n_words = -(-flat.shape[1] // 8)
    factors = mixed(np.arange(1, n_words + 1, dtype=np.uint64)) | np.uint64(1)
    sums = np.empty(len(flat), np.uint64)
    for start in range(0, len(flat), BLOCK):
        block = flat[start : start + BLOCK]
        words = np.zeros((len(block), 8 * n_words), np.uint8)
        words[:, : flat.shape[1]] = block
        numbers = words.view(np.uint64)
        # the upper bytes of a word alone would move the upper bits of the sum alone
        numbers ^= numbers >> np.uint64(32)
        numbers *= factors
        sums[start : start + BLOCK] = numbers.sum(axis=1)
    _sums, first, place, counts = np.unique(sums, return_index=True, return_inverse=True, return_counts=True)
    firsts: np.ndarray = first[place]
    known: dict[bytes, int] = {}
    for i in np.flatnonzero(counts[place] > 1):
        firsts[i] = known.setdefault(flat[i].tobytes(), int(i))
    return firsts


def draws(numbers: np.ndarray, seed: int, name: str) -> Float64[np.ndarray, " rows"]:
    """A number in [0, 1) for each row number, as if drawn by chance; it hangs on nothing else."""
    spread = numbers.astype(np.uint64) * MISSING  # rows that follow each other far apart
    return as_share(mixed(mixed(spread ^ _of_name(f"{name} {seed}"))))


def as_share(hashes: Hashes) -> Float64[np.ndarray, " rows"]:
    """Each number as a share of the greatest there could be, in [0, 1)."""
    share: np.ndarray = (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return share


def _of_cells(series: pl.Series) -> Hashes:
    """Numbers by their value, whatever they are written as; other cells by their text."""
    if series.dtype == pl.String:
        return _of_text(series)
    if series.dtype == pl.Boolean:
        return _of_text(series.cast(pl.String))
    if series.dtype.is_temporal():
        moments = values.dates(series) if series.dtype in (pl.Date, pl.Datetime) else series
        return _of_numbers(moments.to_physical())
    return _of_numbers(series)


def _of_numbers(series: pl.Series) -> Hashes:
    # where cells are missing, this gives NaN
    cells = series.to_numpy().astype(np.float64)
    cells += 0.0  # -0.0 and 0.0 are one number
    bits = cells.view(np.uint64)
    bits[np.isnan(cells)] = MISSING
    return bits


def _of_text(series: pl.Series) -> Hashes:
    distinct = series.unique()
    if 2 * len(distinct) > len(series):
        return _of_distinct(series)
    hashes = pl.Series(_of_distinct(distinct))
    found: np.ndarray = series.replace_strict(distinct, hashes, return_dtype=pl.UInt64).to_numpy()
    return found


def _of_distinct(series: pl.Series) -> Hashes:
    text = values.cleaned(series)
    numbers = values.numbers(text)
    hashes = _of_numbers(numbers)
    words = text.is_not_null() & numbers.is_null()
    if words.any():
        hashes[words.to_numpy()] = _of_words(word.encode() for word in text.filter(words))
    return hashes


def _of_words(words: Iterable[bytes]) -> Hashes:
    return np.frombuffer(b"".join(hashlib.blake2b(word, digest_size=8).digest() for word in words), "<u8")


def _of_name(name: str) -> np.uint64:
    return np.uint64(_of_words([name.encode()])[0])

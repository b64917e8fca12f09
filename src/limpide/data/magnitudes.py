"""Numbers shortened by a word: 12.3K, 4M, $1.2bn, 12,3 k€, 4 Md€.

A few of these words are units too. K behind a space is kelvin, m metres and B bytes, unless money or another of these
words in the column shows that it is not.
"""

from __future__ import annotations

import polars as pl

POWERS = {
    "k": 3, "K": 3, "m": 6, "M": 6, "mn": 6, "mln": 6, "Mio": 6, "Mio.": 6, "B": 9, "b": 9, "bn": 9, "Bn": 9, "bln": 9,
    "Md": 9, "Mds": 9, "Mrd": 9, "Mrd.": 9, "Mia": 9, "Mia.": 9, "thousand": 3, "million": 6, "millions": 6,
    "billion": 9, "milliard": 9, "milliards": 9,
}  # fmt: skip
_WORDS = "|".join(word.replace(".", r"\.") for word in sorted(POWERS, key=len, reverse=True))
_SIGN = r"[€$£¥₹]|EUR|USD|GBP|CHF|CAD"
SHORT = rf"^((?:{_SIGN})?[^\w€$£¥₹]*\d[\d.,\s']*?)(\s?)({_WORDS})(\s*(?:{_SIGN})?\)?)$"
_MONEY = rf"^(?:{_SIGN})|(?:{_SIGN})\)?$"


def without_magnitudes(text: pl.Series, is_sure: bool = False) -> tuple[pl.Series, pl.Series] | None:
    """The numerals without such words, and by what each is to be multiplied; None where these are none.

    is_sure  the column holds numbers

    >>> [part.to_list() for part in without_magnitudes(pl.Series(["950", "12.3K", "4M"]))]
    [['950', '12.3', '4'], [1.0, 1000.0, 1000000.0]]
    >>> without_magnitudes(pl.Series(["293.5 K", "301 K"])) is None
    True
    """
    parts = text.str.extract_groups(SHORT).struct.unnest()
    word = parts["3"]
    if not word.count() or not _are_magnitudes(text, parts, is_sure):
        return None
    plain = (parts["1"] + parts["4"].str.strip_chars()).zip_with(word.is_not_null(), text)
    powers = word.replace_strict(list(POWERS), [10.0**power for power in POWERS.values()], return_dtype=pl.Float64)
    return plain.alias(text.name), powers.fill_null(1.0)


def _are_magnitudes(text: pl.Series, parts: pl.DataFrame, is_sure: bool) -> bool:
    words = set(parts["3"].drop_nulls())
    is_money = bool(text.filter(parts["3"].is_not_null()).str.contains(_MONEY).all())
    if is_money or len({POWERS[word] for word in words}) > 1 or not words <= {"K", "M", "m", "B", "b"}:
        return True
    if words == {"K"}:
        return not bool((parts["2"] != "").any())
    if words == {"M"}:  # 12M and 36M may be codes
        return is_sure or bool(parts["1"].str.contains("[.,]").any())
    return False

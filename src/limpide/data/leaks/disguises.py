"""Columns that are the target in disguise, or tell it without the help of any other."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from limpide.data.leaks.evidence import Answers, Leak, ranks
from limpide.data.leaks.features import Feature
from limpide.i18n import _, format_number

MIN_ROWS = 50
"""On fewer rows a column that is merely good is perfect by luck."""

MIN_CLASS_ROWS = 10
"""Of classes with fewer rows than this nothing is concluded."""

SAME_ORDER = 0.9995
"""Rank correlation of a column that is the target up to its unit and its rounding, as an age in years and one in
months; two measures of one thing stay below when each has an error of a fiftieth of its spread."""

PERFECT = 0.999
"""Likeness from which a column leaves no doubt on the target: it goes with a rank correlation of 0.9995, or with one
wrong class in four thousand rows."""

FAR_BEHIND = 0.8
"""Likeness that all other columns must miss for a perfect one to be odd: what is easy is easy for several columns."""


def find_disguises(features: Sequence[Feature], answers: Answers) -> list[Leak]:
    """Columns that give the target away by themselves while others stand beside them.

    In a table of one column, that column is the task: a line to learn may be without noise.
    """
    if len(features) < 2 or len(answers) < MIN_ROWS:
        return []
    if answers.is_number:
        found = [_number_disguise(feature, answers) for feature in features]
    else:
        found = _class_disguises(features, answers)
    return [leak for leak in found if leak is not None]


def _number_disguise(feature: Feature, answers: Answers) -> Leak | None:
    """A copy in another unit, or a column whose value leaves one answer."""
    x = feature.numbers
    if x is not None:
        known = np.flatnonzero(~np.isnan(x))
        if len(known) < MIN_ROWS or x[known].min() == x[known].max():
            return None
        y = answers.values if len(known) == len(x) else ranks(answers.values[known])
        likeness = float(np.corrcoef(ranks(x[known]), y)[0, 1])
        if abs(likeness) >= SAME_ORDER:
            text = (
                _("it rises as {target} rises, row after row (rank correlation {value}; {example})")
                if likeness > 0
                else _("it falls as {target} rises, row after row (rank correlation {value}; {example})")
            )
            example = feature.example(answers, int(known[0]))
            found = text.format(target=answers.name, value=format_number(likeness, 5), example=example)
            return _disguise(feature, answers, found)
        if feature.order_likeness(answers) >= PERFECT:
            return _teller(feature, answers, feature.example(answers, int(known[0])))
    if feature.word_likeness(answers) >= PERFECT:
        return _teller(feature, answers, feature.example(answers, 0))
    return None


def _class_disguises(features: Sequence[Feature], answers: Answers) -> list[Leak | None]:
    """Columns one-to-one with the classes, or cut to make them; or a perfect one far ahead of all others."""
    y = answers.values.astype(np.int64)
    labels = np.flatnonzero(np.bincount(y) >= MIN_CLASS_ROWS)
    if len(labels) < 2:
        return []
    likeness = [feature.likeness(answers) for feature in features]
    leaks: list[Leak | None] = []
    for i, feature in enumerate(features):
        known = feature.known
        shown = np.flatnonzero(known & (y == labels[-1]))
        example = feature.example(answers, int(shown[0] if len(shown) else np.flatnonzero(y == labels[-1])[0]))
        is_apart, is_cut = _apart(feature, y, labels)
        is_judged = int(known.sum()) >= MIN_ROWS and bool(np.isin(labels, y[known]).all())
        if _is_one_to_one(feature.words, y) or (is_judged and _is_one_to_one(feature.words[known], y[known])):
            text = _("each of its values goes with one {target}, and each {target} with one of its values ({example})")
            leaks.append(_disguise(feature, answers, text.format(target=answers.name, example=example)))
        elif is_cut:
            text = _("{target} is this column cut into pieces ({example})")
            leaks.append(_disguise(feature, answers, text.format(target=answers.name, example=example)))
        elif (is_apart or feature.word_likeness(answers) >= PERFECT) and max(
            likeness[:i] + likeness[i + 1 :]
        ) < FAR_BEHIND:
            leaks.append(_teller(feature, answers, example))
    return leaks


def _is_one_to_one(words: np.ndarray, y: np.ndarray) -> bool:
    """Whether each word stands with one class, and each class with one word."""
    n_pairs = len(np.unique(words * (int(y.max()) + 1) + y))
    return n_pairs == len(np.unique(words)) == len(np.unique(y))


def _apart(feature: Feature, y: np.ndarray, labels: np.ndarray) -> tuple[bool, bool]:
    """Whether a column of numbers keeps the classes apart; and whether they are pieces cut out of it.

    Classes that nature keeps apart have a gap between them, or grow thin towards one another. A cut runs through the
    midst of the rows: on both sides of it they stand as close as elsewhere, and none is on the wrong side.
    """
    x = feature.numbers
    if x is None or np.isnan(x).any():
        return False, False
    classes = sorted((np.sort(x[y == label]) for label in labels), key=lambda own: float(own[0]))
    spare = [len(own) // 1000 for own in classes]
    bounds = sorted((own[n], own[-1 - n]) for own, n in zip(classes, spare, strict=True))
    if any(low[1] >= high[0] for low, high in pairwise(bounds)):
        return False, False
    q1, q3 = np.quantile(x, (0.25, 0.75))
    near, enough = 0.1 * float(q3 - q1), max(5, 0.005 * len(x))
    for low, high in pairwise(classes):
        cut = (low[-1] + high[0]) / 2
        if low[-1] >= high[0] or min((low >= cut - near).sum(), (high <= cut + near).sum()) < enough:
            return True, False
    return True, True


def _disguise(feature: Feature, answers: Answers, found: str) -> Leak:
    """The target itself under another name."""
    why = _("the network would only copy it, and in use it is not known before {target}").format(target=answers.name)
    return _leak(f"target-in-disguise:{feature.name}", feature, found, why)


def _teller(feature: Feature, answers: Answers, example: str) -> Leak:
    """A column that knows too much."""
    found = _("its value alone leaves no doubt on {target} ({example})").format(target=answers.name, example=example)
    why = _("what is written down after {target} is known will be missing in use").format(target=answers.name)
    return _leak(f"tells-the-target:{feature.name}", feature, found, why)


def _leak(name: str, feature: Feature, found: str, why: str) -> Leak:
    where = _("column {name}").format(name=feature.name)
    mend = _("leave it out with --drop {column}").format(column=shlex.quote(feature.name))
    return Leak(name, "block", where, found, why, (mend,))

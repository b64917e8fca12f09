"""What a user should know of the answers that a network learns from, before a measure misleads."""

from __future__ import annotations

from math import ceil

import numpy as np

from limpide.data.dataset import Note
from limpide.data.preparation import TargetPreparation
from limpide.i18n import _, format_count, format_number, format_percent, ngettext

RARE = 0.25
"""A class with less than this part of an even share of the rows is called rare: 12.5% of two, 2.5% of ten."""

FAR_ROWS, FAR_SHARE = 0.01, 0.9
"""One row in a hundred with this part of all squared differences; of a log-normal target of sigma 1 it has 0.4."""

FEWEST = 20
"""Among fewer rows one is easily far from the others."""


def uneven_answers(target: TargetPreparation, truth: np.ndarray, loss: str) -> list[Note]:
    """A warning where a class is rare, or where a few numbers are so far from the others that squares see only them.

    truth  of the training rows, in the user's unit, or class numbers
    loss   what training lowers, by name
    """
    return _rare_class(target, truth) if target.labels else _far_numbers(target.name, truth, loss)


def _rare_class(target: TargetPreparation, truth: np.ndarray) -> list[Note]:
    labels = target.labels
    shares = np.bincount(truth, minlength=len(labels)) / len(truth)
    if shares.min() >= RARE / len(labels):
        return []
    text = _(
        "only {share} of the training rows are {label}, and always answering {majority} is right on {most}: "
        "look at the recall of each class, not at accuracy alone"
    ).format(
        share=format_percent(shares.min(), 1),
        label=labels[int(shares.argmin())],
        majority=labels[int(shares.argmax())],
        most=format_percent(shares.max(), 1),
    )
    return [Note("warning", target.name, text)]


def _far_numbers(name: str, truth: np.ndarray, loss: str) -> list[Note]:
    if len(truth) < FEWEST:
        return []
    values = truth.reshape(len(truth), -1)[:, 0].astype(float)
    most_rows = ceil(FAR_ROWS * len(values))
    spread = np.square(values - values.mean())
    if most_rows * spread.max() < FAR_SHARE / 2 * spread.sum():
        # not even if all of them were as far as the farthest: most targets need no sorting
        return []
    middle = float(np.median(values))
    squares = np.square(values - middle)
    largest_first = np.sort(squares)[::-1]
    n = 1 + int(np.searchsorted(np.cumsum(largest_first), FAR_SHARE * squares.sum()))
    if n > most_rows:
        return []
    words = {
        "n": format_count(n),
        "rows": format_count(len(values)),
        "share": format_percent(largest_first[:n].sum() / squares.sum()),
        "value": format_number(float(values[squares.argmax()])),
        "middle": format_number(middle),
    }
    text = ngettext(
        "{n} of the {rows} training rows holds {share} of all squared differences ({value}; the median is {middle}): "
        "R² looks at little else",
        "{n} of the {rows} training rows hold {share} of all squared differences (such as {value}; the median is "
        "{middle}): R² looks at little else",
        n,
    ).format(**words)
    if loss in ("mse", "half_mse"):
        text = _("{text}, and neither does training; correct it if it is wrong, else train with --loss mae").format(
            text=text
        )
    return [Note("warning", name, text)]

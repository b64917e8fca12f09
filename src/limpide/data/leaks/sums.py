"""A target that is the sum, the difference or the mean of some columns."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import numpy as np

from limpide.data.leaks.disguises import MIN_ROWS
from limpide.data.leaks.evidence import Answers, Leak
from limpide.data.leaks.features import Feature, shown
from limpide.i18n import _, format_number

EXACT = 0.999
"""Share of the target's variance that the sum explains, the rest being rounding."""

MOST_TERMS = 6
"""Columns of a sum."""

SAME_FACTOR = 0.02
"""How far the factors of a sum or a mean may be from one another: other factors are somebody's formula, such as a
price for each kilogram, and may well be what there is to learn."""

MOST_MISSING = 0.05
"""A column with more empty cells is no part of a total."""


def find_sum(features: Sequence[Feature], n_columns: int, answers: Answers) -> list[Leak]:
    """The columns that make up the target, if there are any.

    A sum that takes all of the columns is no leak but the task, as for a calculator.

    n_columns  all that the network sees
    """
    terms = [feature for feature in features if feature.numbers is not None and _is_full(feature.numbers)]
    if len(terms) < 2 or not answers.is_number:
        return []
    x = np.column_stack([feature.numbers for feature in terms if feature.numbers is not None])
    is_full = np.isfinite(x).all(1)
    if int(is_full.sum()) < MIN_ROWS:
        return []
    x, y = x[is_full], answers.raw.to_numpy()[is_full]
    scale, size = np.maximum(np.abs(x).max(0), 1e-300), max(float(np.abs(y).max()), 1e-300)
    x, y = x / scale, y / size
    middle = y.mean(), x.mean(0)
    x, y = x - middle[1], y - middle[0]
    chosen = _explaining(x, y)
    shares = _fitted(x, y, chosen) * x[:, chosen].std(0)
    needed = sorted(i for i, share in zip(chosen, shares, strict=True) if abs(share) > 1e-3 * float(y.std()))
    if not 2 <= len(needed) < n_columns:
        return []
    fitted = _fitted(x, y, needed)
    left = y - x[:, needed] @ fitted
    factors = fitted / scale[needed]
    is_exact = float(left @ left) <= (1 - EXACT) * float(y @ y)
    if not is_exact or float(np.ptp(np.abs(factors))) > SAME_FACTOR * float(np.abs(factors).max()):
        return []
    factor = float(np.abs(factors).mean()) * size
    factor = 1.0 if abs(factor - 1) <= SAME_FACTOR else factor
    signs = np.sign(factors)
    rest = float(middle[0] * size - factor * (signs @ (middle[1] * scale)[needed]))
    rest = 0.0 if abs(rest) < 1e-3 * float(np.abs(answers.raw.to_numpy()).max()) else rest
    signed = sorted(((terms[i], sign > 0) for i, sign in zip(needed, signs, strict=True)), key=lambda term: not term[1])
    return [_leak(signed, factor, rest, answers, int(np.flatnonzero(is_full)[0]))]


def _is_full(numbers: np.ndarray) -> bool:
    """Whether a column has a value in nearly every row, and not always the same."""
    known = numbers[~np.isnan(numbers)]
    return len(known) >= (1 - MOST_MISSING) * len(numbers) and float(known.max()) > float(known.min())


def _explaining(x: np.ndarray, y: np.ndarray) -> list[int]:
    """The columns that explain y best, one after the other, until nothing is left: orthogonal least squares.

    Source  Chen, Billings & Luo 1989, International Journal of Control 50, 1873-1896
    """
    rest, left = x.copy(), y.copy()
    chosen: list[int] = []
    whole = np.square(x).sum(0)
    while len(chosen) < min(MOST_TERMS, x.shape[1]) and float(left @ left) > 1e-9 * float(y @ y):
        norms = np.square(rest).sum(0)
        is_open = norms > 1e-9 * whole
        gains = np.where(is_open, np.square(left @ rest) / np.where(is_open, norms, 1), 0)
        best = int(gains.argmax())
        if not gains[best]:
            break
        chosen.append(best)
        direction = rest[:, best] / np.sqrt(norms[best])
        left -= direction * float(direction @ left)
        rest -= np.outer(direction, direction @ rest)
    return chosen


def _fitted(x: np.ndarray, y: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
    factors: np.ndarray = np.linalg.lstsq(x[:, chosen], y, rcond=None)[0]
    return factors


def _leak(signed: Sequence[tuple[Feature, bool]], factor: float, rest: float, answers: Answers, row: int) -> Leak:
    """The leak with its formula: factor · (columns, each added or taken away) + rest."""
    formula = "".join((" + " if is_added else " - ") + term.name for term, is_added in signed)
    formula = formula.removeprefix(" + ").strip()
    if factor != 1:
        formula = f"({formula}) × {format_number(factor)}"
    if rest:
        formula += f" {'-' if rest < 0 else '+'} {format_number(abs(rest))}"
    cells = [f"{term.name} {shown(term.series[row])}" for term, _is_added in signed]
    example = ", ".join([*cells, f"{answers.name} {shown(answers.raw[row])}"])
    names = sorted(term.name for term, _is_added in signed)
    options = " ".join(f"--drop {shlex.quote(name)}" for name in names)
    return Leak(
        f"target-is-a-sum:{'+'.join(names)}",
        "block",
        _("columns {names}").format(names=", ".join(names)),
        _("{target} is {formula} ({example})").format(target=answers.name, formula=formula, example=example),
        _("the parts of a total are not known before the total"),
        (_("leave them out with {options}").format(options=options),),
    )

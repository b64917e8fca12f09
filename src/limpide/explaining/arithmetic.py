"""A number and how it was made: expressions whose leaves are numbers, each with an expression of its own.

Nothing is worked out before it is asked for: a number holds a function that builds its expression.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

Index = tuple[int, ...]
"""Where a number lies in its array."""


@dataclass(frozen=True)
class Symbol:
    """How a number is written in a formula: y₂[3], or x⁽⁵⁾[0] for another row of the batch.

    layer  the layer's index, within a residual "3.0"
    row    the place in the batch of a row that is not the one followed
    mark   what stands behind the letter: "′" for the value after the update
    """

    letter: str
    layer: str = ""
    index: Index = ()
    row: int | None = None
    mark: str = ""


@dataclass(frozen=True, eq=False)
class Number:
    """A value with its name.

    name   its address, such as "0.dense.y[3]"; "" for a constant that is only written
    value  exactly what the step held
    dtype  the type that held it; None for a number of the recipe, which the engine rounds to its own type
    make   builds the expression it comes from; None where it is given: a weight, a cell of the data
    word   said of a given number instead of an expression
    """

    name: str
    symbol: Symbol
    value: float
    dtype: np.dtype[np.floating] | None = None
    make: Callable[[], Expression] | None = None
    word: str = ""

    def expression(self) -> Expression | None:
        """How it was made; None for a number that was given."""
        return self._made

    @cached_property
    def _made(self) -> Expression | None:
        return None if self.make is None else self.make()


@dataclass(frozen=True, eq=False)
class Operation:
    """What is done with numbers.

    kind   sum, product, minus, over, power, negative, or a name of `FUNCTIONS`
    parts  what it is done with; two for minus, over and power, one for negative
    """

    kind: str
    parts: Sequence[Expression] = field(default_factory=tuple)


Expression = Number | Operation | float


def add(parts: Sequence[Expression]) -> Expression:
    """Their sum; one part stands for itself."""
    return parts[0] if len(parts) == 1 else Operation("sum", parts) if parts else 0.0


def times(*parts: Expression) -> Expression:
    """Their product, without the factors that are written as 1."""
    kept = [part for part in parts if isinstance(part, (Number, Operation)) or part != 1]
    return kept[0] if len(kept) == 1 else Operation("product", kept) if kept else 1.0


def minus(a: Expression, b: Expression) -> Expression:
    """a - b."""
    return Operation("minus", (a, b))


def over(a: Expression, b: Expression) -> Expression:
    """a / b; a alone where b is written as 1."""
    return a if not isinstance(b, (Number, Operation)) and b == 1 else Operation("over", (a, b))


def power(a: Expression, b: Expression) -> Expression:
    """a to the power b."""
    return Operation("power", (a, b))


def negative(a: Expression) -> Expression:
    """-a."""
    return Operation("negative", (a,))


def call(name: str, *parts: Expression) -> Expression:
    """A function of `FUNCTIONS`."""
    return Operation(name, parts)


def _exp(value: float) -> float:
    return math.exp(value) if value < 709.78 else math.inf


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _sigmoid(value: float) -> float:
    return 1 / (1 + _exp(-value))


FUNCTIONS: dict[str, Callable[..., float]] = {
    "exp": _exp,
    "ln": _log,
    "sqrt": lambda v: math.sqrt(max(v, 0.0)),
    "abs": abs,
    "sign": lambda v: math.copysign(1.0, v) if v else 0.0,
    "positive": lambda v: float(v > 0),
    "max": max,
    "min": min,
    "tanh": math.tanh,
    "sigmoid": _sigmoid,
    "Phi": lambda v: 0.5 * math.erfc(-v * math.sqrt(0.5)),
    "phi": lambda v: _exp(-0.5 * v * v) / math.sqrt(2 * math.pi),
    "sin": math.sin,
    "cos": math.cos,
}
"""Functions of numbers by name; "positive" is 1 above 0 and 0 elsewhere, Phi and phi belong to the normal law."""


class Recomputed(NamedTuple):
    """What an expression gives in double precision, and how far rounding may have taken the engine from it."""

    value: float
    slack: float


FUNCTION_ULPS = 8
"""Roundings that a function of a library may be off by."""


def recompute(expression: Expression, dtype: np.dtype[np.floating]) -> Recomputed:
    """The value of an expression from the numbers in it, taken as they are.

    Each operation of an engine that works in `dtype` rounds once; a sum of n terms rounds n times, in whatever order
    it is made. The slack is the first-order bound on what these roundings come to.

    Source  Higham 2002, Accuracy and Stability of Numerical Algorithms, chapter 3
    """
    about = np.finfo(dtype)
    return _recompute(expression, float(about.eps), float(about.tiny))


def _recompute(expression: Expression, eps: float, tiny: float) -> Recomputed:
    if isinstance(expression, Number):
        # what the engine held is exact; what it was given is rounded to its type
        rounded = 0.0 if expression.dtype is not None else eps * abs(expression.value)
        return Recomputed(expression.value, rounded)
    if not isinstance(expression, Operation):
        return Recomputed(float(expression), eps * abs(expression))
    parts = [_recompute(part, eps, tiny) for part in expression.parts]
    if expression.kind in ("sum", "minus"):
        signs = [1.0] * len(parts) if expression.kind == "sum" else [1.0, -1.0]
        size = math.fsum(abs(part.value) for part in parts)
        slack = math.fsum(part.slack for part in parts) + len(parts) * eps * size
        return Recomputed(math.fsum(s * part.value for s, part in zip(signs, parts, strict=True)), slack + tiny)
    if expression.kind == "product":
        value, far = math.prod(p.value for p in parts), math.prod(abs(p.value) + p.slack for p in parts)
        return Recomputed(value, far - abs(value) + len(parts) * eps * far + tiny)
    if expression.kind == "negative":
        return Recomputed(-parts[0].value, parts[0].slack)
    if expression.kind == "power":
        # exponents are whole: 2, or the number of an update
        parts[1] = parts[1]._replace(slack=0.0)
    return _through(_FUNCTIONS.get(expression.kind) or FUNCTIONS[expression.kind], parts, eps, tiny)


def _divide(a: float, b: float) -> float:
    return a / b if b else math.copysign(math.inf, a) if a else math.nan


def _raise(a: float, b: float) -> float:
    return float(a**b)


_FUNCTIONS: dict[str, Callable[..., float]] = {"over": _divide, "power": _raise}


def _through(function: Callable[..., float], parts: Sequence[Recomputed], eps: float, tiny: float) -> Recomputed:
    """A function, tried at both ends of each part's slack."""
    values = [part.value for part in parts]
    value = function(*values)
    moved = 0.0
    for i, part in enumerate(parts):
        if part.slack:
            ends = [function(*values[:i], part.value + side * part.slack, *values[i + 1 :]) for side in (-1, 1)]
            moved += max(abs(end - value) for end in ends)
    return Recomputed(value, moved + FUNCTION_ULPS * eps * abs(value) + tiny)


def leaves(expression: Expression) -> Iterator[Number]:
    """The numbers that an expression names, in the order they are written."""
    if isinstance(expression, Number):
        yield expression
    elif isinstance(expression, Operation):
        for part in expression.parts:
            yield from leaves(part)


class Proof(NamedTuple):
    """A number beside what its expression gives.

    gap      the difference
    allowed  what rounding may come to
    """

    recomputed: float
    gap: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether the arithmetic shown is the arithmetic done."""
        return self.gap <= self.allowed


def prove(number: Number) -> Proof | None:
    """A number recomputed from the numbers it is made of; None for one that was given."""
    expression = number.expression()
    if expression is None or number.dtype is None:
        return None
    value, slack = recompute(expression, number.dtype)
    # the number itself was rounded once when it was kept
    slack += float(np.finfo(number.dtype).eps) * abs(value) if math.isfinite(value) else 0.0
    same = value == number.value or (math.isnan(value) and math.isnan(number.value))
    return Proof(value, 0.0 if same else abs(value - number.value), slack)

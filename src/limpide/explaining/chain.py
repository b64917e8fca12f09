"""The chain of factors of a slope: from a weight back to the loss."""

from __future__ import annotations

from dataclasses import replace

from limpide.explaining.arithmetic import Expression, Number, Operation, leaves, times

MOST_FACTORS = 24
"""Of a chain that is written as one product."""


def is_slope(number: Number) -> bool:
    """Whether it is a slope of the loss along an output or an input: what a chain goes through."""
    return number.symbol.letter in ("δ", "∂J/∂x")


def chain(number: Number) -> list[Number]:
    """A slope, the slope it was made from, and so on to the loss.

    Where several meet, the way goes through the row that is followed, and there through the largest.
    """
    found, own = [number], number
    while True:
        expression = own.expression()
        slopes = [] if expression is None else [leaf for leaf in leaves(expression) if is_slope(leaf)]
        if not slopes:
            return found
        followed = [slope for slope in slopes if slope.symbol.row is None] or slopes
        own = max(followed, key=lambda slope: abs(slope.value))
        found.append(own)


def as_product(number: Number) -> Number | None:
    """A slope with every slope on its way put in, down to the loss; None where ways meet, or for a single factor."""
    expression = number.expression()
    if expression is None or not any(is_slope(leaf) for leaf in leaves(expression)):
        return None
    whole = _put_in(expression)
    if whole is None or sum(1 for _leaf in leaves(whole)) > MOST_FACTORS:
        return None
    return replace(number, make=lambda: whole)


def _put_in(expression: Expression) -> Expression | None:
    if isinstance(expression, Number):
        if not is_slope(expression):
            return expression
        made = expression.expression()
        # a constant is the end of a way that nothing goes through
        return _put_in(made) if isinstance(made, (Number, Operation)) else None
    if not isinstance(expression, Operation) or not any(is_slope(leaf) for leaf in leaves(expression)):
        return expression
    if expression.kind == "sum":
        return None
    parts = [_put_in(part) for part in expression.parts]
    if any(part is None for part in parts):
        return None
    kept = [part for part in parts if part is not None]
    return times(*kept) if expression.kind == "product" else Operation(expression.kind, kept)

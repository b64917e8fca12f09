"""Expressions written out: as text for a terminal, as MathML for a page, as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from limpide.explaining.arithmetic import Expression, Number, Operation, Symbol, prove
from limpide.i18n import format_count, format_written, get_language, ngettext

MOST_TERMS, OPENED_TERMS = 12, 64
"""Of a sum that are written, among others and where one number is opened alone; more are shortened to the first and the
last of them."""

FIRST, LAST = 4, 2

IN_LINE = 4
"""Terms of a sum in one line of a page."""

_LOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_HIGH = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

SUM, PRODUCT, POWER, ATOM = range(4)
"""How tightly what is written holds together."""

_WORDS = {
    "exp": "e^",
    "ln": "ln",
    "sqrt": "√",
    "tanh": "tanh",
    "sigmoid": "σ",
    "Phi": "Φ",
    "phi": "φ",
    "sin": "sin",
    "cos": "cos",
    "max": "max",
    "min": "min",
    "sign": "sign",
}


def show_value(value: float, dtype: np.dtype[np.floating] | None = None, digits: int | None = None) -> str:
    """A number as the language writes it.

    dtype   its type: without `digits` the shortest text that gives this very number back
    digits  significant digits, where fewer are enough

    >>> show_value(float(np.float32(0.1)), np.dtype("float32")), show_value(0.1), show_value(17.0)
    ('0.1', '0.1', '17')
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    # no zero has a sign, and whole digits are never cut
    typed = np.dtype(np.float64 if dtype is None else dtype).type(value + 0.0)
    if digits is not None and abs(value) >= 10 ** (digits - 1):
        typed, digits = np.rint(typed), None
    is_tiny = bool(value) and not 1e-4 <= abs(value) < 1e12
    most = digits - 1 if digits is not None and is_tiny else digits  # the digit before the point is not counted
    if is_tiny:
        text = np.format_float_scientific(typed, precision=most, trim="-", exp_digits=1)
    else:
        text = np.format_float_positional(typed, precision=most, fractional=False, trim="-")
    if digits is not None and abs(float(text) - value) > ROUNDING * np.finfo(typed.dtype).eps * abs(value):
        # a last digit that is 0 after rounding stands there: 1.00004 is 1.0000, and not one
        if is_tiny:
            text = np.format_float_scientific(typed, precision=most, min_digits=most, exp_digits=1).replace(".e", "e")
        else:
            text = f"{float(typed):#.{digits}g}".removesuffix(".")
    return format_written(text)


ROUNDING = 8
"""How many times its precision a number may miss a shorter one that it was meant to be."""


def show_symbol(symbol: Symbol) -> str:
    """A symbol on one line.

    >>> show_symbol(Symbol("W", "2", (0, 3))), show_symbol(Symbol("x", "", (1,), row=5))
    ('W₂[0,3]', 'x⁽⁵⁾[1]')
    """
    row = "" if symbol.row is None else f"⁽{str(symbol.row).translate(_HIGH)}⁾"
    index = f"[{','.join(map(str, symbol.index))}]" if symbol.index else ""
    return f"{symbol.letter}{symbol.layer.translate(_LOW)}{symbol.mark}{row}{index}"


class Text:
    """Writes expressions as text.

    digits      significant digits of each value; None writes every value exactly
    most        terms of a sum that are written
    """

    def __init__(self, digits: int | None = None, most: int = MOST_TERMS) -> None:
        self.digits = digits
        self.most = most

    def value(self, number: Number) -> str:
        """The value of a number."""
        return show_value(number.value, number.dtype, self.digits)

    def equation(self, number: Number) -> list[str]:
        """What a number is: its symbol, the symbols it is made of, their values, its own value; a line each."""
        expression, symbol = number.expression(), show_symbol(number.symbol)
        if expression is None:
            return [f"{symbol} = {self.value(number)}" + (f"  ({number.word})" if number.word else "")]
        named, valued = self.symbols(expression), self.values(expression)
        lines = [symbol] if named == valued else [symbol, named]
        own = self.value(number)
        return [*lines, own] if valued == own else [*lines, valued, own]

    def symbols(self, expression: Expression) -> str:
        """An expression in symbols."""
        return self._write(expression, False)[0]

    def values(self, expression: Expression) -> str:
        """An expression with its values put in."""
        return self._write(expression, True)[0]

    def _write(self, expression: Expression, valued: bool) -> tuple[str, int]:
        if isinstance(expression, Number):
            if not valued:
                symbol = show_symbol(expression.symbol)
                return symbol, PRODUCT if "/" in symbol else ATOM
            return self.value(expression), SUM if expression.value < 0 else ATOM
        if not isinstance(expression, Operation):
            return show_value(float(expression), None, self.digits), SUM if expression < 0 else ATOM
        kind, parts = expression.kind, expression.parts
        if kind == "sum":
            return self._sum(parts, valued), SUM
        if kind == "minus":
            return f"{self._in(parts[0], valued, SUM)} - {self._in(parts[1], valued, PRODUCT)}", SUM
        if kind == "negative":
            return f"-{self._in(parts[0], valued, PRODUCT)}", SUM
        if kind == "product":
            factors = [self._in(part, valued, _factor(part)) for part in parts[:-1]]
            factors.append(self._in(parts[-1], valued, PRODUCT))
            return ("×" if valued else "·").join(factors), PRODUCT
        if kind == "over":
            return f"{self._in(parts[0], valued, _factor(parts[0]))} / {self._in(parts[1], valued, POWER)}", PRODUCT
        if kind == "power":
            square = "²" if parts[1] == 2 else f"^{self._in(parts[1], valued, ATOM)}"
            return f"{self._in(parts[0], valued, ATOM)}{square}", POWER
        return self._call(kind, parts, valued)

    def _sum(self, parts: Sequence[Expression], valued: bool) -> str:
        shown = [part for part in shortened(parts, self.most) if part is not None]
        terms = [self._in(part, valued, SUM if i == 0 else PRODUCT) for i, part in enumerate(shown)]
        if len(shown) < len(parts):
            terms.insert(FIRST, left_out(len(parts) - len(shown)))
        return " + ".join(terms)

    def _call(self, kind: str, parts: Sequence[Expression], valued: bool) -> tuple[str, int]:
        inside = (";" if get_language() == "fr" else ",") + " "
        shown = shortened(parts, self.most)
        n = len(parts) - len(shown) + 1
        text = inside.join(left_out(n) if part is None else self._write(part, valued)[0] for part in shown)
        if kind == "abs":
            return f"|{text}|", ATOM
        if kind == "positive":
            return f"[{text} > 0]", ATOM
        return f"{_WORDS[kind]}({text})", POWER if kind == "exp" else ATOM

    def _in(self, part: Expression, valued: bool, least: int) -> str:
        text, hold = self._write(part, valued)
        return text if hold >= least else f"({text})"


def _factor(part: Expression) -> int:
    """A quotient that something follows stands in parentheses: nobody should have to know what binds first."""
    return POWER if isinstance(part, Operation) and part.kind == "over" else PRODUCT


def shortened(parts: Sequence[Expression], most: int) -> list[Expression | None]:
    """The terms that are written of a sum, with None where others are left out."""
    if len(parts) <= most:
        return list(parts)
    return [*parts[:FIRST], None, *parts[-LAST:]]


def left_out(n: int) -> str:
    """What stands for the terms that are not written."""
    return ngettext("… {n} more …", "… {n} more …", n).format(n=format_count(n))


# --------------------------------------------------------------------------------------------------------- MathML


def mathml(number: Number, digits: int | None = None, most: int = MOST_TERMS) -> str:
    """The equation of a number as MathML, one line under the other."""
    writer = _MathML(digits, most)
    expression, name = number.expression(), writer.symbol(number.symbol)
    if expression is None:
        steps = [[f"<mrow>{writer.number(number)}</mrow>"]]
    else:
        steps = [
            writer.lines(expression, False),
            writer.lines(expression, True),
            [f"<mrow>{writer.number(number)}</mrow>"],
        ]
        steps = [step for i, step in enumerate(steps) if step not in steps[:i]]
    cells = [("<mo>=</mo>" if i == 0 else "", line) for step in steps for i, line in enumerate(step)]
    rows = "".join(
        f"<mtr><mtd>{name if i == 0 else ''}</mtd><mtd>{sign}</mtd><mtd>{line}</mtd></mtr>"
        for i, (sign, line) in enumerate(cells)
    )
    return f'<math display="block"><mtable displaystyle="true">{rows}</mtable></math>'


class _MathML:
    def __init__(self, digits: int | None, most: int) -> None:
        self.digits = digits
        self.most = most

    def symbol(self, symbol: Symbol) -> str:
        letter = f"<mi>{escape(symbol.letter)}</mi>"
        low = f"<mn>{symbol.layer}</mn>" if symbol.layer else "<mrow></mrow>"
        index = f"<mo>[</mo><mn>{','.join(map(str, symbol.index))}</mn><mo>]</mo>" if symbol.index else ""
        high = f"<mo>{symbol.mark}</mo>" if symbol.mark else ""
        high += f"<mrow><mo>(</mo><mn>{symbol.row}</mn><mo>)</mo></mrow>" if symbol.row is not None else ""
        if high:
            return f"<msubsup>{letter}{low}<mrow>{high}</mrow></msubsup>{index}"
        return (f"<msub>{letter}{low}</msub>" if symbol.layer else letter) + index

    def number(self, number: Number) -> str:
        return self._digits(show_value(number.value, number.dtype, self.digits))

    def row(self, expression: Expression, valued: bool) -> str:
        return f"<mrow>{self._write(expression, valued)[0]}</mrow>"

    def lines(self, expression: Expression, valued: bool) -> list[str]:
        """An expression; a long sum in several lines, as browsers break none by themselves."""
        if not (isinstance(expression, Operation) and expression.kind == "sum"):
            return [self.row(expression, valued)]
        terms = self._terms(expression.parts, valued)
        groups = [terms[i : i + IN_LINE] for i in range(0, len(terms), IN_LINE)]
        signs = ["", *["<mo>+</mo>"] * (len(groups) - 1)]
        return [f"<mrow>{sign}{'<mo>+</mo>'.join(group)}</mrow>" for sign, group in zip(signs, groups)]

    def _terms(self, parts: Sequence[Expression], valued: bool) -> list[str]:
        left = f"<mtext>{left_out(len(parts) - FIRST - LAST)}</mtext>"
        return [
            left if part is None else self._in(part, valued, SUM if i == 0 else PRODUCT)
            for i, part in enumerate(shortened(parts, self.most))
        ]

    def _digits(self, text: str) -> str:
        size, e, exponent = text.lstrip("-").partition("e")
        sign = "<mo>−</mo>" if text.startswith("-") else ""
        if not e:
            return f"<mrow>{sign}<mn>{size}</mn></mrow>" if sign else f"<mn>{size}</mn>"
        tens = f"<msup><mn>10</mn><mn>{int(exponent)}</mn></msup>"
        return f"<mrow>{sign}<mn>{size}</mn><mo>×</mo>{tens}</mrow>"

    def _write(self, expression: Expression, valued: bool) -> tuple[str, int]:
        if isinstance(expression, Number):
            if not valued:
                return self.symbol(expression.symbol), PRODUCT if "/" in expression.symbol.letter else ATOM
            return self.number(expression), SUM if expression.value < 0 else ATOM
        if not isinstance(expression, Operation):
            return self._digits(show_value(float(expression), None, self.digits)), SUM if expression < 0 else ATOM
        kind, parts = expression.kind, expression.parts
        if kind == "sum":
            return "<mo>+</mo>".join(self._terms(parts, valued)), SUM
        if kind == "minus":
            return f"{self._in(parts[0], valued, SUM)}<mo>−</mo>{self._in(parts[1], valued, PRODUCT)}", SUM
        if kind == "negative":
            return f"<mo>−</mo>{self._in(parts[0], valued, PRODUCT)}", SUM
        if kind == "product":
            sign = "×" if valued else "·"
            return f"<mo>{sign}</mo>".join(self._in(part, valued, PRODUCT) for part in parts), PRODUCT
        return self._call(kind, parts, valued), ATOM

    def _call(self, kind: str, parts: Sequence[Expression], valued: bool) -> str:
        if kind == "over":
            return f"<mfrac>{self.row(parts[0], valued)}{self.row(parts[1], valued)}</mfrac>"
        if kind == "power":
            return f"<msup><mrow>{self._in(parts[0], valued, ATOM)}</mrow>{self.row(parts[1], valued)}</msup>"
        if kind == "exp":
            return f"<msup><mi>e</mi>{self.row(parts[0], valued)}</msup>"
        if kind == "sqrt":
            return f"<msqrt>{self.row(parts[0], valued)}</msqrt>"
        sign = ";" if get_language() == "fr" else ","
        n = len(parts) - FIRST - LAST
        inside = f"<mo>{sign}</mo>".join(
            f"<mtext>{left_out(n)}</mtext>" if part is None else self.row(part, valued)
            for part in shortened(parts, self.most)
        )
        if kind == "abs":
            return f"<mrow><mo>|</mo>{inside}<mo>|</mo></mrow>"
        if kind == "positive":
            return f"<mrow><mo>[</mo>{inside}<mo>&gt;</mo><mn>0</mn><mo>]</mo></mrow>"
        return f"<mrow><mi>{_WORDS[kind]}</mi><mo>(</mo>{inside}<mo>)</mo></mrow>"

    def _in(self, part: Expression, valued: bool, least: int) -> str:
        text, hold = self._write(part, valued)
        return text if hold >= least else f"<mrow><mo>(</mo>{text}<mo>)</mo></mrow>"


# ----------------------------------------------------------------------------------------------------------- JSON


def as_json(number: Number) -> dict[str, Any]:
    """A number as JSON: its value, what its factors give once more, and the whole arithmetic, every term of it."""
    expression, proof = number.expression(), prove(number)
    facts: dict[str, Any] = {"symbol": show_symbol(number.symbol), "value": finite(number.value)}
    if expression is not None:
        facts["arithmetic"] = _tree(expression)
    if proof is not None:
        facts |= {"recomputed": finite(proof.recomputed), "gap": finite(proof.gap), "allowed": finite(proof.allowed)}
    if number.word:
        facts["word"] = number.word
    return facts


def _tree(expression: Expression) -> Any:
    if isinstance(expression, Number):
        return {"number": expression.name or show_symbol(expression.symbol), "value": finite(expression.value)}
    if isinstance(expression, Operation):
        return {expression.kind: [_tree(part) for part in expression.parts]}
    return expression


def finite(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None

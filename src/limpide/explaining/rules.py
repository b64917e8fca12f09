"""The arithmetic of the optimizers: the gradient they use, their state after the step, the change they make.

The formulas are those of `nn/optimizers.py`, written for one weight. A test compares the names with the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from limpide.explaining.arithmetic import Expression, Number, add, call, minus, negative, over, power, times
from limpide.nn.optimizers import Adam, AdamW, Momentum, RMSProp


class Slot(Protocol):
    """One weight as its optimizer sees it: the names are those of the step."""

    def weight(self) -> Number:
        """Before the update."""

    def gradient(self) -> Number:
        """The slope of the loss along it."""

    def used(self) -> Number:
        """The gradient that the rule works with: clipped, with the decay of the weights."""

    def norm(self) -> Number:
        """Of the gradients of all weights."""

    def before(self, slot: str) -> Number:
        """A slot of the optimizer's state before the update."""

    def after(self, slot: str) -> Number:
        """And after it."""

    def named(self, symbol: str, value: float) -> Number:
        """A number of the optimizer."""

    def rate(self) -> Number:
        """The learning rate of this update."""

    def count(self) -> Number:
        """The number of this update, from 1."""


def used(optimizer: object, slot: Slot) -> Expression:
    """The gradient that the rule works with."""
    own = cast(Momentum, optimizer)
    gradient: Expression = slot.gradient()
    if own.clip_norm is not None:
        most = slot.named("c", own.clip_norm)
        gradient = times(gradient, call("min", 1.0, over(most, add([slot.norm(), 1e-6]))))
    if own.weight_decay and not own.decoupled:
        gradient = add([gradient, times(slot.named("λ", own.weight_decay), slot.weight())])
    return gradient


def _descent(slot: Slot, along: Expression) -> Expression:
    return negative(times(slot.rate(), along))


def _velocity(optimizer: object, slot: Slot) -> Expression:
    momentum = slot.named("μ", cast(Momentum, optimizer).momentum)
    return add([times(momentum, slot.before("velocity")), slot.used()])


def _momentum(optimizer: object, slot: Slot) -> Expression:
    own = cast(Momentum, optimizer)
    if not own.nesterov:
        return _descent(slot, slot.after("velocity"))
    return _descent(slot, add([slot.used(), times(slot.named("μ", own.momentum), slot.after("velocity"))]))


def _mixed(slot: Slot, state: str, symbol: str, share: float, new: Expression) -> Expression:
    keep = slot.named(symbol, share)
    return add([times(keep, slot.before(state)), times(minus(1.0, keep), new)])


def _rmsprop(optimizer: object, slot: Slot) -> Expression:
    root = call("sqrt", slot.after("square"))
    return _descent(slot, over(slot.used(), add([root, slot.named("ε", cast(RMSProp, optimizer).epsilon)])))


def _adam(optimizer: object, slot: Slot) -> Expression:
    own, t = cast(Adam, optimizer), slot.count()
    mean = over(slot.after("mean"), minus(1.0, power(slot.named("β₁", own.beta1), t)))
    square = over(slot.after("square"), minus(1.0, power(slot.named("β₂", own.beta2), t)))
    return _descent(slot, over(mean, add([call("sqrt", square), slot.named("ε", own.epsilon)])))


def _adamw(optimizer: object, slot: Slot) -> Expression:
    decay = slot.named("λ", cast(AdamW, optimizer).weight_decay)
    taken = times(slot.rate(), decay, slot.weight())
    return minus(_adam(optimizer, slot), taken) if cast(AdamW, optimizer).weight_decay else _adam(optimizer, slot)


Rule = Callable[[object, Slot], Expression]

_MOMENTS: dict[str, Rule] = {
    "mean": lambda o, slot: _mixed(slot, "mean", "β₁", cast(Adam, o).beta1, slot.used()),
    "square": lambda o, slot: _mixed(slot, "square", "β₂", cast(Adam, o).beta2, power(slot.used(), 2.0)),
}

RULE_ARITHMETIC: dict[str, tuple[Rule, dict[str, Rule]]] = {
    "sgd": (lambda o, slot: _descent(slot, slot.used()), {}),
    "momentum": (_momentum, {"velocity": _velocity}),
    "rmsprop": (
        _rmsprop,
        {"square": lambda o, slot: _mixed(slot, "square", "ρ", cast(RMSProp, o).decay, power(slot.used(), 2.0))},
    ),
    "adam": (_adam, _MOMENTS),
    "adamw": (_adamw, _MOMENTS),
}
"""By name: the change of a weight; each slot of the state after the update."""

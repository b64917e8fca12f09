"""Optimizers: how a gradient becomes an update.

Each is two pure functions on the flat parameter vector: `init` gives its state, `update` the change of the parameters
and the next state. They use + - * / ** and a sum alone, so that one text serves NumPy and torch arrays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from math import inf
from numbers import Real
from typing import Any, ClassVar

from limpide.arrays import Array, Tree
from limpide.errors import RecipeError, UnknownName, problem
from limpide.i18n import N_, _
from limpide.nn.schedules import SCHEDULES, Schedule


@dataclass(frozen=True)
class Optimizer(ABC):
    """What all optimizers share. A concrete optimizer is final.

    rate          learning rate: the factor on the step
    weight_decay  pull towards zero: its share of each parameter is added to the gradient (adamw: taken off directly)
    clip_norm     the gradient's norm is brought down to this when it is larger; None leaves it
    schedule      how the rate changes over the updates
    """

    rate: float
    weight_decay: float = 0.0
    clip_norm: float | None = None
    schedule: Schedule = field(default_factory=Schedule)

    name: ClassVar[str]
    formula: ClassVar[str]
    source: ClassVar[str]
    slots: ClassVar[tuple[str, ...]] = ()
    decoupled: ClassVar[bool] = False  # whether the rule itself takes the weight decay off

    def init(self, params: Array) -> Tree:
        """The state before the first update: every slot zero."""
        return {slot: params * 0 for slot in self.slots}  # noqa: C420, an array for each slot

    def update(self, params: Array, grads: Array, state: Tree, step: int, n_steps: int) -> tuple[Array, Tree]:
        """The change to add to the parameters, and the next state.

        step     0 for the first update
        n_steps  the number of updates the schedule counts on
        """
        if self.clip_norm is not None:
            norm = float((grads * grads).sum()) ** 0.5
            # 1e-6 as in torch.nn.utils.clip_grad_norm_
            grads = grads * min(1.0, self.clip_norm / (norm + 1e-6))
        if self.weight_decay and not self.decoupled:
            grads = grads + self.weight_decay * params
        return self.rule(params, grads, state, self.rate_at(step, n_steps), step)

    def rate_at(self, step: int, n_steps: int) -> float:
        """The learning rate of an update."""
        return self.rate * self.schedule.factor_at(step, n_steps)

    @abstractmethod
    def rule(self, params: Array, grads: Array, state: Tree, rate: float, step: int) -> tuple[Array, Tree]:
        """The optimizer's own formula, given the rate of this update."""

    def to_dict(self) -> dict[str, Any]:
        """JSON: the name, then the fields."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent."""

    rate: float = 0.01

    name: ClassVar[str] = "sgd"
    formula: ClassVar[str] = "w ← w - α g"
    source: ClassVar[str] = "Robbins & Monro 1951"

    def rule(self, params: Array, grads: Array, state: Tree, rate: float, step: int) -> tuple[Array, Tree]:
        """`-rate g`."""
        return grads * -rate, state


@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent with a velocity; `nesterov` looks ahead along it.

    Source  Polyak 1964; Sutskever, Martens, Dahl & Hinton 2013; PyTorch's convention (the rate outside the velocity)
    """

    rate: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False

    name: ClassVar[str] = "momentum"
    formula: ClassVar[str] = "v ← μ v + g;  w ← w - α v   (Nesterov: w ← w - α (g + μ v))"
    source: ClassVar[str] = "Polyak 1964; Nesterov 1983"
    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def rule(self, params: Array, grads: Array, state: Tree, rate: float, step: int) -> tuple[Array, Tree]:
        """`-rate v`, or `-rate (g + momentum v)`."""
        velocity = self.momentum * state["velocity"] + grads
        ahead = grads + self.momentum * velocity if self.nesterov else velocity
        return ahead * -rate, {"velocity": velocity}


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """Each parameter's step divided by the running size of its own gradient."""

    rate: float = 0.001
    decay: float = 0.99
    epsilon: float = 1e-8

    name: ClassVar[str] = "rmsprop"
    formula: ClassVar[str] = "s ← ρ s + (1 - ρ) g²;  w ← w - α g / (√s + ε)"
    source: ClassVar[str] = "Tieleman & Hinton 2012, lecture 6.5; PyTorch's defaults"
    slots: ClassVar[tuple[str, ...]] = ("square",)

    def rule(self, params: Array, grads: Array, state: Tree, rate: float, step: int) -> tuple[Array, Tree]:
        """`-rate g / (√square + epsilon)`."""
        square = self.decay * state["square"] + (1 - self.decay) * (grads * grads)
        return grads / (square**0.5 + self.epsilon) * -rate, {"square": square}


_MOMENTS = "m ← β₁ m + (1 - β₁) g;  v ← β₂ v + (1 - β₂) g²;  m̂ = m / (1 - β₁^t);  v̂ = v / (1 - β₂^t)"


@dataclass(frozen=True)
class _AdamFields(Optimizer):
    rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    slots: ClassVar[tuple[str, ...]] = ("mean", "square")

    def _moments_step(self, grads: Array, state: Tree, rate: float, step: int) -> tuple[Array, Tree]:
        """`-rate m̂ / (√v̂ + ε)`, with both bias corrections folded into two numbers."""
        mean = self.beta1 * state["mean"] + (1 - self.beta1) * grads
        square = self.beta2 * state["square"] + (1 - self.beta2) * (grads * grads)
        root = (1 - self.beta2 ** (step + 1)) ** 0.5
        change = mean / (square**0.5 + self.epsilon * root)
        return change * (-rate * root / (1 - self.beta1 ** (step + 1))), {"mean": mean, "square": square}


@dataclass(frozen=True)
class Adam(_AdamFields):
    """Momentum and RMSProp together, both corrected for their start at zero."""

    name: ClassVar[str] = "adam"
    formula: ClassVar[str] = f"{_MOMENTS};  w ← w - α m̂ / (√v̂ + ε)"
    source: ClassVar[str] = "Kingma & Ba 2015, algorithm 1"

    def rule(self, params: Array, grads: Array, state: Tree, rate: float, step: int) -> tuple[Array, Tree]:
        """`-rate m̂ / (√v̂ + ε)`."""
        return self._moments_step(grads, state, rate, step)


@dataclass(frozen=True)
class AdamW(_AdamFields):
    """Adam with the decay taken off the weights directly, outside the moments."""

    weight_decay: float = 0.01

    name: ClassVar[str] = "adamw"
    formula: ClassVar[str] = f"{_MOMENTS};  w ← w - α λ w - α m̂ / (√v̂ + ε)"
    source: ClassVar[str] = "Loshchilov & Hutter 2019, algorithm 2"
    decoupled: ClassVar[bool] = True

    def rule(self, params: Array, grads: Array, state: Tree, rate: float, step: int) -> tuple[Array, Tree]:
        """`-rate (m̂ / (√v̂ + ε) + weight_decay w)`."""
        change, state = self._moments_step(grads, state, rate, step)
        return change - rate * self.weight_decay * params, state


OPTIMIZERS: dict[str, type[Optimizer]] = {cls.name: cls for cls in (SGD, Momentum, RMSProp, Adam, AdamW)}


def make_optimizer(name: str, **options: Any) -> Optimizer:
    """The optimizer of that name with its options; `nesterov` is momentum looking ahead.

    options  fields of the optimizer; `schedule` may be a name, a mapping or a Schedule
    Raises   UnknownName, or RecipeError with every number that is out of range

    >>> make_optimizer("momentum", rate=0.1).momentum
    0.9
    """
    if name == "nesterov":
        name, options = "momentum", {"nesterov": True, **options}
    if name not in OPTIMIZERS:
        raise UnknownName(_("optimizer"), name, [*OPTIMIZERS, "nesterov"])
    cls = OPTIMIZERS[name]
    _check_fields(_("option of {optimizer}").format(optimizer=name), options, cls)
    schedule = options.get("schedule", Schedule())
    if isinstance(schedule, str):
        schedule = Schedule(schedule)
    elif isinstance(schedule, Mapping):
        _check_fields(_("option of schedule"), schedule, Schedule)
        schedule = Schedule(**schedule)
    if schedule.name not in SCHEDULES:
        raise UnknownName(_("schedule"), schedule.name, SCHEDULES)
    optimizer = cls(**{**options, "schedule": schedule})
    problems = list(_out_of_range(optimizer))
    if problems:
        raise RecipeError(*problems)
    return optimizer


def _check_fields(where: str, options: Mapping[str, Any], cls: type[Optimizer] | type[Schedule]) -> None:
    known = [field.name for field in fields(cls)]
    for option in options:
        if option not in known:
            raise UnknownName(where, option, known)


Range = tuple[Callable[[float], bool], str]

_POSITIVE: Range = (lambda v: 0 < v < inf, N_("a number above 0"))
_NOT_NEGATIVE: Range = (lambda v: 0 <= v < inf, N_("a number of 0 or more"))
_SHARE: Range = (lambda v: 0 <= v < 1, N_("a number from 0 to below 1"))
_PART: Range = (lambda v: 0 < v <= 1, N_("a number above 0 and up to 1"))

_RANGES: dict[str, Range] = {
    "rate": _POSITIVE,
    "weight_decay": _NOT_NEGATIVE,
    "clip_norm": _POSITIVE,
    "momentum": _SHARE,
    "decay": _SHARE,
    "beta1": _SHARE,
    "beta2": _SHARE,
    "epsilon": _POSITIVE,
    "warm_up": _SHARE,
    "every": _PART,
    "factor": _PART,
}


def _out_of_range(optimizer: Optimizer) -> Iterator[str]:
    """A line for each number no optimizer can work with."""
    for name, value in {**vars(optimizer), **vars(optimizer.schedule)}.items():
        if name not in _RANGES or (name == "clip_norm" and value is None):
            continue
        is_in_range, expected = _RANGES[name]
        if not isinstance(value, Real) or not is_in_range(float(value)):
            where = _("optimizer {name}").format(name=optimizer.name)
            yield problem(f"{where}, {name}", _(expected), repr(value))

"""One training step opened: every number of it, each with the arithmetic that made it.

`addresses.py` has their names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from limpide.arrays import Array, Tree
from limpide.engines.base import Noise, Precision, Trace
from limpide.engines.numpy_engine import NumpyTrainer
from limpide.explaining.arithmetic import Expression, Index, Number, Symbol, add, call, over, power, times
from limpide.explaining.functions import LOSS_ARITHMETIC, share
from limpide.explaining.rules import RULE_ARITHMETIC, used
from limpide.explaining.views import LETTERS, View, label_of, views_of
from limpide.nn.activations import softmax
from limpide.nn.layers import Mode
from limpide.nn.losses import Loss
from limpide.nn.network import Network, forward
from limpide.nn.optimizers import Optimizer

Make = Callable[[Index], Expression | None]


class OpenedStep:
    """A step of training on a batch, by the reference engine, with the arithmetic of every number.

    batch      its rows, prepared
    targets    what they should give, encoded; None leaves only the way forward
    before     weights and buffers before the update, by full name
    row        the place in the batch of the row that is followed
    inputs     how the inputs of that row were made from its cells, where that is known
    answers    likewise its target
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        weights: Mapping[str, np.ndarray],
        batch: Array,
        targets: Array | None,
        *,
        state: Mapping[str, np.ndarray] | None = None,
        n_updates: int = 0,
        noise: Noise | None = None,
        precision: Precision = "float32",
        row: int = 0,
        inputs: Make | None = None,
        answers: Make | None = None,
    ) -> None:
        """
        state      of a trainer, to go on from; None starts an optimizer afresh
        n_updates  how many the rate's schedule counts on
        noise      the streams of a training pass; None makes an evaluation pass: nothing dropped, running statistics
        """
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.n_updates, self.row, self.inputs, self.answers = n_updates, row, inputs, answers
        typed = "float32" if precision == "mixed" else precision
        trainer = NumpyTrainer(network, loss, optimizer, weights, n_updates, typed)
        if state is not None:
            trainer.load_state(state)
        self.before, self._state = trainer.weights(), trainer.state()
        self.dtype, self.step = trainer.dtype, trainer.step
        self.batch = batch.astype(self.dtype, copy=False)
        self.targets = targets
        training = noise is not None
        if targets is None:
            output, outs = forward(network, trainer.parameters.layers, self.batch, [Mode(False)] * len(network.layers))
            self.trace: Trace | None = None
            self.output = output
            self.views = views_of(self, outs, trainer.parameters.layers, training)
        else:
            self.trace = trainer.trace(self.batch, targets, noise)
            self.output = self.trace.output
            self.views = views_of(self, self.trace.layers, trainer.parameters.layers, training)

    @property
    def n_rows(self) -> int:
        """Of the batch."""
        return len(self.batch)

    @property
    def has_target(self) -> bool:
        """Whether there is a way back: a loss, slopes, an update."""
        return self.trace is not None

    @property
    def last(self) -> View:
        """The layer whose outputs are the network's."""
        return [view for view in self.views if view.is_outer][-1]

    def view(self, path: str) -> View:
        """A layer by its full path."""
        return self._by_path[path]

    @cached_property
    def _by_path(self) -> dict[str, View]:
        return {view.path: view for view in self.views}

    def _place(self, row: int) -> int | None:
        return None if row == self.row else row

    def _at(self, name: str, index: Index, row: int | None) -> str:
        inside = f"[{','.join(map(str, index))}]" if index else ""
        return f"{name}{inside}" + ("" if row in (None, self.row) else f"@{row}")

    def x(self, index: Index, row: int) -> Number:
        """An input of the network."""
        make = None
        if row == self.row and self.inputs is not None and (made := self.inputs(index)) is not None:
            make = lambda: made  # noqa: E731
        value = float(self.batch[row, *index])
        return Number(self._at("x", index, row), Symbol("x", "", index, self._place(row)), value, self.dtype, make)

    def target(self, index: Index, row: int) -> Number:
        """What an output should be; for classes the share of each, 0 or 1."""
        assert self.targets is not None
        make = None
        if row == self.row and self.answers is not None and (made := self.answers(index)) is not None:
            make = lambda: made  # noqa: E731
        if self.loss.labels == "classes":
            value = float(int(self.targets[row]) == index[0])
        else:
            value = float(np.asarray(self.targets[row], self.dtype).reshape(self.output.shape[1:])[index])
        symbol = Symbol("t", "", index, self._place(row))
        return Number(self._at("target", index, row), symbol, value, self.dtype, make)

    # ------------------------------------------------------------------------------------------------- the loss

    def mean_loss(self) -> Number:
        """The loss of the batch: the mean of its rows."""
        assert self.trace is not None
        rows = [self.row_loss(row) for row in range(self.n_rows)]
        return Number("loss", Symbol("J"), self.trace.loss, self.dtype, lambda: over(add(rows), float(len(rows))))

    @cached_property
    def _losses(self) -> np.ndarray:
        targets = self.targets
        assert targets is not None
        typed = targets if targets.dtype.kind in "iu" and targets.ndim == 1 else targets.astype(self.dtype)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return np.asarray(self.loss.value(self.output, typed))

    def row_loss(self, row: int) -> Number:
        """The loss of one row."""
        value, _gradient = LOSS_ARITHMETIC[self.loss.name]
        symbol = Symbol("L", "", (), self._place(row))
        return Number(
            self._at("row_loss", (), row),
            symbol,
            float(self._losses[row]),
            self.dtype,
            lambda: value(_LossRow(self, row)),
        )

    def slope_of_output(self, unit: Index, row: int) -> Expression:
        """The slope of the loss along an output."""
        _value, gradient = LOSS_ARITHMETIC[self.loss.name]
        return gradient(_LossRow(self, row), int(np.ravel_multi_index(unit, self.output.shape[1:])))

    @cached_property
    def _shares(self) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(softmax(self.output))

    def share(self, i: int, row: int) -> Number:
        """The probability that softmax gives a class."""
        scores = self.outputs(row)
        symbol, top = Symbol("p", "", (i,), self._place(row)), self.top(row)
        value = float(self._shares[row, i])
        return Number(self._at("share", (i,), row), symbol, value, self.dtype, lambda: share(scores, top, i))

    def top(self, row: int) -> Number:
        """The greatest output of a row."""
        scores = self.outputs(row)
        value, symbol = max(score.value for score in scores), Symbol("m", "", (), self._place(row))
        return Number(self._at("top", (), row), symbol, value, self.dtype, lambda: call("max", *scores))

    def outputs(self, row: int) -> list[Number]:
        """What the network puts out for a row."""
        return [self.last.y(tuple(unit), row) for unit in np.ndindex(self.output.shape[1:])]

    # ----------------------------------------------------------------------------------------------- the update

    def weight(self, name: str, index: Index) -> WeightSlot:
        """A weight by its full name, as the optimizer sees it."""
        return WeightSlot(self, name, index)

    @cached_property
    def gradients(self) -> Tree:
        """The slope of the loss along every weight, by full name."""
        assert self.trace is not None
        return {f"{part.path}.{key}": grad for part in self.trace.layers for key, grad in part.grads.items()}

    @cached_property
    def used(self) -> Tree:
        """The gradients that the optimizer's rule works with."""
        scale = 1.0
        if self.optimizer.clip_norm is not None:
            scale = min(1.0, self.optimizer.clip_norm / (self.norm().value + 1e-6))
        decay = 0.0 if self.optimizer.decoupled else self.optimizer.weight_decay
        return {
            name: (grad * scale if scale != 1.0 else grad) + (decay * self.before[name] if decay else 0)
            for name, grad in self.gradients.items()
        }

    @property
    def updates(self) -> Tree:
        """What the update adds to every weight, by full name."""
        assert self.trace is not None
        return self.trace.updates

    @cached_property
    def after(self) -> Tree:
        """The weights after the update, by full name."""
        return {name: self.before[name] + update for name, update in self.updates.items()}

    def state_before(self, slot: str, name: str) -> np.ndarray:
        """A slot of the optimizer before the update, in the shape of a weight."""
        (place,) = [place for place in self.network.slots if place.name == name]
        flat = np.asarray(self._state[f"optimizer/{slot}"])
        return flat[place.start : place.stop].reshape(place.shape)

    def norm(self) -> Number:
        """Of the gradients of all weights."""
        flat = np.concatenate([grad.reshape(-1) for grad in self.gradients.values()])
        value = float((flat * flat).sum()) ** 0.5

        def make() -> Expression:
            places = [(n, tuple(i)) for n, grad in self.gradients.items() for i in np.ndindex(grad.shape)]
            return call("sqrt", add([power(self.weight(n, i).gradient(), 2.0) for n, i in places]))

        return Number("norm", Symbol("‖g‖"), value, self.dtype, make)

    def rate(self) -> Number:
        """The learning rate of this update."""
        value = self.optimizer.rate_at(self.step, self.n_updates)
        factor = self.optimizer.schedule.factor_at(self.step, self.n_updates)
        if factor == 1.0:
            return Number("rate", Symbol("α"), value)
        base, share = Number("", Symbol("α₀"), self.optimizer.rate), Number("", Symbol("factor"), factor)
        return Number("rate", Symbol("α"), value, None, lambda: times(base, share))

    def count(self) -> Number:
        """The number of this update, from 1."""
        return Number("update", Symbol("t"), float(self.step + 1))


class _LossRow:
    """One row of the batch under the loss: what `LOSS_ARITHMETIC` takes."""

    def __init__(self, step: OpenedStep, row: int) -> None:
        self._step, self._row = step, row
        self.outputs = step.outputs(row)
        shape = step.output.shape[1:]
        self.truths = [step.target(tuple(unit), row) for unit in np.ndindex(shape)]
        assert step.targets is not None
        self.true = int(step.targets[row]) if step.loss.labels == "classes" else -1
        self.n_rows = step.n_rows

    def top(self) -> Number:
        """The greatest output."""
        return self._step.top(self._row)

    def share(self, i: int) -> Number:
        """The probability that softmax gives a class."""
        return self._step.share(i, self._row)


def _state_letter(rule: str, slot: str) -> str:
    """As the optimizer's formula writes it."""
    return {"mean": "m", "velocity": "v"}.get(slot, "s" if rule == "rmsprop" else "v")


class WeightSlot:
    """One weight before, during and after the update."""

    def __init__(self, step: OpenedStep, name: str, index: Index) -> None:
        self._step, self.name, self.index = step, name, index
        path, _dot, key = name.rpartition(".")
        self._letter = LETTERS.get(key, key)
        self._label = label_of(path)

    def _number(
        self, prefix: str, letter: str, value: float, make: Callable[[], Expression] | None, mark: str = ""
    ) -> Number:
        name = f"{prefix}{self.name}[{','.join(map(str, self.index))}]"
        return Number(name, Symbol(letter, self._label, self.index, None, mark), value, self._step.dtype, make)

    def _state(self, slot: str) -> str:
        return _state_letter(self._step.optimizer.name, slot)

    def weight(self) -> Number:
        """Before the update."""
        return self._number("", self._letter, float(self._step.before[self.name][self.index]), None)

    def gradient(self) -> Number:
        """The slope of the loss along it."""
        path, _dot, key = self.name.rpartition(".")
        return self._step.view(path).slope_of(key, self.index)

    def used(self) -> Number:
        """The gradient that the rule works with."""
        optimizer = self._step.optimizer
        if optimizer.clip_norm is None and (optimizer.decoupled or not optimizer.weight_decay):
            return self.gradient()
        value = float(self._step.used[self.name][self.index])
        return self._number("used/", f"g.{self._letter}", value, lambda: used(optimizer, self))

    def norm(self) -> Number:
        """Of the gradients of all weights."""
        return self._step.norm()

    def before(self, slot: str) -> Number:
        """A slot of the optimizer's state before the update."""
        value = float(self._step.state_before(slot, self.name)[self.index])
        return self._number(f"{slot}/", f"{self._state(slot)}.{self._letter}", value, None)

    def after(self, slot: str) -> Number:
        """And after it."""
        assert self._step.trace is not None
        _change, states = RULE_ARITHMETIC[self._step.optimizer.name]
        value = float(self._step.trace.state[f"{slot}/{self.name}"][self.index])
        make = lambda: states[slot](self._step.optimizer, self)  # noqa: E731
        return self._number(f"after/{slot}/", f"{self._state(slot)}.{self._letter}", value, make, "′")

    def change(self) -> Number:
        """What the update adds to it."""
        rule, _states = RULE_ARITHMETIC[self._step.optimizer.name]
        value = float(self._step.updates[self.name][self.index])
        return self._number("change/", f"Δ{self._letter}", value, lambda: rule(self._step.optimizer, self))

    def new(self) -> Number:
        """After the update."""
        value = float(self._step.after[self.name][self.index])
        return self._number("after/", self._letter, value, lambda: add([self.weight(), self.change()]), "′")

    def named(self, symbol: str, value: float) -> Number:
        """A number of the optimizer."""
        return Number("", Symbol(symbol), value)

    def rate(self) -> Number:
        """The learning rate of this update."""
        return self._step.rate()

    def count(self) -> Number:
        """The number of this update, from 1."""
        return self._step.count()

    def story(self) -> list[Number]:
        """All of it in order: the weight, its slope, the optimizer before and after, the change, the weight after."""
        slots = self._step.optimizer.slots
        numbers = [self.weight(), self.gradient(), self.used()]
        for slot in slots:
            numbers += [self.before(slot), self.after(slot)]
        unique = {number.name: number for number in [*numbers, self.change(), self.new()]}
        return list(unique.values())

"""What the compiled function works on for one network: its numbers, and the calls that train and evaluate it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import isfinite, prod
from typing import Any

import numpy as np

from limpide.arrays import Array, Shape, Tree, show_shape
from limpide.engines import compiled_kernel as kernel
from limpide.engines import compiled_loops as loops
from limpide.engines import compiled_updates as updates
from limpide.engines.base import Noise
from limpide.engines.compiled_blas import BLAS, GEMM, UNSHARED, WORTH_SHARING
from limpide.engines.compiled_helpers import call_helpers, dismiss
from limpide.engines.compiled_program import DENSE, KIND, write_program
from limpide.engines.compiled_shares import share_address
from limpide.engines.compiled_sheet import Sheet, address
from limpide.engines.compiled_team import yield_address
from limpide.errors import ShapeError, Unsupported, problem
from limpide.i18n import _
from limpide.nn.layers import LAYERS, Layer, Residual
from limpide.nn.losses import LOSSES, Loss
from limpide.nn.network import Network, Parameters
from limpide.nn.optimizers import Optimizer

NOISE_NUMBERS = 4_000_000
"""How many numbers of noise are drawn at once: an epoch with dropout is cut into as many calls as that needs."""

CALL_WORK = 20_000_000_000
"""Multiply-adds of a call, at most, unless a batch has more: half a second or so, for Ctrl-C is heard between calls."""

PER_PARAMETER = 10
"""Multiply-adds in the time that a parameter takes to be updated."""

WORTH_HELPERS = 400_000_000
"""Multiply-adds of a call, some 8 ms, from which threads are called to help."""

EVALUATION_ROWS, EVALUATION_NUMBERS = 128, 20_000_000
"""The rows of a block in an evaluation pass, unless batches are larger: so many, or as have so many numbers."""

YIELD = yield_address()
NOISY = kernel.TRAIN, kernel.GRADIENTS
NO_NOISE, NO_LOSSES, NO_ROWS = np.zeros(0, np.float32), np.zeros(0), np.zeros(0, np.int64)


class Machine:
    """The arrays that the compiled function works on.

    vector         all numbers of the network
    params, grads  the weights and their gradients, which lie in it
    slots          the optimizer's state, which lies in it: as many vectors as it has names for
    step           how many updates were made
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        weights: Mapping[str, np.ndarray],
        dtype: np.dtype[Any],
        n_updates: int = 0,
    ) -> None:
        _refuse(network, loss, optimizer)
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.dtype, self.n_updates, self.step = np.dtype(dtype), n_updates, 0
        self.work, self.widest_product, self.evaluation_rows = _sizes_of(network)
        self.n_in, self.n_out = prod(network.input_shape), prod(network.output_shape)
        self.settings, self.constant_rates = updates.settings_of(optimizer), np.zeros(0)
        self.has_classes = loss.labels == "classes"
        self.sheet = Sheet()
        self.function, self.at = kernel.get_run(self.dtype), ctypes.addressof(self.sheet)
        given = Parameters.of(network, weights, self.dtype)
        self._prepare(self.evaluation_rows)
        self.load({"params": given.flat, **{f"buffer/{name}": array for name, array in given.buffers.items()}})

    def _prepare(self, capacity: int) -> None:
        """Room for batches of so many rows; what the next update depends on stays."""
        held = self.held() if hasattr(self, "vector") else {}
        self.program = program = write_program(self.network, capacity, len(self.optimizer.slots))
        self.numbers, self.vector = program.numbers.astype(self.dtype), program.vector(self.dtype)
        self.labels = np.zeros(capacity, np.int64)
        self.params, self.grads, *slots = program.parts(self.vector)
        self.slots = dict(zip(self.optimizer.slots, slots, strict=False))
        self.load(held)
        self._write_sheet()

    def _write_sheet(self) -> None:
        """What is the same in every call."""
        program, sheet = self.program, self.sheet
        sheet.gemm, sheet.way = GEMM[self.dtype], YIELD
        sheet.share = share_address(self.dtype) if (program.stages[:, KIND] != DENSE).any() else 0
        sheet.stages, sheet.n_stages = address(program.stages), len(program.stages)
        sheet.numbers, sheet.places = address(self.numbers), address(program.places)
        sheet.bounds, sheet.n_bounds = address(program.bounds), len(program.bounds)
        sheet.memory, sheet.n_memory = address(self.vector), len(self.vector)
        sheet.labels, sheet.n_labels = address(self.labels), len(self.labels)
        sheet.n_in, sheet.n_out, sheet.block = self.n_in, self.n_out, program.capacity
        is_nesterov = getattr(self.optimizer, "nesterov", False)
        sheet.loss = loops.LOSS_CODES[self.loss.name]
        sheet.rule = updates.NESTEROV if is_nesterov else updates.RULES[type(self.optimizer)]
        sheet.settings, sheet.n_settings = address(self.settings), len(self.settings)

    def held(self) -> Tree:
        """Weights, slots and running statistics by the names of `state`, as they lie in the vector."""
        slots = {f"optimizer/{name}": array for name, array in self.slots.items()}
        running = {f"buffer/{name}": self.vector[start : start + n] for name, start, n in self.program.running}
        return {"params": self.params, **slots, **running}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write over what is held."""
        held = self.held()
        for name, array in arrays.items():
            held[name][:] = array

    def run(
        self,
        mode: int,
        x: Array,
        y: Array,
        order: Array,
        batch_size: int,
        noise: Noise | None,
        measured: Sequence[Array] = (),
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """The loss of each batch of `order`, up to the first that is not finite when training; outputs for `measured`.

        measured  up to two times inputs; there are no outputs for them where a loss is not finite
        """
        if batch_size > self.program.capacity:
            self._prepare(batch_size)
        program, sheet = self.program, self.sheet
        # they are kept until the last call is over
        rows, targets, order = self._rows(x), self._targets(y), np.ascontiguousarray(order, np.int64)
        losses = np.zeros(-(-len(order) // batch_size))
        sheet.mode, sheet.batch, sheet.inputs, sheet.n_inputs = mode, batch_size, address(rows), len(rows)
        if self.has_classes:
            sheet.classes, sheet.n_classes, sheet.n_values = address(targets), len(targets), 0
        else:
            sheet.values, sheet.n_values, sheet.n_classes = address(targets), len(targets), 0
        streams = _Streams(program.random, noise) if program.random and mode in NOISY and noise else None
        width = streams.width if streams else 0
        # whole batches: each goes on in the streams where the one before it stopped
        batches = CALL_WORK // (3 * batch_size * self.work + PER_PARAMETER * len(self.params) + 1)
        if width:
            batches = min(batches, NOISE_NUMBERS // (width * batch_size))
        at_once, outputs = max(batches, 1) * batch_size, list[np.ndarray]()
        for start in range(0, len(order), at_once):
            part = order[start : start + at_once]
            drawn = streams.draw(len(part), batch_size) if streams else NO_NOISE
            first = start // batch_size
            left = losses[first : first + -(-len(part) // batch_size)]
            asked = measured if start + at_once >= len(order) else ()
            begun, outputs = self._call(part, drawn, left, asked)
            if begun == kernel.NO_SUCH_ROW:
                raise _outside(_("order of the rows"), len(rows), part)
            if begun == kernel.NO_SUCH_CLASS:
                raise _outside(_("classes"), self.n_out, targets[part])
            if mode == kernel.TRAIN:
                self.step += begun
                if not isfinite(left[begun - 1]):
                    self.step -= 1
                    return losses[: first + begun], []
        return losses, outputs

    def _call(
        self, order: np.ndarray, noise: np.ndarray, losses: np.ndarray, measured: Sequence[Array]
    ) -> tuple[int, list[np.ndarray]]:
        """The compiled function on some rows: how many batches were begun, and the outputs that are asked for."""
        sheet, rates = self.sheet, self._rates(len(losses))
        sheet.order, sheet.n_order, sheet.n_noise = address(order), len(order), len(noise)
        if len(noise):
            sheet.noise = address(noise)
        sheet.losses, sheet.n_losses, sheet.rates, sheet.step = address(losses), len(losses), address(rates), self.step
        asked = [self._rows(x) for x in measured]
        outputs = [np.empty((len(x), *self.network.output_shape), self.dtype) for x in asked]
        sheet.n_asked = sheet.n_also_asked = 0
        if asked:
            sheet.asked, sheet.n_asked, sheet.outputs = address(asked[0]), len(asked[0]), address(outputs[0])
        if len(asked) > 1:
            sheet.also_asked, sheet.n_also_asked = address(asked[1]), len(asked[1])
            sheet.also_outputs = address(outputs[1])
        if max(sheet.batch, sheet.block) * self.widest_product > UNSHARED:
            return self._call_with_help(len(order) + sum(map(len, asked)), (noise, rates, self.numbers)), outputs
        return self.function(self.at), outputs

    def _call_with_help(self, n_rows: int, arrays: tuple[np.ndarray, ...]) -> int:
        """The same where products are large: BLAS is held to one thread, and the others help where that pays.

        n_rows  that are visited or measured
        arrays  that the sheet names, beside those of the program
        """
        work = max(self.sheet.batch, self.sheet.block) * self.widest_product
        with BLAS as n_threads:
            # helpers for less would hardly have come before it is done
            if n_threads == 1 or work < WORTH_SHARING or n_rows * self.widest_product < WORTH_HELPERS:
                return self.function(self.at)
            kept = self.program, self.vector, self.settings, arrays
            desk = call_helpers(n_threads - 1, self.dtype, self.sheet, kept)
            try:
                return self.function(self.at)
            finally:
                dismiss(desk, self.sheet)

    def _rates(self, count: int) -> np.ndarray:
        """The learning rate of the next updates."""
        optimizer, schedule = self.optimizer, self.optimizer.schedule
        if schedule.name != "constant" or schedule.warm_up != 0:
            return np.array([optimizer.rate_at(self.step + i, self.n_updates) for i in range(count)], np.float64)
        if len(self.constant_rates) < count:
            self.constant_rates = np.full(count, optimizer.rate)
        return self.constant_rates

    def evaluate(self, x: Array) -> np.ndarray:
        """The outputs in evaluation mode."""
        block = self.program.capacity
        at_once = max(CALL_WORK // (block * self.work + 1), 1) * block
        # no row is visited
        sheet = self.sheet
        sheet.mode, sheet.batch, sheet.n_inputs, sheet.n_values, sheet.n_classes = kernel.TRAIN, block, 0, 0, 0
        parts = [x[start : start + at_once] for start in range(0, max(len(x), 1), at_once)]
        outputs = [self._call(NO_ROWS, NO_NOISE, NO_LOSSES, [part])[1][0] for part in parts]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def _rows(self, x: Array) -> np.ndarray:
        """Examples of the type of the numbers, one after the other in memory."""
        if x.shape[1:] != self.network.input_shape:
            raise ShapeError(problem(_("input"), show_shape(self.network.input_shape), show_shape(x.shape[1:])))
        return np.ascontiguousarray(x, self.dtype)

    def _targets(self, y: Array) -> np.ndarray:
        """Classes or values."""
        if self.has_classes:
            return np.ascontiguousarray(y, np.int64)
        if y.shape[1:] != self.network.output_shape:
            raise ShapeError(problem(_("target"), show_shape(self.network.output_shape), show_shape(y.shape[1:])))
        return np.ascontiguousarray(y, self.dtype)


class _Streams:
    """The noise of a pass, layer by layer.

    width  numbers for one row
    """

    def __init__(self, random: tuple[tuple[str, Shape], ...], noise: Noise) -> None:
        paths = {path: [shape for of, shape in random if of == path] for path, _shape in random}
        self.streams = [(noise(path), shapes) for path, shapes in paths.items()]
        self.width = sum(prod(shape) for _stream, shapes in self.streams for shape in shapes)

    def draw(self, n: int, batch_size: int) -> np.ndarray:
        """Numbers for the next n rows: all of a layer's, then all of the next one's."""
        drawn = []
        for stream, shapes in self.streams:
            # layers that share a stream take turns with each batch
            at_once = batch_size if len(shapes) > 1 else n
            sizes = [min(at_once, n - first) for first in range(0, n, at_once)]
            batches = [[stream.random((size, *shape), np.float32) for shape in shapes] for size in sizes]
            drawn += [part.reshape(-1) for layer in zip(*batches, strict=True) for part in layer]
        return np.concatenate(drawn) if len(drawn) > 1 else drawn[0]


@lru_cache(maxsize=32)
def _sizes_of(network: Network) -> tuple[int, int, int]:
    """Multiply-adds of an example, of its widest product, and the rows of a block in an evaluation pass."""
    numbers = sum(prod(shape) for shape in network.shapes)
    work = [row.multiply_adds for row in network.table()]
    return sum(work), max(work, default=0), max(1, min(EVALUATION_ROWS, EVALUATION_NUMBERS // numbers))


def _refuse(network: Network, loss: Loss, optimizer: Optimizer) -> None:
    """Unsupported, naming what the compiled function does not have."""
    where, mend = _("engine {name}").format(name="compiled"), _("take the engine numpy or torch")
    for path, layer in zip(network.paths, network.layers, strict=True):
        _refuse_layer(path, layer)
    if loss.name not in loops.LOSS_CODES or loss is not LOSSES[loss.name]:
        raise Unsupported(
            problem(where, _("a loss among {names}").format(names=", ".join(loops.LOSS_CODES)), loss.name, mend)
        )
    if type(optimizer) not in updates.RULES:
        names = ", ".join(kind.name for kind in updates.RULES)
        raise Unsupported(problem(where, _("an optimizer among {names}").format(names=names), optimizer.name, mend))


def _refuse_layer(path: str, layer: Layer) -> None:
    if LAYERS.get(layer.keyword) is not type(layer):
        raise Unsupported(
            problem(
                _("layer {path}").format(path=path),
                _("a layer that the engine {name} has ({known})").format(name="compiled", known=", ".join(LAYERS)),
                type(layer).__name__,
                _("take the engine numpy"),
            )
        )
    if isinstance(layer, Residual):
        for inner, inside in zip(layer.paths, layer.layers, strict=True):
            _refuse_layer(f"{path}.{inner}", inside)


def _outside(what: str, n: int, numbers: np.ndarray) -> IndexError:
    wrong = numbers[(numbers < 0) | (numbers >= n)][0]
    return IndexError(problem(what, _("numbers from 0 to {last}").format(last=n - 1), str(wrong)))

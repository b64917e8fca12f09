"""The fast engine: whole epochs in one call of one compiled function.

What a network is, is told to that function as data (`Program`); what it computes stands in `compiled_kernel`. The
layers' own forward and backward remain the reference, and give a trace its intermediate values.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import nullcontext
from functools import lru_cache
from math import isfinite, prod
from typing import Any

import numpy as np

from limpide.arrays import Array, Shape, Tree, show_shape
from limpide.engines.base import Noise, Precision, Trace, is_compiled
from limpide.engines.numpy_engine import NumpyTrainer
from limpide.errors import MissingPackage, ShapeError, Unsupported, problem
from limpide.i18n import _
from limpide.nn.layers import LAYERS, Layer, Residual
from limpide.nn.losses import LOSSES, Loss
from limpide.nn.network import Network, Parameters
from limpide.nn.optimizers import SGD, Optimizer

try:
    from limpide.engines import compiled_kernel as kernel
    from limpide.engines import compiled_loops as loops
    from limpide.engines import compiled_updates as updates
    from limpide.engines.compiled_blas import BLAS, GEMM, UNSHARED, WORTH_SHARING
    from limpide.engines.compiled_helpers import NOBODY, call_helpers, dismiss
    from limpide.engines.compiled_program import DENSE, KIND, write_program
    from limpide.engines.compiled_shares import share_address
    from limpide.engines.compiled_team import yield_address
except (ImportError, OSError) as error:
    raise MissingPackage(
        problem(_("engine {name}").format(name="compiled"), "numba", str(error), 'pip install "numba>=0.61"')
    ) from error

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
NO_NOISE, NO_LOSSES = np.zeros(0, np.float32), np.zeros(0)


class CompiledEngine:
    """Runs networks with one compiled function."""

    name = "compiled"

    def forward(self, network: Network, weights: Mapping[str, np.ndarray], x: Array) -> np.ndarray:
        """The outputs in evaluation mode, in blocks of rows."""
        return _Machine(network, LOSSES["mse"], SGD(), weights, _float_type(x)).evaluate(x)

    def loss_and_gradients(
        self,
        network: Network,
        loss: Loss,
        weights: Mapping[str, np.ndarray],
        x: Array,
        y: Array,
        noise: Noise | None = None,
    ) -> tuple[float, Tree]:
        """The loss of a batch and its gradient for each parameter by full name."""
        machine = _Machine(network, loss, SGD(), weights, _float_type(x))
        mode = kernel.GRADIENTS if noise else kernel.GRADIENTS_IN_EVALUATION
        losses = machine.run(mode, x, y, np.arange(len(x)), len(x), noise)
        grads = Parameters(network, machine.grads, {}).views
        return float(losses[0]), grads

    def trainer(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        weights: Mapping[str, np.ndarray],
        n_updates: int = 0,
        precision: Precision = "float32",
    ) -> CompiledTrainer:
        """A trainer that starts from these weights."""
        return CompiledTrainer(network, loss, optimizer, weights, n_updates, precision)

    def load_code(self, precision: Precision, layers: str) -> None:
        """Have the compiled functions at hand: an update of the smallest network brings them from the disk."""
        if not is_compiled("conv" in layers):
            # a command that fails meanwhile need not wait for it
            return
        network = Network.parse("1x1x1, conv 1 1x1, flatten, 1" if "conv" in layers else "1, 1")
        weights = network.initialize(np.random.default_rng(0))
        x, y = np.zeros((1, *network.input_shape), precision), np.zeros((1, 1), precision)
        trainer = self.trainer(network, LOSSES["mse"], SGD(), weights, precision=precision)
        trainer.run(x, y, np.arange(1), 1, lambda _path: np.random.default_rng(0))


class _Machine:
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
        given = Parameters.of(network, weights, self.dtype)
        self._prepare(self.evaluation_rows)
        self.load({"params": given.flat, **{f"buffer/{name}": array for name, array in given.buffers.items()}})
        self.loss_code = loops.LOSS_CODES[loss.name]
        self.rule = updates.NESTEROV if getattr(optimizer, "nesterov", False) else updates.RULES[type(optimizer)]
        self.settings, self.constant_rates = updates.settings_of(optimizer), np.zeros(0)
        self.nothing = _read_only(np.zeros((0, self.n_out), self.dtype)), _read_only(np.zeros(0, np.int64))

    def _prepare(self, capacity: int) -> None:
        """Room for batches of so many rows; what the next update depends on stays."""
        held = self.held() if hasattr(self, "vector") else {}
        self.program = program = write_program(self.network, capacity, len(self.optimizer.slots))
        self.share = share_address(self.dtype) if (program.stages[:, KIND] != DENSE).any() else 0
        self.numbers, self.vector = program.numbers.astype(self.dtype), program.vector(self.dtype)
        self.labels = np.zeros(capacity, np.int64)
        self.params, self.grads, *slots = program.parts(self.vector)
        self.slots = dict(zip(self.optimizer.slots, slots, strict=False))
        self.load(held)

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

    def run(self, mode: int, x: Array, y: Array, order: Array, batch_size: int, noise: Noise | None) -> np.ndarray:
        """The loss of each batch of `order`, up to the first that is not finite when training."""
        if batch_size > self.program.capacity:
            self._prepare(batch_size)
        program = self.program
        given = tuple(_read_only(array) for array in (self._rows(x), *self._targets(y)))
        order = _read_only(np.ascontiguousarray(order, np.int64))
        losses = np.zeros(-(-len(order) // batch_size))
        is_noisy = program.random and mode in (kernel.TRAIN, kernel.GRADIENTS)
        streams = _Streams(program.random if is_noisy else (), noise)
        width = streams.width
        # whole batches: each goes on in the streams where the one before it stopped
        batches = CALL_WORK // (3 * batch_size * self.work + PER_PARAMETER * len(self.params) + 1)
        if width:
            batches = min(batches, NOISE_NUMBERS // (width * batch_size))
        at_once = max(batches, 1) * batch_size
        for start in range(0, len(order), at_once):
            part = order[start : start + at_once]
            drawn = streams.draw(len(part), batch_size)
            first = start // batch_size
            left = losses[first : first + -(-len(part) // batch_size)]
            begun = self._call(mode, (*given, part, drawn), batch_size, left, self.vector[:0])
            if mode == kernel.TRAIN:
                self.step += begun
                if not isfinite(left[begun - 1]):
                    self.step -= 1
                    return losses[: first + begun]
        return losses

    def _call(
        self, mode: int, data: tuple[np.ndarray, ...], batch_size: int, losses: np.ndarray, outputs: np.ndarray
    ) -> int:
        """The compiled function on some rows: how many batches were begun.

        data  inputs, values, classes, the order of the rows, noise
        """
        tables, order = (self.program.stages, self.numbers, self.program.places, self.program.bounds), data[3]
        rates, addresses, desk = self._rates(len(losses)), (GEMM[self.dtype], YIELD, self.share), NOBODY
        widest = batch_size * self.widest_product
        with BLAS if widest > UNSHARED else nullcontext(1) as n_threads:
            # helpers for less would hardly have come before it is done
            if n_threads > 1 and widest >= WORTH_SHARING and len(order) * self.widest_product >= WORTH_HELPERS:
                desk = call_helpers(n_threads - 1, addresses, tables, self.vector, data[4], self.settings)
            tools, rule = (
                (*addresses[:2], desk, self.share),
                (self.loss_code, self.rule, self.settings, rates, self.step),
            )
            arguments = (mode, tools, tables, self.vector, self.labels, data, rule, batch_size, (losses, outputs))
            try:
                begun: int = kernel.run(*arguments)
            except OSError:
                # it is compiled, but could not be written to a full disk
                begun = kernel.run(*arguments)
            finally:
                dismiss(desk)
        if begun == kernel.NO_SUCH_ROW:
            raise _outside(_("order of the rows"), len(data[0]), order)
        if begun == kernel.NO_SUCH_CLASS:
            raise _outside(_("classes"), self.n_out, data[2][order])
        return begun

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
        outputs, order = np.empty(len(x) * self.n_out, self.dtype), _read_only(np.arange(len(x)))
        rows, block = _read_only(self._rows(x)), self.program.capacity
        at_once = max(CALL_WORK // (block * self.work + 1), 1) * block
        for start in range(0, len(x), at_once):
            data = (rows, *self.nothing, order[start : start + at_once], NO_NOISE)
            self._call(kernel.EVALUATE, data, block, NO_LOSSES, outputs[start * self.n_out :])
        return outputs.reshape(-1, *self.network.output_shape)

    def _rows(self, x: Array) -> np.ndarray:
        """Each example as one row of numbers."""
        if x.shape[1:] != self.network.input_shape:
            raise ShapeError(problem(_("input"), show_shape(self.network.input_shape), show_shape(x.shape[1:])))
        return np.ascontiguousarray(x, self.dtype).reshape(len(x), self.n_in)

    def _targets(self, y: Array) -> tuple[np.ndarray, np.ndarray]:
        """Values and classes: one of the two is empty."""
        if self.loss.labels == "classes":
            return self.nothing[0], np.ascontiguousarray(y, np.int64)
        if y.shape[1:] != self.network.output_shape:
            raise ShapeError(problem(_("target"), show_shape(self.network.output_shape), show_shape(y.shape[1:])))
        return np.ascontiguousarray(y, self.dtype).reshape(len(y), self.n_out), self.nothing[1]


class CompiledTrainer:
    """The loop of the compiled engine."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        weights: Mapping[str, np.ndarray],
        n_updates: int,
        precision: Precision,
    ) -> None:
        self.precision = precision
        self.machine = _Machine(network, loss, optimizer, weights, np.dtype(precision), n_updates)

    def run(self, x: Array, y: Array, order: Array, batch_size: int, noise: Noise) -> np.ndarray:
        """One epoch: an update for each batch of `order`; the loss of each batch before its update."""
        return self.machine.run(kernel.TRAIN, x, y, order, batch_size, noise)

    def evaluate(self, x: Array) -> np.ndarray:
        """The outputs in evaluation mode with the weights of the moment."""
        return self.machine.evaluate(x)

    def weights(self) -> Tree:
        """A copy of the weights and buffers by full name."""
        held = self.machine.held()
        buffers = {name.removeprefix("buffer/"): array for name, array in held.items() if name.startswith("buffer/")}
        return Parameters(self.machine.network, held["params"], buffers).named()

    def state(self) -> Tree:
        """A copy of all that the next update depends on."""
        held = {name: array.copy() for name, array in self.machine.held().items()}
        return {**held, "step": np.array(self.machine.step)}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on exactly from a `state()`."""
        self.machine.load({name: array for name, array in state.items() if name != "step"})
        self.machine.step = int(state["step"])

    def trace(self, x: Array, y: Array, noise: Noise) -> Trace:
        """The next step on this batch, opened; nothing is changed.

        Loss, updates and state are those of a copy of this trainer that really makes the step; what each layer saw and
        passed on is computed by the layers themselves.
        """
        machine = self.machine
        network, before = machine.network, self.state()
        again: dict[str, np.random.Generator] = {}

        def remembered(path: str) -> np.random.Generator:
            """The noise of this step, which the second pass draws as well."""
            stream = noise(path)
            again[path] = copy.deepcopy(stream)
            return stream

        arguments = (network, machine.loss, machine.optimizer, self.weights(), machine.n_updates, self.precision)
        opened, moved = NumpyTrainer(*arguments), CompiledTrainer(*arguments)
        for trainer in (opened, moved):
            trainer.load_state(before)
        trace = opened.trace(x, y, remembered)
        losses = moved.run(x, y, np.arange(len(x)), len(x), again.__getitem__)
        after = moved.state()
        trace.loss = float(losses[0])
        trace.updates = Parameters(network, after["params"] - before["params"], {}).views
        trace.state = {
            f"{slot}/{name}": array
            for slot in machine.slots
            for name, array in Parameters(network, after[f"optimizer/{slot}"], {}).views.items()
        }
        return trace


class _Streams:
    """The noise of a pass, layer by layer.

    width  numbers for one row
    """

    def __init__(self, random: tuple[tuple[str, Shape], ...], noise: Noise | None) -> None:
        paths = {path: [shape for of, shape in random if of == path] for path, _shape in random} if noise else {}
        self.streams = [(noise(path), shapes) for path, shapes in paths.items()] if noise else []
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
        return np.concatenate(drawn) if len(drawn) > 1 else drawn[0] if drawn else NO_NOISE


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


def _float_type(x: Array) -> np.dtype[Any]:
    return x.dtype if x.dtype in GEMM else np.dtype(np.float32)


def _read_only(array: np.ndarray) -> np.ndarray:
    """A view that is not written to: one type of argument whatever the caller gave."""
    view = array.view()
    view.flags.writeable = False
    return view

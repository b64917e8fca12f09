"""The fast engine: dense networks, whole epochs in one call of one compiled function.

What a network is, is told to that function as data (`Program`); what it computes stands in `compiled_kernel`. The
layers' own forward and backward remain the reference, and give a trace its intermediate values.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from math import isfinite, prod
from typing import Any

import numpy as np

from limpide.arrays import Array, Tree, show_shape
from limpide.engines.base import COMPILED_LAYERS, Noise, Precision, Trace
from limpide.engines.numpy_engine import NumpyTrainer
from limpide.errors import MissingPackage, ShapeError, Unsupported, problem
from limpide.i18n import _
from limpide.nn.layers import LAYERS
from limpide.nn.losses import LOSSES, Loss
from limpide.nn.network import Network, Parameters
from limpide.nn.optimizers import SGD, Adam, AdamW, Momentum, Optimizer, RMSProp

try:
    from limpide.engines import compiled_kernel as kernel
    from limpide.engines import compiled_loops as loops
    from limpide.engines.compiled_blas import GEMM, blas_threads
    from limpide.engines.compiled_program import write_program
except (ImportError, OSError) as error:
    raise MissingPackage(
        problem(_("engine {name}").format(name="compiled"), "numba", str(error), 'pip install "numba>=0.61"')
    ) from error

NOISE_NUMBERS = 4_000_000
"""How many numbers of noise are drawn at once: an epoch with dropout is cut into as many calls as that needs."""

EVALUATION_ROWS = 128
"""The rows of a block in an evaluation pass, unless batches are larger."""

RULES: dict[type[Optimizer], int] = {
    SGD: kernel.SGD,
    Momentum: kernel.MOMENTUM_RULE,
    RMSProp: kernel.RMSPROP,
    Adam: kernel.ADAM,
    AdamW: kernel.ADAM,
}


class CompiledEngine:
    """Runs dense networks with one compiled function."""

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


class _Machine:
    """The arrays that the compiled function works on.

    params, running  the weights and the running statistics, each in one vector
    slots            the optimizer's state: as many vectors as it has names for
    step             how many updates were made
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
        self.widest_product = max((row.multiply_adds for row in network.table()), default=0)
        self._prepare(1)
        given = Parameters.of(network, weights, self.dtype)
        self.params, self.grads = given.flat, np.zeros_like(given.flat)
        self.running = np.zeros(sum(size for _name, _start, size in self.program.running), self.dtype)
        for name, start, size in self.program.running:
            self.running[start : start + size] = given.buffers[name]
        self.slots = {name: np.zeros_like(self.params) for name in optimizer.slots}
        self.loss_code = loops.LOSS_CODES[loss.name]
        self.rule = kernel.NESTEROV if getattr(optimizer, "nesterov", False) else RULES[type(optimizer)]
        self.settings = _settings(optimizer)

    def _prepare(self, capacity: int) -> None:
        """Room for batches of so many rows."""
        self.program = program = write_program(self.network, capacity)
        self.numbers = program.numbers.astype(self.dtype)
        self.room = (
            np.zeros(program.work_size, self.dtype),
            np.zeros(2 * capacity * program.widest, self.dtype),
            np.ones(capacity, self.dtype),
            np.zeros(capacity * prod(self.network.output_shape), self.dtype),
            np.zeros(capacity, np.int64),
        )

    def run(self, mode: int, x: Array, y: Array, order: Array, batch_size: int, noise: Noise | None) -> np.ndarray:
        """The loss of each batch of `order`, up to the first that is not finite when training."""
        if max(batch_size, EVALUATION_ROWS) > self.program.capacity:
            self._prepare(max(batch_size, EVALUATION_ROWS))
        program = self.program
        rows, targets = self._rows(x), self._targets(y)
        order = _checked(np.ascontiguousarray(order, np.int64), len(rows), _("order of the rows"))
        losses = np.zeros(-(-len(order) // batch_size))
        is_noisy = program.random and mode in (kernel.TRAIN, kernel.GRADIENTS)
        streams = [(noise(path), shape) for path, shape in program.random] if is_noisy and noise else []
        width = sum(prod(shape) for _stream, shape in streams)
        # whole batches: each goes on in the streams where the one before it stopped
        at_once = max(NOISE_NUMBERS // (width * batch_size), 1) * batch_size if width else len(order)
        with blas_threads(batch_size * self.widest_product) as self.limit:
            for start in range(0, len(order), max(at_once, 1)):
                part = order[start : start + at_once]
                drawn = [stream.random((len(part), *shape), np.float32).reshape(-1) for stream, shape in streams]
                first = start // batch_size
                count = -(-len(part) // batch_size)
                begun = self._call(
                    mode,
                    rows,
                    targets,
                    part,
                    batch_size,
                    _joined(drawn),
                    losses[first : first + count],
                    self.params[:0],
                )
                if mode == kernel.TRAIN:
                    self.step += begun
                    if not isfinite(losses[first + begun - 1]):
                        self.step -= 1
                        return losses[: first + begun]
        return losses

    def _call(
        self,
        mode: int,
        x: np.ndarray,
        targets: tuple[np.ndarray, np.ndarray],
        order: np.ndarray,
        batch_size: int,
        noise: np.ndarray,
        losses: np.ndarray,
        outputs: np.ndarray,
    ) -> int:
        """The compiled function on some rows: how many batches were begun."""
        slots = [*self.slots.values(), self.params[:0], self.params[:0]]
        arguments = (
            mode,
            (GEMM[self.dtype], self.limit),
            (self.program.stages, self.numbers, self.program.trained),
            (self.params, self.grads, slots[0], slots[1], self.running),
            self.room,
            (*(_read_only(array) for array in (x, *targets, order)), noise),
            (self.loss_code, self.rule, self.settings, self._rates(len(losses)), self.step),
            batch_size,
            (losses, outputs),
        )
        try:
            return kernel.run(*arguments)
        except OSError:
            # it is compiled, but could not be written to a full disk
            return kernel.run(*arguments)

    def _rates(self, count: int) -> np.ndarray:
        """The learning rate of the next updates."""
        optimizer, schedule = self.optimizer, self.optimizer.schedule
        if schedule.name == "constant" and schedule.warm_up == 0:
            return np.full(count, optimizer.rate)
        return np.array([optimizer.rate_at(self.step + i, self.n_updates) for i in range(count)], np.float64)

    def evaluate(self, x: Array) -> np.ndarray:
        """The outputs in evaluation mode."""
        if self.program.capacity < EVALUATION_ROWS:
            self._prepare(EVALUATION_ROWS)
        rows, shape, n = self._rows(x), self.network.output_shape, self.program.capacity
        outputs = np.empty(len(rows) * prod(shape), self.dtype)
        order = np.arange(len(rows))
        nothing = np.zeros((0, 0), self.dtype), order[:0]
        with blas_threads(n * self.widest_product) as self.limit:
            self._call(kernel.EVALUATE, rows, nothing, order, n, _joined([]), np.zeros(0), outputs)
        return outputs.reshape(-1, *shape)

    def _rows(self, x: Array) -> np.ndarray:
        """Each example as one row of numbers."""
        if x.shape[1:] != self.network.input_shape:
            raise ShapeError(problem(_("input"), show_shape(self.network.input_shape), show_shape(x.shape[1:])))
        return np.ascontiguousarray(x, self.dtype).reshape(len(x), prod(self.network.input_shape))

    def _targets(self, y: Array) -> tuple[np.ndarray, np.ndarray]:
        """Values and classes: one of the two is empty."""
        n_out = prod(self.network.output_shape)
        if self.loss.labels == "classes":
            return np.zeros((0, n_out), self.dtype), _checked(np.ascontiguousarray(y, np.int64), n_out, _("classes"))
        if y.shape[1:] != self.network.output_shape:
            raise ShapeError(problem(_("target"), show_shape(self.network.output_shape), show_shape(y.shape[1:])))
        return np.ascontiguousarray(y, self.dtype).reshape(len(y), n_out), np.zeros(0, np.int64)


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

    def _buffers(self) -> Tree:
        machine = self.machine
        return {name: machine.running[start : start + n].copy() for name, start, n in machine.program.running}

    def weights(self) -> Tree:
        """A copy of the weights and buffers by full name."""
        return Parameters(self.machine.network, self.machine.params, self._buffers()).named()

    def state(self) -> Tree:
        """A copy of all that the next update depends on."""
        slots = {f"optimizer/{name}": array.copy() for name, array in self.machine.slots.items()}
        buffers = {f"buffer/{name}": array for name, array in self._buffers().items()}
        return {"params": self.machine.params.copy(), "step": np.array(self.machine.step), **slots, **buffers}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on exactly from a `state()`."""
        machine = self.machine
        machine.params[:] = state["params"]
        for name, array in machine.slots.items():
            array[:] = state[f"optimizer/{name}"]
        for name, start, n in machine.program.running:
            machine.running[start : start + n] = state[f"buffer/{name}"]
        machine.step = int(state["step"])

    def trace(self, x: Array, y: Array, noise: Noise) -> Trace:
        """The next step on this batch, opened; nothing is changed.

        Loss, updates and state are those of a copy of this trainer that really makes the step; what each layer saw and
        passed on is computed by the layers themselves.
        """
        machine = self.machine
        network, before = machine.network, self.state()
        # each of the two passes draws the noise of this step
        streams = {path: noise(path) for path, _shape in machine.program.random}
        again = copy.deepcopy(streams)
        arguments = (network, machine.loss, machine.optimizer, self.weights(), machine.n_updates, self.precision)
        opened, moved = NumpyTrainer(*arguments), CompiledTrainer(*arguments)
        for trainer in (opened, moved):
            trainer.load_state(before)
        trace = opened.trace(x, y, lambda path: streams[path])
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


def _refuse(network: Network, loss: Loss, optimizer: Optimizer) -> None:
    """Unsupported, naming what the compiled function does not have."""
    where, mend = _("engine {name}").format(name="compiled"), _("take the engine numpy or torch")
    for path, layer in zip(network.paths, network.layers, strict=True):
        if layer.keyword not in COMPILED_LAYERS or type(layer) is not LAYERS[layer.keyword]:
            raise Unsupported(
                problem(
                    _("layer {path}").format(path=path),
                    _("a layer that the engine {name} has ({known})").format(
                        name="compiled", known=", ".join(COMPILED_LAYERS)
                    ),
                    layer.keyword,
                    mend,
                )
            )
    if loss.name not in loops.LOSS_CODES or loss is not LOSSES[loss.name]:
        raise Unsupported(
            problem(where, _("a loss among {names}").format(names=", ".join(loops.LOSS_CODES)), loss.name, mend)
        )
    if type(optimizer) not in RULES:
        names = ", ".join(kind.name for kind in RULES)
        raise Unsupported(problem(where, _("an optimizer among {names}").format(names=names), optimizer.name, mend))


def _settings(optimizer: Optimizer) -> np.ndarray:
    """The optimizer's numbers, as `compiled_loops.update` reads them."""
    keep1 = keep2 = 0.0
    if isinstance(optimizer, Momentum):
        keep1 = optimizer.momentum
    elif isinstance(optimizer, RMSProp):
        keep1 = optimizer.decay
    elif isinstance(optimizer, Adam | AdamW):
        keep1, keep2 = optimizer.beta1, optimizer.beta2
    decays = (0.0, optimizer.weight_decay) if optimizer.decoupled else (optimizer.weight_decay, 0.0)
    return np.array([keep1, keep2, getattr(optimizer, "epsilon", 0.0), *decays, optimizer.clip_norm or 0.0])


def _checked(numbers: np.ndarray, n: int, what: str) -> np.ndarray:
    """IndexError unless all are from 0 to n - 1: the compiled function does not look."""
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < n):
        raise IndexError(problem(what, _("numbers from 0 to {last}").format(last=n - 1), str(numbers.max())))
    return numbers


def _float_type(x: Array) -> np.dtype[Any]:
    return x.dtype if x.dtype in GEMM else np.dtype(np.float32)


def _read_only(array: np.ndarray) -> np.ndarray:
    """A view that is not written to: one type of argument whatever the caller gave."""
    view = array.view()
    view.flags.writeable = False
    return view


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if len(parts) > 1 else parts[0] if parts else np.zeros(0, np.float32)

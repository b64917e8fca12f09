"""The fast engine: whole epochs in one call of one compiled function.

What a network is, is told to that function as data (`Program`); what it computes stands in `compiled_kernel`. The
layers' own forward and backward remain the reference, and give a trace its intermediate values.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limpide.arrays import Array, Tree
from limpide.engines.base import Noise, Precision, Trace, is_compiled, may_need_shares
from limpide.engines.numpy_engine import NumpyTrainer
from limpide.errors import MissingPackage, problem
from limpide.i18n import _
from limpide.nn.losses import LOSSES, Loss
from limpide.nn.network import Network, Parameters
from limpide.nn.optimizers import SGD, Optimizer

try:
    from limpide.engines.compiled_blas import GEMM
    from limpide.engines.compiled_kernel import GRADIENTS, GRADIENTS_IN_EVALUATION, TRAIN
    from limpide.engines.compiled_machine import Machine
except (ImportError, OSError) as error:
    raise MissingPackage(
        problem(_("engine {name}").format(name="compiled"), "numba", str(error), 'pip install "numba>=0.61"')
    ) from error


class CompiledEngine:
    """Runs networks with one compiled function."""

    name = "compiled"

    def forward(self, network: Network, weights: Mapping[str, np.ndarray], x: Array) -> np.ndarray:
        """The outputs in evaluation mode, in blocks of rows."""
        return Machine(network, LOSSES["mse"], SGD(), weights, _float_type(x)).evaluate(x)

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
        machine = Machine(network, loss, SGD(), weights, _float_type(x))
        mode = GRADIENTS if noise else GRADIENTS_IN_EVALUATION
        losses, _outputs = machine.run(mode, x, y, np.arange(len(x)), len(x), noise)
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
        with_shares = may_need_shares(layers)
        if not is_compiled(with_shares):
            # a command that fails meanwhile need not wait for it
            return
        network = Network.parse("1x1x1, conv 1 1x1, flatten, 1" if with_shares else "1, 1")
        weights = network.initialize(np.random.default_rng(0))
        x, y = np.zeros((1, *network.input_shape), precision), np.zeros((1, 1), precision)
        trainer = self.trainer(network, LOSSES["mse"], SGD(), weights, precision=precision)
        trainer.run(x, y, np.arange(1), 1, lambda _path: np.random.default_rng(0))


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
        self.machine = Machine(network, loss, optimizer, weights, np.dtype(precision), n_updates)

    def run(self, x: Array, y: Array, order: Array, batch_size: int, noise: Noise) -> np.ndarray:
        """One epoch: an update for each batch of `order`; the loss of each batch before its update."""
        return self.machine.run(TRAIN, x, y, order, batch_size, noise)[0]

    def run_and_evaluate(
        self, x: Array, y: Array, order: Array, batch_size: int, noise: Noise, measured: Sequence[Array]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """`run`, then `evaluate` for up to two times inputs, in one call."""
        return self.machine.run(TRAIN, x, y, order, batch_size, noise, measured)

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


def _float_type(x: Array) -> np.dtype[Any]:
    return x.dtype if x.dtype in GEMM else np.dtype(np.float32)

"""What every engine does, and what a look inside one step holds.

One network, several engines: `numpy` shows, others go faster; `limpide.testing` holds them equal. An engine draws no
random numbers: initial weights, the order of the rows and the streams of noise come from outside, so that all engines
take the same path.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from limpide.arrays import Array, Tree
from limpide.errors import UnknownName
from limpide.i18n import N_, _
from limpide.nn.losses import Loss
from limpide.nn.network import Network
from limpide.nn.optimizers import Optimizer

Precision = Literal["float32", "float64"]

Noise = Callable[[str], np.random.Generator]
"""From a layer's path, such as "3.dropout", to its stream of noise for one epoch."""


@dataclass
class LayerTrace:
    """What one layer saw and did in one step.

    grad_output  d loss / d output
    grads        d loss / d parameter, by the parameter's letter
    """

    path: str
    input: Array
    output: Array
    grad_output: Array
    grads: Tree = field(default_factory=dict)
    cache: Tree = field(default_factory=dict)


@dataclass
class Trace:
    """One training step opened: every intermediate number of it.

    grad_input  d loss / d x, of the shape of x
    updates     the change really added to each parameter, by full name
    state       the optimizer's state after the step, by slot and full name: "mean/0.dense.W"
    """

    loss: float
    output: Array
    layers: list[LayerTrace]
    grad_input: Array
    updates: Tree
    state: Tree

    def first_non_finite(self) -> str | None:
        """The layer and tensor where NaN or Inf first appears, forward then backward; None when all is finite."""
        for layer in self.layers:
            if not np.isfinite(layer.output).all():
                return _("layer {path}, output").format(path=layer.path)
        if not np.isfinite(self.loss):
            return _("loss")
        for layer in reversed(self.layers):
            for key, grad in layer.grads.items():
                if not np.isfinite(grad).all():
                    return _("layer {path}, gradient of {key}").format(path=layer.path, key=key)
        for name, update in self.updates.items():
            if not np.isfinite(update).all():
                return _("update of {name}").format(name=name)
        return None


class Trainer(Protocol):
    """Trains one network; holds the weights and the optimizer's state."""

    def run(self, x: Array, y: Array, order: Array, batch_size: int, noise: Noise) -> np.ndarray:
        """One epoch: an update for each batch of `order`, in that order.

        x, y     prepared inputs (n, *input_shape) and encoded targets
        order    row numbers, each visited once
        Returns  the loss of each batch, measured before its update. A loss that is not finite ends the epoch there:
                 it is then the last one returned, and its update was not made
        """
        ...

    def weights(self) -> Tree:
        """A copy of the weights and buffers by full name."""
        ...

    def state(self) -> Tree:
        """A copy of all that the next update depends on: weights, buffers, optimizer slots, the number of updates."""
        ...

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on exactly from a `state()`."""
        ...

    def trace(self, x: Array, y: Array, noise: Noise) -> Trace:
        """The next step on this batch, opened; nothing is changed."""
        ...

    def evaluate(self, x: Array) -> np.ndarray:
        """The outputs for these rows with the weights of the moment, in evaluation mode."""
        ...


class Engine(Protocol):
    """A way to run any network."""

    name: str

    def forward(self, network: Network, weights: Mapping[str, np.ndarray], x: Array) -> np.ndarray:
        """The outputs in evaluation mode, computed in blocks of rows so that memory stays bounded."""
        ...

    def loss_and_gradients(
        self,
        network: Network,
        loss: Loss,
        weights: Mapping[str, np.ndarray],
        x: Array,
        y: Array,
        noise: Noise | None = None,
    ) -> tuple[float, Tree]:
        """The loss of a batch and its gradient for each parameter by full name.

        noise  the streams of a training pass; None makes an evaluation pass
        """
        ...

    def trainer(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        weights: Mapping[str, np.ndarray],
        n_updates: int = 0,
        precision: Precision = "float32",
    ) -> Trainer:
        """A trainer that starts from these weights.

        n_updates  how many updates the rate's schedule counts on
        Raises     Unsupported for a layer, loss or optimizer the engine does not have
        """
        ...


ENGINES: dict[str, str] = {"numpy": "limpide.engines.numpy_engine:NumpyEngine"}


def get_engine(name: str) -> Engine:
    """The engine of that name, imported when first asked for."""
    if name not in ENGINES:
        raise UnknownName(_("engine"), name, ["auto", *ENGINES])
    module, _colon, cls = ENGINES[name].partition(":")
    engine: Engine = getattr(importlib.import_module(module), cls)()
    return engine


class Choice(NamedTuple):
    """An engine's name and why it was taken."""

    name: str
    why: str


NAMED = N_("named by the user")


def choose_engine(name: str, network: Network, n_updates: int) -> Choice:
    """The engine to use: the one named, or for "auto" the one the rules pick for this job.

    The rule today: `numpy` runs every network there is; no other engine is registered.

    Raises  UnknownName
    """
    if name != "auto":
        get_engine(name)
        return Choice(name, _(NAMED))
    return Choice("numpy", _("it runs every layer of this network and needs no compilation"))


def engine_versions() -> dict[str, Any]:
    """Each engine and the version of what it runs on."""
    return {"numpy": np.__version__}

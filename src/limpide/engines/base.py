"""What every engine does, and what a look inside one step holds.

One network, several engines: `numpy` shows, others go faster; `limpide.testing` holds them equal. An engine draws no
random numbers: initial weights, the order of the rows and the streams of noise come from outside, so that all engines
take the same path.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from limpide.arrays import Array, Tree, show_shape
from limpide.errors import RecipeError, UnknownName
from limpide.i18n import _, format_count, format_number, ngettext
from limpide.markup import table
from limpide.nn.losses import Loss
from limpide.nn.network import Network
from limpide.nn.optimizers import Optimizer

Precision = Literal["float32", "float64", "mixed"]
"""The type of the numbers; "mixed" keeps them in float32 and multiplies in 16 bits, with the torch engine only."""

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

    def _repr_html_(self) -> str:
        """What went through each layer and came back, in a notebook."""
        rows = []
        for layer in self.layers:
            updates = {key: self.updates[f"{layer.path}.{key}"] for key in layer.grads}
            shapes = [show_shape(np.shape(array)[1:]) for array in (layer.input, layer.output)]
            edges = [format_number(float(edge)) for edge in (np.min(layer.output), np.max(layer.output))]
            norms = [", ".join(f"{key} {_norm(a)}" for key, a in own.items()) for own in (layer.grads, updates)]
            rows.append((layer.path, " → ".join(shapes), *edges, _norm(layer.grad_output), *norms))
        n = len(self.output)
        caption = ngettext("one update on {n} row, loss {loss}", "one update on {n} rows, loss {loss}", n).format(
            n=format_count(n), loss=format_number(self.loss)
        )
        headers = (
            _("layer"),
            _("shapes"),
            _("least output"),
            _("greatest output"),
            _("‖∂J/∂output‖"),
            _("norms of the gradients"),
            _("norms of the updates"),
        )
        return table(headers, rows, right=(2, 3, 4), caption=caption)


def _norm(array: Array) -> str:
    return format_number(float(np.linalg.norm(np.asarray(array, np.float64))), 3)


class Trainer(Protocol):
    """Trains one network; holds the weights and the optimizer's state."""

    def run(self, x: Array, y: Array, order: Array, batch_size: int, noise: Noise) -> np.ndarray:
        """One epoch: an update for each batch of `order`, in that order.

        x, y     prepared inputs (n, *input_shape) and encoded targets
        order    row numbers, in the order of their visits; a row may come several times
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


def run_and_evaluate(
    trainer: Trainer, x: Array, y: Array, order: Array, batch_size: int, noise: Noise, measured: Sequence[Array]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """An epoch, and the outputs for other inputs with the weights behind it; none where a loss is not finite.

    In one call where the trainer has one, of this name: for up to two times inputs.
    """
    both_at_once = getattr(trainer, "run_and_evaluate", None)
    if both_at_once is not None and len(measured) <= 2:
        told: tuple[np.ndarray, list[np.ndarray]] = both_at_once(x, y, order, batch_size, noise, measured)
        return told
    losses = trainer.run(x, y, order, batch_size, noise)
    is_finite = len(losses) == 0 or np.isfinite(losses[-1])
    return losses, [trainer.evaluate(rows) for rows in measured] if is_finite else []


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


@runtime_checkable
class LoadsCode(Protocol):
    """An engine whose machine code can be brought from the disk before there is anything to compute."""

    def load_code(self, precision: Precision, layers: str) -> None:
        """Have at hand what a network of these layers needs, if it is there."""
        ...


ENGINES: dict[str, str] = {
    "numpy": "limpide.engines.numpy_engine:NumpyEngine",
    "compiled": "limpide.engines.compiled_engine:CompiledEngine",
    "torch": "limpide.engines.torch_engine:TorchEngine",
}


def get_engine(name: str) -> Engine:
    """The engine of that name, imported when first asked for."""
    if name not in ENGINES:
        raise UnknownName(_("engine"), name, ["auto", *ENGINES])
    module, _colon, cls = ENGINES[name].partition(":")
    engine: Engine = getattr(importlib.import_module(module), cls)()
    return engine


def float_type(precision: Precision) -> np.dtype[Any]:
    """The type of the weights."""
    return np.dtype("float32" if precision == "mixed" else precision)


def may_need_shares(layers: str | None) -> bool:
    """Whether layers written like this, or chosen by limpide, may need the compiled engine's second function: all that
    are not dense."""
    return layers is None or any(word in layers for word in ("conv", "pool", "batchnorm", "dropout", "residual"))


def is_compiled(with_shares: bool = False) -> bool:
    """Whether Numba keeps the compiled engine on disk, newer than its text; told without loading Numba."""
    folder = Path(__file__).parent
    kept, files = folder / "__pycache__", "compiled_{}.*.nbi"
    if "NUMBA_CACHE_DIR" in os.environ:
        kept, files = Path(os.environ["NUMBA_CACHE_DIR"]), "*/compiled_{}.*.nbi"
    changed = max((path.stat().st_mtime for path in folder.glob("compiled_*.py")), default=0)
    parts = ("kernel", "shares") if with_shares else ("kernel",)
    return all(any(path.stat().st_mtime > changed for path in kept.glob(files.format(part))) for part in parts)


def caution(name: str) -> str:
    """What a run of this engine cannot promise here; "" where the same recipe gives the same bits again."""
    engine = sys.modules.get("limpide.engines.torch_engine")
    device = engine.choose_device().type if engine and name == "torch" else "cpu"
    if device == "cpu":
        return ""
    return _("computed on {device}: the same recipe gives the same numbers again but for their last digits").format(
        device=device
    )


@lru_cache(maxsize=2)
def _version(package: str) -> str:
    """Its version, from a file that takes longer to read than a small network to measure."""
    return version(package)


@lru_cache(maxsize=2)
def _is_installed(package: str) -> bool:
    """The same: many a folder is looked through."""
    return find_spec(package) is not None


def engine_versions() -> dict[str, Any]:
    """Each engine and the version of what it runs on."""
    numba = _version("numba") if _is_installed("numba") else _("not installed")
    return {"numpy": np.__version__, "compiled": f"numba {numba}", "torch": _torch_version()}


def _torch_version() -> str:
    """PyTorch's version, without loading it; once the engine is loaded, its device too."""
    if not _is_installed("torch"):
        return _("not installed")
    engine = sys.modules.get("limpide.engines.torch_engine")
    # a device that is not there stops those who want it
    with suppress(RecipeError):
        return _version("torch") + (f", {engine.choose_device()}" if engine else "")
    return _version("torch")

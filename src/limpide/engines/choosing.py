"""Which engine a training gets: the one that is named, else the one that will be done first.

Loading and compiling count. The figures are measured (benchmarks/LOG.md) and lie on the safe side: no small training
may become slower.
"""

from __future__ import annotations

import platform
import shutil
import sys
from importlib.util import find_spec
from math import prod
from typing import NamedTuple

from limpide.distributed import place
from limpide.engines.base import Precision, get_engine, is_compiled
from limpide.errors import MissingPackage, RecipeError, problem
from limpide.i18n import _
from limpide.nn.layers import Activation
from limpide.nn.network import Network
from limpide.settings import setting

SMALLEST_CONVOLUTION = 100_000
"""Multiply-adds of one example below which convolutions take PyTorch as long as NumPy, or longer."""

TORCH_WORK = 32_000_000_000
"""Multiply-adds of all examples passed through that pay for loading PyTorch (1.2 s) three times over."""

SAVED_PER_LAYER, SAVED_PER_PARAMETER, SAVED_PER_CONVOLUTION = 9e-6, 2e-9, 6e-11
"""Seconds that the compiled engine saves beside NumPy, at least: at each update for each layer and each parameter;
where there are convolutions, for each multiply-add of an example instead."""

SAVED_PER_OUTPUT = 1e-8
"""The same for each number that an activation gives, the measuring of the epoch included: NumPy goes over it several
times, and takes an exponential of most."""
SAVED_PER_EASY_OUTPUT = {"identity": 0.0, "step": 0.0, "softmax": 0.0, "relu": 1e-9, "tanh": 1e-9}

SECONDS_TO_LOAD, SECONDS_TO_COMPILE, SECONDS_FOR_SHARES = 0.6, 12.0, 15.0
"""What the compiled engine takes before its first update: where its code is on disk; where it must be compiled; what
layers other than dense ones add to compiling."""


class Choice(NamedTuple):
    """An engine's name and why it was taken."""

    name: str
    why: str


def choose_engine(
    name: str, network: Network, n_updates: int, precision: Precision = "float32", batch_size: int = 32
) -> Choice:
    """The engine to use, and why: the one named, or for "auto" the one that the rules pick.

    n_updates  of the whole training, each with `batch_size` examples
    Raises     UnknownName; RecipeError for an engine that lacks what is asked of it; MissingPackage
    """
    why_torch = ""
    if precision == "mixed":
        why_torch = _("the one engine that multiplies in 16 bits")
    if place().is_shared:
        why_torch = _("the one engine that several processes can share")
    if why_torch and name not in ("auto", "torch"):
        raise RecipeError(problem("engine", f"torch, {why_torch}", name))
    if why_torch and name == "auto":
        get_engine("torch")
        return Choice("torch", why_torch)
    if name != "auto":
        get_engine(name)
        return Choice(name, _("named by the user"))
    return _fastest(network, n_updates, batch_size)


def _fastest(network: Network, n_updates: int, batch_size: int) -> Choice:
    """`compiled` once there is enough to do to repay loading it; for convolutions `torch`, where there may be a GPU or
    `compiled` would have to be compiled first; else `numpy`, which needs neither."""
    work = sum(row.multiply_adds for row in network.table()) if _has_convolutions(network) else 0
    is_large = work >= SMALLEST_CONVOLUTION and work * n_updates * batch_size >= TORCH_WORK
    is_torch_there = is_large and find_spec("torch") is not None
    if is_torch_there and _may_have_gpu():
        return Choice("torch", _("convolutions of this size, and a machine that may have a GPU"))
    if is_torch_there and not is_compiled(with_shares=True):
        return Choice("torch", _("convolutions of this size take about half as long as with numpy, loading included"))
    if _pays_for_compiling(network, work, n_updates, batch_size):
        try:
            get_engine("compiled")
        except (MissingPackage, ImportError) as error:
            return Choice("numpy", _("the compiled engine would be faster, but: {reason}").format(reason=error))
        return Choice("compiled", _("so many updates repay its loading, and where it is new here its compilation"))
    return Choice("numpy", _("it runs every layer of this network and needs no compilation"))


def _has_convolutions(network: Network) -> bool:
    # those within residuals too: kernels are the only parameters with four axes
    return any(len(slot.shape) == 4 for slot in network.slots)


def _may_have_gpu() -> bool:
    """Whether this looks like a machine with a GPU that PyTorch can use; told without loading PyTorch."""
    named = setting("LIMPIDE_DEVICE")
    if named:
        return named != "cpu"
    is_apple = sys.platform == "darwin" and platform.machine() == "arm64"
    return is_apple or shutil.which("nvidia-smi") is not None


def _pays_for_compiling(network: Network, work: int, n_updates: int, batch_size: int) -> bool:
    """Whether the compiled engine saves more than it takes to begin.

    work  multiply-adds of an example, where there are convolutions; else 0
    """
    if work:
        per_example, per_update = SAVED_PER_CONVOLUTION * work, 0.0
    else:
        per_example = sum(
            SAVED_PER_EASY_OUTPUT.get(layer.function, SAVED_PER_OUTPUT) * prod(shape)
            for layer, shape in zip(network.layers, network.shapes[1:], strict=True)
            if isinstance(layer, Activation)
        )
        per_update = SAVED_PER_LAYER * len(network.layers) + SAVED_PER_PARAMETER * network.n_parameters
    saved = n_updates * (per_update + batch_size * per_example)
    # dropout and batch norm, like images, are done by the second of the two functions that are compiled
    with_shares = any(layer.keyword not in ("dense", "activation", "flatten") for layer in network.layers)
    to_compile = SECONDS_TO_COMPILE + (SECONDS_FOR_SHARES if with_shares else 0)
    # twice the cost: most trainings stop before their last update
    return saved > 2 * (SECONDS_TO_LOAD if is_compiled(with_shares) else to_compile)

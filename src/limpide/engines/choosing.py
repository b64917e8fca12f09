"""Which engine a training gets: the one that is named, else the one that will be done first.

Loading and compiling count. The figures are measured (benchmarks/LOG.md) and lie on the safe side: no small training
may become slower.
"""

from __future__ import annotations

import platform
import shutil
import sys
from importlib.util import find_spec
from typing import NamedTuple

from limpide.distributed import place
from limpide.engines.base import Precision, get_engine, is_compiled
from limpide.errors import MissingPackage, RecipeError, problem
from limpide.i18n import _
from limpide.nn.network import Network
from limpide.settings import setting

SMALLEST_CONVOLUTION = 100_000
"""Multiply-adds of one example below which convolutions take PyTorch as long as NumPy, or longer."""

TORCH_WORK = 1_000_000_000
"""Multiply-adds of one example, times updates, that pay for loading PyTorch (1.2 s) three times over at batch 32."""

SAVED_PER_LAYER, SAVED_PER_PARAMETER, SAVED_PER_CONVOLUTION = 9e-6, 2e-9, 2e-9
"""Seconds that the compiled engine saves at each update beside NumPy, at least: for each layer and each parameter;
where there are convolutions, for each multiply-add of an example instead."""

SECONDS_TO_LOAD, SECONDS_TO_COMPILE, SECONDS_FOR_SHARES = 0.6, 12.0, 15.0
"""What the compiled engine takes before its first update: where its code is on disk; where it must be compiled; what
layers other than dense ones add to compiling."""


class Choice(NamedTuple):
    """An engine's name and why it was taken."""

    name: str
    why: str


def choose_engine(name: str, network: Network, n_updates: int, precision: Precision = "float32") -> Choice:
    """The engine to use, and why: the one named, or for "auto" the one that the rules pick.

    n_updates  of the whole training
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
    return _fastest(network, n_updates)


def _fastest(network: Network, n_updates: int) -> Choice:
    """`compiled` once there is enough to do to repay loading it; for convolutions `torch`, where there may be a GPU or
    `compiled` would have to be compiled first; else `numpy`, which needs neither."""
    work = sum(row.multiply_adds for row in network.table()) if _has_convolutions(network) else 0
    is_torch_there = work >= SMALLEST_CONVOLUTION and work * n_updates >= TORCH_WORK and find_spec("torch") is not None
    if is_torch_there and _may_have_gpu():
        return Choice("torch", _("convolutions of this size, and a machine that may have a GPU"))
    if is_torch_there and not is_compiled(with_shares=True):
        return Choice("torch", _("convolutions of this size take about half as long as with numpy, loading included"))
    if _pays_for_compiling(network, work, n_updates):
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


def _pays_for_compiling(network: Network, work: int, n_updates: int) -> bool:
    """Whether the compiled engine saves more than it takes to begin.

    work  multiply-adds of an example, where there are convolutions; else 0
    """
    if work:
        saved = n_updates * SAVED_PER_CONVOLUTION * work
    else:
        saved = n_updates * (SAVED_PER_LAYER * len(network.layers) + SAVED_PER_PARAMETER * network.n_parameters)
    # dropout and batch norm, like images, are done by the second of the two functions that are compiled
    with_shares = any(layer.keyword not in ("dense", "activation", "flatten") for layer in network.layers)
    to_compile = SECONDS_TO_COMPILE + (SECONDS_FOR_SHARES if with_shares else 0)
    # twice the cost: most trainings stop before their last update
    return saved > 2 * (SECONDS_TO_LOAD if is_compiled(with_shares) else to_compile)

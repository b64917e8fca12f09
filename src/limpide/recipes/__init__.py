"""The recipes that come with limpide: a TOML file each beside this one, by a name that stands for a source.

To add one, put a file here and a line in `SHIPPED`.
"""

from __future__ import annotations

from pathlib import Path

from limpide.i18n import N_
from limpide.recipe import Recipe

SHIPPED: dict[str, str] = {
    "mnist-fast": N_("MNIST to 98.9% in seconds: two strided convolutions, two epochs"),
    "mnist-99": N_("MNIST to 99% in seconds: the same with twice as wide a hidden layer"),
    "mnist-99.5": N_("MNIST beyond 99%: twice as wide, ten epochs on images moved by up to a pixel"),
    "mnist-book": N_("MNIST by five hidden layers of 40, with plain gradient descent"),
    "rn-1": N_("MNIST by three hidden layers, 784-512-256-128-10"),
    "rn-2": N_("MNIST by two convolutions of 32 and 64 channels"),
    "cnn-relu": N_("MNIST by two convolutions of 16 and 32 channels, with ReLU"),
    "cnn-leaky": N_("MNIST by two convolutions of 16 and 32 channels, with leaky ReLU"),
    "cnn-silu": N_("MNIST by two convolutions of 16 and 32 channels, with SiLU"),
}
"""By name, what each does."""


def shipped(name: str) -> Recipe:
    """A recipe that comes with limpide.

    >>> shipped("rn-1").data.source
    'mnist'
    """
    return Recipe.read(Path(__file__).parent / f"{name}.toml")

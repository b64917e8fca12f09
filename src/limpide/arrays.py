"""The words for arrays that every floor uses."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
"""An array of the engine at hand: NumPy, torch. Across engines no narrower word is true."""

Shape = tuple[int, ...]
"""The shape of one example: the batch axis is never in it."""

Tree = dict[str, Array]
"""Arrays by name."""


def show_shape(shape: Shape) -> str:
    """A shape as the literature writes it.

    >>> show_shape((1, 28, 28)), show_shape((10,))
    ('1×28×28', '10')
    """
    return "×".join(str(size) for size in shape)


def first_bad(array: np.ndarray) -> str | None:
    """ "NaN" or "Inf" when the array holds one, else None."""
    if np.isfinite(array).all():
        return None
    return "NaN" if np.isnan(array).any() else "Inf"

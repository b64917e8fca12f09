"""The threads that help with compiled calls: kept, and called for each call that is long enough."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np

from limpide.engines.compiled_kernel import help_run
from limpide.engines.compiled_team import DESK_SIZE, END

NOBODY = np.zeros(0, np.int64)
"""The desk of a call without helpers."""


def call_helpers(
    n: int, addresses: tuple[int, int, int], tables: Any, vector: np.ndarray, noise: np.ndarray, settings: np.ndarray
) -> np.ndarray:
    """The desk of a call that so many threads come to help with, each as soon as it can.

    addresses  of the BLAS function, of `yield_address`, and of `share_address`
    """
    desk = np.zeros(DESK_SIZE, np.int64)
    for _i in range(n):
        _threads(n).submit(help_run, (*addresses[:2], desk, addresses[2]), tables, vector, noise, settings)
    return desk


def dismiss(desk: np.ndarray) -> None:
    """The call is over."""
    if len(desk) > 0:
        desk[END] = 1


@lru_cache(maxsize=4)
def _threads(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n, "limpide")

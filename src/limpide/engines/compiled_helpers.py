"""The threads that help with compiled calls: kept, and called for each call that is long enough."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np

from limpide.engines.compiled_kernel import get_help_run
from limpide.engines.compiled_sheet import Sheet, address
from limpide.engines.compiled_team import DESK_SIZE, END


def call_helpers(n: int, dtype: np.dtype[Any], sheet: Sheet, arrays: Any) -> np.ndarray:
    """The desk of a call that so many threads come to help with, each as soon as it can.

    arrays  those that the sheet names: one who comes when the call is over still looks at them
    """
    desk = np.zeros(DESK_SIZE, np.int64)
    sheet.desk, sheet.n_desk = address(desk), len(desk)
    # what is written on the sheet for the next call is not for these
    copy = Sheet.from_buffer_copy(sheet)
    for _i in range(n):
        _threads(n).submit(_help, dtype, copy, (desk, arrays))
    return desk


def _help(dtype: np.dtype[Any], sheet: Sheet, arrays: Any) -> None:
    get_help_run(dtype)(ctypes.addressof(sheet))


def dismiss(desk: np.ndarray, sheet: Sheet) -> None:
    """The call is over."""
    desk[END : END + 1] = 1
    sheet.desk, sheet.n_desk = 0, 0


@lru_cache(maxsize=4)
def _threads(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n, "limpide")

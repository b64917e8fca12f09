"""Functions compiled once for all networks, kept on disk, and called by their address."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from numba import cfunc

from limpide.engines.compiled_loops import REORDER


def fingerprint(*modules: ModuleType) -> int:
    """A number made of what the files say.

    What a function takes from around it is part of its name on disk, where else only a change of its own file is
    noticed: so a function that is compiled from several files takes this number along.
    """
    return zlib.crc32("".join(map(inspect.getsource, modules)).encode())


def address_of(function: Callable[..., Any], signature: Any) -> int:
    """Where the compiled function begins; from the disk if it is there, and kept there if that can be written."""
    options: dict[str, Any] = {"error_model": "numpy", "fastmath": REORDER}
    compiler: Any = cfunc
    try:
        made = compiler(signature, cache=True, **options)(function)
    except (RuntimeError, OSError):
        # no folder can be written, or the disk is full
        made = compiler(signature, **options)(function)
    _kept.append(made)
    address: int = made.address
    return address


_kept: list[Any] = []
"""What would be gone with its last user, though its address is still called."""

"""Products of matrices inside compiled loops: SciPy's BLAS called on places of one vector, without views or checks.

`np.dot` would do, at 0.2 µs more for each product: as much as the product itself where layers are small. OpenBLAS
multiplies small matrices in place and packs large ones, which takes longer: large products are therefore cut into small
ones (benchmarks/LOG.md). The cut depends on the sizes alone, and the pieces of a product may be shared among threads.
"""

from __future__ import annotations

import sys
import threading
from functools import lru_cache
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address
from threadpoolctl import LibController, ThreadpoolController

from limpide.engines.compiled_loops import keep_apart, loops
from limpide.engines.compiled_team import TASK, claim, finish, gather_in, is_shared, publish
from limpide.engines.compiled_views import intrinsic, part

SMALL = 1_000_000
"""Multiply-adds up to which OpenBLAS multiplies in place."""

SMALL_TURNED = 250_000
"""The same where the second matrix stands turned."""

WORTH_TURNING = 24
"""Rows of a small product from which it pays to turn its second matrix."""

BLOCK, TURNED_ROWS, TURNED_COLUMNS = 64, 16, 32
"""The sides of a piece: of both where the second matrix stands as it is, else of its rows and of its columns."""

UNSHARED = 262_144
"""Multiply-adds of the widest product up to which OpenBLAS takes one thread by itself."""

WORTH_SHARING = 2_000_000
"""Multiply-adds of a product, some 40 µs, from which several threads are sooner done than one."""

PRODUCT = 0
"""The task of `compiled_team` that is a product."""


def _blas_of_scipy() -> ModuleType:
    """SciPy's BLAS, without the rest of `scipy.linalg`, which takes forty times as long to load."""
    name = "scipy.linalg.cython_blas"
    scipy = find_spec("scipy")
    folders = [str(Path(folder) / "linalg") for folder in scipy.submodule_search_locations or ()] if scipy else []
    found = [FileFinder(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec(name) for folder in folders]
    if name in sys.modules or not found or found[0] is None or found[0].loader is None:
        return import_module(name)
    module = module_from_spec(found[0])
    # where everybody finds it who asks for it by name, Numba first
    sys.modules[name] = module
    try:
        found[0].loader.exec_module(module)
    except ImportError:
        del sys.modules[name]
        return import_module(name)
    return module


def _address(name: str) -> int:
    """Where a BLAS function begins in memory.

    Raises  ImportError when SciPy's BLAS counts in other whole numbers than those that are passed to it
    """
    if '"void (char *, char *, int *, int *, int *' not in str(vars(_BLAS_OF_SCIPY)["__pyx_capi__"][name]):
        raise ImportError(f"scipy.linalg.cython_blas.{name}")
    return int(get_cython_function_address("scipy.linalg.cython_blas", name))


_BLAS_OF_SCIPY = _blas_of_scipy()
GEMM = {np.dtype(np.float32): _address("sgemm"), np.dtype(np.float64): _address("dgemm")}
"""The product of each float type."""

_code: Any = cgutils
_types: Any = types


@intrinsic
def gemm(typingctx: Any, address: Any, turned: Any, sizes: Any, memory: Any, places: Any, beta: Any) -> Any:
    """The BLAS call `c = a b + beta c`, on matrices laid out column by column.

    turned  whether a is transposed, whether b is
    sizes   rows of c, columns of c, terms of each sum
    places  of a, b and c: where the matrix begins, and how far apart its columns are
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        ir = _code.ir
        data = context.make_array(signature.args[3])(context, builder, args[3]).data

        def keep(value: Any) -> Any:
            return _code.alloca_once_value(builder, value)

        def letter(i: int) -> Any:
            is_turned = builder.trunc(builder.extract_value(args[1], i), ir.IntType(1))
            return keep(builder.select(is_turned, ir.IntType(8)(ord("T")), ir.IntType(8)(ord("N"))))

        def integer(values: Any, i: int) -> Any:
            return keep(builder.trunc(builder.extract_value(values, i), ir.IntType(32)))

        def matrix(i: int) -> list[Any]:
            return [builder.gep(data, [builder.extract_value(args[4], i)]), integer(args[4], i + 1)]

        one = keep(context.get_constant(memory.dtype, 1))
        given = [letter(0), letter(1), *(integer(args[2], i) for i in range(3))]
        given += [one, *matrix(0), *matrix(2), keep(args[5]), *matrix(4)]
        function = ir.FunctionType(ir.VoidType(), [value.type for value in given]).as_pointer()
        builder.call(builder.inttoptr(args[0], function), given)
        return context.get_dummy_value()

    flags = _types.UniTuple(_types.boolean, 2)
    counts, places = _types.UniTuple(_types.int64, 3), _types.UniTuple(_types.int64, 6)
    return _types.void(_types.int64, flags, counts, memory, places, memory.dtype), generate


@loops
def _even(n: int, most: int) -> int:
    """The size of equal parts of n that are not larger than `most`."""
    return -(-n // -(-n // most))


@loops
def _piece(address: int, memory: Any, sizes: Any, block: Any, a: Any, b: Any, c: int, i: int) -> None:
    """One piece of `c = a b`: all the terms of a block of c.

    block  its rows and columns, and how many terms are summed in one call
    a, b   where the matrix begins, whether it stands turned
    """
    keep_apart()
    (m, n, k), (rows, columns, depth) = sizes, block
    (a_at, a_turned), (b_at, b_turned) = a, b
    zero, one = memory.dtype.type(0), memory.dtype.type(1)
    across = -(-n // columns)
    down = -(-m // rows)
    # whoever has the same share of the pieces finds the same rows of a matrix of weights in each of its products
    row, column = (i % down, i // down) if b_turned else (i // across, i % across)
    row, column = row * rows, column * columns
    rows, columns = min(rows, m - row), min(columns, n - column)
    a_step, b_step = m if a_turned else k, k if b_turned else n
    a_at += row if a_turned else row * k
    b_at += column * k if b_turned else column
    c += row * n + column
    for first in range(0, k, depth):
        a_place, b_place = a_at + (first * m if a_turned else first), b_at + (first if b_turned else first * n)
        # what stands row by row is, column by column, transposed: c' = b' a'
        terms, beta = min(depth, k - first), one if first else zero
        places = b_place, b_step, a_place, a_step, c, n
        gemm(address, (b_turned, a_turned), (columns, rows, terms), memory, places, beta)


@loops
def product(
    tools: Any, memory: Any, m: int, n: int, k: int, a_at: int, a_turned: bool, b_at: int, b_turned: bool, c_at: int
) -> None:
    """`c = a b` of m by k and k by n numbers, row by row from places of one vector; a or b may stand turned.

    tools  the address of the BLAS function, that of `yield_address`, the desk of `compiled_team`, the address of
           `compiled_shares.share_address`, that of a share
    """
    keep_apart()
    address, way, desk, _share = tools
    a, b, work = (a_at, a_turned), (b_at, b_turned), m * n * k
    if work <= (SMALL_TURNED if b_turned else SMALL):
        # in one piece: the divisions below show beside so small a product
        places = b_at, k if b_turned else n, a_at, m if a_turned else k, c_at, n
        gemm(address, (b_turned, a_turned), (n, m, k), memory, places, memory.dtype.type(0))
        return
    rows, columns = min(TURNED_ROWS if b_turned else BLOCK, m), min(TURNED_COLUMNS if b_turned else BLOCK, n)
    depth = _even(k, SMALL // (rows * columns))
    if not b_turned:
        # few terms: more rows
        rows = _even(m, SMALL // (columns * depth))
    pieces = -(-m // rows) * -(-n // columns)
    is_together = work >= WORTH_SHARING and is_shared(desk)
    if is_together:
        task = part(desk, TASK, 12)
        task[0], task[1], task[2], task[3], task[4], task[5] = PRODUCT, m, n, k, a_at, a_turned
        task[6], task[7], task[8], task[9], task[10], task[11] = b_at, b_turned, c_at, rows, columns, depth
        publish(desk, pieces)
    i = claim(desk, False) if is_together else 0
    while 0 <= i < pieces:
        _piece(address, memory, (m, n, k), (rows, columns, depth), a, b, c_at, i)
        i = finish(desk, False) if is_together else i + 1
    if is_together:
        gather_in(desk, pieces, way)


@loops
def product_back(tools: Any, memory: Any, m: int, n: int, k: int, a_at: int, b_at: int, c_at: int, room: int) -> None:
    """`c = a b'` for a matrix b of n by k; where that is faster b is turned first, into `room`."""
    if k > 1 and (m < WORTH_TURNING or m * n * k > SMALL_TURNED):
        product(tools, memory, m, n, k, a_at, False, b_at, True, c_at)
        return
    if k > 1:
        for j in range(k):
            row, column = part(memory, room + j * n, n), part(memory, b_at + j, n * k - j)
            for i in range(n):
                row[i] = column[i * k]
    product(tools, memory, m, n, k, a_at, False, room if k > 1 else b_at, False, c_at)


@loops
def help_product(address: int, memory: Any, desk: Any, i: int) -> None:
    """A piece of the product that stands on the desk."""
    task = part(desk, TASK, 12)
    a, b, block = (task[4], task[5] != 0), (task[6], task[7] != 0), (task[9], task[10], task[11])
    _piece(address, memory, (task[1], task[2], task[3]), block, a, b, task[8], i)


class _Blas:
    """SciPy's BLAS while compiled calls are under way: one thread of its own, for they share the work themselves.

    Calls side by side are counted: the last to leave gives the threads back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: list[tuple[LibController, int]] = []
        self._calls = 0

    def __enter__(self) -> int:
        """How many threads this call may have: as many as BLAS was given, if it is alone."""
        with self._lock:
            self._calls += 1
            if self._calls > 1:
                return 1
            self._threads = [(library, library.num_threads) for library in _libraries()]
            for library, n in self._threads:
                if n != 1:
                    library.set_num_threads(1)
            return max((n for _library, n in self._threads), default=1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._calls -= 1
            if self._calls == 0:
                for library, n in self._threads:
                    if n != 1:
                        library.set_num_threads(n)


BLAS = _Blas()


@lru_cache(maxsize=1)
def _libraries() -> list[LibController]:
    """The BLAS that SciPy calls; every BLAS of this process where it cannot be told apart."""
    found = [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]
    return [library for library in found if "scipy" in library.filepath] or found

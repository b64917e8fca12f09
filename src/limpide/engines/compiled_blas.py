"""Products of matrices inside compiled loops: SciPy's BLAS called on places of flat vectors, without views or checks.

`np.dot` would do, at 0.2 µs more for each product: as much as the product itself where layers are small.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address
from scipy.linalg import cython_blas
from threadpoolctl import LibController, ThreadpoolController

from limpide.engines.compiled_loops import intrinsic, loops

SMALL = 1_000_000
"""Multiply-adds up to which OpenBLAS multiplies in place, without packing: larger products are cut into such pieces
when one thread computes them, which is a fifth faster on the shapes of dense layers (benchmarks/LOG.md)."""

SHORTEST = 16
"""The least length of a piece."""

SHARED_PRODUCT = 500_000_000
"""Multiply-adds of the widest product from which BLAS may use its threads. Below, they save a third of the time on a
quiet machine, and cost ten times that on one whose cores are busy (benchmarks/LOG.md)."""

NEVER = 1 << 62
"""As `limit`: leave products whole, so that BLAS can share them among threads."""


def _address(name: str) -> int:
    """Where a BLAS function begins in memory.

    Raises  ImportError when SciPy's BLAS counts in other whole numbers than those that are passed to it
    """
    if '"void (char *, char *, int *, int *, int *' not in str(vars(cython_blas)["__pyx_capi__"][name]):
        raise ImportError(f"scipy.linalg.cython_blas.{name}")
    return int(get_cython_function_address("scipy.linalg.cython_blas", name))


GEMM = {np.dtype(np.float32): _address("sgemm"), np.dtype(np.float64): _address("dgemm")}
"""The product of each float type."""

_code: Any = cgutils
_types: Any = types


@intrinsic
def _gemm(
    typingctx: Any,
    address: Any,
    turned: Any,
    sizes: Any,
    a: Any,
    a_at: Any,
    b: Any,
    b_at: Any,
    beta: Any,
    c: Any,
    c_at: Any,
) -> Any:
    """The BLAS call `c = a b + beta c`, on matrices laid out column by column.

    turned  whether a is transposed, whether b is
    sizes   rows of c, columns of c, terms of each sum
    at      where the matrix begins in its vector, and how far apart its columns are
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        ir = _code.ir

        def keep(value: Any) -> Any:
            return _code.alloca_once_value(builder, value)

        def letter(i: int) -> Any:
            is_turned = builder.trunc(builder.extract_value(args[1], i), ir.IntType(1))
            return keep(builder.select(is_turned, ir.IntType(8)(ord("T")), ir.IntType(8)(ord("N"))))

        def integer(values: Any, i: int) -> Any:
            return keep(builder.trunc(builder.extract_value(values, i), ir.IntType(32)))

        def matrix(i: int) -> list[Any]:
            data = context.make_array(signature.args[i])(context, builder, args[i]).data
            return [builder.gep(data, [builder.extract_value(args[i + 1], 0)]), integer(args[i + 1], 1)]

        one = keep(context.get_constant(a.dtype, 1))
        given = [letter(0), letter(1), *(integer(args[2], i) for i in range(3))]
        given += [one, *matrix(3), *matrix(5), keep(args[7]), *matrix(8)]
        function = ir.FunctionType(ir.VoidType(), [value.type for value in given]).as_pointer()
        builder.call(builder.inttoptr(args[0], function), given)
        return context.get_dummy_value()

    place = _types.UniTuple(_types.int64, 2)
    flags, counts = _types.UniTuple(_types.boolean, 2), _types.UniTuple(_types.int64, 3)
    return _types.void(_types.int64, flags, counts, a, place, b, place, a.dtype, c, place), generate


@loops
def product(
    gemm: Any,
    m: int,
    n: int,
    k: int,
    a: Any,
    a_at: int,
    a_turned: bool,
    b: Any,
    b_at: int,
    b_turned: bool,
    c: Any,
    c_at: int,
) -> None:
    """`c = a b` of m by k and k by n numbers, row by row from a place of each vector; a or b may stand turned.

    gemm  the address of the BLAS function, and the multiply-adds above which a product is cut
    """
    address, limit = gemm
    zero, one = c.dtype.type(0), c.dtype.type(1)
    # what stands row by row is, column by column, transposed: c' = b' a'
    turned, b_step, a_step = (b_turned, a_turned), k if b_turned else n, m if a_turned else k
    pieces = 1 if b_turned else -(-(m * n * k) // limit)
    whole = m if a_turned else k
    length = max(-(-whole // pieces), SHORTEST)
    for first in range(0, whole, length):
        part = min(length, whole - first)
        if a_turned:
            places = (b_at, b_step), (a_at + first, a_step), (c_at + first * n, n)
            _gemm(address, turned, (n, part, k), b, places[0], a, places[1], zero, c, places[2])
        else:
            places = (b_at + first * b_step, b_step), (a_at + first, a_step), (c_at, n)
            _gemm(address, turned, (n, m, part), b, places[0], a, places[1], one if first else zero, c, places[2])


_lock = threading.Lock()
_quieted: list[tuple[LibController, int]] = []
_n_alone = 0


@contextmanager
def blas_threads(multiply_adds: int) -> Iterator[int]:
    """One thread unless the widest product is huge; what is yielded is the size above which products are cut.

    Runs side by side are counted: the last to leave gives the threads back.
    """
    global _n_alone
    if multiply_adds >= SHARED_PRODUCT:
        yield NEVER if any(library.num_threads > 1 for library in _libraries()) else SMALL
        return
    with _lock:
        if _n_alone == 0:
            _quieted[:] = [(library, library.num_threads) for library in _libraries()]
            for library, n in _quieted:
                if n != 1:
                    library.set_num_threads(1)
        _n_alone += 1
    try:
        yield SMALL
    finally:
        with _lock:
            _n_alone -= 1
            if _n_alone == 0:
                for library, n in _quieted:
                    if n != 1:
                        library.set_num_threads(n)


@lru_cache(maxsize=1)
def _libraries() -> list[LibController]:
    """The BLAS that SciPy calls; every BLAS of this process where it cannot be told apart."""
    found = [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]
    return [library for library in found if "scipy" in library.filepath] or found

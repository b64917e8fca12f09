"""Views on the one vector of the compiled engine, made without checks and without a count of their users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import extending
from numba import types as numba_types
from numba.core import cgutils as numba_cgutils
from numba.np import arrayobj as numba_arrayobj

arrayobj: Any = numba_arrayobj
cgutils: Any = numba_cgutils
types: Any = numba_types

intrinsic: Callable[..., Any] = extending.intrinsic
"""For functions that write their own instructions."""


def _view(context: Any, builder: Any, kind: Any, array: Any, start: Any, shape: list[Any]) -> Any:
    """A view of this shape, row by row from a place of a vector, that does not count as one of its users."""
    view = context.make_array(kind)(context, builder)
    size = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    strides = [builder.mul(size, shape[1]), size] if len(shape) == 2 else [size]
    arrayobj.populate_array(
        view, builder.gep(array.data, [start]), cgutils.pack_array(builder, shape), strides, size, meminfo=None
    )
    return view._getvalue()


@intrinsic
def part(typingctx: Any, array: Any, start: Any, n: Any) -> Any:
    """`array[start : start + n]`, without checks: compiled and made in a fraction of the time."""
    kind = types.Array(array.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _view(context, builder, kind, context.make_array(array)(context, builder, args[0]), args[1], [args[2]])

    return kind(array, types.intp, types.intp), generate


@intrinsic
def matrix(typingctx: Any, array: Any, start: Any, rows: Any, n: Any) -> Any:
    """`part`, as so many rows of n numbers."""
    kind = types.Array(array.dtype, 2, "C")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        of = context.make_array(array)(context, builder, args[0])
        return _view(context, builder, kind, of, args[1], [args[2], args[3]])

    return kind(array, types.intp, types.intp, types.intp), generate

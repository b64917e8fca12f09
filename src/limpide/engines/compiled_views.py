"""Views on the one vector of the compiled engine, or at an address: without checks, and no count of their users."""

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


def _view(context: Any, builder: Any, kind: Any, start: Any, shape: list[Any]) -> Any:
    """A view of this shape, row by row from a place in memory, that does not count as one of its users."""
    view = context.make_array(kind)(context, builder)
    size = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    strides = [builder.mul(size, shape[1]), size] if len(shape) == 2 else [size]
    arrayobj.populate_array(view, start, cgutils.pack_array(builder, shape), strides, size, meminfo=None)
    return view._getvalue()


def _place(context: Any, builder: Any, kind: Any, array: Any, start: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [start])


@intrinsic
def part(typingctx: Any, array: Any, start: Any, n: Any) -> Any:
    """`array[start : start + n]`, without checks: compiled and made in a fraction of the time."""
    kind = types.Array(array.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _view(context, builder, kind, _place(context, builder, array, args[0], args[1]), [args[2]])

    return kind(array, types.intp, types.intp), generate


@intrinsic
def matrix(typingctx: Any, array: Any, start: Any, rows: Any, n: Any) -> Any:
    """`part`, as so many rows of n numbers."""
    kind = types.Array(array.dtype, 2, "C")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = _place(context, builder, array, args[0], args[1])
        return _view(context, builder, kind, start, [args[2], args[3]])

    return kind(array, types.intp, types.intp, types.intp), generate


def _at(context: Any, builder: Any, kind: Any, address: Any) -> Any:
    return builder.inttoptr(address, context.get_data_type(kind.dtype).as_pointer())


@intrinsic
def vector_at(typingctx: Any, number: Any, address: Any, n: Any) -> Any:
    """The n numbers of a type that begin at an address."""
    kind = types.Array(number.instance_type, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _view(context, builder, kind, _at(context, builder, kind, args[1]), [args[2]])

    return kind(number, types.intp, types.intp), generate


@intrinsic
def matrix_at(typingctx: Any, number: Any, address: Any, rows: Any, n: Any) -> Any:
    """`vector_at`, as so many rows of n numbers."""
    kind = types.Array(number.instance_type, 2, "C")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _view(context, builder, kind, _at(context, builder, kind, args[1]), [args[2], args[3]])

    return kind(number, types.intp, types.intp, types.intp), generate

"""Threads that share the work of one compiled call.

The call is made by one thread; helpers stand by in `help_run` of the kernel. Work is cut into pieces by its sizes
alone, and each piece writes numbers of its own: who does a piece, and how many threads there are, changes no bit of the
result. The call takes its pieces from the front, helpers from the back: so each finds, update after update, most of its
numbers in the cache of its own core. A helper that other work keeps off its core is not waited for twice: for a while
the call then goes on alone.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from typing import Any

from numba import types
from numba.core import cgutils

from limpide.engines.compiled_loops import loops
from limpide.engines.compiled_views import intrinsic

_code: Any = cgutils
_types: Any = types

CLAIM, DONE, END, REST, CAUTION, TASK = 0, 16, 32, 48, 49, 64
"""Places on the desk, an array of whole numbers that all threads see; those that several write are cache lines apart.

claim    the pieces nobody has taken: the end of their numbers, times 2^24, plus the first
done     how many pieces are done
end      not 0 once the call is over
rest     for how many tasks the call goes on alone
caution  for how many it would after the next piece that is late
task     what to do, from here on
"""

DESK_SIZE = 80

_NOTHING = _code.ir.FunctionType(_code.ir.VoidType(), [])

_BITS = 24
_MASK = (1 << _BITS) - 1

LATE = 20_000
"""How often to look for the end of a piece before its thread counts as late: some 100 to 300 µs; a piece takes 20."""

PATIENT = 2_000
"""How often a helper looks for work before it offers its core to others, again and again."""

LEAST_CAUTION, MOST_CAUTION = 8, 2_000
"""For how many tasks nothing is shared after a helper was late: twice as many each time, one less for each in time."""

_HAS_PAUSE = platform.machine() in ("x86_64", "AMD64")


def yield_address() -> int:
    """Where the function begins that lets other threads of the machine go first; 0 for none."""
    library, name = ("kernel32", "SwitchToThread") if sys.platform == "win32" else (None, "sched_yield")
    found = getattr(ctypes.CDLL(library), name, None)
    return ctypes.cast(found, ctypes.c_void_p).value or 0 if found else 0


def _place(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    return builder.gep(data, [args[1]])


@intrinsic
def _look(typingctx: Any, desk: Any, i: Any) -> Any:
    """The number there, with all that was written before it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_place(context, builder, signature, args), "acquire", 8)

    return _types.int64(desk, _types.int64), generate


@intrinsic
def _put(typingctx: Any, desk: Any, i: Any, value: Any) -> Any:
    """Put a number there, for all to see with what was written before it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[2], _place(context, builder, signature, args), "release", 8)
        return context.get_dummy_value()

    return _types.void(desk, _types.int64, _types.int64), generate


@intrinsic
def _add(typingctx: Any, desk: Any, i: Any, more: Any) -> Any:
    """The number there, to which `more` is added."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", _place(context, builder, signature, args), args[2], "seq_cst")

    return _types.int64(desk, _types.int64, _types.int64), generate


@intrinsic
def _pause(typingctx: Any) -> Any:
    """Nothing, for a moment."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _HAS_PAUSE:
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), _NOTHING), [])
        return context.get_dummy_value()

    return _types.void(), generate


@intrinsic
def _give_way(typingctx: Any, address: Any) -> Any:
    """Call the function of `yield_address`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = _code.ir.FunctionType(_code.ir.IntType(32), []).as_pointer()
        builder.call(builder.inttoptr(args[0], function), [])
        return context.get_dummy_value()

    return _types.void(_types.int64), generate


@loops
def wait(address: int, looked: int) -> None:
    """A moment between two looks, after so many."""
    if looked > PATIENT and address != 0:
        _give_way(address)
    else:
        _pause()


@loops
def is_over(desk: Any) -> bool:
    """Whether the call has ended."""
    return bool(_look(desk, END) != 0)


@loops
def claim(desk: Any, helps: bool) -> int:
    """The number of a piece to do; -1 when none is left."""
    seen = _look(desk, CLAIM)
    if seen & _MASK >= seen >> _BITS:
        return -1
    seen = _add(desk, CLAIM, -(1 << _BITS) if helps else 1)
    first, end = seen & _MASK, seen >> _BITS
    return -1 if first >= end else end - 1 if helps else first


@loops
def finish(desk: Any, helps: bool) -> int:
    """One piece more is done; the number of another."""
    _add(desk, DONE, 1)
    i: int = claim(desk, helps)
    return i


@loops
def is_shared(desk: Any) -> bool:
    """Whether the next task is for several threads."""
    if len(desk) == 0:
        return False
    desk[REST] -= 1
    return bool(desk[REST] < 0)


@loops
def publish(desk: Any, pieces: int) -> None:
    """Offer the pieces of the task that stands on the desk."""
    desk[REST] = 0
    _put(desk, DONE, 0)
    _put(desk, CLAIM, pieces << _BITS)


@loops
def gather_in(desk: Any, pieces: int, address: int) -> None:
    """Wait for the last piece."""
    looked = 0
    while _look(desk, DONE) < pieces:
        looked += 1
        wait(address, looked - LATE)
    if looked > LATE:
        desk[REST] = desk[CAUTION]
        desk[CAUTION] = min(2 * desk[CAUTION], MOST_CAUTION)
    else:
        desk[CAUTION] = max(desk[CAUTION] - 1, LEAST_CAUTION)

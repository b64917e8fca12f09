"""Stages in shares of the batch: what works row by row, done by whoever is free.

The shares follow from the sizes alone, so that who does them, and how many do, changes no bit of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numba import types as numba_types
from numba.core import cgutils
from numba.np.numpy_support import carray, from_dtype

from limpide.engines import (
    compiled_blas,
    compiled_functions,
    compiled_images,
    compiled_loops,
    compiled_normal,
    compiled_pooling,
    compiled_program,
    compiled_views,
)
from limpide.engines.compiled_code import address_of, fingerprint
from limpide.engines.compiled_images import convolve, convolve_back
from limpide.engines.compiled_loops import (
    IDENTITY,
    PRELU,
    RELU,
    activate,
    add_bias,
    fill,
    loops,
    through_activation,
)
from limpide.engines.compiled_normal import (
    gradient_sums,
    line_sums,
    normalise,
    through_normalisation,
)
from limpide.engines.compiled_pooling import average, average_back, largest, largest_back, turn_images
from limpide.engines.compiled_program import (
    ACTIVATION,
    AVGPOOL,
    BATCHNORM,
    BIAS,
    CHANNELS_OUT,
    COLS_IN,
    CONVOLUTION,
    DROPOUT,
    EFFORT,
    FORK,
    INPUT,
    JOIN,
    KIND,
    MAXPOOL,
    MOST_SHARES,
    N_IN,
    N_NUMBERS,
    N_OUT,
    ONES,
    OTHER,
    OUTPUT,
    PLACES,
    RATE,
    ROOM,
    ROOM_SIZE,
    ROWS_IN,
    SCALE,
    SCRATCH,
    SLOPE,
    SLOPE_VALUE,
    STAGE_COLUMNS,
    SUM,
    TRAINED,
    TURN,
    WIDTH,
)
from limpide.engines.compiled_team import TASK, claim, finish, gather_in, is_shared, publish
from limpide.engines.compiled_updates import UPDATE
from limpide.engines.compiled_views import intrinsic, matrix, part

_code: Any = cgutils
types: Any = numba_types

FORWARD, SUMS, SQUARES, BACK_SUMS, BACKWARD = range(5)
"""What is done with a share."""

SHARES = UPDATE + 1
"""The task of `compiled_team` that is shares of a stage."""

SHARE_EFFORT = 500_000
"""Multiply-adds of a share, some 10 µs, from which a batch is cut into more."""


@loops
def shares_of(stage: Any, rows: int) -> int:
    """Into how many shares so many rows are cut."""
    n: int = max(min(rows, MOST_SHARES, rows * stage[EFFORT] // SHARE_EFFORT), 1)
    return n


@loops
def _drop(z: Any, noise: Any, rate: Any, scale: Any) -> None:
    zero = z.dtype.type(0)
    for t in range(len(z)):
        # times 0, not set to 0: a dropped NaN stays NaN
        z[t] *= scale if noise[t] >= rate else zero


@loops
def _add(z: Any, more: Any) -> None:
    for t in range(len(z)):
        z[t] += more[t]


@loops
def _forward(address: int, memory: Any, stage: Any, numbers: Any, noise: Any, some: Any, room: int) -> None:
    """A stage for some rows.

    some  their first, how many, the first of the noise that was drawn for the batch, how many rows it was drawn for
    """
    start, rows, first, of = some
    kind, code, n_in, n_out = stage[KIND], stage[ACTIVATION], stage[N_IN], stage[N_OUT]
    x, z, is_done = stage[INPUT] + start * n_in, stage[SUM] + start * n_out, code == IDENTITY
    if kind == CONVOLUTION:
        convolve(address, memory, stage, x, z, rows, room)
        if stage[BIAS] >= 0:
            is_done |= code == RELU
            channels = stage[CHANNELS_OUT]
            pixels = matrix(memory, z, rows * (n_out // channels), channels)
            add_bias(pixels, part(memory, stage[BIAS], channels), code == RELU)
    elif kind == BATCHNORM:
        is_done |= code == RELU
        normalise(memory, stage, x, z, rows, code == RELU)
    elif kind == MAXPOOL:
        largest(memory, stage, x, z, stage[SCRATCH] + start * n_out, rows)
    elif kind == AVGPOOL:
        average(memory, stage, x, z, rows)
    elif kind == TURN:
        turn_images(memory, x, z, rows, stage[ROWS_IN], stage[COLS_IN])
    elif z != x:
        left = part(memory, z, rows * n_out)
        fill(left, part(memory, x, rows * n_in))
        if kind == JOIN:
            _add(left, part(memory, stage[OTHER] + start * n_out, rows * n_out))
        if kind == DROPOUT and of > 0:
            drawn = part(noise, stage[SCRATCH] * of + (first + start) * n_out, rows * n_out)
            _drop(left, drawn, numbers[RATE], numbers[SCALE])
    if not is_done:
        y = part(memory, stage[OUTPUT] + start * n_out, rows * n_out)
        slope = memory[stage[SLOPE]] if code == PRELU else numbers[SLOPE_VALUE]
        activate(code, part(memory, z, rows * n_out), y, slope, stage[WIDTH])


@loops
def through(memory: Any, stage: Any, numbers: Any, d: int, start: int, rows: int) -> None:
    """The gradient of some rows, from the output of a stage's activation to its sum."""
    code, n = stage[ACTIVATION], stage[N_OUT]
    if code != IDENTITY:
        z, y = part(memory, stage[SUM] + start * n, rows * n), part(memory, stage[OUTPUT] + start * n, rows * n)
        slope = memory[stage[SLOPE]] if code == PRELU else numbers[SLOPE_VALUE]
        through_activation(code, z, y, part(memory, d + start * n, rows * n), slope, stage[WIDTH])


@loops
def _backward(
    address: int, memory: Any, stage: Any, numbers: Any, noise: Any, ones: int, way: Any, some: Any, room: int
) -> None:
    """The gradient of a stage for some rows.

    way  from where, to where, whether it is needed there
    """
    (here, there, is_needed), (start, rows, first, of) = way, some
    kind, n_in, n_out = stage[KIND], stage[N_IN], stage[N_OUT]
    x, d, dx, n = stage[INPUT] + start * n_in, here + start * n_out, there + start * n_in, rows * n_out
    if kind != BATCHNORM:
        through(memory, stage, numbers, here, start, rows)
    if kind == CONVOLUTION:
        convolve_back(address, memory, stage, ones, x, d, dx if is_needed else -1, rows, room)
    elif kind == BATCHNORM:
        through_normalisation(memory, stage, x, d, rows)
    elif kind == MAXPOOL:
        largest_back(memory, stage, d, stage[SCRATCH] + start * n_out, dx, rows)
    elif kind == AVGPOOL:
        average_back(memory, stage, d, dx, rows)
    elif kind == TURN:
        turn_images(memory, d, dx, rows, stage[COLS_IN], stage[ROWS_IN])
    elif kind == JOIN:
        fill(part(memory, stage[SCRATCH] + start * n_out, n), part(memory, d, n))
    elif kind == FORK:
        _add(part(memory, d, n), part(memory, stage[SCRATCH] + start * n_out, n))
    elif kind == DROPOUT and of > 0:
        drawn = part(noise, stage[SCRATCH] * of + (first + start) * n_out, n)
        _drop(part(memory, d, n), drawn, numbers[RATE], numbers[SCALE])


def _make_share(source: int) -> Callable[..., None]:
    """The function that does one share of a stage, uncompiled; `source` as `fingerprint` makes it."""

    def share(
        address: int,
        memory_at: Any,
        stage_at: Any,
        numbers_at: Any,
        places_at: Any,
        noise_at: Any,
        phase: int,
        s: int,
        batch: int,
        first: int,
        of: int,
        here: int,
        there: int,
        i: int,
    ) -> None:
        # the lengths are nothing to what works on parts of them
        memory, noise = carray(memory_at, 1), carray(noise_at, 1)
        stage, numbers = carray(stage_at, len(STAGE_COLUMNS)), carray(numbers_at, N_NUMBERS + source * 0)
        places = carray(places_at, len(PLACES))
        n: int = shares_of(stage, batch)
        start, stop = batch * i // n, batch * (i + 1) // n
        rows, room = stop - start, stage[ROOM] + i * stage[ROOM_SIZE]
        some, x = (start, rows, first, of), stage[INPUT] + start * stage[N_IN]
        if phase == FORWARD:
            _forward(address, memory, stage, numbers, noise, some, room)
        elif phase == BACKWARD:
            way = here, there, s > places[TRAINED]
            _backward(address, memory, stage, numbers, noise, places[ONES], way, some, room)
        elif phase == BACK_SUMS:
            through(memory, stage, numbers, here, start, rows)
            gradient_sums(memory, stage, x, here + start * stage[N_OUT], rows, i)
        else:
            line_sums(memory, stage, x, rows, i, phase == SQUARES)

    return share


@lru_cache(maxsize=2)
def share_address(dtype: np.dtype[Any]) -> int:
    """Where the function begins that does one share of a stage: compiled once, and called by its address.

    What is called by name is compiled again within each function that calls it.
    """
    real, number = types.CPointer(from_dtype(dtype)), types.int64
    numbers = types.CPointer(number)
    signature = types.void(number, real, numbers, real, numbers, types.CPointer(types.float32), *[number] * 8)
    function = _make_share(
        fingerprint(
            compiled_blas,
            compiled_functions,
            compiled_images,
            compiled_loops,
            compiled_normal,
            compiled_pooling,
            compiled_program,
            compiled_views,
        )
    )
    return address_of(function, signature)


@intrinsic
def _call(typingctx: Any, share: Any, gemm: Any, memory: Any, tables: Any, noise: Any, task: Any, i: Any) -> Any:
    """The function of `share_address`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        ir, kinds = _code.ir, signature.args
        words = [builder.extract_value(args[5], j) for j in range(7)]

        def start(kind: Any, array: Any, is_row: bool = False) -> Any:
            made = context.make_array(kind)(context, builder, array)
            if not is_row:
                return made.data
            # the row of the stage
            return builder.gep(made.data, [builder.mul(words[1], builder.extract_value(made.shape, 1))])

        table = [(kinds[3][j], builder.extract_value(args[3], j)) for j in range(3)]
        of_stage = [start(*table[0], True), start(*table[1], True), start(*table[2])]
        given = [args[1], start(kinds[2], args[2]), *of_stage, start(kinds[4], args[4]), *words, args[6]]
        function = ir.FunctionType(ir.VoidType(), [value.type for value in given]).as_pointer()
        builder.call(builder.inttoptr(args[0], function), given)
        return context.get_dummy_value()

    number = types.int64
    signature = types.void(number, number, memory, tables, noise, types.UniTuple(number, 7), number)
    return signature, generate


@loops
def do_shares(tools: Any, tables: Any, memory: Any, noise: Any, task: Any) -> int:
    """All shares of a stage; how many there were.

    tools  as for `compiled_blas.product`
    task   what to do, the number of the stage, the rows of the batch, the first of the rows that noise was drawn for,
           how many those are, where the gradient stands and where it goes
    """
    address, way, desk, share = tools
    n: int = shares_of(tables[0][task[1]], task[2])
    is_together = n > 1 and is_shared(desk)
    if is_together:
        phase, s, batch, first, of, here, there = task
        words = part(desk, TASK, 8)
        words[0], words[1], words[2], words[3], words[4], words[5] = SHARES, phase, s, batch, first, of
        words[6], words[7] = here, there
        publish(desk, n)
    i = claim(desk, False) if is_together else 0
    while 0 <= i < n:
        _call(share, address, memory, tables, noise, task, i)
        i = finish(desk, False) if is_together else i + 1
    if is_together:
        gather_in(desk, n, way)
    return n


@loops
def help_shares(tools: Any, tables: Any, memory: Any, noise: Any, i: int) -> None:
    """A share of the stage that stands on the desk."""
    words = part(tools[2], TASK, 8)
    task = words[1], words[2], words[3], words[4], words[5], words[6], words[7]
    _call(tools[3], tools[0], memory, tables, noise, task, i)

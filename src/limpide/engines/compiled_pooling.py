"""Poolings inside compiled loops, and the order in which an image's numbers stand; channels stand last."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils

from limpide.engines.compiled_images import align_of, lane_of
from limpide.engines.compiled_loops import clear, fill, keep_apart, loops
from limpide.engines.compiled_program import (
    CHANNELS_IN,
    COLS_IN,
    COLS_OUT,
    DOWN,
    KERNEL_COLS,
    KERNEL_ROWS,
    LANE,
    N_IN,
    RIGHT,
    ROWS_OUT,
)
from limpide.engines.compiled_views import intrinsic, matrix, part

_code: Any = cgutils
_types: Any = types


def _everywhere(builder: Any, number: Any, kind: Any) -> Any:
    """A lane of one number."""
    lane = _code.ir.Constant(kind, _code.ir.Undefined)
    for j in range(kind.count):
        lane = builder.insert_element(lane, number, _code.ir.Constant(_code.ir.IntType(32), j))
    return lane


@intrinsic
def _larger_half(typingctx: Any, memory: Any, other: Any, best: Any, winner: Any, cell: Any) -> Any:
    """Half a lane of numbers held against the best so far; NaN is the largest."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = [lane_of(context, builder, signature, args, i, LANE // 2) for i in (1, 2, 3)]
        align = align_of(context, signature)
        other, best, winner = (builder.load(place, align=align) for place in places)
        # larger, or one of the two is NaN: then only a NaN that is new counts
        is_larger = builder.fcmp_ordered(">", other, best)
        is_larger = builder.or_(is_larger, builder.fcmp_unordered("uno", other, other))
        cells = _everywhere(builder, args[4], winner.type)
        builder.store(builder.select(is_larger, other, best), places[1], align=align)
        builder.store(builder.select(is_larger, cells, winner), places[2], align=align)
        return context.get_dummy_value()

    return _types.void(memory, _types.int64, _types.int64, _types.int64, memory.dtype), generate


@intrinsic
def _pass_half(typingctx: Any, memory: Any, delta: Any, winner: Any, target: Any, cell: Any) -> Any:
    """Half a lane of gradients added where this cell has won."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = [lane_of(context, builder, signature, args, i, LANE // 2) for i in (1, 2, 3)]
        align = align_of(context, signature)
        delta, winner, target = (builder.load(place, align=align) for place in places)
        cells = _everywhere(builder, args[4], winner.type)
        has_won, nothing = builder.fcmp_ordered("==", winner, cells), _code.ir.Constant(winner.type, None)
        builder.store(builder.fadd(target, builder.select(has_won, delta, nothing)), places[2], align=align)
        return context.get_dummy_value()

    return _types.void(memory, _types.int64, _types.int64, _types.int64, memory.dtype), generate


@loops
def _sizes(stage: Any) -> Any:
    """The output's rows and columns; the steps from block to block, down and right; the block's rows and columns; how
    many numbers an image, a row and a pixel of the input have."""
    channels = stage[CHANNELS_IN]
    width = stage[COLS_IN] * channels
    out, steps = (stage[ROWS_OUT], stage[COLS_OUT]), (stage[DOWN] * width, stage[RIGHT] * channels)
    return out, steps, (stage[KERNEL_ROWS], stage[KERNEL_COLS]), (stage[N_IN], width, channels)


@loops
def largest(memory: Any, stage: Any, x: int, z: int, winner: int, images: int) -> None:
    """The largest number of each block, and which cell of the block it was: the first of equals. NaN wins."""
    keep_apart()
    (rows, cols), (down, right), (high, wide), (n_in, width, channels) = _sizes(stage)
    half, real = LANE // 2, memory.dtype.type
    whole = channels - channels % half
    for b in range(images):
        image = x + b * n_in
        for i in range(rows):
            for j in range(cols):
                corner = image + i * down + j * right
                fill(part(memory, z, channels), part(memory, corner, channels))
                clear(part(memory, winner, channels))
                for w in range(1, high * wide):
                    u, v = w // wide, w % wide
                    other, cell = corner + u * width + v * channels, real(w)
                    for c in range(0, whole, half):
                        _larger_half(memory, other + c, z + c, winner + c, cell)
                    for c in range(whole, channels):
                        number = memory[other + c]
                        if number > memory[z + c] or number != number:
                            memory[z + c], memory[winner + c] = number, cell
                z, winner = z + channels, winner + channels


@loops
def largest_back(memory: Any, stage: Any, d: int, winner: int, dx: int, images: int) -> None:
    """Each gradient goes to the cell that won its block."""
    keep_apart()
    (rows, cols), (down, right), (high, wide), (n_in, width, channels) = _sizes(stage)
    half, real = LANE // 2, memory.dtype.type
    whole = channels - channels % half
    clear(part(memory, dx, images * n_in))
    for b in range(images):
        image = dx + b * n_in
        for i in range(rows):
            for j in range(cols):
                corner = image + i * down + j * right
                for w in range(high * wide):
                    u, v = w // wide, w % wide
                    into, cell = corner + u * width + v * channels, real(w)
                    for c in range(0, whole, half):
                        _pass_half(memory, d + c, winner + c, into + c, cell)
                    for c in range(whole, channels):
                        if memory[winner + c] == cell:
                            memory[into + c] += memory[d + c]
                d, winner = d + channels, winner + channels


@loops
def average(memory: Any, stage: Any, x: int, z: int, images: int) -> None:
    """The mean of each block."""
    keep_apart()
    (rows, cols), (down, right), (high, wide), (n_in, width, channels) = _sizes(stage)
    share = memory.dtype.type(1 / (high * wide))
    for b in range(images):
        image = x + b * n_in
        for i in range(rows):
            for j in range(cols):
                corner = image + i * down + j * right
                mean = part(memory, z, channels)
                clear(mean)
                for u in range(high):
                    for v in range(wide):
                        other = part(memory, corner + u * width + v * channels, channels)
                        for c in range(channels):
                            mean[c] += other[c]
                for c in range(channels):
                    mean[c] *= share
                z += channels


@loops
def average_back(memory: Any, stage: Any, d: int, dx: int, images: int) -> None:
    """Each cell of a block gets an equal part of its gradient."""
    keep_apart()
    (rows, cols), (down, right), (high, wide), (n_in, width, channels) = _sizes(stage)
    share = memory.dtype.type(1 / (high * wide))
    clear(part(memory, dx, images * n_in))
    for b in range(images):
        image = dx + b * n_in
        for i in range(rows):
            for j in range(cols):
                corner = image + i * down + j * right
                delta = part(memory, d, channels)
                for u in range(high):
                    for v in range(wide):
                        into = part(memory, corner + u * width + v * channels, channels)
                        for c in range(channels):
                            into[c] += share * delta[c]
                d += channels


@loops
def turn_images(memory: Any, x: int, z: int, images: int, rows: int, cols: int) -> None:
    """Each image, a table of so many rows and columns, with its columns for rows."""
    keep_apart()
    for b in range(images):
        entered = matrix(memory, x + b * rows * cols, rows, cols)
        left = matrix(memory, z + b * rows * cols, cols, rows)
        for i in range(rows):
            for j in range(cols):
                left[j, i] = entered[i, j]

"""Convolutions inside compiled loops.

Here an image stands channels last, row by row: the numbers that a window takes from one of its rows are neighbours, so
that all windows become rows of a matrix by copying runs (im2row), and a convolution is a product with the kernels at
the full speed of BLAS. A share of the batch goes through it in pieces that stay in the cache; the backward pass makes
the windows again, which is no slower than to keep them and takes no memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core import cgutils

from limpide.engines.compiled_blas import gemm
from limpide.engines.compiled_loops import clear, fill, keep_apart, loops
from limpide.engines.compiled_program import (
    BIAS,
    CHANNELS_IN,
    CHANNELS_OUT,
    COLS_IN,
    COLS_OUT,
    DOWN,
    GRADS,
    GROUPS,
    KERNEL_COLS,
    KERNEL_ROWS,
    LANE,
    N_IN,
    N_OUT,
    PADDING,
    PIECE_IMAGES,
    PIECE_LINES,
    RIGHT,
    ROOM,
    ROOM_SIZE,
    ROWS_IN,
    ROWS_OUT,
    SCRATCH,
    TERMS,
    WEIGHTS,
)
from limpide.engines.compiled_views import intrinsic, part

_code: Any = cgutils
_types: Any = types


def lane_of(context: Any, builder: Any, signature: Any, args: Any, i: int, n: int) -> Any:
    """The address of n neighbours from the place that argument `i` says."""
    memory = signature.args[0]
    data = context.make_array(memory)(context, builder, args[0]).data
    kind = _code.ir.VectorType(context.get_data_type(memory.dtype), n).as_pointer()
    return builder.bitcast(builder.gep(data, [args[i]]), kind)


def align_of(context: Any, signature: Any) -> int:
    """How many bytes a number has."""
    return int(context.get_abi_sizeof(context.get_data_type(signature.args[0].dtype)))


def _copies(n: int) -> Callable[..., Any]:
    """A function that brings n neighbours from one place to another."""

    def copy(typingctx: Any, memory: Any, source: Any, target: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            old, new = (lane_of(context, builder, signature, args, i, n) for i in (1, 2))
            align = align_of(context, signature)
            builder.store(builder.load(old, align=align), new, align=align)
            return context.get_dummy_value()

        return _types.void(memory, _types.int64, _types.int64), generate

    made: Callable[..., Any] = intrinsic(copy)
    return made


_copy_lane, _copy_half = _copies(LANE), _copies(LANE // 2)


@intrinsic
def _add_lane(typingctx: Any, memory: Any, source: Any, target: Any) -> Any:
    """A lane of numbers added to those in another place."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places, align = (
            [lane_of(context, builder, signature, args, i, LANE) for i in (1, 2)],
            align_of(context, signature),
        )
        added = builder.fadd(*(builder.load(place, align=align) for place in places))
        builder.store(added, places[1], align=align)
        return context.get_dummy_value()

    return _types.void(memory, _types.int64, _types.int64), generate


@loops
def _copy_run(memory: Any, source: int, target: int, n: int) -> None:
    """n numbers; what stands behind them in the target, up to a lane, may be overwritten."""
    for t in range(0, n, LANE):
        _copy_lane(memory, source + t, target + t)


@loops
def _add_run(memory: Any, source: int, target: int, n: int) -> None:
    """n numbers added to others."""
    whole = n - n % LANE
    for t in range(0, whole, LANE):
        _add_lane(memory, source + t, target + t)
    for t in range(whole, n):
        memory[target + t] += memory[source + t]


@loops
def _padded_size(stage: Any) -> int:
    """The numbers of an image with zeros around it."""
    return int((stage[ROWS_IN] + 2 * stage[PADDING]) * (stage[COLS_IN] + 2 * stage[PADDING]) * stage[CHANNELS_IN])


@loops
def _pad(memory: Any, stage: Any, image: int, padded: int) -> None:
    """An image with zeros around it."""
    edge, line = stage[PADDING] * stage[CHANNELS_IN], stage[COLS_IN] * stage[CHANNELS_IN]
    width = line + 2 * edge
    clear(part(memory, padded, _padded_size(stage)))
    for i in range(stage[ROWS_IN]):
        fill(part(memory, padded + (i + stage[PADDING]) * width + edge, line), part(memory, image + i * line, line))


@loops
def _unpad(memory: Any, stage: Any, padded: int, image: int) -> None:
    """An image without what stands around it."""
    edge, line = stage[PADDING] * stage[CHANNELS_IN], stage[COLS_IN] * stage[CHANNELS_IN]
    width = line + 2 * edge
    for i in range(stage[ROWS_IN]):
        fill(part(memory, image + i * line, line), part(memory, padded + (i + stage[PADDING]) * width + edge, line))


@loops
def _windows(memory: Any, stage: Any, image: int, group: int, first: int, lines: int, into: int, adds: bool) -> None:
    """The windows of some lines of the output, each as a row: kernel rows, kernel columns, channels of a group.

    image  where it stands, with its padding
    adds   the other way: the rows are added to the image
    """
    # the table is read before the loops: for all the compiler knows, what they write could change it
    channels, seen = stage[CHANNELS_IN], stage[CHANNELS_IN] // stage[GROUPS]
    width, step = (stage[COLS_IN] + 2 * stage[PADDING]) * channels, stage[RIGHT] * channels
    # with one group, all columns of a row of the window are neighbours
    runs, run = (stage[KERNEL_COLS], seen) if stage[GROUPS] > 1 else (1, stage[KERNEL_COLS] * seen)
    height, cols, down = stage[KERNEL_ROWS], stage[COLS_OUT], stage[DOWN]
    image, is_short = image + group * seen, runs == 1 and run <= LANE // 2 and not adds
    for i in range(first, first + lines):
        for j in range(cols):
            source = image + i * down * width + j * step
            for _u in range(height):
                if is_short:
                    _copy_half(memory, source, into)
                    into += run
                elif runs == 1 and run <= LANE and not adds:
                    _copy_lane(memory, source, into)
                    into += run
                else:
                    for v in range(runs):
                        if adds:
                            _add_run(memory, into, source + v * channels, run)
                        else:
                            _copy_run(memory, source + v * channels, into, run)
                        into += run
                source += width


@loops
def _all_windows(
    memory: Any, stage: Any, x: int, images: int, group: int, first: int, lines: int, room: int, into: int
) -> None:
    """The windows of some lines of the output of several images, one image after the other.

    room  for one image with its padding, which is made for its first lines and then stays
    """
    size = lines * stage[COLS_OUT] * stage[TERMS]
    for b in range(images):
        image = x + b * stage[N_IN]
        if stage[PADDING] > 0:
            if first == 0 and group == 0:
                _pad(memory, stage, image, room)
            image = room
        _windows(memory, stage, image, group, first, lines, into + b * size, False)


@loops
def turn_kernels(memory: Any, stage: Any, backward: bool) -> None:
    """The kernels as products take them: for each group terms by channels; for the way back channels by terms."""
    terms, out = stage[TERMS], stage[CHANNELS_OUT] // stage[GROUPS]
    cells = stage[KERNEL_ROWS] * stage[KERNEL_COLS]
    seen, room = terms // cells, stage[SCRATCH]
    for o in range(stage[CHANNELS_OUT]):
        group, column = o // out, o % out
        for c in range(seen):
            kernel = part(memory, stage[WEIGHTS] + (o * seen + c) * cells, cells)
            for w in range(cells):
                term = w * seen + c
                place = column * terms + term if backward else term * out + column
                memory[room + group * terms * out + place] = kernel[w]


@loops
def convolve(address: int, memory: Any, stage: Any, x: int, z: int, images: int, room: int) -> None:
    """The convolution of some images.

    room  for this share alone: two images with padding, then windows
    """
    keep_apart()
    lines, at_once, terms = stage[PIECE_LINES], stage[PIECE_IMAGES], stage[TERMS]
    out = stage[CHANNELS_OUT] // stage[GROUPS]
    padded_size = _padded_size(stage)
    channels, line, zero = stage[CHANNELS_OUT], stage[COLS_OUT], memory.dtype.type(0)
    windows = room + 2 * padded_size
    for a in range(0, images, at_once):
        count = min(at_once, images - a)
        for first in range(0, stage[ROWS_OUT], lines):
            here = min(lines, stage[ROWS_OUT] - first)
            positions = count * here * line
            for group in range(stage[GROUPS]):
                _all_windows(memory, stage, x + a * stage[N_IN], count, group, first, here, room, windows)
                kernels = stage[SCRATCH] + group * terms * out
                target = z + a * stage[N_OUT] + first * line * channels + group * out
                places = kernels, out, windows, terms, target, channels
                gemm(address, (False, False), (out, positions, terms), memory, places, zero)


@loops
def convolve_back(
    address: int, memory: Any, stage: Any, ones: int, x: int, d: int, dx: int, images: int, room: int
) -> None:
    """The gradient of some images for the kernels, as terms by channels, and for the biases: to the room's end.

    dx  where the gradient for the input goes; -1 for nowhere
    """
    keep_apart()
    lines, at_once, terms = stage[PIECE_LINES], stage[PIECE_IMAGES], stage[TERMS]
    out = stage[CHANNELS_OUT] // stage[GROUPS]
    sums = room + stage[ROOM_SIZE] - (terms + 1) * stage[CHANNELS_OUT]
    padded_size = _padded_size(stage)
    channels, line = stage[CHANNELS_OUT], stage[COLS_OUT]
    zero, one = memory.dtype.type(0), memory.dtype.type(1)
    windows, beside = room + 2 * padded_size, room + padded_size
    for a in range(0, images, at_once):
        count = min(at_once, images - a)
        for first in range(0, stage[ROWS_OUT], lines):
            here = min(lines, stage[ROWS_OUT] - first)
            positions, begin = count * here * line, d + a * stage[N_OUT] + first * line * channels
            beta = zero if a == 0 and first == 0 else one
            for group in range(stage[GROUPS]):
                _all_windows(memory, stage, x + a * stage[N_IN], count, group, first, here, room, windows)
                delta, total = begin + group * out, sums + group * terms * out
                places = delta, channels, windows, terms, total, out
                gemm(address, (False, True), (out, terms, positions), memory, places, beta)
                if dx < 0:
                    continue
                places = stage[SCRATCH] + group * terms * out, terms, delta, channels, windows, terms
                gemm(address, (False, False), (terms, positions, out), memory, places, zero)
                for b in range(count):
                    image = dx + (a + b) * stage[N_IN]
                    target = beside if stage[PADDING] > 0 else image
                    if first == 0 and group == 0:
                        size = padded_size if stage[PADDING] > 0 else stage[N_IN]
                        clear(part(memory, target, size))
                    _windows(memory, stage, target, group, first, here, windows + b * here * line * terms, True)
                    if stage[PADDING] > 0 and first + here == stage[ROWS_OUT] and group == stage[GROUPS] - 1:
                        _unpad(memory, stage, beside, image)
            if stage[BIAS] >= 0:
                places = begin, channels, ones, positions, sums + terms * channels, channels
                gemm(address, (False, False), (channels, 1, positions), memory, places, beta)


@loops
def add_up_kernels(memory: Any, stage: Any, places: Any, shares: int) -> None:
    """The gradients of all shares, as the kernels and biases stand among the parameters."""
    terms, out = stage[TERMS], stage[CHANNELS_OUT] // stage[GROUPS]
    cells = stage[KERNEL_ROWS] * stage[KERNEL_COLS]
    seen, channels = terms // cells, stage[CHANNELS_OUT]
    n = (terms + 1) * channels
    total = part(memory, stage[ROOM] + stage[ROOM_SIZE] - n, n)
    for i in range(1, shares):
        more = part(memory, stage[ROOM] + (i + 1) * stage[ROOM_SIZE] - n, n)
        for t in range(n):
            total[t] += more[t]
    grads = places[GRADS] + stage[WEIGHTS]
    for o in range(channels):
        group, column = o // out, o % out
        for c in range(seen):
            kernel = part(memory, grads + (o * seen + c) * cells, cells)
            for w in range(cells):
                kernel[w] = total[group * terms * out + (w * seen + c) * out + column]
    if stage[BIAS] >= 0:
        fill(part(memory, places[GRADS] + stage[BIAS], channels), part(total, terms * channels, channels))

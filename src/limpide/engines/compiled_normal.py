"""Batch normalisation inside compiled loops, in parts that threads may share.

The numbers of a batch are lines of features, or of the pixels of a row of an image, whose channels come round again and
again: sums are made for each place of a line, then folded to channels, so that all loops run over long vectors.
"""

from __future__ import annotations

import math
from typing import Any

from limpide.engines.compiled_loops import clear, fill, keep_apart, loops
from limpide.engines.compiled_program import (
    BY_NORMAL,
    CHANNELS_IN,
    EPSILON,
    FACTOR,
    GRADS,
    INVERSE,
    LINE,
    MEAN,
    MOMENTUM,
    N_OUT,
    OF_SHARES,
    RUNNING,
    SCRATCH,
    SHIFT,
    TOTAL,
    VARIANCE,
    WEIGHTS,
)
from limpide.engines.compiled_views import matrix, part


@loops
def line_of(memory: Any, stage: Any, i: int) -> Any:
    """One of them."""
    return part(memory, stage[SCRATCH] + i * stage[LINE], stage[LINE])


@loops
def line_sums(memory: Any, stage: Any, x: int, rows: int, share: int, is_square: bool) -> None:
    """The sums of a share's lines, or of their squares about the mean."""
    keep_apart()
    lines = matrix(memory, x, rows * stage[N_OUT] // stage[LINE], stage[LINE])
    mean, sums = line_of(memory, stage, MEAN), line_of(memory, stage, OF_SHARES + 2 * share)
    clear(sums)
    for i in range(len(lines)):
        if is_square:
            for j in range(len(sums)):
                centred = lines[i, j] - mean[j]
                sums[j] += centred * centred
        else:
            for j in range(len(sums)):
                sums[j] += lines[i, j]


@loops
def _fold(memory: Any, stage: Any, into: int, second: int, shares: int, count: int) -> None:
    """The sums of all shares over a count, each channel's in all its places of a line.

    second  0 for the first line of each share, 1 for the second
    """
    total, channels = line_of(memory, stage, into), stage[CHANNELS_IN]
    fill(total, line_of(memory, stage, OF_SHARES + second))
    for i in range(1, shares):
        more = line_of(memory, stage, OF_SHARES + 2 * i + second)
        for j in range(len(total)):
            total[j] += more[j]
    for c in range(channels):
        summed = total.dtype.type(0)
        for j in range(c, len(total), channels):
            summed += total[j]
        for j in range(c, len(total), channels):
            total[j] = summed / total.dtype.type(count)


@loops
def fold_mean(memory: Any, stage: Any, rows: int, shares: int) -> None:
    """The mean of each channel, from the sums of the shares."""
    _fold(memory, stage, MEAN, 0, shares, rows * (stage[N_OUT] // stage[CHANNELS_IN]))


@loops
def fold_variance(memory: Any, stage: Any, rows: int, shares: int) -> None:
    """The variance of each channel, from the sums of the shares."""
    _fold(memory, stage, VARIANCE, 0, shares, rows * (stage[N_OUT] // stage[CHANNELS_IN]))


@loops
def recall(memory: Any, stage: Any) -> None:
    """The running statistics for the mean and the variance."""
    mean, variance = line_of(memory, stage, MEAN), line_of(memory, stage, VARIANCE)
    channels, held = stage[CHANNELS_IN], part(memory, stage[RUNNING], 2 * stage[CHANNELS_IN])
    for j in range(len(mean)):
        mean[j], variance[j] = held[j % channels], held[channels + j % channels]


@loops
def make_factors(memory: Any, stage: Any, numbers: Any) -> None:
    """What `normalise` multiplies by and adds."""
    channels, one = stage[CHANNELS_IN], memory.dtype.type(1)
    gains = part(memory, stage[WEIGHTS], 2 * channels)
    variance, inverse = line_of(memory, stage, VARIANCE), line_of(memory, stage, INVERSE)
    factor, shift = line_of(memory, stage, FACTOR), line_of(memory, stage, SHIFT)
    for j in range(len(variance)):
        inverse[j] = one / math.sqrt(variance[j] + numbers[EPSILON])
        factor[j], shift[j] = gains[j % channels] * inverse[j], gains[channels + j % channels]


@loops
def normalise(memory: Any, stage: Any, x: int, z: int, rows: int, is_relu: bool) -> None:
    """`z = gamma (x - mean) / √(variance + epsilon) + beta` of a share, its negative numbers 0 where a relu follows."""
    keep_apart()
    n, zero = rows * stage[N_OUT] // stage[LINE], memory.dtype.type(0)
    entered, left = matrix(memory, x, n, stage[LINE]), matrix(memory, z, n, stage[LINE])
    mean, factor, shift = (
        line_of(memory, stage, MEAN),
        line_of(memory, stage, FACTOR),
        line_of(memory, stage, SHIFT),
    )
    for i in range(n):
        if is_relu:
            for j in range(len(mean)):
                v = (entered[i, j] - mean[j]) * factor[j] + shift[j]
                left[i, j] = zero if v <= zero else v
        else:
            for j in range(len(mean)):
                left[i, j] = (entered[i, j] - mean[j]) * factor[j] + shift[j]


@loops
def gradient_sums(memory: Any, stage: Any, x: int, d: int, rows: int, share: int) -> None:
    """Of a share: the sums of the gradient, and of the gradient times x about the mean."""
    keep_apart()
    n = rows * stage[N_OUT] // stage[LINE]
    entered, delta = matrix(memory, x, n, stage[LINE]), matrix(memory, d, n, stage[LINE])
    mean, total = line_of(memory, stage, MEAN), line_of(memory, stage, OF_SHARES + 2 * share)
    by_centred = line_of(memory, stage, OF_SHARES + 2 * share + 1)
    clear(total)
    clear(by_centred)
    for i in range(n):
        for j in range(len(mean)):
            total[j] += delta[i, j]
            by_centred[j] += delta[i, j] * (entered[i, j] - mean[j])


@loops
def fold_gradients(memory: Any, stage: Any, places: Any, rows: int, shares: int, training: bool) -> None:
    """The gradients of gamma and beta, and what `through_normalisation` takes from d."""
    _fold(memory, stage, TOTAL, 0, shares, 1)
    _fold(memory, stage, BY_NORMAL, 1, shares, 1)
    channels = stage[CHANNELS_IN]
    grads = part(memory, places[GRADS] + stage[WEIGHTS], 2 * channels)
    total, by_normal, inverse = (
        line_of(memory, stage, TOTAL),
        line_of(memory, stage, BY_NORMAL),
        line_of(memory, stage, INVERSE),
    )
    count = rows * (stage[N_OUT] // channels)
    share = memory.dtype.type(1 / count if training else 0)
    for c in range(channels):
        grads[c], grads[channels + c] = by_normal[c] * inverse[c], total[c]
    for j in range(len(total)):
        total[j] *= share
        by_normal[j] *= share * inverse[j] * inverse[j]


@loops
def through_normalisation(memory: Any, stage: Any, x: int, d: int, rows: int) -> None:
    """d of a share, from the output to the input."""
    keep_apart()
    n = rows * stage[N_OUT] // stage[LINE]
    entered, delta = matrix(memory, x, n, stage[LINE]), matrix(memory, d, n, stage[LINE])
    mean, factor = line_of(memory, stage, MEAN), line_of(memory, stage, FACTOR)
    total, by_normal = line_of(memory, stage, TOTAL), line_of(memory, stage, BY_NORMAL)
    for i in range(n):
        for j in range(len(mean)):
            delta[i, j] = (delta[i, j] - total[j] - (entered[i, j] - mean[j]) * by_normal[j]) * factor[j]


@loops
def move_running(memory: Any, stage: Any, numbers: Any, rows: int) -> None:
    """The running statistics, by those of this batch."""
    channels, one = stage[CHANNELS_IN], memory.dtype.type(1)
    count, momentum = rows * (stage[N_OUT] // channels), numbers[MOMENTUM]
    keep, unbiased = one - momentum, memory.dtype.type(count / max(count - 1, 1))
    held = part(memory, stage[RUNNING], 2 * channels)
    mean, variance = line_of(memory, stage, MEAN), line_of(memory, stage, VARIANCE)
    for c in range(channels):
        held[c] = keep * held[c] + momentum * mean[c]
        held[channels + c] = keep * held[channels + c] + momentum * unbiased * variance[c]

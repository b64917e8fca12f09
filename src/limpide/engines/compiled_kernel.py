"""The compiled loop: whole epochs of any dense network in one call of one function.

A network comes as data: a table of stages (a linear part with the activation behind it), and one vector that holds all
its numbers, from the parameters to the room to work in. So `run` is compiled once for each float type, kept on disk,
and serves every architecture. Products are BLAS calls; all else is loops that become vector instructions.
"""

from __future__ import annotations

import inspect
import math
import zlib
from collections.abc import Callable
from typing import Any

from numba import njit

from limpide.engines import (
    compiled_blas,
    compiled_loops,
    compiled_program,
    compiled_team,
    compiled_updates,
    compiled_views,
)
from limpide.engines.compiled_blas import PRODUCT, help_product, product, product_back
from limpide.engines.compiled_loops import (
    IDENTITY,
    PRELU,
    RELU,
    REORDER,
    activate,
    clear,
    fill,
    loops,
    loss_and_gradient,
    slope_gradient,
    through_activation,
)
from limpide.engines.compiled_program import (
    ACTIVATION,
    BATCHNORM,
    BIAS,
    DELTA,
    DENSE,
    DROPOUT,
    EPSILON,
    GRADS,
    INNER,
    INPUT,
    KIND,
    MOMENTUM,
    N_IN,
    N_OUT,
    ONES,
    OTHER_DELTA,
    OUTPUT,
    RATE,
    RUNNING,
    SCALE,
    SCRATCH,
    SLOPE,
    SLOPE_VALUE,
    SUM,
    TARGETS,
    TRAINED,
    TURNED,
    WEIGHTS,
    WIDTH,
    WORK,
)
from limpide.engines.compiled_team import TASK, claim, finish, is_over, wait
from limpide.engines.compiled_updates import help_update, update
from limpide.engines.compiled_views import matrix, part

TRAIN, GRADIENTS, GRADIENTS_IN_EVALUATION, EVALUATE = range(4)
"""What a call of `run` does with each batch."""

NO_SUCH_ROW, NO_SUCH_CLASS = -1, -2
"""What `run` returns, having done nothing, for numbers that point outside."""


@loops
def _add_bias(z: Any, bias: Any, is_relu: bool) -> None:
    zero = z.dtype.type(0)
    for i in range(len(z)):
        if is_relu:
            for j in range(len(bias)):
                v = z[i, j] + bias[j]
                z[i, j] = zero if v <= zero else v
        else:
            for j in range(len(bias)):
                z[i, j] += bias[j]


@loops
def _share(sums: Any, inner: int, count: int) -> None:
    """Sums of each feature to means of each channel, laid out again for each of its `inner` features."""
    for first in range(0, len(sums), inner):
        channel, total = part(sums, first, inner), sums.dtype.type(0)
        for j in range(inner):
            total += channel[j]
        for j in range(inner):
            channel[j] = total / sums.dtype.type(count)


@loops
def _normalise(
    x: Any, z: Any, scratch: Any, gains: Any, running: Any, inner: int, epsilon: Any, training: bool
) -> None:
    """Batch normalisation forward; `scratch` keeps mean, variance, inverse root, gain, shift, then the normal x."""
    rows, n = x.shape
    mean, variance, inverse = part(scratch, 0, n), part(scratch, n, n), part(scratch, 2 * n, n)
    gain, shift, normal = part(scratch, 3 * n, n), part(scratch, 4 * n, n), matrix(scratch, 5 * n, rows, n)
    channels = n // inner
    for j in range(n):
        gain[j], shift[j] = gains[j // inner], gains[channels + j // inner]
        mean[j], variance[j] = running[j // inner], running[channels + j // inner]
    if training:
        clear(mean)
        for i in range(rows):
            for j in range(n):
                mean[j] += x[i, j]
        _share(mean, inner, rows * inner)
        clear(variance)
        for i in range(rows):
            for j in range(n):
                centred = x[i, j] - mean[j]
                variance[j] += centred * centred
        _share(variance, inner, rows * inner)
    for j in range(n):
        inverse[j] = z.dtype.type(1) / math.sqrt(variance[j] + epsilon)
    for i in range(rows):
        for j in range(n):
            unit = (x[i, j] - mean[j]) * inverse[j]
            normal[i, j] = unit
            z[i, j] = gain[j] * unit + shift[j]


@loops
def _through_normalisation(d: Any, scratch: Any, grads: Any, inner: int, training: bool) -> None:
    """The gradients of gamma and beta, and d from the output to the input; overwrites mean and variance."""
    rows, n = d.shape
    by_normal, total, inverse = part(scratch, 0, n), part(scratch, n, n), part(scratch, 2 * n, n)
    gain, normal = part(scratch, 3 * n, n), matrix(scratch, 5 * n, rows, n)
    clear(by_normal)
    clear(total)
    for i in range(rows):
        for j in range(n):
            by_normal[j] += d[i, j] * normal[i, j]
            total[j] += d[i, j]
    _share(by_normal, inner, 1)
    _share(total, inner, 1)
    channels, share = n // inner, d.dtype.type(1 / (rows * inner) if training else 0)
    for c in range(channels):
        grads[c], grads[channels + c] = by_normal[c * inner], total[c * inner]
    for i in range(rows):
        for j in range(n):
            centred = d[i, j] - share * (total[j] + normal[i, j] * by_normal[j])
            d[i, j] = centred * (gain[j] * inverse[j])


@loops
def _move_running(plan: Any, numbers: Any, memory: Any, rows: int) -> None:
    """The running statistics of every batch normalisation, by those of this batch."""
    for s in range(len(plan)):
        if plan[s, KIND] != BATCHNORM:
            continue
        n, inner, momentum = plan[s, N_OUT], plan[s, INNER], numbers[s, MOMENTUM]
        count, channels, keep = rows * inner, n // inner, numbers.dtype.type(1) - momentum
        unbiased = numbers.dtype.type(count / max(count - 1, 1))
        held, scratch = part(memory, plan[s, RUNNING], 2 * channels), part(memory, plan[s, SCRATCH], 2 * n)
        for c in range(channels):
            held[c] = keep * held[c] + momentum * scratch[c * inner]
            held[channels + c] = keep * held[channels + c] + momentum * unbiased * scratch[n + c * inner]


@loops
def _drop(z: Any, noise: Any, rate: Any, scale: Any) -> None:
    zero = z.dtype.type(0)
    for t in range(len(z)):
        # times 0, not set to 0: a dropped NaN stays NaN
        z[t] *= scale if noise[t] >= rate else zero


@loops
def _forward(tools: Any, tables: Any, memory: Any, noise: Any, first: int, rows: int, of: int) -> None:
    """All stages for the rows in the vector: those from `first` on of the `of` rows that noise was drawn for.

    of  0 in evaluation
    """
    plan, numbers = tables[:2]
    for s in range(len(plan)):
        kind, code, n_in, n_out = plan[s, KIND], plan[s, ACTIVATION], plan[s, N_IN], plan[s, N_OUT]
        x, z, w = plan[s, INPUT], plan[s, SUM], plan[s, WEIGHTS]
        is_done = code == IDENTITY
        if kind == DENSE:
            product(tools, memory, rows, n_out, n_in, x, False, w, False, z)
            if plan[s, BIAS] >= 0:
                is_done |= code == RELU
                _add_bias(matrix(memory, z, rows, n_out), part(memory, plan[s, BIAS], n_out), code == RELU)
        elif kind == BATCHNORM:
            entered, left = matrix(memory, x, rows, n_in), matrix(memory, z, rows, n_out)
            channels = n_out // plan[s, INNER]
            gains, held = part(memory, w, 2 * channels), part(memory, plan[s, RUNNING], 2 * channels)
            scratch = part(memory, plan[s, SCRATCH], (5 + rows) * n_out)
            _normalise(entered, left, scratch, gains, held, plan[s, INNER], numbers[s, EPSILON], of > 0)
        elif z != x:
            copied = part(memory, z, rows * n_out)
            fill(copied, part(memory, x, rows * n_in))
            if kind == DROPOUT and of > 0:
                drawn = part(noise, plan[s, SCRATCH] * of + first * n_out, rows * n_out)
                _drop(copied, drawn, numbers[s, RATE], numbers[s, SCALE])
        if not is_done:
            y = part(memory, plan[s, OUTPUT], rows * n_out)
            slope = memory[plan[s, SLOPE]] if code == PRELU else numbers[s, SLOPE_VALUE]
            activate(code, part(memory, z, rows * n_out), y, slope, plan[s, WIDTH])


@loops
def _backward(tools: Any, tables: Any, memory: Any, noise: Any, first: int, rows: int, of: int) -> None:
    """The gradient of every parameter, from that for the output in the first room for gradients."""
    plan, numbers, places = tables[:3]
    trained, grads, ones = places[TRAINED], places[GRADS], places[ONES]
    here, there = places[DELTA], places[OTHER_DELTA]
    for s in range(len(plan) - 1, trained - 1, -1):
        kind, code, n_in, n_out = plan[s, KIND], plan[s, ACTIVATION], plan[s, N_IN], plan[s, N_OUT]
        x, w, bias = plan[s, INPUT], plan[s, WEIGHTS], plan[s, BIAS]
        d = part(memory, here, rows * n_out)
        if code != IDENTITY:
            z, y = part(memory, plan[s, SUM], rows * n_out), part(memory, plan[s, OUTPUT], rows * n_out)
            slope = memory[plan[s, SLOPE]] if code == PRELU else numbers[s, SLOPE_VALUE]
            if code == PRELU:
                memory[grads + plan[s, SLOPE]] = slope_gradient(z, d)
            through_activation(code, z, y, d, slope, plan[s, WIDTH])
        if kind == DENSE:
            product(tools, memory, n_in, n_out, rows, x, True, here, False, grads + w)
            if bias >= 0:
                # a product with ones adds the rows faster than a loop
                product(tools, memory, 1, n_out, rows, ones, False, here, False, grads + bias)
            if s > trained:
                product_back(tools, memory, rows, n_in, n_out, here, w, there, places[TURNED])
                here, there = there, here
        elif kind == BATCHNORM:
            gains = part(memory, grads + w, 2 * (n_out // plan[s, INNER]))
            scratch = part(memory, plan[s, SCRATCH], (5 + rows) * n_out)
            _through_normalisation(matrix(memory, here, rows, n_out), scratch, gains, plan[s, INNER], of > 0)
        elif kind == DROPOUT and of > 0:
            drawn = part(noise, plan[s, SCRATCH] * of + first * n_out, rows * n_out)
            _drop(d, drawn, numbers[s, RATE], numbers[s, SCALE])


@loops
def _gather(table: Any, order: Any, first: int, rows: int, into: Any) -> None:
    """Rows of a table, in order, one after the other."""
    n = table.shape[1]
    for i in range(rows):
        row, place = table[order[first + i]], part(into, i * n, n)
        for j in range(n):
            place[j] = row[j]


@loops
def _losses(code: int, places: Any, memory: Any, output: Any, data: Any, labels: Any, first: int, rows: int) -> float:
    """The mean loss of the rows; its gradient into the first room for gradients."""
    values, classes, order = data[1:4]
    targets, delta = part(memory, places[TARGETS], len(output)), part(memory, places[DELTA], len(output))
    if len(classes) > 0:
        for i in range(rows):
            labels[i] = classes[order[first + i]]
    else:
        _gather(values, order, first, rows, targets)
    loss: float = loss_and_gradient(code, output, targets, part(labels, 0, rows), delta)
    return loss


@loops
def _outside(data: Any, n_classes: int) -> int:
    """0 when every row that is named is there, and every class."""
    table, _values, classes, order = data[:4]
    for i in range(len(order)):
        if not 0 <= order[i] < len(table):
            return NO_SUCH_ROW
    if len(classes) > 0:
        for i in range(len(order)):
            if not 0 <= classes[order[i]] < n_classes:
                return NO_SUCH_CLASS
    return 0


def _make_run(source: int) -> Callable[..., int]:
    """`run`, uncompiled.

    source  a number made of the other files it is compiled from: what a function takes from around it is part of its
            name on disk, where else only a change of this file is noticed
    """

    def run(
        mode: int, tools: Any, tables: Any, memory: Any, labels: Any, data: Any, rule: Any, batch_size: int, left: Any
    ) -> int:
        """Each batch of rows: how many were begun, the last of them without an update if its loss is not finite.

        tools    the address of the BLAS function, that of `yield_address`, the desk shared with helpers, empty for none
        tables   the stages, their numbers, where everything lies in the vector, the parts of an update
        memory   the one vector
        labels   room for the classes of a batch
        data     inputs, values, classes, the order of the rows, noise
        rule     code of the loss, code of the optimizer, its settings, the rate of each update, updates made before
        left     the loss of each batch; the outputs
        """
        # `source` is named so that it is taken along
        plan, places, settings = tables[0], tables[2], rule[2]
        last, n, begun, work = len(plan) - 1, len(data[3]), source * 0, places[WORK]
        n_out, end_at = plan[last, N_OUT], plan[last, OUTPUT]
        of = n if mode in (TRAIN, GRADIENTS) else 0
        outside: int = _outside(data, n_out)
        if outside != 0:
            return outside
        for first in range(0, n, batch_size):
            rows = min(batch_size, n - first)
            _gather(data[0], data[3], first, rows, part(memory, work, rows * data[0].shape[1]))
            _forward(tools, tables, memory, data[4], first, rows, of)
            output = part(memory, end_at, rows * n_out)
            if mode == EVALUATE:
                fill(part(left[1], first * n_out, rows * n_out), output)
                continue
            loss = _losses(rule[0], places, memory, output, data, labels, first, rows)
            left[0][begun] = loss
            begun += 1
            if mode == TRAIN and not math.isfinite(loss):
                break
            if mode == TRAIN:
                _move_running(plan, tables[1], memory, rows)
            _backward(tools, tables, memory, data[4], first, rows, of)
            if mode == TRAIN:
                settings[6], settings[8] = rule[3][begun - 1], rule[4] + begun
                update(tools, rule[1], memory, tables, settings)
        return begun

    return run


def _make_help_run(source: int) -> Callable[..., None]:
    """`help_run`, uncompiled; `source` as for `run`."""

    def help_run(tools: Any, places: Any, memory: Any, settings: Any) -> None:
        """Do pieces of what stands on the desk of a `run` under way, until it is over."""
        desk, looked = tools[2], source * 0
        i = claim(desk, True)
        while not is_over(desk):
            if i < 0:
                looked += 1
                wait(tools[1], looked)
                i = claim(desk, True)
                continue
            looked = 0
            if desk[TASK] == PRODUCT:
                help_product(tools[0], memory, desk, i)
            else:
                help_update(memory, places, settings, desk, i)
            i = finish(desk, True)

    return help_run


def _on_disk(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled when first called, and kept on disk where a folder can be written."""
    options: dict[str, Any] = {"error_model": "numpy", "fastmath": REORDER, "nogil": True}
    try:
        return njit(**options, cache=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        return njit(**options)(function)  # type: ignore[no-any-return]


_files = (compiled_blas, compiled_loops, compiled_program, compiled_team, compiled_updates, compiled_views)
_sources = "".join(map(inspect.getsource, _files))
run, help_run = (_on_disk(make(zlib.crc32(_sources.encode()))) for make in (_make_run, _make_help_run))

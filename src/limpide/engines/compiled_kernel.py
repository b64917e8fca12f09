"""The compiled loop: whole epochs of any dense network in one call of one function.

A network comes as data: a table of stages (a linear part with the activation behind it), one vector of parameters and
one workspace. So `run` is compiled once for each float type, kept on disk, and serves every architecture. Products are
BLAS calls on preallocated buffers; all else is loops that become vector instructions.
"""

from __future__ import annotations

import inspect
import math
import zlib
from collections.abc import Callable
from typing import Any

from numba import njit

from limpide.engines import compiled_blas, compiled_loops
from limpide.engines.compiled_blas import product
from limpide.engines.compiled_loops import (
    IDENTITY,
    PRELU,
    RELU,
    REORDER,
    activate,
    clear,
    fill,
    keep_apart,
    loops,
    loss_and_gradient,
    slope_gradient,
    through_activation,
)

STAGE_COLUMNS = (
    "kind",
    "activation",
    "n_in",
    "n_out",
    "weights",
    "bias",
    "slope",
    "input",
    "sum",
    "output",
    "inner",
    "width",
    "scratch",
    "running",
)
KIND, ACTIVATION, N_IN, N_OUT, WEIGHTS, BIAS, SLOPE, INPUT, SUM, OUTPUT, INNER, WIDTH, SCRATCH, RUNNING = range(14)
"""The columns of the table of stages, all whole numbers.

weights, bias, slope        where they start in the vector of parameters; bias and slope -1 for none
input, sum, output          where the batch's rows stand in the workspace, one after the other
inner                       batchnorm: how many features share a channel
width                       softmax: over how many numbers
scratch                     batchnorm: where its own numbers stand; dropout: how many of one row's noise come before
running                     batchnorm: where its running statistics start
"""

SLOPE_VALUE, RATE, SCALE, MOMENTUM, EPSILON = range(5)
"""The columns of the table of the stages' other numbers."""

ALONE, DENSE, BATCHNORM, DROPOUT = range(4)

SGD, MOMENTUM_RULE, NESTEROV, RMSPROP, ADAM = range(5)

TRAIN, GRADIENTS, GRADIENTS_IN_EVALUATION, EVALUATE = range(4)
"""What a call of `run` does with each batch."""


@loops
def _matrix(flat: Any, start: int, rows: int, n: int) -> Any:
    return flat[start : start + rows * n].reshape(rows, n)


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
        channel, total = sums[first : first + inner], sums.dtype.type(0)
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
    mean, variance, inverse = scratch[:n], scratch[n : 2 * n], scratch[2 * n : 3 * n]
    gain, shift = scratch[3 * n : 4 * n], scratch[4 * n : 5 * n]
    normal = scratch[5 * n : 5 * n + rows * n].reshape(rows, n)
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
    by_normal, total, inverse = scratch[:n], scratch[n : 2 * n], scratch[2 * n : 3 * n]
    gain, normal = scratch[3 * n : 4 * n], scratch[5 * n : 5 * n + rows * n].reshape(rows, n)
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
def _move_running(plan: Any, numbers: Any, running: Any, work: Any, rows: int) -> None:
    """The running statistics of every batch normalisation, by those of this batch."""
    for s in range(len(plan)):
        if plan[s, KIND] != BATCHNORM:
            continue
        n, inner, momentum = plan[s, N_OUT], plan[s, INNER], numbers[s, MOMENTUM]
        count, channels, keep = rows * inner, n // inner, numbers.dtype.type(1) - momentum
        unbiased = numbers.dtype.type(count / max(count - 1, 1))
        held = running[plan[s, RUNNING] : plan[s, RUNNING] + 2 * channels]
        scratch = work[plan[s, SCRATCH] : plan[s, SCRATCH] + 2 * n]
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
def _forward(gemm: Any, network: Any, state: Any, room: Any, noise: Any, first: int, rows: int, of: int) -> None:
    """All stages for the rows in the workspace: those from `first` on of the `of` rows that noise was drawn for.

    of  0 in evaluation
    """
    plan, numbers, params, running, work = network[0], network[1], state[0], state[4], room[0]
    for s in range(len(plan)):
        kind, code, n_in, n_out = plan[s, KIND], plan[s, ACTIVATION], plan[s, N_IN], plan[s, N_OUT]
        x, z, w = plan[s, INPUT], plan[s, SUM], plan[s, WEIGHTS]
        is_done = code == IDENTITY
        if kind == DENSE:
            product(gemm, rows, n_out, n_in, work, x, False, params, w, False, work, z)
            if plan[s, BIAS] >= 0:
                is_done |= code == RELU
                bias = params[plan[s, BIAS] : plan[s, BIAS] + n_out]
                _add_bias(_matrix(work, z, rows, n_out), bias, code == RELU)
        elif kind == BATCHNORM:
            entered, left = _matrix(work, x, rows, n_in), _matrix(work, z, rows, n_out)
            gains, held, scratch = params[w:], running[plan[s, RUNNING] :], work[plan[s, SCRATCH] :]
            _normalise(entered, left, scratch, gains, held, plan[s, INNER], numbers[s, EPSILON], of > 0)
        elif z != x:
            copied = work[z : z + rows * n_out]
            fill(copied, work[x : x + rows * n_in])
            if kind == DROPOUT and of > 0:
                drawn = noise[plan[s, SCRATCH] * of + first * n_out :]
                _drop(copied, drawn, numbers[s, RATE], numbers[s, SCALE])
        if not is_done:
            y = work[plan[s, OUTPUT] : plan[s, OUTPUT] + rows * n_out]
            slope = params[plan[s, SLOPE]] if code == PRELU else numbers[s, SLOPE_VALUE]
            activate(code, work[z : z + rows * n_out], y, slope, plan[s, WIDTH])


@loops
def _backward(gemm: Any, network: Any, state: Any, room: Any, noise: Any, first: int, rows: int, of: int) -> None:
    """The gradient of every parameter, from that for the output in the first half of `delta`."""
    plan, numbers, trained = network
    params, grads, (work, delta, ones) = state[0], state[1], room[:3]
    here, half = 0, len(delta) // 2
    for s in range(len(plan) - 1, trained - 1, -1):
        kind, code, n_in, n_out = plan[s, KIND], plan[s, ACTIVATION], plan[s, N_IN], plan[s, N_OUT]
        d = delta[here : here + rows * n_out]
        if code != IDENTITY:
            z = work[plan[s, SUM] : plan[s, SUM] + rows * n_out]
            y = work[plan[s, OUTPUT] : plan[s, OUTPUT] + rows * n_out]
            slope = params[plan[s, SLOPE]] if code == PRELU else numbers[s, SLOPE_VALUE]
            if code == PRELU:
                grads[plan[s, SLOPE]] = slope_gradient(z, d)
            through_activation(code, z, y, d, slope, plan[s, WIDTH])
        if kind == DENSE:
            x, w, bias = plan[s, INPUT], plan[s, WEIGHTS], plan[s, BIAS]
            product(gemm, n_in, n_out, rows, work, x, True, delta, here, False, grads, w)
            if bias >= 0:
                # a product with ones adds the rows faster than a loop
                product(gemm, 1, n_out, rows, ones, 0, False, delta, here, False, grads, bias)
            if s > trained:
                product(gemm, rows, n_in, n_out, delta, here, False, params, w, True, delta, half - here)
                here = half - here
        elif kind == BATCHNORM:
            gains, scratch = grads[plan[s, WEIGHTS] :], work[plan[s, SCRATCH] :]
            _through_normalisation(d.reshape(rows, n_out), scratch, gains, plan[s, INNER], of > 0)
        elif kind == DROPOUT and of > 0:
            _drop(d, noise[plan[s, SCRATCH] * of + first * n_out :], numbers[s, RATE], numbers[s, SCALE])


@loops
def _gather(table: Any, order: Any, first: int, rows: int, into: Any) -> None:
    """Rows of a table, in order, one after the other."""
    n = table.shape[1]
    for i in range(rows):
        row, place = table[order[first + i]], into[i * n : (i + 1) * n]
        for j in range(n):
            place[j] = row[j]


@loops
def _losses(code: int, output: Any, data: Any, room: Any, first: int, rows: int) -> float:
    """The mean loss of the rows; its gradient into `delta`."""
    (values, classes, order), (delta, targets, labels) = data[1:4], (room[1], room[3], room[4])
    if len(classes) > 0:
        for i in range(rows):
            labels[i] = classes[order[first + i]]
    else:
        _gather(values, order, first, rows, targets)
    loss: float = loss_and_gradient(code, output, targets, labels[:rows], delta[: len(output)])
    return loss


@loops
def _clipped(grads: Any, norm: float) -> float:
    """The factor that brings the gradient's norm down to `norm`."""
    square = 0.0
    for t in range(len(grads)):
        square += grads[t] * grads[t]
    # 1e-6 as in torch.nn.utils.clip_grad_norm_
    factor = norm / (math.sqrt(square) + 1e-6)
    return factor if factor < 1 else 1.0


@loops
def _update(rule: int, state: Any, settings: Any, rate: float, step: int) -> None:
    """One step of the optimizer on the whole vector.

    state     parameters, gradients, the two slots
    settings  shares kept of the two slots, epsilon, decay through the gradient, decay taken off directly, largest norm
    step      1 for the first update
    """
    keep_apart()
    params, grads, first_slot, second_slot = state[0], state[1], state[2], state[3]
    real = params.dtype.type
    keep1, keep2, epsilon, decay = real(settings[0]), real(settings[1]), real(settings[2]), real(settings[3])
    add1, add2 = real(1 - settings[0]), real(1 - settings[1])
    scale = real(_clipped(grads, settings[5]) if settings[5] > 0 else 1)
    factor, taken = real(-rate), real(rate * settings[4])
    if rule == SGD:
        for t in range(len(params)):
            params[t] += factor * (scale * grads[t] + decay * params[t])
    elif rule in (MOMENTUM_RULE, NESTEROV):
        ahead, along = (real(1), keep1) if rule == NESTEROV else (real(0), real(1))
        for t in range(len(params)):
            g = scale * grads[t] + decay * params[t]
            velocity = keep1 * first_slot[t] + g
            first_slot[t] = velocity
            params[t] += factor * (ahead * g + along * velocity)
    elif rule == RMSPROP:
        for t in range(len(params)):
            g = scale * grads[t] + decay * params[t]
            square = keep1 * first_slot[t] + add1 * (g * g)
            first_slot[t] = square
            params[t] += factor * g / (math.sqrt(square) + epsilon)
    elif rule == ADAM:
        # both corrections for the start at zero, in two numbers
        root = math.sqrt(1 - settings[1] ** step)
        factor, epsilon = real(-rate * root / (1 - settings[0] ** step)), real(settings[2] * root)
        for t in range(len(params)):
            g = scale * grads[t] + decay * params[t]
            mean = keep1 * first_slot[t] + add1 * g
            square = keep2 * second_slot[t] + add2 * (g * g)
            first_slot[t], second_slot[t] = mean, square
            params[t] += factor * mean / (math.sqrt(square) + epsilon) - taken * params[t]


def _make_run(source: int) -> Callable[..., int]:
    """`run`, uncompiled.

    source  a number made of the other files it is compiled from: what a function takes from around it is part of its
            name on disk, where else only a change of this file is noticed
    """

    def run(
        mode: int, gemm: Any, network: Any, state: Any, room: Any, data: Any, rule: Any, batch_size: int, left: Any
    ) -> int:
        """Each batch of rows: how many were begun, the last of them without an update if its loss is not finite.

        gemm     the address of the BLAS function, and the multiply-adds above which a product is cut
        network  the table of stages, their numbers, the first stage with parameters
        state    parameters, gradients, the optimizer's two slots, running statistics
        room     workspace; two halves of gradients that stages use in turn; ones; targets and classes of a batch
        data     inputs, values, classes, the order of the rows, noise
        rule     code of the loss, code of the optimizer, its settings, the rate of each update, updates made before
        left     the loss of each batch; the outputs
        """
        # `source` is named so that it is taken along
        plan, begun = network[0], source * 0
        work, last, n = room[0], len(plan) - 1, len(data[3])
        n_out = plan[last, N_OUT]
        of = n if mode in (TRAIN, GRADIENTS) else 0
        for first in range(0, n, batch_size):
            rows = min(batch_size, n - first)
            _gather(data[0], data[3], first, rows, work)
            _forward(gemm, network, state, room, data[4], first, rows, of)
            output = work[plan[last, OUTPUT] : plan[last, OUTPUT] + rows * n_out]
            if mode == EVALUATE:
                fill(left[1][first * n_out :], output)
                continue
            loss = _losses(rule[0], output, data, room, first, rows)
            left[0][begun] = loss
            begun += 1
            if mode == TRAIN and not math.isfinite(loss):
                break
            if mode == TRAIN:
                _move_running(plan, network[1], state[4], work, rows)
            _backward(gemm, network, state, room, data[4], first, rows, of)
            if mode == TRAIN:
                _update(rule[1], state, rule[2], rule[3][begun - 1], rule[4] + begun)
        return begun

    return run


def _on_disk(function: Callable[..., int]) -> Callable[..., int]:
    """The function compiled when first called, and kept on disk where a folder can be written."""
    options: dict[str, Any] = {"error_model": "numpy", "fastmath": REORDER, "nogil": True}
    try:
        return njit(**options, cache=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        return njit(**options)(function)  # type: ignore[no-any-return]


_sources = inspect.getsource(compiled_blas) + inspect.getsource(compiled_loops)
run = _on_disk(_make_run(zlib.crc32(_sources.encode())))

"""The compiled loop: whole epochs of any network in one call of one function.

A network comes as data: a table of stages (a linear part with the activation behind it), and one vector that holds all
its numbers, from the parameters to the room to work in. So `run` is compiled once for each float type, kept on disk,
and serves every architecture. Products are BLAS calls; all else is loops that become vector instructions.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numba import types as numba_types
from numba.np.numpy_support import carray

from limpide.engines import (
    compiled_blas,
    compiled_functions,
    compiled_images,
    compiled_loops,
    compiled_normal,
    compiled_program,
    compiled_shares,
    compiled_sheet,
    compiled_team,
    compiled_updates,
    compiled_views,
)
from limpide.engines.compiled_blas import PRODUCT, help_product, product, product_back
from limpide.engines.compiled_code import address_of, fingerprint
from limpide.engines.compiled_images import add_up_kernels, turn_kernels
from limpide.engines.compiled_loops import (
    IDENTITY,
    PRELU,
    RELU,
    activate,
    add_bias,
    fill,
    loops,
    loss_and_gradient,
    slope_gradient,
)
from limpide.engines.compiled_normal import (
    fold_gradients,
    fold_mean,
    fold_variance,
    make_factors,
    move_running,
    recall,
)
from limpide.engines.compiled_program import (
    ACTIVATION,
    BATCHNORM,
    BIAS,
    CONVOLUTION,
    DELTA,
    DENSE,
    ELSEWHERE,
    GRADS,
    INPUT,
    KIND,
    N_IN,
    N_OUT,
    ONES,
    OTHER_DELTA,
    OUTPUT,
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
from limpide.engines.compiled_shares import (
    BACK_SUMS,
    BACKWARD,
    FORWARD,
    SHARES,
    SQUARES,
    SUMS,
    do_shares,
    help_shares,
    through,
)
from limpide.engines.compiled_sheet import SHEET, data_on, tables_on, tools_on
from limpide.engines.compiled_team import TASK, claim, finish, is_over, wait
from limpide.engines.compiled_updates import help_update, update
from limpide.engines.compiled_views import matrix, part, vector_at

types: Any = numba_types

TRAIN, GRADIENTS, GRADIENTS_IN_EVALUATION = range(3)
"""What a call of `run` does with each batch."""

NO_SUCH_ROW, NO_SUCH_CLASS = -1, -2
"""What `run` returns, having done nothing, for numbers that point outside."""


@loops
def _normalise(tools: Any, tables: Any, memory: Any, noise: Any, s: int, rows: int, training: bool) -> None:
    """What a batch normalisation must know of the whole batch before it begins."""
    stage, numbers = tables[0][s], tables[1][s]
    if training:
        shares = do_shares(tools, tables, memory, noise, (SUMS, s, rows, 0, 0, 0, 0))
        fold_mean(memory, stage, rows, shares)
        shares = do_shares(tools, tables, memory, noise, (SQUARES, s, rows, 0, 0, 0, 0))
        fold_variance(memory, stage, rows, shares)
    else:
        recall(memory, stage)
    make_factors(memory, stage, numbers)


@loops
def _forward(tools: Any, tables: Any, memory: Any, noise: Any, first: int, rows: int, of: int) -> None:
    """All stages for the rows in the vector: those from `first` on of the `of` rows that noise was drawn for.

    of  0 in evaluation
    """
    plan, numbers = tables[:2]
    for s in range(len(plan)):
        kind, code, n_in, n_out = plan[s, KIND], plan[s, ACTIVATION], plan[s, N_IN], plan[s, N_OUT]
        if kind != DENSE:
            if kind == BATCHNORM:
                _normalise(tools, tables, memory, noise, s, rows, of > 0)
            elif kind == CONVOLUTION:
                turn_kernels(memory, plan[s], False)
            do_shares(tools, tables, memory, noise, (FORWARD, s, rows, first, of, 0, 0))
            continue
        z, is_done = plan[s, SUM], code == IDENTITY
        product(tools, memory, rows, n_out, n_in, plan[s, INPUT], False, plan[s, WEIGHTS], False, z)
        if plan[s, BIAS] >= 0:
            is_done |= code == RELU
            add_bias(matrix(memory, z, rows, n_out), part(memory, plan[s, BIAS], n_out), code == RELU)
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
        kind, n_in, n_out, bias = plan[s, KIND], plan[s, N_IN], plan[s, N_OUT], plan[s, BIAS]
        if plan[s, ACTIVATION] == PRELU:
            z, d = part(memory, plan[s, SUM], rows * n_out), part(memory, here, rows * n_out)
            memory[grads + plan[s, SLOPE]] = slope_gradient(z, d)
        if kind == DENSE:
            through(memory, plan[s], numbers[s], here, 0, rows)
            product(tools, memory, n_in, n_out, rows, plan[s, INPUT], True, here, False, grads + plan[s, WEIGHTS])
            if bias >= 0:
                # a product with ones adds the rows faster than a loop
                product(tools, memory, 1, n_out, rows, ones, False, here, False, grads + bias)
            if s > trained:
                product_back(tools, memory, rows, n_in, n_out, here, plan[s, WEIGHTS], there, places[TURNED])
        else:
            if kind == BATCHNORM:
                shares = do_shares(tools, tables, memory, noise, (BACK_SUMS, s, rows, 0, 0, here, there))
                fold_gradients(memory, plan[s], places, rows, shares, of > 0)
            elif kind == CONVOLUTION:
                turn_kernels(memory, plan[s], True)
            shares = do_shares(tools, tables, memory, noise, (BACKWARD, s, rows, first, of, here, there))
            if kind == CONVOLUTION:
                add_up_kernels(memory, plan[s], places, shares)
        if s > trained and kind in ELSEWHERE:
            here, there = there, here


@loops
def _gather(table: Any, order: Any, first: int, rows: int, into: Any) -> None:
    """Rows of a table, in order, one after the other."""
    n = table.shape[1]
    for i in range(rows):
        row, place = table[order[first + i]], part(into, i * n, n)
        for j in range(n):
            place[j] = row[j]


@loops
def _outputs(tools: Any, tables: Any, memory: Any, noise: Any, inputs: Any, block: int, into: Any) -> None:
    """The outputs in evaluation mode, so many rows at once."""
    plan, places = tables[0], tables[2]
    last, width = len(plan) - 1, inputs.shape[1]
    n_out = plan[last, N_OUT]
    for first in range(0, len(inputs), block):
        rows = min(block, len(inputs) - first)
        for i in range(rows):
            fill(part(memory, places[WORK] + i * width, width), inputs[first + i])
        _forward(tools, tables, memory, noise, first, rows, 0)
        fill(part(into, first * n_out, rows * n_out), part(memory, plan[last, OUTPUT], rows * n_out))


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


def _make_run(source: int, real: type[np.floating[Any]]) -> Callable[..., int]:
    """`run`, uncompiled.

    source  as `fingerprint` makes it
    real    the type of the numbers
    """

    def run(sheet_at: Any) -> int:
        """Each batch of rows, then the outputs for others: how many batches were begun.

        The last of them without an update if its loss is not finite; there are then no outputs either.
        """
        sheet = carray(sheet_at, 1)[0]
        tools, tables, data = tools_on(sheet), tables_on(sheet, real), data_on(sheet, real)
        memory = vector_at(real, sheet.memory, sheet.n_memory)
        labels = vector_at(np.int64, sheet.labels, sheet.n_labels)
        # `source` is named so that it is taken along
        settings = vector_at(np.float64, sheet.settings, sheet.n_settings + source * 0)
        losses = vector_at(np.float64, sheet.losses, sheet.n_losses)
        rates = vector_at(np.float64, sheet.rates, sheet.n_losses)
        plan, places, mode, n, begun = tables[0], tables[2], sheet.mode, sheet.n_order, 0
        last, work, of = len(plan) - 1, places[WORK], n if mode in (TRAIN, GRADIENTS) else 0
        n_out, end_at, batch_size = plan[last, N_OUT], plan[last, OUTPUT], sheet.batch
        outside: int = _outside(data, n_out)
        if outside != 0:
            return outside
        for first in range(0, n, batch_size):
            rows = min(batch_size, n - first)
            _gather(data[0], data[3], first, rows, part(memory, work, rows * data[0].shape[1]))
            _forward(tools, tables, memory, data[4], first, rows, of)
            output = part(memory, end_at, rows * n_out)
            loss = _losses(sheet.loss, places, memory, output, data, labels, first, rows)
            losses[begun] = loss
            begun += 1
            if mode == TRAIN and not math.isfinite(loss):
                return begun
            if mode == TRAIN:
                for s in range(len(plan)):
                    if plan[s, KIND] == BATCHNORM:
                        move_running(memory, plan[s], tables[1][s], rows)
            _backward(tools, tables, memory, data[4], first, rows, of)
            if mode == TRAIN:
                settings[6], settings[8] = rates[begun - 1], sheet.step + begun
                update(tools, sheet.rule, memory, tables, settings)
        for inputs, into in ((data[5], sheet.outputs), (data[6], sheet.also_outputs)):
            outputs = vector_at(real, into, len(inputs) * n_out)
            _outputs(tools, tables, memory, data[4], inputs, sheet.block, outputs)
        return begun

    return run


def _make_help_run(source: int, real: type[np.floating[Any]]) -> Callable[..., int]:
    """`help_run`, uncompiled; `source` and `real` as for `run`."""

    def help_run(sheet_at: Any) -> int:
        """Do pieces of what stands on the desk of a `run` under way, until it is over."""
        sheet = carray(sheet_at, 1)[0]
        tools, tables, data = tools_on(sheet), tables_on(sheet, real), data_on(sheet, real)
        memory = vector_at(real, sheet.memory, sheet.n_memory)
        settings = vector_at(np.float64, sheet.settings, sheet.n_settings)
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
            elif desk[TASK] == SHARES:
                help_shares(tools, tables, memory, data[4], i)
            else:
                help_update(memory, tables[2], settings, desk, i)
            i = finish(desk, True)
        return 0

    return help_run


_SOURCE = fingerprint(
    compiled_blas,
    compiled_functions,
    compiled_images,
    compiled_loops,
    compiled_normal,
    compiled_program,
    compiled_shares,
    compiled_sheet,
    compiled_team,
    compiled_updates,
    compiled_views,
)
_CALL = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)


@lru_cache(maxsize=2)
def get_run(dtype: np.dtype[Any]) -> Callable[[int], int]:
    """`run` for numbers of a type, to be called with the address of a `Sheet`; Python's lock is let go meanwhile."""
    return _CALL(address_of(_make_run(_SOURCE, dtype.type), types.int64(SHEET)))


@lru_cache(maxsize=2)
def get_help_run(dtype: np.dtype[Any]) -> Callable[[int], int]:
    """`help_run`, in the same way."""
    return _CALL(address_of(_make_help_run(_SOURCE, dtype.type), types.int64(SHEET)))

"""What one call of the compiled functions is told: whole numbers alone, most of them addresses of arrays.

Arrays handed over one by one cost Numba as long as some updates of a small network, and each is counted as in use
again and again while it is at work. Whoever fills a sheet keeps the arrays until the call is over.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numba import from_dtype
from numba import types as numba_types

from limpide.engines.compiled_loops import loops
from limpide.engines.compiled_program import N_NUMBERS, PLACES, STAGE_COLUMNS
from limpide.engines.compiled_views import matrix_at, vector_at

types: Any = numba_types


class Sheet(ctypes.Structure):
    """One call; every word that is not explained is the address of an array, `n_` how long it is.

    mode           what is done with each batch
    gemm           address of the BLAS function
    way            address of the function that lets other threads go first; 0 for none
    share          what `share_address` gives; 0 for a network of dense layers
    desk           where threads that help find what is to be done; of length 0 where nobody helps
    stages         the table of the network, with its numbers, where everything lies in the vector, parts of an update
    memory         the one vector
    labels         room for the classes of a batch
    inputs         of each row as many numbers as the network takes
    values         targets of each row as many as the network gives; there are none where there are classes
    order          the rows, in the order of their visits
    noise          numbers drawn for them
    asked          inputs whose outputs are asked for, two times; `outputs` is where they go
    losses         one for each batch
    loss, rule     code of the loss, of the optimizer, with its settings and the rate of each update
    step           updates made before
    batch, block   rows of a batch; rows at once of those whose outputs are asked for
    """

    _fields_ = [
        (name, ctypes.c_int64)
        for name in (
            *("mode", "gemm", "way", "share", "desk", "n_desk"),
            *("stages", "n_stages", "numbers", "places", "bounds", "n_bounds"),
            *("memory", "n_memory", "labels", "n_labels", "n_in", "n_out"),
            *("inputs", "n_inputs", "values", "n_values", "classes", "n_classes", "order", "n_order"),
            *("noise", "n_noise", "asked", "n_asked", "outputs", "also_asked", "n_also_asked", "also_outputs"),
            *("losses", "n_losses", "loss", "rule", "settings", "n_settings", "rates", "step", "batch", "block"),
        )
    ]


SHEET = types.CPointer(from_dtype(np.dtype(Sheet)))

_NO_BYTES = ctypes.c_char * 0


def address(array: np.ndarray) -> int:
    """Where an array begins: `array.ctypes.data`, told sooner where it may be written to."""
    try:
        return ctypes.addressof(_NO_BYTES.from_buffer(array))  # type: ignore[arg-type]
    except TypeError:
        return array.ctypes.data


@loops
def tools_on(sheet: Any) -> Any:
    """The tools, as for `compiled_blas.product`."""
    return sheet.gemm, sheet.way, vector_at(np.int64, sheet.desk, sheet.n_desk), sheet.share


@loops
def tables_on(sheet: Any, real: Any) -> Any:
    """The stages, their numbers, where everything lies in the vector, the parts of an update."""
    stages = matrix_at(np.int64, sheet.stages, sheet.n_stages, len(STAGE_COLUMNS))
    numbers = matrix_at(real, sheet.numbers, sheet.n_stages, N_NUMBERS)
    places, bounds = vector_at(np.int64, sheet.places, len(PLACES)), vector_at(np.int64, sheet.bounds, sheet.n_bounds)
    return stages, numbers, places, bounds


@loops
def data_on(sheet: Any, real: Any) -> Any:
    """Inputs, values, classes, the order of the rows, noise, two times inputs whose outputs are asked for."""
    return (
        matrix_at(real, sheet.inputs, sheet.n_inputs, sheet.n_in),
        matrix_at(real, sheet.values, sheet.n_values, sheet.n_out),
        vector_at(np.int64, sheet.classes, sheet.n_classes),
        vector_at(np.int64, sheet.order, sheet.n_order),
        vector_at(np.float32, sheet.noise, sheet.n_noise),
        matrix_at(real, sheet.asked, sheet.n_asked, sheet.n_in),
        matrix_at(real, sheet.also_asked, sheet.n_also_asked, sheet.n_in),
    )

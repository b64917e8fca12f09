"""Randomness: one root seed, a named stream for each use.

A stream depends on the root seed and its name alone, so adding a use never moves the numbers of another.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """The generator of one use.

    seed  the root seed of the run
    name  what the numbers are for, such as "order", 3 for the order of the rows in epoch 3

    >>> float(stream(0, "weights").random()) == float(stream(0, "weights").random())
    True
    >>> float(stream(0, "weights").random()) == float(stream(0, "split").random())
    False
    """
    digest = hashlib.sha256("/".join(str(part) for part in name).encode()).digest()
    key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))

"""Randomness: one root seed, a named stream for each use.

A stream depends on the root seed and its name alone, so adding a use never moves the numbers of another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np

WORD = np.dtype("<u4")
POOL_BYTES = 16
"""What a SeedSequence holds: the seed's words fill it, with zeros behind them, and the name's come after."""


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """The generator of one use.

    seed  the root seed of the run
    name  what the numbers are for, such as "order", 3 for the order of the rows in epoch 3

    >>> float(stream(0, "weights").random()) == float(stream(0, "weights").random())
    True
    >>> float(stream(0, "weights").random()) == float(stream(0, "split").random())
    False
    """
    if seed < 0:
        raise ValueError(f"a seed is a non-negative number, not {seed}")
    root, digest = int(seed), hashlib.sha256("/".join(map(str, name)).encode()).digest()
    # the bits of SeedSequence(seed, spawn_key=four words of the digest), laid out as it would, in half the time
    n_bytes = max(POOL_BYTES, -(-root.bit_length() // 32) * 4)
    words = np.frombuffer(root.to_bytes(n_bytes, "little") + digest[:POOL_BYTES], WORD)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def streams(seed: int, *name: str | int) -> Callable[[str], np.random.Generator]:
    """The generators of one use in several places, each made when its place first asks, and the same one ever after.

    name  what the numbers are for; the place comes behind it

    >>> noise = streams(0, "noise", 3)
    >>> noise("2.dropout") is noise("2.dropout")
    True
    """
    return lru_cache(maxsize=None)(lambda place: stream(seed, *name, place))

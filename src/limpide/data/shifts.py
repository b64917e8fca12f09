"""Images moved a little at random: the same digit a pixel further is still that digit."""

from __future__ import annotations

import numpy as np


def shifted(images: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Each image moved by up to `most` pixels up or down, and left or right; its edge fills what comes into sight.

    images  (n, channels, rows, columns)

    >>> import numpy as np
    >>> shifted(np.arange(3.0).reshape(1, 1, 1, 3), 1, np.random.default_rng(4)).ravel()
    array([0., 0., 1.])
    """
    rows, columns = images.shape[2:]
    reach = 2 * most + 1
    moved = np.empty_like(images)
    drawn = rng.integers(reach * reach, size=len(images))
    for place in range(reach * reach):
        chosen = np.flatnonzero(drawn == place)
        down, right = divmod(place, reach)
        framed = np.pad(images[chosen], ((0, 0), (0, 0), (most, most), (most, most)), mode="edge")
        moved[chosen] = framed[:, :, down : down + rows, right : right + columns]
    return moved

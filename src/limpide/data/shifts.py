"""Images moved a little at random: the same digit a pixel further is still that digit."""

from __future__ import annotations

import numpy as np

AT_ONCE = 2**20
"""Numbers of the images that are framed and moved while they are in the cache: half the time of all together."""


def shifted(images: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Each image moved by up to `most` pixels up or down, and left or right; its edge fills what comes into sight.

    images  (n, channels, rows, columns)

    >>> import numpy as np
    >>> shifted(np.arange(3.0).reshape(1, 1, 1, 3), 1, np.random.default_rng(4)).ravel()
    array([0., 0., 1.])
    """
    rows, columns = images.shape[2:]
    reach, edges = 2 * most + 1, ((0, 0), (0, 0), (most, most), (most, most))
    moved = np.empty_like(images)
    drawn = rng.integers(reach * reach, size=len(images))
    for block in _blocks(images):
        framed = np.pad(images[block], edges, mode="edge")
        for place in np.unique(drawn[block]).tolist():
            chosen = np.flatnonzero(drawn[block] == place)
            down, right = divmod(place, reach)
            moved[block][chosen] = framed[:, :, down : down + rows, right : right + columns][chosen]
    return moved


def told_by_place(images: np.ndarray, classes: np.ndarray) -> float:
    """How much of what varies in where things stand the class explains: 1 for all, about 0 for nothing.

    Where things stand is the mean place of what differs from an image's own mean; the larger share of both directions,
    less what classes explain by chance. A shift would mislead where it is large.

    images   (n, channels, rows, columns)
    classes  (n,) numbers from 0

    >>> import numpy as np
    >>> images = np.eye(4).reshape(4, 1, 1, 4)
    >>> told_by_place(images, np.array([0, 0, 1, 1])), told_by_place(images, np.array([0, 1, 1, 0]))
    (0.7, 0.0)
    """
    _, members = np.unique(classes, return_inverse=True)
    counts = np.bincount(members)
    if len(images) <= len(counts):
        return 0.0
    shares = [0.0]
    for place in _places(images):
        varies = ((place - place.mean()) ** 2).sum()
        if varies > 0:
            means = np.bincount(members, place) / counts
            left = ((place - means[members]) ** 2).sum() / varies
            shares.append(1 - left * (len(images) - 1) / (len(images) - len(counts)))
    return float(round(max(shares), 12))


def _places(images: np.ndarray) -> np.ndarray:
    """(2, n): the row and the column about which things stand in each image."""
    places = np.empty((2, len(images)))
    for block in _blocks(images):
        grey = images[block].mean(1, dtype=float)
        weights = (grey - grey.mean((1, 2), keepdims=True)) ** 2
        totals = np.maximum(weights.sum((1, 2)), np.finfo(float).tiny)
        for axis, sums in enumerate((weights.sum(2), weights.sum(1))):
            places[axis, block] = sums @ np.arange(sums.shape[1]) / totals
    return places


def _blocks(images: np.ndarray) -> list[slice]:
    """Runs of images that are together about as large as `AT_ONCE`."""
    length = max(1, AT_ONCE // images[0].size)
    return [slice(first, first + length) for first in range(0, len(images), length)]

"""How like the training images a new image is: a network answers whatever it is shown, a photograph or a blank page.

Images are softened, their ground is taken off, and they are brought to length 1, so that neither faintness nor a small
shift counts. The distance of an image to the nearest of the training images kept is then compared with those of the
validation images, which training never saw: what lies farther than 99 of 100 of them is unlike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limpide import seeds
from limpide.data.dataset import Treated
from limpide.i18n import _, format_decimal

KEPT, JUDGED = 5_000, 2_000
"""Training images that are kept, and validation images that the limit is taken from, at most."""
FEATURES = 40
"""Directions in which images are compared one by one; what lies outside of all of them counts as a whole."""
SIDE = 32
"""Larger images are compared in a reduced form."""
CACHED = 1 << 17
"""Values that are softened at a time."""
SHARE = 0.99
PREFIX = "likeness."
"""What the names of its arrays begin with, among the weights of a model."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """What new images are compared with.

    ground   (channels,): the usual value of a training pixel
    basis    (values, features): the directions in which the training images differ most
    kept     (images, features): training images in these directions
    classes  (images,): the class number of each image kept
    limit    the distance to the nearest kept image that `SHARE` of the validation images do not exceed
    """

    ground: np.ndarray
    basis: np.ndarray
    kept: np.ndarray
    classes: np.ndarray
    limit: float

    @classmethod
    def fit(cls, images: np.ndarray, classes: np.ndarray, train: np.ndarray, validation: np.ndarray) -> Likeness | None:
        """What these training images have in common, and how far others may be; None without validation images.

        images             all images (n, channels, rows, cols) in [0, 255]
        classes            the class number of each training image
        train, validation  the rows of each part
        """
        if not len(train) or not len(validation):
            return None
        chosen = np.arange(len(train))[:: -(-len(train) // KEPT)]
        pixels = images[train[chosen]]
        ground = np.median(pixels[:: -(-len(pixels) // 500)], axis=(0, 2, 3)).astype(np.float64)
        x = _softened(pixels, ground)
        basis = _directions(x)
        fitted = cls(ground, basis, x @ basis, np.asarray(classes, np.int64)[chosen], 1.0)
        others = images[validation[:: -(-len(validation) // JUDGED)]]
        distances, _classes = fitted.nearest(others)
        # with few validation images this is the largest distance; equal images still need room for rounding
        limit = max(float(np.quantile(distances, SHARE, method="higher")), 1e-3)
        return cls(ground, basis, fitted.kept, fitted.classes, limit)

    def nearest(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The distance of each image to the nearest one kept, in limits (more than 1 is unlike), and the class of that.

        d^2 = |z - z_kept|^2 + |x - basis z|^2        z = basis^T x
        """
        distances, classes = [np.empty(0)], [np.empty(0, np.int64)]
        lengths = np.einsum("nk,nk->n", self.kept, self.kept)
        for start in range(0, len(images), 256):
            x = _softened(images[start : start + 256], self.ground)
            z = x @ self.basis
            square = np.einsum("nk,nk->n", x, x)[:, None] + lengths - 2 * (z @ self.kept.T)
            best = square.argmin(axis=1)
            found = np.take_along_axis(square, best[:, None], axis=1)[:, 0]
            distances.append(np.sqrt(np.maximum(found, 0)) / self.limit)
            classes.append(self.classes[best])
        return np.concatenate(distances), np.concatenate(classes)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """As a file of arrays holds it."""
        arrays = {name: getattr(self, name) for name in _ARRAYS} | {"limit": np.array([self.limit])}
        return {PREFIX + name: np.ascontiguousarray(array) for name, array in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Likeness | None:
        """The likeness that `to_arrays` wrote among others, or None."""
        if PREFIX + "limit" not in arrays:
            return None
        fields = {name: arrays[PREFIX + name] for name in _ARRAYS}
        return cls(**fields, limit=float(arrays[PREFIX + "limit"][0]))

    def doubts(self, images: np.ndarray, labels: Sequence[str], treated: Sequence[Treated] = ()) -> list[str]:
        """For each image why it may be none of the kind that was learned; no word where nothing speaks for it.

        labels   the classes by their numbers; empty where numbers are predicted
        treated  what reading found, for images from files
        """
        distances, classes = self.nearest(images)
        doubts = []
        for i, (distance, code) in enumerate(zip(distances, classes)):
            found = [treated[i].doubt] if treated and treated[i].doubt else []
            if distance > 1:
                text = _("unlike the training images: {times} times the distance that 99 of 100 of them keep")
                found.append(text.format(times=format_decimal(distance, 2 if distance < 1.1 else 1)))
                if labels:
                    found.append(_("the nearest is of class {label}").format(label=labels[code]))
            doubts.append(_("; ").join(found))
        return doubts


_ARRAYS = ("ground", "basis", "kept", "classes")


def _softened(images: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Images as rows of length 1, without their ground, small shifts made smaller; zero where nothing is shown."""
    # a few at a time, so that all passes over them stay in the processor's cache
    few = max(1, CACHED // max(1, math.prod(images.shape[1:])))
    parts = [_softened_few(images[start : start + few], ground) for start in range(0, max(1, len(images)), few)]
    return np.concatenate(parts)


def _softened_few(images: np.ndarray, ground: np.ndarray) -> np.ndarray:
    x = images.astype(np.float32) - ground.astype(np.float32)[:, None, None]
    factor = -(-max(x.shape[2:]) // SIDE)
    if factor > 1:
        down, right = (min(factor, side) for side in x.shape[2:])
        rows, cols = x.shape[2] // down, x.shape[3] // right
        x = x[:, :, : rows * down, : cols * right].reshape(*x.shape[:2], rows, down, cols, right).mean((3, 5))
    x = _blurred(x, round(max(x.shape[2:]) ** 2 / 400))
    flat = x.reshape(len(x), -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    softened: np.ndarray = flat / np.maximum(length, 1e-3)
    return softened


def _blurred(x: np.ndarray, times: int) -> np.ndarray:
    """Each pixel with its neighbours, weighted 1 2 1 down and across; there is nothing outside.

    All images lie in one line, with a frame of zeros around each: what is added beyond an edge falls into the frame.
    """
    framed = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    line, width = framed.reshape(-1), framed.shape[3]
    inside = line[width + 1 : -width - 1]
    for _time in range(times):
        across = 2 * line[1:-1]
        across += line[:-2]
        across += line[2:]
        np.multiply(across[width:-width], 2, out=inside)
        inside += across[: -2 * width]
        inside += across[2 * width :]
        inside /= 16
        framed[:, :, (0, -1)] = 0
        framed[..., (0, -1)] = 0
    return framed[:, :, 1:-1, 1:-1]


def _directions(x: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the directions in which the rows of x reach farthest.

    Source  Halko, Martinsson & Tropp 2011, Finding structure with randomness, algorithm 4.4
    """
    n_features = min(FEATURES, *x.shape)
    start = seeds.stream(0, "likeness").standard_normal((x.shape[1], n_features + 8)).astype(np.float32)
    for _round in range(3):
        start = np.linalg.qr(x.T @ (x @ start))[0]
    _u, _s, within = np.linalg.svd(x @ start, full_matrices=False)
    basis: np.ndarray = np.ascontiguousarray(start @ within[:n_features].T)
    return basis

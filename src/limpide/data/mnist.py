"""MNIST: 70,000 handwritten digits (LeCun, Cortes & Burges 1998)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from limpide.data.downloads import Remote, data_folder, fetch_all
from limpide.data.idx import find_idx, read_idx_folder

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist")

FILES = (
    Remote(
        "train-images-idx3-ubyte.gz", 47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    Remote("train-labels-idx1-ubyte.gz", 60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    Remote("t10k-images-idx3-ubyte.gz", 7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    Remote("t10k-labels-idx1-ubyte.gz", 10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
)


def mnist_folder() -> Path:
    """Where the four files are: in the data folder or its `mnist`, packed or not; fetched into the latter if nowhere.

    Raises  DataError when they are not there and cannot be fetched
    """
    home = data_folder()
    for place in (home / "mnist", home):
        if all(find_idx(place, part, role) for part in ("train", "t10k") for role in ("images", "labels")):
            return place
    return fetch_all(FILES, MIRRORS, home / "mnist")


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """The images (70,000, 1, 28, 28), the 60,000 to learn from first, and their digits."""
    dataset = read_idx_folder(mnist_folder())
    assert dataset.target is not None
    return np.asarray(dataset.inputs), dataset.target.to_numpy().astype(np.int64)

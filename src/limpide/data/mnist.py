"""MNIST, 70,000 handwritten digits (LeCun, Cortes & Burges 1998), and Fashion-MNIST, as many articles of clothing in
its form (Xiao, Rasul & Vollgraf 2017)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from limpide.data.downloads import Remote, data_folder, fetch_all
from limpide.data.idx import find_idx, read_idx_parts

N_ROWS = 70_000
"""Of which the last seventh is to test on."""
BYTES = {"images-idx3": 784, "labels-idx1": 1}
HEADERS = {"images-idx3": 16, "labels-idx1": 8}


class Family(NamedTuple):
    """A set in MNIST's form.

    folder   below the data folder
    mirrors  where its files are fetched from
    labels   the classes in words, by their numbers; empty where the numbers are the words
    """

    folder: str
    mirrors: tuple[str, ...]
    files: tuple[Remote, ...]
    labels: tuple[str, ...] = ()


def _remote(part: str, role: str, n: int, **sums: str) -> Remote:
    return Remote(f"{part}-{role}-ubyte.gz", HEADERS[role] + n * BYTES[role], **sums)


DIGITS = Family(
    "mnist",
    ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"),
    (
        _remote(
            *("train", "images-idx3", 60_000),
            sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        _remote(
            *("train", "labels-idx1", 60_000),
            sha256="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        _remote(
            *("t10k", "images-idx3", 10_000),
            sha256="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        _remote(
            *("t10k", "labels-idx1", 10_000),
            sha256="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
)

# The authors publish the MD5 of the packed files, in the README of zalandoresearch/fashion-mnist.
FASHION = Family(
    "fashion-mnist",
    (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    ),
    (
        _remote("train", "images-idx3", 60_000, packed_md5="8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        _remote("train", "labels-idx1", 60_000, packed_md5="25c81989df183df01b3e8a0aad5dffbe"),
        _remote("t10k", "images-idx3", 10_000, packed_md5="bef4ecab320f06d8554ea6380940ec79"),
        _remote("t10k", "labels-idx1", 10_000, packed_md5="bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    ("t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


def family_folder(family: Family) -> Path:
    """Where the four files of a set are: in its own folder below the data folder, packed or not; the data folder itself
    may be that of MNIST. Fetched where they are nowhere.

    Raises  MissingData when they are not there and cannot be fetched
    """
    home = data_folder()
    own = home / family.folder
    for place in (own, home) if family is DIGITS or home.name == family.folder else (own,):
        if all(find_idx(place, part, role) for part in ("train", "t10k") for role in ("images", "labels")):
            return place
    return fetch_all(family.files, family.mirrors, own)


def read_family(family: Family, rows: int = N_ROWS) -> tuple[np.ndarray, np.ndarray]:
    """The images (rows, 1, 28, 28), those to learn from first, and their classes.

    rows  fewer than all takes the first ones to learn from and the first ones to test on, in the same shares
    """
    images, codes, *_rest = read_idx_parts(family_folder(family))
    assert codes is not None
    codes = codes.astype(np.int64)
    classes = np.array(family.labels)[codes] if family.labels else codes
    if rows >= len(images):
        return images, classes
    n_test, first_test = round(rows / 7), len(images) * 6 // 7
    taken = np.concatenate([np.arange(rows - n_test), first_test + np.arange(n_test)])
    return images[taken], classes[taken]

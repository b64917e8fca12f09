"""IDX files: the real MNIST, fabricated pairs, and bytes of any kind."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.data import idx as idx_module
from limpide.data.idx import is_idx, labels_beside, read_idx, read_idx_array, read_idx_folder
from limpide.data.sources import open_source
from limpide.errors import DataError

TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def idx(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_pair(folder, part="train", n=4, n_labels=None, suffix="", size=(3, 2)):
    images = np.arange(n * size[0] * size[1], dtype=np.uint8).reshape(n, *size)
    labels = (np.arange(n if n_labels is None else n_labels) % 2).astype(np.uint8)
    for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
        data = idx(array)
        (folder / (name + suffix)).write_bytes(gzip.compress(data, mtime=0) if suffix else data)
    return images, labels


def counts(labels):
    return [(labels == str(digit)).sum() for digit in range(10)]


def test_the_real_mnist_has_the_documented_images_and_labels(mnist_folder):
    dataset = read_idx_folder(mnist_folder)
    assert dataset.inputs.shape == (70_000, 1, 28, 28)
    assert dataset.inputs.dtype == np.uint8
    assert counts(dataset.target[:60_000]) == TRAIN_COUNTS
    assert counts(dataset.target[60_000:]) == TEST_COUNTS
    levels = sum(np.bincount(part.ravel(), minlength=256) for part in np.array_split(dataset.inputs[:60_000], 60))
    grey = np.arange(256) / 255
    mean = np.average(grey, weights=levels)
    assert round(mean, 4) == 0.1307
    assert round(np.sqrt(np.average((grey - mean) ** 2, weights=levels)), 4) == 0.3081


def test_the_last_ten_thousand_of_mnist_are_suggested_as_the_test_set(mnist_folder):
    dataset = read_idx_folder(mnist_folder)
    assert dataset.suggested["split.method"] == "ordered"
    assert round(dataset.suggested["split.test"] * len(dataset)) == 10_000
    assert [note.text for note in dataset.notes] == [
        "the 10,000 images of t10k come last and are suggested as the test set"
    ]


def test_a_pair_is_images_with_one_channel_and_labels_as_words(tmp_path):
    images, labels = write_pair(tmp_path)
    dataset = read_idx(tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte")
    np.testing.assert_array_equal(dataset.inputs[:, 0], images)
    assert dataset.target.to_list() == [str(label) for label in labels]
    assert dataset.target.name == "label"


def test_gzip_changes_neither_the_values_nor_the_checksum(tmp_path):
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    for folder, suffix in ((plain, ""), (packed, ".gz")):
        folder.mkdir()
        write_pair(folder, suffix=suffix)
    a, b = read_idx_folder(plain), read_idx_folder(packed)
    np.testing.assert_array_equal(a.inputs, b.inputs)
    assert a.sha256 == b.sha256
    file = plain / "train-images-idx3-ubyte"
    assert read_idx_array(file).sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_folder_with_both_parts_puts_the_test_part_last(tmp_path):
    write_pair(tmp_path, "train", 6)
    images, _labels = write_pair(tmp_path, "t10k", 2)
    dataset = read_idx_folder(tmp_path)
    assert len(dataset) == 8
    np.testing.assert_array_equal(dataset.inputs[6:, 0], images)
    assert dataset.suggested == {"split.method": "ordered", "split.test": 0.25}


def test_a_folder_of_idx_files_with_other_names_says_what_to_do(tmp_path):
    (tmp_path / "letters-train-images-idx3-ubyte").write_bytes(b"")
    with pytest.raises(DataError, match=r"named as those of MNIST.* name one pair as IMAGES,LABELS"):
        open_source(str(tmp_path))


def test_the_labels_beside_are_found_by_name(tmp_path):
    write_pair(tmp_path, suffix=".gz")
    found = labels_beside(tmp_path / "train-images-idx3-ubyte.gz")
    assert found == tmp_path / "train-labels-idx1-ubyte.gz"
    assert labels_beside(tmp_path / "train-labels-idx1-ubyte.gz") is None


def test_images_without_labels_are_enough_to_predict(tmp_path):
    write_pair(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    assert read_idx_folder(tmp_path, need_target=False).target is None
    with pytest.raises(DataError, match="expected train-labels-idx1-ubyte, got images without their labels"):
        read_idx_folder(tmp_path)


def test_values_of_other_types_are_read_highest_byte_first(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(idx(np.array([1, -2, 300], ">i2"), 0x0B))
    np.testing.assert_array_equal(read_idx_array(path).values, [1, -2, 300])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            bytes([0, 0, 8, 4]) + struct.pack(">4I", 1 << 31, 0, 1 << 31, 1 << 31),
            "bad: expected sizes of 1 or more, got 2147483648×0×2147483648×2147483648; "
            "download it again: it is cut or damaged",
        ),
        (b"", "bad: expected an IDX file, which begins with 00 00 08, got an empty file"),
        (b"GIF89a", "bad: expected an IDX file, which begins with 00 00 08, got 47 49 46 38"),
        (
            bytes([0, 0, 8, 3, 0, 0]),
            "bad: expected a size for each axis, got a file that ends before; download it again: it is cut or damaged",
        ),
        (
            idx(np.zeros((2, 3, 3), np.uint8))[:-1],
            "bad: expected 18 bytes of values, as its header says, got 17; download it again: it is cut or damaged",
        ),
        (
            idx(np.zeros((2, 3, 3), np.uint8)) + b"x",
            "bad: expected 18 bytes of values, as its header says, got more; download it again: it is cut or damaged",
        ),
        (
            bytes([0, 0, 8, 3]) + b"\xff" * 12,
            "bad: expected at most 4,294,967,296 bytes of values, got 79,228,162,458,924,105,385,300,197,375",
        ),
        (
            bytes([0, 0, 8, 3]) + struct.pack(">3I", 60_000, 28, 28),
            "bad: expected 47,040,000 bytes of values, as its header says, got 0; "
            "download it again: it is cut or damaged",
        ),
        (
            gzip.compress(idx(np.arange(200, dtype=np.uint8)))[:-20],
            "bad: expected a whole IDX file, got a broken gzip stream; download it again: it is cut or damaged",
        ),
    ],
)
def test_a_bad_file_is_refused_before_memory_is_taken(tmp_path, data, message):
    path = tmp_path / "bad"
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_idx_array(path)
    assert str(caught.value) == message


def test_a_gzip_that_announces_more_than_it_can_hold_is_refused(tmp_path):
    path = tmp_path / "lie.gz"
    data = gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", 60_000, 28, 28), mtime=0)
    path.write_bytes(data)
    most = f"{len(data) * 1032:,}"
    with pytest.raises(DataError, match=f"expected 47,040,000 bytes of values, as its header says, got {most}"):
        read_idx_array(path)


def test_images_and_labels_of_different_counts_are_refused(tmp_path):
    write_pair(tmp_path, n=4, n_labels=3)
    with pytest.raises(DataError) as caught:
        read_idx_folder(tmp_path)
    assert str(caught.value) == (
        "train-labels-idx1-ubyte: expected a label for each of the 4 images, got 3; give the two files of one set"
    )


def test_all_problems_of_a_pair_are_told_together(tmp_path):
    write_pair(tmp_path)
    images, labels = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    with pytest.raises(DataError) as caught:
        read_idx(labels, images)
    assert caught.value.problems == (
        "train-labels-idx1-ubyte: expected images: count, rows and columns of bytes, got 4 values of uint8",
        "train-images-idx3-ubyte: expected labels: one whole number for each image, got 4×3×2 values of uint8",
    )


def test_parts_of_different_sizes_are_refused(tmp_path):
    write_pair(tmp_path, "train", size=(3, 2))
    write_pair(tmp_path, "t10k", size=(2, 2))
    with pytest.raises(DataError, match="expected images of one size, got 1×3×2 and 1×2×2"):
        read_idx_folder(tmp_path)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda code, sizes, rest: (
                bytes([0, 0, code, len(sizes)]) + b"".join(struct.pack(">I", size) for size in sizes) + rest
            ),
            st.sampled_from([8, 9, 11, 12, 13, 14, 0]),
            st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 4), max_size=5),
            st.binary(max_size=64),
        ),
    ),
    st.booleans(),
)
def test_bytes_of_any_kind_give_an_array_or_a_data_error(tmp_path_factory, data, packed):
    path = tmp_path_factory.mktemp("fuzz") / "file"
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    assert is_idx(path) in (True, False)
    try:
        array = read_idx_array(path).values
    except DataError:
        return
    assert data[:2] == b"\0\0"
    assert len(data) == 4 + 4 * array.ndim + array.nbytes


@given(st.binary(min_size=1, max_size=40), st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_gzip_gives_an_array_or_a_data_error(tmp_path_factory, extra, where, byte):
    data = bytearray(gzip.compress(idx(np.arange(12, dtype=np.uint8).reshape(3, 2, 2))))
    data[where % len(data)] = byte
    path = tmp_path_factory.mktemp("fuzz") / "file"
    path.write_bytes(bytes(data) + (extra if where % 2 else b""))
    try:
        dataset = read_idx(path, None)
    except DataError:
        return
    assert dataset.inputs.shape == (3, 1, 2, 2)


def test_gzip_streams_that_follow_each_other_are_one_file_as_gzip_has_it(tmp_path, monkeypatch):
    monkeypatch.setattr(idx_module, "BLOCK", 7)
    values = np.arange(60, dtype=np.uint8).reshape(10, 3, 2)
    data = idx(values)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    for packed in (
        gzip.compress(data),
        gzip.compress(data[:20]) + gzip.compress(data[20:50]) + gzip.compress(data[50:]),
        gzip.compress(data[:50]) + bytes(20) + gzip.compress(data[50:]) + bytes(9),
        data,
    ):
        path.write_bytes(packed)
        np.testing.assert_array_equal(read_idx_array(path).values, values)


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-1],
        lambda packed: packed[:-8] + bytes(8),
        lambda packed: packed + b"x",
        lambda packed: packed + gzip.compress(b"more")[:12],
    ],
    ids=["cut", "another checksum", "something behind", "half a stream behind"],
)
def test_a_gzip_whose_end_is_wrong_is_refused(tmp_path, damage):
    path = tmp_path / "file"
    path.write_bytes(damage(gzip.compress(idx(np.arange(60, dtype=np.uint8)))))
    with pytest.raises(DataError, match="expected a whole IDX file, got a broken gzip stream"):
        read_idx_array(path)

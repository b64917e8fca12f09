"""Images with the same bytes are found, and no others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from limpide.data import hashes
from limpide.data.hashes import first_equal


@given(
    st.lists(
        st.sampled_from([bytes(9), bytes(8) + b"x", b"\x80" + bytes(8), bytes(7) + b"\x01\x00", b"a" * 9]), min_size=1
    )
)
def test_the_first_equal_image_is_the_one_with_the_same_bytes(rows):
    images = np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 1, 3, 3)
    assert first_equal(images).tolist() == [rows.index(row) for row in rows]


def test_images_with_equal_sums_are_compared(monkeypatch):
    monkeypatch.setattr(hashes, "mixed", np.zeros_like)
    # all factors are 1: words in another order have the same sum
    a, b = b"a" * 8 + b"b" * 8, b"b" * 8 + b"a" * 8
    images = np.frombuffer(a + b + a + b, np.uint8).reshape(4, 1, 4, 4)
    assert first_equal(images).tolist() == [0, 1, 0, 1]

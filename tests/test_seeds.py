import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.seeds import stream

names = st.lists(st.text("abcdef.", min_size=1, max_size=6) | st.integers(0, 99), min_size=1, max_size=3).map(tuple)


@given(seed=st.integers(0, 2**63), name=names)
def test_a_stream_is_its_seed_and_its_name(seed, name):
    np.testing.assert_array_equal(stream(seed, *name).random(5), stream(seed, *name).random(5))


@given(seeds=st.tuples(st.integers(0, 2**63), st.integers(0, 2**63)), pair=st.tuples(names, names))
def test_another_seed_or_name_is_another_stream(seeds, pair):
    first, second = ((seed, "/".join(map(str, name))) for seed, name in zip(seeds, pair))
    same = (stream(seeds[0], *pair[0]).random(5) == stream(seeds[1], *pair[1]).random(5)).all()
    assert same == (first == second)


def test_the_numbers_of_a_stream_never_change():
    """A run recorded today is redone tomorrow: these are the first numbers of version 0.1."""
    assert stream(0, "weights").integers(0, 1000, 5).tolist() == [366, 383, 8, 565, 584]
    assert stream(42, "order", 3).integers(0, 1000, 5).tolist() == [141, 159, 525, 284, 337]
    assert stream(0, "noise", "3.dropout", 1).integers(0, 1000, 5).tolist() == [815, 72, 118, 341, 874]


@given(seed=st.integers(0, 2**200), name=names)
def test_a_stream_is_numpys_own_for_its_seed_with_the_name_as_the_key(seed, name):
    digest = hashlib.sha256("/".join(map(str, name)).encode()).digest()
    key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    expected = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key))
    assert stream(seed, *name).bit_generator.state == expected.state


def test_streams_of_one_seed_do_not_follow_one_another():
    """No two of many streams share a number, and neighbours are uncorrelated within five standard errors."""
    draws = np.array([stream(0, "order", epoch).random(1000) for epoch in range(50)])
    assert len(np.unique(draws)) == draws.size
    correlations = np.corrcoef(draws)[np.triu_indices(50, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(1000)


def test_drawing_from_one_stream_leaves_the_others_and_the_global_one_alone():
    before = np.random.get_state()[1].copy()
    expected = stream(0, "split").random(3)
    stream(0, "weights").random(1000)
    np.testing.assert_array_equal(stream(0, "split").random(3), expected)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_seed_below_zero_is_no_seed():
    with pytest.raises(ValueError, match="non-negative"):
        stream(-1, "weights")

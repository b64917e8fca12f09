import datetime
import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.data.splits import METHODS, split
from limpide.errors import DataError, UnknownName

shares = st.sampled_from([0.0, 0.1, 0.15, 0.25, 0.4])


def is_partition(parts, n):
    together = np.concatenate([parts.train, parts.validation, parts.test])
    return np.array_equal(np.sort(together), np.arange(n))


@given(
    method=st.sampled_from(METHODS),
    keys=st.lists(st.integers(0, 9), min_size=1, max_size=200),
    validation=shares,
    test=shares,
    seed=st.integers(0, 5),
)
def test_a_split_is_a_partition_into_parts_that_hold_rows(method, keys, validation, test, seed):
    column = np.array(keys)
    options = {
        "validation": validation,
        "test": test,
        "seed": seed,
        "target": column,
        "groups": column,
        "times": column,
    }
    try:
        parts = split(len(keys), method, **options)
    except DataError:
        # Refused only for a reason: fewer rows, classes, groups or times than parts, or classes too small to be cut.
        n_parts = 1 + (validation > 0) + (test > 0)
        if method in ("random", "ordered"):
            assert len(keys) < n_parts
        elif method == "group":
            assert len(set(keys)) < n_parts
        return
    assert is_partition(parts, len(keys))
    assert len(parts.train)
    assert bool(len(parts.validation)) == (validation > 0)
    assert bool(len(parts.test)) == (test > 0)
    assert all(np.all(np.diff(part) > 0) for part in (parts.train, parts.validation, parts.test))
    if method in ("group", "time"):
        held = [set(column[part].tolist()) for part in (parts.train, parts.validation, parts.test)]
        assert sum(map(len, held)) == len(set().union(*held))
    if method == "time":
        bounds = [
            (column[part].min(), column[part].max())
            for part in (parts.train, parts.validation, parts.test)
            if len(part)
        ]
        assert all(before[1] < after[0] for before, after in itertools.pairwise(bounds))
    again = split(len(keys), method, **options)
    np.testing.assert_array_equal(parts.test, again.test)
    np.testing.assert_array_equal(parts.validation, again.validation)


@given(n=st.integers(20, 500), validation=shares, test=shares)
def test_the_sizes_are_the_shares_to_the_row(n, validation, test):
    for method in ("random", "ordered"):
        parts = split(n, method, validation=validation, test=test)
        assert abs(len(parts.validation) - n * validation) <= 1
        assert abs(len(parts.test) - n * test) <= 1


@given(counts=st.lists(st.integers(10, 60), min_size=2, max_size=6), seed=st.integers(0, 9))
def test_each_class_has_its_share_in_every_part(counts, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    parts = split(len(labels), "stratified", validation=0.2, test=0.2, seed=seed, target=labels)
    for label, count in enumerate(counts):
        for part, share in ((parts.train, 0.6), (parts.validation, 0.2), (parts.test, 0.2)):
            assert abs((labels[part] == label).sum() - count * share) < 2.5
    assert parts.notes == ()


def test_classes_too_small_to_cut_train_and_are_named():
    labels = pl.Series("species", ["a"] * 50 + ["b"] * 50 + ["rare"] * 2)
    parts = split(102, "stratified", validation=0.2, test=0.2, target=labels)
    assert {100, 101} <= set(parts.train.tolist())
    assert [note.text for note in parts.notes] == ["1 class has too few rows to be cut: all train"]


def test_another_seed_is_another_split_and_another_use_does_not_move_it():
    first, second = split(100, "random", seed=0), split(100, "random", seed=1)
    assert not np.array_equal(first.test, second.test)
    np.random.default_rng(0).random(5)
    np.testing.assert_array_equal(first.test, split(100, "random", seed=0).test)


def test_ordered_takes_the_last_rows():
    parts = split(10, "ordered", validation=0.2, test=0.3)
    assert parts.validation.tolist() == [5, 6]
    assert parts.test.tolist() == [7, 8, 9]


@pytest.mark.parametrize("form", ["date", "iso", "french", "number"])
def test_time_takes_the_latest_rows_however_times_are_written(form):
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=(7 * i) % 50) for i in range(50)]
    times = {
        "date": pl.Series(days),
        "iso": pl.Series([day.isoformat() for day in days]),
        "french": pl.Series([day.strftime("%d/%m/%Y") for day in days]),
        "number": pl.Series([str(day.toordinal()) for day in days]),
    }[form]
    parts = split(50, "time", validation=0.2, test=0.2, times=times)
    assert sorted(days[i] for i in parts.test) == sorted(days)[40:]
    assert sorted(days[i] for i in parts.validation) == sorted(days)[30:40]


@pytest.mark.parametrize(
    ("options", "method"),
    [
        ({"target": pl.Series(["a", "b"] * 20)}, "stratified"),
        ({"target": pl.Series([i / 3 for i in range(40)])}, "random"),
        ({"target": pl.Series([0, 1] * 20), "task": "regression"}, "random"),
        ({"target": pl.Series(["a", "b"] * 20), "groups": pl.Series(list("wxyz") * 10)}, "group"),
        ({"times": pl.Series(range(40))}, "time"),
        ({}, "random"),
    ],
)
def test_auto_takes_what_the_data_ask_for_and_says_why(options, method):
    parts = split(40, "auto", **options)
    assert parts.method == method
    assert parts.why
    assert is_partition(parts, 40)


@pytest.mark.parametrize(
    ("n", "method", "options", "message"),
    [
        (9, "random", {"test": 1.2}, r"split\.test: expected a share in \[0, 1\), got 1\.2"),
        (9, "random", {"test": 0.5, "validation": 0.5}, "split: expected validation and test together below 1"),
        (2, "random", {}, "split: expected a row for each of 3 parts, got 2 rows; add rows, or set a share to 0"),
        (9, "stratified", {}, "split: expected a target, got none; name its column, or choose random"),
        (9, "stratified", {"target": np.arange(9)}, "expected classes large enough to be cut, got classes of 1, 1"),
        (9, "group", {"groups": np.arange(9) % 2}, "expected a group for each of 3 parts, got 2 groups"),
        (9, "group", {"groups": np.arange(8)}, "expected a group for each row, got 8 values"),
        (
            9,
            "time",
            {"times": np.zeros(9)},
            "expected enough different times to cut between them, got 1 in 9 rows",
        ),
        (
            3,
            "time",
            {"times": pl.Series("when", ["2024-01-01", None, "2024-01-02"])},
            r"column when: expected a date or a number in each row, got None \(row 2\)",
        ),
    ],
)
def test_an_impossible_split_says_what_to_do(n, method, options, message):
    with pytest.raises(DataError, match=message):
        split(n, method, **options)


def test_an_unknown_method_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match='split method: unknown name "stratifed"; did you mean "stratified"'):
        split(9, "stratifed")


def test_the_last_rows_test_and_validation_is_dealt_out_among_the_others():
    parts = split(1000, "last", validation=0.2, test=0.1, seed=3)
    assert parts.test.tolist() == list(range(900, 1000))
    assert (len(parts.train), len(parts.validation)) == (700, 200)
    assert parts.validation.tolist() != list(range(700, 900))
    assert 350 < parts.validation.mean() < 550

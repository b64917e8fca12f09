import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from limpide.data.preparation import TargetPreparation
from limpide.errors import DataError


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_a_number_to_predict_is_scaled_and_comes_back(cells):
    series = pl.Series("y", cells)
    target = TargetPreparation.fit(series, "regression", "y")
    encoded = target.encode(series)
    assert (encoded.dtype, encoded.shape) == (np.float32, (len(cells), 1))
    np.testing.assert_allclose(target.decode(encoded), cells, rtol=1e-5, atol=1e-6 * max(map(abs, cells)) + 1e-9)
    assert TargetPreparation.from_dict(json.loads(json.dumps(target.to_dict()))) == target


def test_system_13_income_is_scaled_by_the_population():
    target = TargetPreparation.fit(pl.Series([50, 70, 45, 13, 40]), "regression", "income")
    np.testing.assert_allclose([target.scale.mean, target.scale.sd], [43.6, 18.3804], atol=5e-5)
    unscaled = TargetPreparation.fit(pl.Series([50, 70]), "regression", "income", scale=False)
    assert unscaled.encode(pl.Series([50, 70])).ravel().tolist() == [50, 70]


def test_two_classes_are_one_output():
    series = pl.Series("y", ["no", "yes", "yes"])
    target = TargetPreparation.fit(series, "binary", "y")
    assert (target.labels, target.n_outputs) == (("no", "yes"), 1)
    assert target.encode(series).tolist() == [[0], [1], [1]]
    logits = np.array([[-1000.0], [0.5], [1000.0]])
    expected = np.stack([special.expit(-logits[:, 0]), special.expit(logits[:, 0])], axis=1)
    np.testing.assert_allclose(target.decode(logits), expected, rtol=1e-12)
    np.testing.assert_allclose(target.decode(np.array([[0.25]]), activated=True), [[0.75, 0.25]])


def test_several_classes_are_one_output_each_in_natural_order():
    series = pl.Series("y", ["class 10", "class 2", "class 1"])
    target = TargetPreparation.fit(series, "multiclass", "y")
    assert target.labels == ("class 1", "class 2", "class 10")
    codes = target.encode(series)
    assert (codes.dtype, codes.tolist(), target.n_outputs) == (np.int64, [2, 1, 0], 3)
    logits = np.array([[1000.0, 0.0, -1000.0], [0.1, 0.2, 0.3]])
    np.testing.assert_allclose(target.decode(logits), special.softmax(logits, axis=1), rtol=1e-12)
    np.testing.assert_array_equal(target.decode(logits, activated=True), logits)


def test_the_order_of_classes_that_differ_in_case_alone_is_settled():
    words = ["green", "Green", "GREEN", "1", "1.0"]
    orders = {TargetPreparation.fit(pl.Series("y", words[i:] + words[:i]), "multiclass", "y").labels for i in range(5)}
    assert orders == {("1", "1.0", "GREEN", "Green", "green")}


@pytest.mark.parametrize("later", [[2, 0], ["2", "0"], [2.0, 0.0]])
def test_classes_are_the_same_words_however_they_are_written(later):
    target = TargetPreparation.fit(pl.Series([0, 1, 2]), "multiclass", "y")
    assert target.encode(pl.Series(later)).tolist() == [2, 0]


def test_targets_that_do_not_fit_are_named_with_their_rows():
    words = TargetPreparation.fit(pl.Series(["cat", "dog"]), "binary", "pet")
    with pytest.raises(DataError, match=r"target pet: expected one of the classes cat, dog, got 'cow' \(row 2\)"):
        words.encode(pl.Series(["cat", "cow"]))
    numbers = TargetPreparation.fit(pl.Series([1.0, 2.0]), "regression", "price")
    with pytest.raises(DataError, match=r"target price: expected numbers, got 'dear' \(row 1\); correct these cells"):
        numbers.encode(pl.Series(["dear"]))
    with pytest.raises(DataError, match=r"target price: expected a number in each row, got None \(row 2\)"):
        numbers.encode(pl.Series([1.0, None]))
    with pytest.raises(DataError, match="target pet: expected two classes, got cat, cow, dog"):
        TargetPreparation.fit(pl.Series(["cat", "dog", "cow"]), "binary", "pet")
    with pytest.raises(DataError, match="target pet: expected at least two classes, got cat"):
        TargetPreparation.fit(pl.Series(["cat"]), "multiclass", "pet")

import dataclasses
import datetime
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from limpide.data.columns import understand
from limpide.data.dataset import Column
from limpide.data.preparation import BLOCK_ROWS, TablePreparation
from limpide.data.splits import split
from limpide.errors import DataError, UnknownName

HOUSES = pl.DataFrame(
    {
        "area": [50.0, 70.0, None, 120.0, 90.0, 65.0],
        "rooms": [2, 3, 3, 5, 4, 3],
        "city": ["Lyon", "Nice", "Lyon", None, "Lyon", "Brest"],
        "garden": ["yes", "no", "no", "yes", "no", "no"],
        "sold": ["2024-01-15", "2024-03-01", "2023-12-31", "2024-02-29", "2024-01-01", "2024-01-15"],
    }
)


def fitted(frame, **options):
    return TablePreparation.fit(frame, understand(frame)[0], **options)


@pytest.fixture
def houses():
    return fitted(HOUSES)


def column_of(preparation, frame, feature):
    return preparation.transform(frame)[:, preparation.feature_names.index(feature)]


# Against scikit-learn


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_standardised_numbers_are_those_of_scikit_learn(cells):
    frame = pl.DataFrame({"x": cells})
    ours = TablePreparation.fit(frame, [Column("x", "number")])
    theirs = StandardScaler().fit(frame.to_numpy())
    scale = ours.treatments[0].scale
    np.testing.assert_allclose(scale.mean, theirs.mean_[0], rtol=1e-9, atol=1e-9)
    # scikit-learn takes a spread within the noise of the arithmetic for none at all; ours only an exact one.
    if theirs.var_[0] > 1e-12 * max(1, theirs.mean_[0] ** 2):
        np.testing.assert_allclose(scale.sd, theirs.scale_[0], rtol=1e-6)
        np.testing.assert_allclose(ours.transform(frame), theirs.transform(frame.to_numpy()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("missing", ["median", "mean", "most_frequent"])
@given(cells=st.lists(st.integers(-9, 9).map(float) | st.none(), min_size=2, max_size=30))
def test_missing_numbers_are_filled_and_marked_as_by_scikit_learn(missing, cells):
    if all(cell is None for cell in cells):
        cells[0] = 1.0
    frame = pl.DataFrame({"x": cells}, schema={"x": pl.Float64})
    ours = TablePreparation.fit(frame, [Column("x", "number")], standardise=False, missing=missing)
    theirs = SimpleImputer(strategy=missing, add_indicator=True).fit_transform(frame.to_numpy())
    np.testing.assert_allclose(ours.transform(frame), theirs, rtol=1e-6)


@given(
    train=st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=30),
    later=st.lists(st.sampled_from(["a", "b", "c", "d", "never seen"]), min_size=1, max_size=30),
)
def test_one_hot_is_that_of_scikit_learn_with_a_place_for_the_unseen(train, later):
    ours = TablePreparation.fit(pl.DataFrame({"c": train}), [Column("c", "category")])
    theirs = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(np.array(train)[:, None])
    got = ours.transform(pl.DataFrame({"c": later}))
    np.testing.assert_array_equal(got[:, :-1], theirs.transform(np.array(later)[:, None]))
    np.testing.assert_array_equal(got[:, -1], [word not in train for word in later])
    np.testing.assert_array_equal(got.sum(axis=1), 1)


def test_the_table_of_the_lesson_comes_out_as_worked_by_hand():
    frame = pl.DataFrame({"age": [25, 32, 45, 23, 55], "sex": list("FMFMF")})
    preparation = TablePreparation.fit(frame, [Column("age", "number"), Column("sex", "category")])
    np.testing.assert_allclose(
        column_of(preparation, frame, "age"), [-0.8993, -0.3270, 0.7358, -1.0629, 1.5534], atol=5e-5
    )
    assert preparation.rows()[0].arithmetic == "(age - 36) / 12.23"


# What comes out


def test_every_column_gives_its_features(houses):
    assert houses.feature_names == (
        *("area", "area=(missing)", "rooms"),
        *("city=Brest", "city=Lyon", "city=Nice", "city=(other)", "city=(missing)"),
        "garden",
        *(
            "sold.year",
            "sold.month_sin",
            "sold.month_cos",
            "sold.day",
            "sold.weekday_sin",
            "sold.weekday_cos",
            "sold.days",
        ),
    )
    assert houses.input_shape == (16,)
    out = houses.transform(HOUSES)
    assert (out.dtype, out.shape, out.flags.c_contiguous) == (np.float32, (6, 16), True)
    assert np.isfinite(out).all()
    assert column_of(houses, HOUSES, "garden").tolist() == [1, 0, 0, 1, 0, 0]
    assert column_of(houses, HOUSES, "city=(missing)").tolist() == [0, 0, 0, 1, 0, 0]
    assert column_of(houses, HOUSES, "city=Lyon").tolist() == [1, 0, 1, 1, 1, 0]


def on_circle(part, period):
    return np.sin(2 * np.pi * part / period), np.cos(2 * np.pi * part / period)


def test_dates_become_their_parts():
    days = [datetime.datetime(2023, 12, 31, 6), datetime.datetime(2024, 4, 1, 18)]
    frame = pl.DataFrame({"d": days})
    preparation = TablePreparation.fit(frame, [Column("d", "date")], standardise=False)
    expected = [
        (
            day.year,
            *on_circle(day.month - 1, 12),
            day.day,
            *on_circle(day.weekday(), 7),
            (day - days[0]).total_seconds() / 86400,
            *on_circle(day.hour, 24),
        )
        for day in days
    ]
    np.testing.assert_allclose(preparation.transform(frame), expected, atol=1e-6)
    assert preparation.feature_names[-2:] == ("d.hour_sin", "d.hour_cos")


def test_rare_categories_share_the_place_of_the_others():
    words = ["a"] * 5 + ["b"] * 4 + ["c"] * 3 + ["d"]
    frame = pl.DataFrame({"c": words})
    preparation = TablePreparation.fit(frame, [Column("c", "category")], max_categories=2)
    assert preparation.feature_names == ("c=a", "c=b", "c=(other)")
    assert preparation.transform(frame)[:, 2].tolist() == [word in "cd" for word in words]
    assert preparation.rows()[0].treatment == "one-hot: 2 categories and one for all others, where 2 rare ones go"


def test_a_category_is_read_the_same_with_spaces_around_it():
    frame = pl.DataFrame({"c": ["a", "b", "NA?", "a"] * 50})
    preparation = TablePreparation.fit(frame, [Column("c", "category")])
    plain = preparation.transform(frame)
    np.testing.assert_array_equal(preparation.transform(frame.select((" " + pl.col("c")).alias("c"))), plain)
    np.testing.assert_array_equal(plain[:4], np.eye(4, dtype=np.float32)[[0, 1, 2, 0]])
    odd = preparation.transform(pl.DataFrame({"c": ["b", "never", " ", None]}))
    np.testing.assert_array_equal(odd, np.eye(4, dtype=np.float32)[[1, 3, 0, 0]])


def test_without_standardising_numbers_pass_as_they_are():
    frame = pl.DataFrame({"x": [1.0, 5.0]})
    preparation = TablePreparation.fit(frame, [Column("x", "number")], standardise=False)
    assert preparation.transform(frame).tolist() == [[1], [5]]
    assert preparation.rows()[0].arithmetic == "x"


def test_a_number_that_never_changes_in_training_becomes_zero():
    preparation = TablePreparation.fit(pl.DataFrame({"x": [3.1] * 4}), [Column("x", "number")])
    # nothing was learned of it: another value must not reach the weights as they were born
    assert preparation.transform(pl.DataFrame({"x": [3.1, 4.1]})).ravel().tolist() == [0, 0]


def test_a_slip_of_the_pen_is_taken_for_the_nearest_number_half_a_range_outside_training():
    preparation = TablePreparation.fit(pl.DataFrame({"x": [10.0, 12.0, 14.0]}), [Column("x", "number")])
    out = preparation.transform(pl.DataFrame({"x": [8.0, 1.4, -900.0, 16.0, 140.0, 15.5]})).ravel()
    sd = np.std([10.0, 12.0, 14.0])
    np.testing.assert_allclose(out, np.array([-4, -4, -4, 4, 4, 3.5]) / sd, rtol=1e-6)
    assert preparation.rows()[0].treatment.endswith("; kept between 8 and 16")


def test_numbers_taken_as_they_are_have_no_bounds():
    preparation = TablePreparation.fit(pl.DataFrame({"x": [1.0, 2.0]}), [Column("x", "number")], standardise=False)
    assert preparation.transform(pl.DataFrame({"x": [-1e6, 1e6]})).ravel().tolist() == [-1e6, 1e6]


def test_numbers_beyond_the_usual_stay_finite():
    frame = pl.DataFrame({"huge": [-1e300, 1e300], "tiny": [0.0, 1e-310]})
    preparation = TablePreparation.fit(frame, [Column("huge", "number"), Column("tiny", "number")])
    np.testing.assert_allclose(preparation.transform(frame), [[-1, -1], [1, 1]], rtol=1e-4)
    later = pl.DataFrame({"huge": [1e308, float("inf")], "tiny": [1.7e308, float("nan")]})
    assert np.isfinite(preparation.transform(later)).all()


def test_long_tables_are_treated_in_blocks_without_a_seam(rng):
    n = BLOCK_ROWS + 10
    frame = pl.DataFrame({"x": rng.normal(size=n), "c": rng.choice(["a", "b"], n)})
    preparation = fitted(frame)
    out = preparation.transform(frame)
    np.testing.assert_array_equal(out[-20:], preparation.transform(frame[-20:]))
    shuffled = rng.permutation(n)
    for rows in (shuffled, np.sort(shuffled[: BLOCK_ROWS + 1]), shuffled[:0]):
        np.testing.assert_array_equal(preparation.transform(frame, rows), out[rows])
    bad = frame.with_columns(pl.col("x").cast(pl.String)).with_columns(
        pl.when(pl.int_range(n) == n - 2).then(pl.lit("big")).otherwise("x").alias("x")
    )
    with pytest.raises(DataError, match=rf"column x: expected numbers, got 'big' \(row {n - 1}\)"):
        preparation.transform(bad)


# The training rows, and no others


@given(seed=st.integers(0, 20), noise=st.floats(-1e6, 1e6))
def test_rows_outside_training_never_touch_the_preparation(seed, noise):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {"x": rng.normal(size=30), "c": rng.choice(["a", "b", "c"], 30), "d": rng.integers(0, 9999, 30).astype("M8[D]")}
    )
    columns = [Column("x", "number"), Column("c", "category"), Column("d", "date")]
    train = split(30, "random", seed=seed).train
    held = ~pl.Series(np.isin(np.arange(30), train))
    changed = frame.with_columns(
        pl.when(held).then(pl.lit(noise)).otherwise("x").alias("x"),
        pl.when(held).then(pl.lit("new")).otherwise("c").alias("c"),
        pl.when(held).then(None).otherwise("d").alias("d"),
    )
    assert TablePreparation.fit(frame, columns, rows=train) == TablePreparation.fit(changed, columns, rows=train)
    assert TablePreparation.fit(frame, columns, rows=train) == TablePreparation.fit(frame[train], columns)


@given(st.lists(st.integers(0, 5), max_size=12))
def test_rows_may_be_picked_in_any_order(rows):
    preparation, picked = fitted(HOUSES), np.array(rows, dtype=np.int64)
    np.testing.assert_array_equal(preparation.transform(HOUSES, picked), preparation.transform(HOUSES)[picked])


def test_a_fitted_preparation_cannot_be_changed(houses):
    with pytest.raises(dataclasses.FrozenInstanceError):
        houses.treatments[0].fill = 3.0


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300), min_size=1))
def test_a_preparation_comes_back_from_json_bit_for_bit(cells):
    frame = HOUSES[:1].select(pl.all().repeat_by(len(cells)).explode()).with_columns(pl.Series("area", cells))
    columns = [
        *(Column("area", "number", words=("big",)), Column("rooms", "number"), Column("city", "category")),
        *(Column("garden", "boolean"), Column("sold", "date", date_format="%Y-%m-%d")),
    ]
    preparation = TablePreparation.fit(frame, columns)
    again = TablePreparation.from_dict(json.loads(json.dumps(preparation.to_dict())))
    assert again == preparation
    np.testing.assert_array_equal(again.transform(frame), preparation.transform(frame))


# Rows to predict


def test_columns_may_come_in_any_order_with_others_and_as_text(houses):
    expected = houses.transform(HOUSES)
    shuffled = HOUSES.select(pl.lit(1).alias("extra"), *reversed(HOUSES.columns))
    np.testing.assert_array_equal(houses.transform(shuffled), expected)
    as_text = HOUSES.select(pl.all().cast(pl.String))
    np.testing.assert_array_equal(houses.transform(as_text), expected)
    as_dates = HOUSES.with_columns(pl.col("sold").str.to_date())
    np.testing.assert_array_equal(houses.transform(as_dates), expected)


def test_missing_columns_are_all_named_with_the_nearest(houses):
    with pytest.raises(DataError) as caught:
        houses.transform(HOUSES.rename({"area": "aera"}).drop("city"))
    assert caught.value.problems == (
        'column area: expected a column of that name, as in training, got none; did you mean "aera"?',
        "column city: expected a column of that name, as in training, got none; choose among aera",
    )


def test_cells_that_cannot_be_read_are_all_named(houses):
    frame = HOUSES.with_columns(
        pl.Series("area", ["50", "big", "NA", "120", "90", "65"]),
        pl.Series("garden", ["yes", "no", "no", "yes", "perhaps", "no"]),
        pl.Series("sold", ["soon", *HOUSES["sold"][1:]]),
    )
    with pytest.raises(DataError) as caught:
        houses.transform(frame)
    assert caught.value.problems == (
        "column area: expected numbers, got 'big' (row 2)",
        "column garden: expected yes or no, true or false, 1 or 0, got 'perhaps' (row 5)",
        "column sold: expected dates such as 2023-12-31, got 'soon' (row 1)",
    )


def test_stray_words_known_from_training_are_missing_values_and_others_are_errors():
    frame = pl.DataFrame({"area": [str(i) for i in range(30)] + ["unknown"]})
    preparation = fitted(frame)
    assert column_of(preparation, frame, "area=(missing)").tolist() == [0] * 30 + [1]
    with pytest.raises(DataError, match=r"column area: expected numbers, got 'big' \(row 1\)"):
        preparation.transform(pl.DataFrame({"area": ["big"]}))


def test_dates_to_predict_are_read_as_those_of_training():
    frame = pl.DataFrame({"d": ["01/31/2024", "02/05/2024"]})
    preparation = fitted(frame)
    one = preparation.transform(pl.DataFrame({"d": ["02/05/2024"]}))
    np.testing.assert_array_equal(one[0], preparation.transform(frame)[1])
    np.testing.assert_array_equal(one, preparation.transform(pl.DataFrame({"d": ["2024-02-05"]})))


def test_a_category_that_looks_missing_is_itself_where_training_knew_it():
    frame = pl.DataFrame({"pool": ["NA", "big", "NA"], "other": ["a", "b", None]})
    preparation = TablePreparation.fit(frame, [Column("pool", "category"), Column("other", "category")])
    assert preparation.feature_names[:3] == ("pool=big", "pool=(other)", "pool=(missing)")
    numbers = TablePreparation.fit(pl.DataFrame({"c": [1, 2, 2]}), [Column("c", "category")])
    assert numbers.transform(pl.DataFrame({"c": ["2"]})).tolist() == [[0, 1, 0]]
    np.testing.assert_array_equal(
        numbers.transform(pl.DataFrame({"c": [1.0, 2.0]})), numbers.transform(pl.DataFrame({"c": [1, 2]}))
    )


def test_what_is_unlike_training_is_noted(houses):
    later = HOUSES[:2].with_columns(
        pl.Series("area", [500.0, None]),
        pl.Series("rooms", [2, None]),
        pl.Series("city", ["Nice", "Paris"]),
        pl.Series("sold", ["2030-01-01", None]),
    )
    assert [(note.level, note.where, note.text) for note in houses.notes(later)] == [
        ("warning", "area", "1 value outside the training range 50 to 120"),
        ("info", "area", "1 missing value, 70 taken instead"),
        ("warning", "rooms", "1 missing value, 3 taken instead; none was missing in training"),
        ("warning", "city", "never seen in training: 'Paris' (row 2); treated as other"),
        ("warning", "sold", "1 date outside the training range 2023-12-31 to 2024-03-01"),
        ("warning", "sold", "1 missing value, 2024-01-15 taken instead; none was missing in training"),
    ]
    assert [note for note in houses.notes(HOUSES) if note.level == "warning"] == []


def test_layer_zero_reads_as_sentences_and_arithmetic(houses):
    area, _rooms, city, garden, sold = houses.rows()
    assert area.treatment == (
        "standardised: mean 0, standard deviation 1 over the training rows; kept between 15 and 155; missing values "
        "become 70, with a feature that says so"
    )
    assert area.arithmetic == "(area - 79) / 24.17"
    assert city.treatment.startswith("one-hot: 3 categories and one for all others; missing values become Lyon")
    assert city.arithmetic == "1 where city is Brest, Lyon, Nice or other, else 0"
    assert (garden.treatment, garden.arithmetic) == ("1 for true, 0 for false", "1 if garden else 0")
    assert sold.treatment == "year, day and days since 2023-12-31; month and weekday as points of a circle"
    assert sold.arithmetic.endswith("; sin, cos 2π·(month - 1)/12; sin, cos 2π·(weekday - 1)/7")
    assert sum(len(row.features) for row in houses.rows()) == houses.input_shape[0]


@pytest.mark.parametrize("kind", ["number", "boolean", "category", "date"])
def test_a_column_without_a_value_in_training_still_works(kind):
    empty = pl.DataFrame({"c": pl.Series([None, None], dtype=pl.String)})
    preparation = TablePreparation.fit(empty, [Column("c", kind)])
    value = {"number": "3", "boolean": "yes", "category": "a", "date": "2024-01-01"}[kind]
    out = preparation.transform(pl.DataFrame({"c": [None, value]}))
    assert np.isfinite(out).all()
    assert out[:, -1].tolist() == [1, 0]


def test_nothing_to_learn_from_is_an_error():
    frame = pl.DataFrame({"id": [1, 2], "x": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"at least one column to learn from, got id \(identifier\); say what a column"):
        TablePreparation.fit(frame, [Column("id", "identifier")])
    with pytest.raises(DataError, match="training rows: expected at least one row, got none"):
        TablePreparation.fit(frame[:0], [Column("x", "number")])
    with pytest.raises(UnknownName, match='missing: unknown name "medain"; did you mean "median"'):
        TablePreparation.fit(frame, [Column("x", "number")], missing="medain")
    with pytest.raises(DataError, match="max_categories: expected at least 1, got 0"):
        TablePreparation.fit(frame, [Column("x", "number")], max_categories=0)

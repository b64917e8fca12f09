import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.data.columns import describe, infer_task, summarise, take_target, understand
from limpide.data.dataset import Column, Dataset
from limpide.data.places import Places
from limpide.data.sources import open_source
from limpide.errors import DataError, UnknownName

N = 40
ROWS = range(N)


def kinds_of(frame, **options):
    return {column.name: column.kind for column in understand(pl.DataFrame(frame), **options)[0]}


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("number", [i / 7 for i in ROWS]),
        ("number", [i % 2 for i in ROWS]),
        ("number", [1, None] * 20),
        ("number", [str(i % 9) for i in ROWS]),
        ("number", ["1,5", "2,5"] * 20),
        ("number", ["3"] * 37 + ["4"] * 2 + ["big"]),
        ("category", ["3"] * 20 + ["big"] * 20),
        ("category", ["red", "green"] * 20),
        ("category", ["01000", "75011"] * 20),
        ("boolean", [True, False] * 20),
        ("boolean", ["Yes", "no"] * 20),
        ("boolean", ["vrai", "faux", None, "vrai"] * 10),
        ("date", [datetime.date(2024, 1, 1 + i % 28) for i in ROWS]),
        ("date", [f"{1 + i % 28:02}/02/2024" for i in ROWS]),
        ("date", [f"2024-01-{1 + i % 28:02} 12:30" for i in ROWS]),
        ("identifier", [f"w{i}" for i in ROWS]),
        ("identifier", list(ROWS)),
        ("identifier", [i + 1 for i in ROWS]),
        ("text", [f"a long story that goes on and on, and it bears the number {i}" for i in ROWS]),
        ("text", [f"w{max(i, 5)}" for i in ROWS]),
        ("constant", [7] * N),
        ("constant", ["same"] * N),
        ("constant", [None] * N),
        ("constant", ["NA", "?"] * 20),
    ],
)
def test_the_kind_of_a_column_is_recognised(kind, cells):
    assert kinds_of({"c": cells, "other": [0.5, 1.5] * 20})["c"] == kind


@pytest.mark.parametrize(
    "name", ["id", "ID", "PassengerId", "customer_id", "row id", "uuid", "id client", "customerID"]
)
def test_unique_numbers_named_like_an_identifier_are_one(name):
    assert kinds_of({name: [13, 11, 17], "x": [1.0, 2.0, 3.0]})[name] == "identifier"


@pytest.mark.parametrize("name", ["paid", "acid", "valid", "humid", "Madrid", "idea"])
def test_other_names_are_not_mistaken_for_identifiers(name):
    assert kinds_of({name: [13, 11, 17]})[name] == "number"


def test_numbers_named_like_an_identifier_that_repeat_are_numbers():
    assert kinds_of({"id": [1, 1, 2]})["id"] == "number"


def test_the_table_of_the_lesson_is_understood():
    frame = {
        "ID": [1, 2, 3, 4, 5],
        "age": [25, 32, 45, 23, 55],
        "sex": list("FMFMF"),
        "job": ["engineer", "doctor", "teacher", "student", "retired"],
        "income": [50, 70, 45, 13, 40],
    }
    assert kinds_of(frame, target="income") == {
        "ID": "identifier",
        "age": "number",
        "sex": "category",
        "job": "category",
    }


def test_a_counter_that_is_all_there_is_stays_a_number():
    assert kinds_of({"x": list(ROWS), "y": list(ROWS)}, target="y") == {"x": "number"}


def test_what_is_left_out_or_doubtful_is_noted():
    frame = pl.DataFrame(
        {
            "name": [f"w{i}" for i in ROWS],
            "area": ["70"] * 38 + ["big", "huge"],
            "when": ["01/02/2024", "02/03/2024"] * 20,
            "k": [1] * N,
            "text": ["12"] * 20 + ["13"] * 20,
            "far": [1.0, float("inf")] * 20,
        }
    )
    notes = {note.where: (note.level, note.text) for note in understand(frame)[1]}
    assert notes == {
        "name": ("warning", "left out: every row has a word of its own"),
        "area": ("warning", "numbers expected, but 'big' (row 39), 'huge' (row 40): read as missing"),
        "when": (
            "warning",
            "nothing tells the day from the month; 01/02/2024 was read as 2024-02-01; the option dates changes it",
        ),
        "k": ("info", "left out: nothing but 1"),
        "text": ("info", "numbers written as text, read as numbers"),
        "far": ("warning", "20 infinite values read as missing"),
    }


def test_day_and_month_are_told_apart_by_a_day_beyond_the_twelfth():
    columns, notes = understand(pl.DataFrame({"when": ["01/02/2024", "01/31/2024"]}))
    assert columns[0].date_format == "%m/%d/%Y"
    assert notes == []


def test_kinds_asked_for_win_and_dropped_columns_go():
    frame = {"a": [1, 2, 1], "b": ["x", "y", "z"], "c": [1.0, 2.0, 3.0], "y": [0, 1, 0]}
    assert kinds_of(frame, target="y", kinds={"a": "category"}, drop=["c"]) == {"a": "category", "b": "category"}


def test_names_that_do_not_exist_are_answered_with_the_nearest():
    frame = pl.DataFrame({"area": [1.0], "rooms": [2.0]})
    with pytest.raises(UnknownName, match='column: unknown name "aera"; did you mean "area"'):
        understand(frame, kinds={"aera": "number"})
    with pytest.raises(UnknownName, match='kind of column area: unknown name "numbr"; did you mean "number"'):
        understand(frame, kinds={"area": "numbr"})
    with pytest.raises(DataError) as caught:
        understand(frame, kinds={"area": "numbr"}, drop=["room"])
    assert len(caught.value.problems) == 2


def test_kinds_that_do_not_fit_name_every_column_and_row():
    frame = pl.DataFrame({"a": ["1", "big"], "b": ["soon", "2024-01-01"], "c": ["yes", "perhaps"]})
    with pytest.raises(DataError) as caught:
        understand(frame, kinds={"a": "number", "b": "date", "c": "boolean"})
    mend = "correct these cells, leave them empty, or choose another kind"
    assert caught.value.problems == (
        f"column a: expected numbers, got 'big' (row 2); {mend}",
        f"column b: expected dates such as 2024-12-31, got 'soon' (row 1); {mend}",
        f"column c: expected yes or no, true or false, 1 or 0, got 'perhaps' (row 2); {mend}",
    )


# The target


@pytest.mark.parametrize(
    ("task", "cells"),
    [
        ("binary", [True, False]),
        ("binary", ["cat", "dog", "cat"]),
        ("multiclass", ["a", "b", "c"]),
        ("binary", [0, 1, 1, 0]),
        ("binary", [0.0, 1.0]),
        ("binary", [-1, 1, 1]),
        ("multiclass", [0, 1, 2] * 10),
        ("regression", [0, 1, 2]),
        ("regression", list(range(300))),
        ("regression", [1.5, 2.5]),
        ("regression", ["1.5", "2.5"]),
    ],
)
def test_the_task_follows_from_the_target(task, cells):
    assert infer_task(pl.Series("y", cells))[0] == task


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["a", "a"], "target y: expected at least two different values, got nothing but 'a'; choose another target"),
        ([2.5, 2.5, None], "target y: expected at least two different values, got nothing but 2.5"),
        ([], "got no value at all"),
        ([f"w{i}" for i in ROWS], "expected classes that come again, got 40 different words in 40 rows"),
        (["1", "2"] * 19 + ["many", "3"], r"target y: expected numbers, got 'many' \(row 39\); correct these cells"),
        (
            [datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)],
            "expected numbers or classes, got dates, such as 2024-01-01",
        ),
    ],
)
def test_a_target_that_teaches_nothing_is_refused(cells, message):
    with pytest.raises(DataError, match=message):
        infer_task(pl.Series("y", cells))


def test_rows_without_a_target_are_left_out_and_said():
    frame = pl.DataFrame({"x": [1, 2, 3], "y": [0.5, float("nan"), None]})
    inputs, target, notes, places = take_target(frame, "y", places=Places.after(1, 3))
    assert inputs.to_dict(as_series=False) == {"x": [1]}
    assert target.to_list() == [0.5]
    assert [(note.where, note.text) for note in notes] == [("y", "2 rows without a target left out")]
    assert places.shown(0) == "2"


def test_a_target_is_read_as_what_it_holds_or_as_asked():
    frame = pl.DataFrame({"x": [1, 2, 3], "y": ["1", "2", "NA"]})
    assert take_target(frame, "y")[1].to_list() == [1, 2]
    assert take_target(frame, "y", "category")[1].to_list() == ["1", "2"]
    assert take_target(frame, "x", "category")[1].to_list() == ["1", "2", "3"]


def test_a_target_that_is_not_there_is_an_error():
    frame = pl.DataFrame({"price": ["?", "NA"]})
    with pytest.raises(UnknownName, match='target: unknown name "prise"; did you mean "price"'):
        take_target(frame, "prise")
    with pytest.raises(DataError, match="target price: expected a value to learn in some rows, got none"):
        take_target(frame, "price")


# Summaries


@given(st.lists(st.floats(-1e100, 1e100) | st.none(), min_size=1))
def test_a_summary_agrees_with_numpy(cells):
    summary = summarise(pl.Series("x", cells, dtype=pl.Float64), Column("x", "number"))
    known = [cell for cell in cells if cell is not None]
    assert summary.n_missing == len(cells) - len(known)
    assert summary.n_distinct == len(set(known))
    assert sum(summary.histogram) == len(known)
    if known:
        np.testing.assert_allclose(
            [summary.mean, summary.sd, summary.min, summary.max],
            [np.mean(known), np.std(known), min(known), max(known)],
        )


def test_words_and_dates_are_summed_up():
    frame = pl.DataFrame({"w": ["a", "b", "b", None], "d": ["01/02/2024", "03/02/2024", "NA", "03/02/2024"]})
    words, dates = describe(Dataset("t", "t", frame, None, understand(frame)[0]))
    assert (words.top, words.n_missing, words.n_distinct) == ((("b", 2), ("a", 1)), 1, 2)
    assert (dates.first, dates.last, dates.n_missing, dates.n_distinct) == ("2024-02-01", "2024-02-03", 1, 2)
    assert dates.histogram == (1, *[0] * 10, 2)


def test_images_have_no_columns_to_describe():
    assert describe(Dataset("t", "t", np.zeros((2, 1, 3, 3), np.uint8), None)) == []


def test_dates_are_no_answers_yet():
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in ROWS]
    for target in (pl.Series("when", days), pl.Series("when", [str(day) for day in days])):
        with pytest.raises(DataError, match="got dates, such as 2024-01-01; make a number of it"):
            infer_task(target)


def test_words_that_differ_in_capitals_alone_are_told():
    cells = ["yes", "no", "Yes", "no"] * 10
    told = "words that differ in capital letters alone, such as 'yes' and 'Yes', are taken for different ones"
    assert [note.text for note in understand(pl.DataFrame({"a": [*cells[:-1], "perhaps"]}))[1]] == [told]
    assert [note.text for note in take_target(pl.DataFrame({"a": cells, "b": ROWS}), "a")[2]] == [told]


def test_months_without_a_zero_are_dates_and_rates_of_exchange_are_numbers(tmp_path):
    months = [f"{1 + i % 12}.{2020 + i // 12}" for i in range(48)]
    lines = [f"{month};{1.19 + i / 4000:.4f};{i * 7 % 48},5" for i, month in enumerate(months)]
    (tmp_path / "m.csv").write_text("\n".join(["month;rate;y", *lines]) + "\n")
    for source in (
        tmp_path / "m.csv",
        {"month": months, "rate": [line.split(";")[1] for line in lines], "y": range(48)},
    ):
        dataset = open_source(source, "y")
        assert [column.kind for column in dataset.columns] == ["date", "number"]
    chosen = open_source(tmp_path / "m.csv", "y", kinds={"month": "number"})
    assert chosen.columns[0].kind == "number"

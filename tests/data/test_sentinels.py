"""Numbers that stand for a missing value: warned of, and left out once somebody says so."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import limpide as lp
from limpide.data.sentinels import find_sentinels
from limpide.data.sources import open_source
from limpide.data.streams import TableStream
from limpide.errors import DataError

RAIN = [3.5, -999, 0.2, 12.0, -999, 7.1, 0.0, 4.4]


@pytest.mark.parametrize(
    ("cells", "sentinels"),
    [
        (RAIN, ["-999"]),
        ([1, 2, 3, 9999, 9999, -99, -99], ["-99", "9999"]),
        (["3,5", "9999,99", "0,2", "9999,99"], ["9999.99"]),
        ([None, 3, -9999, 4, -9999], ["-9999"]),
        ([3.5, -999, 0.2], []),  # once is a value like another
        ([100, 500, 999, 999, 998], []),  # the greatest of many
        ([1, 2, 3, -50, -50], []),  # no nines
        ([1, 99, 2, 99, 30], []),  # a percentage, an age
        ([5, 5, 5, 999, 999], []),  # two values tell no range
        ([], []),
        ([None, None], []),
    ],
)
def test_a_number_of_nines_that_comes_again_far_from_the_others_is_warned_of(cells, sentinels):
    found = find_sentinels(pl.Series("rain", cells, strict=False))
    assert [note.text.partition(" ")[0] for note in found] == sentinels
    assert all(note.level == "warning" for note in found)


def test_the_warning_says_how_often_how_far_and_what_to_do(tmp_path):
    (tmp_path / "rain.csv").write_text("rain,y\n" + "".join(f"{rain},{i}\n" for i, rain in enumerate(RAIN)))
    notes = {note.where: note.text for note in open_source(tmp_path / "rain.csv", "y").notes}
    assert notes["rain"] == (
        "-999 comes 2 times in 8 rows, far from all other numbers (0 to 12): where it stands for a missing value, the "
        "option missing=-999 reads it so"
    )
    assert "rain" in {note.where for note in open_source(tmp_path / "rain.csv", "rain").notes}


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), max_size=12))
def test_any_numbers_can_be_looked_at(cells):
    find_sentinels(pl.Series("x", cells, pl.Float64))


@pytest.mark.parametrize("form", ["csv", "parquet", "frame", "stream"])
def test_what_is_said_to_be_missing_is(form, tmp_path):
    frame = pl.DataFrame({"rain": RAIN, "days": [1, -999, 3, 4, 5, 6, 7, 8], "town": ["abs", *"abcdefg"]})
    frame.write_csv(tmp_path / "rain.csv")
    frame.write_parquet(tmp_path / "rain.parquet")
    options = {"missing": "-999, abs"}
    if form == "stream":
        (read,) = (piece.frame for piece in TableStream("rain", [tmp_path / "rain.csv"], options).pieces())
    else:
        dataset = open_source(frame if form == "frame" else tmp_path / f"rain.{form}", "days", options=options)
        assert "4 cells read as missing: -999, abs" in [note.text for note in dataset.notes]
        assert "1 row without a target left out" in [note.text for note in dataset.notes]
        read = open_source(
            frame if form == "frame" else tmp_path / f"rain.{form}", "days", options=options, need_target=False
        ).inputs.with_columns(days=dataset.target.append(pl.Series([None])))
    assert read["rain"].to_list() == [3.5, None, 0.2, 12.0, None, 7.1, 0.0, 4.4]
    assert read["town"].to_list() == [None, *"abcdefg"]
    assert read["days"].null_count() == 1


def test_a_model_reads_new_data_as_it_was_told(tmp_path, monkeypatch):
    frame = pl.DataFrame({"rain": RAIN * 6, "y": [float(i) for i in range(48)]})
    options = {"epochs": 1, "network": "4 relu", "save": False, "baselines": False}
    run = lp.train(frame, target="y", data_options={"missing": -999}, **options)
    assert run.recipe.data.options["missing"] == "-999"
    assert run.read([{"rain": -999}]).inputs["rain"].to_list() == [None]
    (tmp_path / "new.csv").write_text("rain\n-999\n7\n")
    assert run.read(tmp_path / "new.csv").inputs["rain"].to_list() == [None, 7]
    assert run.read(tmp_path / "new.csv", {"missing": "7"}).inputs["rain"].to_list() == [-999, None]
    asked = []
    monkeypatch.setattr("limpide.runs.large_stream", lambda _source, _memory, options: asked.append(options))
    run.large(tmp_path / "new.csv")
    run.large(tmp_path / "new.csv", options={"missing": "7"})
    assert asked == [{"missing": "-999"}, {"missing": "7"}]


def test_nothing_is_no_cell(tmp_path):
    with pytest.raises(DataError, match="expected cells such as -999, between commas, got ' , '"):
        open_source(pl.DataFrame({"a": [1, 2], "y": [1, 2]}), "y", options={"missing": " , "})

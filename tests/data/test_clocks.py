"""Times of the day and marks out of a fixed number: numbers, said to be so, and read so again."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import limpide as lp
from limpide.data.clocks import hours
from limpide.data.sources import open_source
from limpide.errors import DataError

N = 40
PUPILS = {
    "arrived": [f"{7 + i % 3:02d}:{i % 60:02d}" for i in range(N)],
    "mark": [f"{i % 41 / 2:.1f}".replace(".", ",") + "/20" for i in range(N)],
    "y": [float(i) for i in range(N)],
}


def texts(dataset):
    return [note.text for note in dataset.notes]


@given(st.lists(st.times().map(lambda time: time.replace(microsecond=0)), min_size=1, max_size=20))
def test_hours_are_the_share_of_the_day(times):
    read = hours(pl.Series([f"{time:%H:%M:%S}" for time in times])).series
    assert read.to_list() == pytest.approx([t.hour + t.minute / 60 + t.second / 3600 for t in times])


def test_times_and_marks_are_numbers_and_the_table_of_columns_says_which():
    dataset = open_source(pl.DataFrame(PUPILS), "y")
    columns = {column.name: (column.kind, column.why) for column in dataset.columns}
    assert columns["arrived"] == ("number", "numbers from 7 to 9.633: hours of the day")
    assert columns["mark"] == ("number", "numbers from 0 to 19.5, /20 left out")
    assert "times of the day are read as hours: '07:00' is read as 7" in texts(dataset)
    assert "/20 is left out of its cells: '0,0/20' is read as 0" in texts(dataset)
    assert dict(dataset.reading.units) == {"arrived": "hh:mm", "mark": "/20"}


def test_what_the_user_says_they_are_they_are():
    dataset = open_source(pl.DataFrame(PUPILS), "y", {"arrived": "category", "mark": "category"})
    assert [column.kind for column in dataset.columns] == ["category", "category"]
    with pytest.raises(DataError, match="expected numbers, got '12/20'"):
        open_source(pl.DataFrame({"mark": ["12/20", "13/10"], "y": [1, 2]}), "y", {"mark": "number"})


def test_a_model_reads_times_and_marks_as_in_training(tmp_path):
    run = lp.train(pl.DataFrame(PUPILS), target="y", epochs=1, network="4 relu", out=tmp_path / "run", report=False,
                   baselines=False)  # fmt: skip
    again = lp.load(tmp_path / "run")
    (tmp_path / "new.csv").write_text('arrived,mark\n08:30,"12,5/20"\n')
    for source in (tmp_path / "new.csv", [{"arrived": "8h30", "mark": "12.5 / 20"}]):
        read = again.read(source)
        assert read.inputs.rows() == [(8.5, 12.5)]
        assert not [text for text in texts(read) if "nothing is converted" in text]
    bare = again.read([{"arrived": 8.5, "mark": "5/10"}])
    assert bare.inputs.rows() == [(8.5, 5.0)]
    assert "written with no unit, in training with 'hh:mm': nothing is converted" in texts(bare)
    assert "written with '/10', in training with '/20': nothing is converted" in texts(bare)
    assert again.predictions(bare.inputs).equals(run.predictions(bare.inputs))


@pytest.mark.parametrize("cells", [PUPILS["arrived"], PUPILS["mark"]], ids=["times", "marks"])
def test_a_file_without_names_is_seen_to_be_one(cells, tmp_path):
    (tmp_path / "t.csv").write_text("".join(f"{cell};{i}\n" for i, cell in enumerate(cells)))
    assert len(open_source(tmp_path / "t.csv", "column_2").inputs) == N

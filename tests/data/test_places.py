"""Rows are named as their file numbers them, whatever was left out before."""

import io

import openpyxl
import polars as pl
import pytest

from limpide.data import text_pieces
from limpide.data.columns import task_of
from limpide.data.places import Places
from limpide.data.sources import open_source
from limpide.errors import DataError
from limpide.job import prepare
from limpide.runs import Run
from limpide.training import train
from tests.data.trades import open_document

N = 40


def rows(*odd):
    """Rows of a table, some of them other ones: (their place from 0, the row)."""
    made = [[i * 7 % N + 0.5, ["Lyon", "Nice"][i % 2], i * 3 % N + 0.25] for i in range(N)]
    for place, row in odd:
        made.insert(place, row)
    return [["area", "town", "price"], *made]


def text(table):
    return "".join(",".join("" if cell is None else str(cell) for cell in row) + "\n" for row in table)


def book(table, n_above=0):
    made = openpyxl.Workbook()
    for i, row in enumerate(table, 1 + n_above):
        for j, cell in enumerate(row, 1):
            made.active.cell(i, j, cell)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


ODD = ((2, ["", "", ""]), (4, ["area", "town", "price"]), (6, [1.5, "Nice", None]), (9, [2.5, "Lyon", "n/a?"]))
"""A blank row, the names again, a row without a target, a stray word: row 11 of the file, below the names in row 1."""


@pytest.mark.parametrize(
    ("file", "content", "row"),
    [
        ("t.csv", text(rows(*ODD)).encode(), 11),
        ("t.csv", ("Prices\nof 2024\n\n" + text(rows(*ODD))).encode(), 14),
        ("t.csv", text(rows(*ODD)).replace("\n", "\n\n", 1).encode(), 12),
        ("t.csv", text(rows(*ODD)).replace("2.5,Lyon", '2.5,"Ly\non"').encode(), 11),
        ("t.csv", text(rows(*ODD)).replace("Nice", "5'6\" wide").encode(), 11),
        ("t.xlsx", book(rows(*ODD)), 11),
        ("t.xlsx", book(rows(*ODD), n_above=4), 15),
        ("t.ods", open_document(rows(*ODD)), 11),
        ("t.ods", open_document(rows(*ODD), n_above=4), 15),
    ],
    ids=["plain", "title", "blank", "lines", "quotes", "sheet", "low sheet", "open sheet", "low open sheet"],
)
def test_a_word_in_the_target_is_named_by_the_row_of_its_file(tmp_path, file, content, row):
    (tmp_path / file).write_bytes(content)
    dataset = open_source(tmp_path / file, "price")
    with pytest.raises(DataError, match=rf"target price: expected numbers, got 'n/a\?' \(row {row}\)"):
        task_of(dataset)
    with pytest.raises(DataError, match=rf"target price: expected numbers, got 'n/a\?' \(row {row}\)"):
        prepare(tmp_path / file, target="price", task="regression")


def test_warnings_of_columns_name_the_same_rows(tmp_path):
    odd = (ODD[0], (6, [1.5, "Nice", None]), (9, ["big", "Lyon", 2.5]), (12, [3.5, "Lyon", "NA"]))
    (tmp_path / "t.csv").write_text(text(rows(*odd)))
    notes = {note.where: note.text for note in open_source(tmp_path / "t.csv", "price").notes}
    assert notes["area"] == "numbers expected, but 'big' (row 11): read as missing"


def test_a_stream_names_the_rows_that_a_table_in_memory_names(tmp_path, monkeypatch):
    monkeypatch.setattr(text_pieces, "PIECE_BYTES", 100)
    table = rows(ODD[0], (6, [1.5, "Nice", None]), (9, ["big", "Lyon", 2.5]), (20, [2.5, "Ly\non", 0.5]))
    table += rows((3, ["", "", ""]), (30, [2.5, "Lyon", "dear"]))[1:]
    (tmp_path / "t.csv").write_text(text(table).replace("Ly\non", '"Ly\non"'))
    for stream in (False, True):
        with pytest.raises(DataError, match=r"target price: expected numbers, got 'dear' \(row 76\)"):
            prepare(str(tmp_path / "t.csv"), target="price", stream=stream)


def test_of_several_files_the_one_is_named(tmp_path):
    for name, odd in (("a", ()), ("b", ODD)):
        (tmp_path / f"{name}.csv").write_text(text(rows(*odd)))
    with pytest.raises(DataError, match=r"got 'n/a\?' \(row 11 of b.csv\)"):
        task_of(open_source(tmp_path, "price"))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_text(text(rows()))
    return train(path, target="price", epochs=1, engine="numpy")


def test_predictions_name_the_rows_of_the_new_file(tmp_path, run):
    (tmp_path / "new.csv").write_text(text(rows(ODD[0], (5, [1.5, "Paris", None]), (8, ["wide", "Lyon", 1.5]))))
    with pytest.raises(DataError, match=r"column area: expected numbers, got 'wide' \(row 10\)"):
        run.predict(tmp_path / "new.csv")
    (tmp_path / "new.csv").write_text(text(rows(ODD[0], (5, [1.5, "Paris", None]))))
    assert any("'Paris' (row 7)" in note.text for note in run.notes_on(run.read(tmp_path / "new.csv")))


def test_rows_of_a_frame_are_counted_from_one(run):
    with pytest.raises(DataError, match=r"column area: expected numbers, got 'wide' \(row 1\)"):
        run.predict(pl.DataFrame({"area": ["wide"], "town": ["Lyon"]}))


def test_places_are_cut_kept_and_joined():
    places = Places.after(1, 4).kept(pl.Series([True, False, True, True])).cut(1)
    assert [places.shown(i) for i in range(2)] == ["4", "5"]
    both = Places.joined([("a.csv", places), ("b.csv", Places.after(0, 2))])
    assert [both.shown(i) for i in range(4)] == ["4 of a.csv", "5 of a.csv", "1 of b.csv", "2 of b.csv"]
    assert both.kept(pl.Series([False, True, True, False])).cut(1).shown(0) == "1 of b.csv"

"""The readers one by one: what their files may hold besides a plain table, and what breaks them."""

import datetime
import gzip
import io
import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from limpide.data import apart, archives, json_tables, limits, workbooks
from limpide.data.reading import Asked, Reading
from limpide.data.sources import open_source
from limpide.data.streams import TableStream
from limpide.data.tables import read_content, read_table
from limpide.errors import DataError
from tests.data.nasty import HERE, HOUSES, json_lines, npy, npz, parquet, zipped


def read(content, name="t.csv", **options):
    return read_content(
        name, content if isinstance(content, bytes) else content.encode(), Asked(Reading.from_options(name, options))
    )


def refused(content, name="t.csv", **options):
    with pytest.raises(DataError) as caught:
        read(content, name, **options)
    return list(caught.value.problems)


def warnings(table):
    return [note.text for note in table.notes if note.level == "warning"]


# Text


@pytest.mark.parametrize(
    ("rows", "n_left"),
    [
        ("Lyon,1\nLille,2\nTotal,3\n", 2),
        ("Lyon,1\nLille,3\nMoyenne,2\n", 2),
        ("Lyon,1\nLille,2\nTotal,7\n", 3),  # a company of that name
        ("Lyon,1\nLille,2\nTotal,\n", 2),
        ("Lyon,1\nLille,2\nSource: the land registry,\n", 3),
    ],
)
def test_a_total_is_left_out_and_a_name_is_not(rows, n_left):
    assert len(read("town,price\n" + rows).frame) == n_left


def test_remarks_in_an_empty_row_are_left_out_up_to_five():
    table = read("a,b,c\n1,2,3\n4,5,6\n7,8,9\n" + "".join(f"note {i} of the author,,\n" for i in range(7)))
    assert len(table.frame) == 5
    assert "5 rows at the end are no part of the table" in warnings(table)[0]


def test_a_column_is_numbers_of_one_kind_though_the_last_row_says_otherwise():
    table = read("town;price\nLyon;1.234,5\nLille;2.000,0\nTotal;3.234,5\n")
    assert table.frame["price"].to_list()[:2] == [1234.5, 2000]


def test_names_over_two_rows_and_a_header_without_some_names():
    table = read("Year 2020;;\nx;y;z\n1;2;3\n4;5;6\n")
    assert table.frame.columns == ["x", "y", "z"]
    assert read("when,size,\nday,x,y\n1,2,3\n4,5,6\n").frame.columns == ["day", "x", "y"]
    assert read("a,,c\n1,2,3\n4,5,6\n").frame.columns == ["a", "column_2", "c"]


def test_a_first_row_that_comes_again_below_is_no_row_of_names():
    assert read("red,small\nblue,small\nred,large\n").frame.columns == ["column_1", "column_2"]
    assert read("colour,size\nred,small\nblue,large\n").frame.columns == ["colour", "size"]


def test_a_cell_longer_than_the_csv_module_takes_is_refused_not_cut():
    long = "x" * 200_000
    assert refused(f"a,b\n1,{long}\n2,y\n") == [
        "t.csv, column b, row 2: expected a cell of at most 100,000 letters, got 200,000"
    ]
    assert "1 cell" in refused(f"a,b\n1\n{long},2\n")[0]


def test_text_cut_inside_a_letter_of_two_parts():
    assert refused("a,b\n1,2\n".encode("utf-16-le") + b"\x00\xd8\x0a\x00", encoding="utf-16-le")[0].startswith(
        "t.csv: expected text in UTF-16"
    )


# Numbers, one by one


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("12,34,567|1,00,000", [1234567, 100000]),
        ("USD 12|USD 1.5", [12, 1.5]),
        ("12.5%|0|3%", [0.125, 0, 0.03]),
        ("(5)|3", [-5, 3]),
        ("+-5|3", ["+-5", "3"]),
        ("(5|3", ["(5", "3"]),
        ("A1|A2", ["A1", "A2"]),
        ("06 12 34 56 78|01 02 03 04 05", ["06 12 34 56 78", "01 02 03 04 05"]),
        ("192.168.0.1|10.0.0.1", ["192.168.0.1", "10.0.0.1"]),
        ("1_000|2", ["1_000", "2"]),
        ("1.|.5", [1, 0.5]),
        ("10 h|20 min", ["10 h", "20 min"]),
        ("12e3|1.5E-3", [12000, 0.0015]),
        ("12,5/20|08/20||20 / 20", [12.5, 8, None, 20]),
        ("12/20|13/10", ["12/20", "13/10"]),
        ("12/20|13", ["12/20", "13"]),
        ("03/04/2020|05/04/2020", ["03/04/2020", "05/04/2020"]),
        ("3 kg/20|4 kg/20", ["3 kg/20", "4 kg/20"]),
        ("1/2/20|3/2/20", ["1/2/20", "3/2/20"]),
        ("08:30|8h15|NA|17:00:36", [8.5, 8.25, None, 17.01]),
        ("08:30|24:00", ["08:30", "24:00"]),
        ("08:30|9", ["08:30", "9"]),
        ("45:10|61:02", ["45:10", "61:02"]),
    ],
)
def test_what_a_cell_says(cells, expected):
    table = read("n~x\n" + "".join(f"{i}~{cell}\n" for i, cell in enumerate(cells.split("|"))), delimiter="~")
    assert table.frame["x"].to_list() == expected


# JSON


def test_json_columns_of_several_types():
    rows = [
        {"a": 1, "b": True, "c": "x", "d": 1, "e": None},
        {"a": 2.5, "b": False, "c": 3, "d": 2**70, "e": None, "f": "late"},
    ]
    frame = read(json_lines(rows), "t.jsonl").frame
    assert frame.to_dict(as_series=False) == {
        "a": [1.0, 2.5], "b": [True, False], "c": ["x", "3"], "d": ["1", str(2**70)], "e": [None, None],
        "f": [None, "late"],
    }  # fmt: skip


def test_json_in_blocks_is_json_at_once(monkeypatch):
    rows = [{"a": i if i < 7 else i / 2, "b": "x" if i == 9 else i, **({"c": i} if i > 4 else {})} for i in range(12)]
    whole = read(json_lines(rows), "t.jsonl").frame
    monkeypatch.setattr(json_tables, "BLOCK_ROWS", 3)
    assert read(json_lines(rows), "t.jsonl").frame.equals(whole)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "t.json: expected a table, got no object; write one object for each row"),
        ('{"a": "\\ud800"}', "t.json, line 1: expected one JSON object, got half a letter"),
        ('[{"a": 1}, null]', "t.json, object 2: expected an object, got null; write one object for each row"),
        ('[{"a": 1}, true]', "t.json, object 2: expected an object, got true or false; write one object for each row"),
        ('{"a": 1}\n"x"\n', "t.json, line 2: expected one JSON object, got a text"),
        (
            '{"a": ' + "9" * 5000 + "}",
            "t.json, line 1: expected one JSON object, got Exceeds the limit (4300 digits) for integer string "
            "conversion",
        ),
    ],
)
def test_json_that_is_no_table(content, problem):
    assert refused(content, "t.json") == [problem]


def test_many_bad_lines_are_told_up_to_a_bound():
    assert len(refused(b'{"a": 1}\n' + b"{x\n" * 50, "t.json")) == 11


def test_blank_objects_are_left_out_and_counted():
    table = read(json_lines([{"a": 1, "b": 2}, {}, {"a": None, "b": None}, {"a": 3, "b": 4}]), "t.json")
    assert len(table.frame) == 2
    assert "2 blank rows left out" in [note.text for note in table.notes]
    assert read('{"a": NaN, "b": 1}\n{"a": 2, "b": 1}\n', "t.json").frame["a"].to_list() == [None, 2]


# A process of its own


def served(*requests):
    out = io.BytesIO()
    heads = [json.dumps([len(content), 1e9, *words]).encode() for content, *words in requests]
    lines = [head + b"\n" + content for head, (content, *_words) in zip(heads, requests)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apart, "_bound", lambda n_bytes: None)  # it would hold for all the tests behind this one
        apart.serve(io.BytesIO(b"".join(lines)), out)
    return out.getvalue()


def test_a_process_answers_one_request_after_another(monkeypatch):
    content = parquet(pl.DataFrame({"a": [1, 2]}))
    answers = served((content, "parquet", [], 100), (b"PAR1", "parquet", [], 100), (content, "parquet", [], 1))
    monkeypatch.setattr(apart, "ask", lambda request, seconds: answers)
    assert [frame.shape for frame in apart.read_apart("t", "a table", "", "parquet", b"")] == [(1, 2), (1, 1), (2, 1)]
    assert answers.count(b'{"sizes"') == 2
    assert answers.count(b'{"error"') == 1
    sheets = served(
        ((HERE / "houses.xls").read_bytes(), "sheets"), ((HERE / "houses.xls").read_bytes(), "cells", "maisons")
    )
    assert sheets.count(b'{"sizes"') == 2


def test_a_reader_that_kills_its_process_or_hangs_is_told(monkeypatch):
    content = parquet(pl.DataFrame(HOUSES))
    monkeypatch.setattr(apart, "START", "import os; os.abort()")
    assert refused(content, "t.parquet") == [
        "t.parquet: expected a Parquet file, got one so damaged that its reader breaks down; download it again: "
        "it is cut or damaged"
    ]
    monkeypatch.setattr(apart, "START", "import time; time.sleep(60)")
    monkeypatch.setattr(apart, "SECONDS", 0.2)
    assert "got one that cannot be read to its end" in refused(content, "t.parquet")[0]


def test_a_file_that_kills_a_reader_of_parquet(tmp_path):
    content = bytearray(parquet(pl.DataFrame({"a": [1, None] * 50, "b": ["x", "y"] * 50})))
    for place in range(4, len(content) - 8, 3):
        content[place] ^= 0x55
    assert "expected a Parquet file" in refused(bytes(content), "t.parquet")[0]


def test_a_panic_is_an_error_like_others():
    class PanicException(BaseException):
        pass

    with pytest.raises(DataError, match="t: expected a table, got out of range"), limits.foreign("t", "a table"):
        raise PanicException("out of range")
    with pytest.raises(KeyboardInterrupt), limits.foreign("t", "a table"):
        raise KeyboardInterrupt


def test_old_containers_are_told_apart():
    assert not workbooks.is_old_excel(b"PK")
    assert not workbooks.is_locked(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


def test_the_process_starts_light():
    heavy = {"torch", "sklearn", "matplotlib", "limpide.data.sources"}
    code = f"import limpide.data.apart, sys; print({heavy} & {{*sys.modules}})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


# NumPy's files


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(3, 2),
        np.arange(6, dtype=">i2").reshape(3, 2),
        np.asfortranarray(np.eye(3)),
        np.eye(3, dtype=np.float16),
        np.array([["a", "é"], ["b", "c"]]),
        np.array([[b"a", b"b"], [b"c", b"d"]]),
    ],
)
def test_matrices_come_back(tmp_path, array):
    (tmp_path / "a.npy").write_bytes(npy(array))
    inputs = open_source(tmp_path / "a.npy", need_target=False).inputs
    expected = np.char.decode(array) if array.dtype.kind == "S" else array
    assert inputs.rows() == [tuple(row) for row in expected.tolist()]


def test_images_and_parts_of_arrays(tmp_path, rng):
    images = rng.integers(0, 256, (9, 4, 4), dtype=np.uint8)
    labels = np.arange(9) % 2
    (tmp_path / "a.npz").write_bytes(
        npz(x_train=images[:6], y_train=labels[:6, None], x_test=images[6:], y_test=labels[6:, None])
    )
    dataset = open_source(tmp_path / "a.npz")
    assert dataset.inputs.shape == (9, 1, 4, 4)
    assert dataset.target.to_list() == [str(label) for label in labels]
    assert dataset.suggested == {"split.method": "ordered", "split.test": 3 / 9}
    (tmp_path / "b.npz").write_bytes(npz(a=images))
    assert open_source(tmp_path / "b.npz", need_target=False).inputs.shape == (9, 1, 4, 4)
    (tmp_path / "c.npz").write_bytes(
        npz(x_train=images[:6], y_train=labels[:6], x_test=images[6:, :2], y_test=labels[6:])
    )
    with pytest.raises(DataError, match="inputs of one size, got 6×4×4 and 3×2×4"):
        open_source(tmp_path / "c.npz")


def test_dates_in_records(tmp_path):
    array = np.array([("2024-01-02", 1.5)], dtype=[("day", "M8[D]"), ("x", "f4")])
    (tmp_path / "a.npy").write_bytes(npy(array))
    assert open_source(tmp_path / "a.npy", need_target=False).inputs.rows() == [(datetime.datetime(2024, 1, 2), 1.5)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x93NUMPY\x07\x00", "a.npy: expected a NumPy file of version 1, 2 or 3, got 07 00; "),
        (b"\x93NUMPY", "a.npy: expected a NumPy file of version 1, 2 or 3, got nothing; "),
        (npy(np.zeros((0, 2))), "a.npy: expected an array that holds something, got 0×2"),
        (
            npy(np.array(["\ud800"], dtype="U1")[None]),
            "a.npy: expected words, got numbers that are no letters; save it again",
        ),
        (npy(np.zeros(2, dtype=[("a", "f4", 3)])), "a.npy: expected an array of numbers or words, got "),
        (
            npy(np.zeros(2, dtype="M8[ns]"))[:-16].replace(b"M8[ns]", b"M8[zz]") + bytes(16),
            "a.npy: expected an array of numbers or words",
        ),
    ],
)
def test_arrays_that_cannot_be(tmp_path, content, problem):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_source(tmp_path / "a.npy", need_target=False)
    assert str(caught.value).startswith(problem)


# Archives


def test_zeros_behind_a_packed_file_are_padding_and_anything_else_is_damage():
    content = gzip.compress(b"a,b\n1,2\n")
    assert read(content + bytes(512), "t.csv.gz").frame.rows() == [(1, 2)]
    assert "a damaged one" in refused(content + b"more of it", "t.csv.gz")[0]


def test_a_method_of_packing_that_nobody_uses():
    content = zipped(("a.csv", b"a,b\n1,2\n")).replace(b"\x08\x00", b"\x63\x00")
    assert "expected a usual way of packing, got method 99; pack it again as .zip" in refused(content, "t.zip")[0]


def test_a_zip_that_holds_litter_only():
    assert refused(zipped((".DS_Store", b"x")), "t.zip") == [
        "t.zip: expected one table in the zip file, got none; unpack it, and name one of them"
    ]
    assert archives.packing_of(b"a,b") == ""


def test_a_stream_splits_cells_at_runs_of_spaces_as_a_table_in_memory(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("a  b   c\n" + "".join(f"{i:4d} {2 * i:5d}  {i % 3}\n" for i in range(100)))
    assert TableStream("t", [path]).head().equals(read_table(path).frame)


def test_options_that_a_stream_has_not_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "1,2\n" * 20)
    pl.DataFrame({"a": [1, 2]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t.csv: expected options of text read piece by piece: .*, got footer; leave"):
        TableStream("t", [tmp_path / "t.csv"], {"footer": 1})
    with pytest.raises(DataError, match=r"t.parquet: expected options of Parquet: missing, got delimiter; leave"):
        TableStream("t", [tmp_path / "t.parquet"], {"delimiter": ";"})

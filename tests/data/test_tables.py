import datetime
import hashlib

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.data.tables import read_table
from limpide.errors import DataError


@pytest.fixture
def put(tmp_path):
    def write(content, name="houses.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def texts(notes, level=None):
    return [note.text for note in notes if level in (None, note.level)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "a,b\n1,x\n2.5,y\n",
            "read as text in UTF-8, cells separated by commas, decimal point, names in the first row",
        ),
        (
            "a;b\n1,0;x\n2,5;y\n",
            "read as text in UTF-8, cells separated by semicolons, decimal comma, names in the first row",
        ),
        (
            "a\tb\n1\tx\n2.5\ty\n",
            "read as text in UTF-8, cells separated by tabs, decimal point, names in the first row",
        ),
        (
            "a|b\n1|x\n2.5|y\n",
            "read as text in UTF-8, cells separated by vertical bars, decimal point, names in the first row",
        ),
    ],
)
def test_delimiter_and_decimal_mark_are_guessed_and_noted(put, content, expected):
    frame, notes, *_others = read_table(put(content))
    assert frame.to_dict(as_series=False) == {"a": [1.0, 2.5], "b": ["x", "y"]}
    assert texts(notes) == [expected]


@pytest.mark.parametrize(
    ("encoding", "label"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8 (BOM)"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("cp1252", "Windows-1252"),
    ],
)
def test_every_encoding_gives_the_same_table(put, encoding, label):
    frame, notes, *_others = read_table(put("âge,ville\n31,Besançon\n22,Orléans\n".encode(encoding)))
    assert frame.to_dict(as_series=False) == {"âge": [31, 22], "ville": ["Besançon", "Orléans"]}
    assert texts(notes)[0].startswith(f"read as text in {label},")


def test_an_encoding_that_shows_only_late_in_the_file_is_found(put):
    path = put(("a,b\n" + "1,x\n" * 200_000 + "2,é\n").encode("cp1252"))
    frame, notes, *_others = read_table(path)
    assert frame["b"][-1] == "é"
    assert "Windows-1252" in texts(notes)[0]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ends_of_line_of_every_system_are_read(put, end):
    frame, *_others = read_table(put(end.join(["a,b", "1,2", "3,4", ""])))
    assert frame.rows() == [(1, 2), (3, 4)]


def test_a_file_without_names_is_seen_and_said(put):
    frame, notes, *_others = read_table(put("5.1,3.5,setosa\n4.9,3.0,setosa\n"))
    assert frame.columns == ["column_1", "column_2", "column_3"]
    assert frame.height == 2
    assert texts(notes, "warning") == ["the first row holds values, so the columns are called column_1 to column_3"]


def test_a_column_without_a_name_is_called_by_its_place(put):
    frame, notes, *_others = read_table(put(",a\n0,1\n1,2\n"))
    assert frame.columns == ["column_1", "a"]
    assert "1 column without a name is called by its place" in texts(notes)


def test_words_for_missing_values_are_missing(put):
    frame, *_others = read_table(put("a,b,c\n1,x,0\nNA,N/A,1\n?,null,2\n,,3\nnan,None,4\n2,y,5\n"))
    assert frame["a"].to_list() == [1, None, None, None, None, 2]
    assert frame["b"].to_list() == ["x", None, None, None, None, "y"]


def test_a_word_for_missing_values_that_comes_late_leaves_numbers_numbers(put):
    frame, *_others = read_table(put("a,b\n" + "1.5,2\n" * 3000 + "NA,3\n"))
    assert frame.dtypes == [pl.Float64, pl.Int64]
    assert frame["a"].null_count() == 1


def test_a_column_that_proves_late_to_be_something_else_is_read_as_that(put):
    frame, *_others = read_table(put("a,b\n" + "1,2\n" * 3000 + "1.5,much\n"))
    assert frame.dtypes == [pl.Float64, pl.String]
    assert frame.row(-1) == (1.5, "much")


def test_codes_stay_words(put):
    frame, *_others = read_table(put("zip,card\n01000,12345678901234567890\n75011,12345678901234567891\n"))
    assert frame.rows() == [("01000", "12345678901234567890"), ("75011", "12345678901234567891")]


def test_spaces_quotes_and_blank_rows_do_no_harm(put):
    frame, notes, *_others = read_table(put('\n\na,"b\nc"\n1, 2\n\n3, 4.5\n"5",NA\n\n'))
    assert frame.dtypes == [pl.Int64, pl.Float64]
    assert frame.rows() == [(1, 2.0), (3, 4.5), (5, None)]
    assert "2 blank rows left out" in texts(notes)


def test_the_checksum_is_that_of_the_file(put):
    path = put("a,b\n1,2\n")
    assert read_table(path)[2] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("blank", ["\n", "\n\n\n", "\r\n\r\n"])
@pytest.mark.parametrize("quote", ["", '"', '"with an\nend of line, '])
def test_blank_lines_and_quotes_are_read_whole_wherever_they_stand(put, quote, blank):
    end = '"' if quote else ""
    rows = [(i, i / 8, f"w{i}") for i in range(5000)]
    lines = [f"{n},{x},{quote}{word}{end}" for n, x, word in rows]
    frame, *_others = read_table(put(f"\n\nn,x,word{blank}" + blank.join(lines)))
    assert frame.rows() == [(n, x, quote[1:] + word) for n, x, word in rows]


def test_a_table_agrees_with_pandas(put, rng):
    wide = pd.DataFrame(rng.normal(size=(200, 4)), columns=list("abcd"))
    wide["e"] = rng.choice(["red", "green", "blue, dark"], 200)
    wide.loc[5, "c"] = None
    path = put(wide.to_csv(index=False))
    ours, theirs = read_table(path)[0], pd.read_csv(path)
    np.testing.assert_array_equal(ours["c"].to_numpy(), theirs["c"].to_numpy())
    np.testing.assert_array_equal(ours.select("a", "b", "d").to_numpy(), theirs[["a", "b", "d"]].to_numpy())
    assert ours["e"].to_list() == theirs["e"].tolist()


cells = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\x1f"), max_size=8)


@given(
    rows=st.lists(st.tuples(st.integers(-(10**9), 10**9), cells.map(lambda word: "w" + word.strip())), min_size=1),
    delimiter=st.sampled_from(",;\t|"),
)
def test_what_a_csv_writer_writes_is_read_back(tmp_path_factory, rows, delimiter):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    pl.DataFrame(rows, schema=["n", "word"], orient="row").write_csv(path, separator=delimiter, quote_style="always")
    assert read_table(path)[0].rows() == rows


PIECES = [
    "1",
    "2.5",
    "a",
    "é",
    "NA",
    " ",
    '"',
    '""',
    ",",
    ";",
    "\t",
    "|",
    "\n",
    "\r\n",
    "\r",
    "1,5",
    "inf",
    "007",
    "\0",
]


@given(st.lists(st.sampled_from(PIECES), max_size=60), st.sampled_from(["utf-8", "cp1252", "utf-16"]))
def test_a_file_is_a_table_or_an_error_with_a_reason_and_nothing_else(tmp_path_factory, pieces, encoding):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes("".join(pieces).encode(encoding))
    try:
        frame, *_others = read_table(path)
        outcome = [f"t.csv: {frame.height} rows"]
    except DataError as error:
        outcome = list(error.problems)
    assert outcome
    assert all(line.startswith("t.csv") for line in outcome)


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ("", ["houses.csv: expected a CSV, TSV, JSON, Parquet or Excel file, got an empty file"]),
        ("\n \n", ["houses.csv: expected a table, got an empty file"]),
        ("a,b\n", ["houses.csv: expected rows under the names, got only a header; add a row for each example"]),
        (b"\x89PNG\r\n\x1a\n\0\0", ["houses.csv: expected a CSV, TSV, JSON, Parquet or Excel file, got a PNG image"]),
        (bytes(range(256)), ["houses.csv: expected a CSV, TSV, JSON, Parquet or Excel file, got a binary file"]),
        (
            "a,b,a\n1,2,3\n1,2\n1,2,3,4\n",
            [
                'houses.csv: expected columns with different names, got 2 columns called "a"; rename all but one',
                "houses.csv, line 3: expected 3 cells as in the first row, got 2 cells",
                "houses.csv, line 4: expected 3 cells as in the first row, got 4 cells",
            ],
        ),
        (
            'a,b\n1,"x\n2,y\n',
            ["houses.csv, line 2: expected quotes closed at the end of their cell, got a quote left open"],
        ),
    ],
)
def test_every_problem_of_a_bad_file_is_told_at_once(put, content, problems):
    with pytest.raises(DataError) as caught:
        read_table(put(content))
    assert list(caught.value.problems) == problems


def test_many_ragged_rows_are_counted_after_the_first_ten(put):
    with pytest.raises(DataError) as caught:
        read_table(put("a,b\n" + "1\n" * 25))
    assert len(caught.value.problems) == 11
    assert caught.value.problems[-1] == "houses.csv: 15 more lines of another length"


def test_missing_values_in_the_last_column_are_not_ragged(put):
    frame, *_others = read_table(put('a,b\n1,\n"x, y",2\n'))
    assert frame.rows() == [("1", None), ("x, y", 2)]


def test_a_missing_file_names_its_nearest_neighbour(put):
    path = put("a\n1\n").with_name("house.csv")
    with pytest.raises(DataError, match=r'got no such file; did you mean "houses\.csv"'):
        read_table(path)


def test_a_missing_folder_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(DataError, match="got no such file; check the path"):
        read_table(tmp_path / "nowhere" / "a.csv")
    with pytest.raises(DataError, match="got a folder; name a file in it"):
        read_table(tmp_path)


def test_a_file_beyond_the_limit_is_not_read(put, monkeypatch):
    path = put("a,b\n" + "1,2\n" * 600_000)
    monkeypatch.setenv("LIMPIDE_MAX_FILE_MB", "2")
    with pytest.raises(DataError, match="expected at most 2 MB, got 2 MB; take a part of it, or set LIMPIDE_MAX_FILE"):
        read_table(path)


def workbook(path, *sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for i, rows in enumerate(sheets):
        sheet = book.create_sheet(f"sheet {i}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_an_excel_file_is_read_and_its_other_sheets_named(tmp_path):
    when = datetime.datetime(2024, 1, 2, 3, 4)
    path = workbook(
        tmp_path / "t.xlsx", [["n", "x", "when", "word"], [1, 0.5, when, "a"], [2, None, None, None]], [["other"]]
    )
    frame, notes, *_others = read_table(path)
    assert frame.rows() == [(1, 0.5, "2024-01-02 03:04:00", "a"), (2, None, None, None)]
    assert texts(notes) == ['read the sheet "sheet 0"; the others are sheet 1; the option sheet changes it']


def test_an_excel_file_under_another_name_is_read_as_what_it_is(tmp_path):
    path = workbook(tmp_path / "t.xlsx", [["a"], [1]]).rename(tmp_path / "t.csv")
    frame, notes, *_others = read_table(path)
    assert frame.rows() == [(1,)]
    assert texts(notes) == ["read as Excel, which its content is, whatever its name says"]


def test_an_empty_sheet_is_an_error(tmp_path):
    with pytest.raises(DataError, match="expected a table in the sheet 'sheet 0', got an empty sheet"):
        read_table(workbook(tmp_path / "t.xlsx", []))


def test_a_zip_bomb_under_the_name_of_an_excel_file_is_refused(tmp_path, monkeypatch):
    import zipfile

    path = tmp_path / "t.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 3_000_000)
    monkeypatch.setenv("LIMPIDE_MAX_FILE_MB", "1")
    with pytest.raises(DataError, match="expected at most 1 MB, got 3 MB"):
        read_table(path)


def test_a_parquet_file_keeps_its_types(tmp_path):
    table = pl.DataFrame({"a": [1, None], "b": ["NA", "x"], "c": [datetime.date(2024, 1, 2), None]})
    table.write_parquet(tmp_path / "t.parquet")
    frame, notes, *_others = read_table(tmp_path / "t.parquet")
    assert frame.equals(table)
    assert notes == []


@pytest.mark.parametrize(
    ("name", "head"),
    [("t.parquet", b"PAR1"), ("t.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "Workbook\0".encode("utf-16-le"))],
)
def test_a_damaged_file_is_an_error_that_names_its_form(put, name, head):
    with pytest.raises(DataError, match=f"{name}: expected an? (Parquet|Excel) file, got "):
        read_table(put(head + b"garbage" * 100, name))


def test_names_that_come_again_below_are_no_row(put):
    rows = "".join(f"{i / 4},x\n" for i in range(9))
    frame, notes, *_others = read_table(put("\ufeffa,b\n" + rows + "\ufeffa,b\n" + rows + "a,b\n"))
    assert frame.dtypes == [pl.Float64, pl.String]
    assert len(frame) == 18
    assert texts(notes, "warning") == ["2 rows that repeat the names of the columns left out, the first of them row 11"]


def test_words_below_that_are_the_name_of_one_column_alone_stay(put):
    assert len(read_table(put("a,n\n" + "a,1\nc,2\n" * 9 + "c,n\n")).frame) == 19


def test_units_under_the_names_are_no_row(put):
    rows = "".join(f"p{i};{60 + i},5;{110 + i}\n" for i in range(9))
    frame, notes, *_others = read_table(put("who;weight;pressure\n;kg;mmHg\n" + rows))
    assert frame.dtypes == [pl.String, pl.Float64, pl.Int64]
    assert len(frame) == 9
    assert texts(notes, "warning") == [
        "the row under the names says more of the columns, and was left out: 'kg', 'mmHg'"
    ]


@pytest.mark.parametrize(
    "first",
    ["p0;unknown;130", "p0;unknown;", "p3;kg;mmHg", "2024-01-01;kg;mmHg", "p0;NA;NA"],
    ids=["a number beside", "one word alone", "a word that comes again", "a date", "missing values"],
)
def test_a_first_row_with_a_value_in_it_stays(put, first):
    rows = "".join(f"p{i};{60 + i},5;{110 + i}\n" for i in range(9))
    assert len(read_table(put(f"who;weight;pressure\n{first}\n" + rows)).frame) == 10


def test_a_share_is_the_number_that_people_write(put):
    frame, notes, *_others = read_table(put("share;b\n1,3 %;x\n2,9 %;y\n"))
    assert frame["share"].to_list() == [0.013, 0.029]
    assert "% is left out of its cells: '1,3 %' is read as 0.013" in texts(notes)


def test_the_cell_that_shows_what_became_of_a_share_is_not_zero(put):
    _frame, notes, *_others = read_table(put("share;b\n0 %;x\n5 %;y\n10 %;y\n"))
    assert "% is left out of its cells: '5 %' is read as 0.05" in texts(notes)


def test_a_line_longer_than_any_row_is_refused_wherever_it_stands(put):
    long = b"a,b\n" + b"1,2\n" * 9 + b"1," * 9_000_000
    with pytest.raises(DataError, match="line 11: expected lines of a table, got a line of more than 16 MB"):
        read_table(put(long))


@pytest.mark.parametrize("encoding", ["cp1251", "shift_jis"])
def test_text_in_an_unknown_encoding_is_asked_for_it(put, encoding):
    words = ["Москва", "Тверь"] if encoding == "cp1251" else ["東京", "大阪"]
    path = put(("name,b\n" + "".join(f"{word * 9},1\n" for word in words * 9)).encode(encoding))
    with pytest.raises(DataError, match="if it is text, say its encoding"):
        read_table(path)


def test_a_column_of_lists_is_told_once(put):
    with pytest.raises(DataError) as error:
        read_table(put('{"a": [1], "b": 1}\n' * 20 + '{"a": 1, "b": {}}\n', "shop.jsonl"))
    assert [problem.partition(":")[0] for problem in error.value.problems] == [
        "shop.jsonl, line 1, a",
        "shop.jsonl, line 21, b",
    ]


def test_a_version_among_shortened_numbers_is_a_stray_word(put):
    views = ["1.2.3K", *["2.5K"] * 19]
    frame = read_table(put("views,b\n" + "".join(f"{cell},x\n" for cell in views))).frame
    assert frame["views"].to_list() == ["1.2.3K", *["2500.0"] * 19]

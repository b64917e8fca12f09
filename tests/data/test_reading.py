"""How a table is read is guessed, said, kept, and followed in prediction."""

import csv
import io

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import limpide
from limpide.cli import run as run_command
from limpide.data.frames import from_frame
from limpide.data.reading import Asked, Reading
from limpide.data.sources import open_source
from limpide.data.tables import read_content
from limpide.errors import DataError, UnknownName
from limpide.recipe import Recipe
from tests.data.nasty import book, parquet

N = 40
TOWNS = ["Lyon", "Lille", "Nice"]


def french(n=N):
    """A file of a French Excel: everything in it could be read another way, were it alone."""
    lines = ["ville;cp;vente;surface;taxe;prix"]
    for i in range(n):
        day = f"{1 + i % 28:02}/{1 + i % 12:02}/2020"
        lines.append(f"{TOWNS[i % 3]};0{1000 + i % 4};{day};{30 + i},{i % 10};{i % 9} %;{1 + i % 7}.{100 + i},50 €")
    return "\r\n".join(lines) + "\r\n"


def train(path, out, epochs=1, **options):
    options |= {"engine": "numpy", "accept_leaks": ["all"]}
    return limpide.train(path, out=out, epochs=epochs, baselines=False, report=False, **options)


def two_sheets(table):
    def change(made):
        sheet = made.create_sheet("data")
        for row in table:
            sheet.append(row)

    return book([["other"]], change)


@pytest.fixture(scope="module")
def french_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("french")
    (folder / "maisons.csv").write_bytes(french().encode("cp1252"))
    run = train(folder / "maisons.csv", folder / "run", target="prix", epochs=2, kinds={"cp": "category"})
    assert run.reading.options() == {
        "delimiter": ";", "decimal": ",", "thousands": ".", "encoding": "cp1252", "header": True, "dates": "day",
    }  # fmt: skip
    return limpide.load(folder / "run")


def put(tmp_path, content, name="new.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def texts(dataset):
    return [note.text for note in dataset.notes]


EXPECTED = {"ville": "Lyon", "cp": "01000", "vente": "03/04/2020", "surface": 31.5, "taxe": 0.07}


@pytest.mark.parametrize(
    "content",
    [
        "ville;cp;vente;surface;taxe\nLyon;01000;03/04/2020;31,5;7 %\n",
        "ville;cp;vente;surface;taxe;prix\nLyon;01000;03/04/2020;31,5;7 %;1.234 €\n",
        "ville,cp,vente,surface,taxe\nLyon,01000,03/04/2020,31.5,7%\n",
        "cp\tville\tvente\tsurface\ttaxe\n01000\tLyon\t03/04/2020\t31,5\t7 %\n",
        '"surface";"cp";"vente";"ville";"taxe"\n"31,50";"01000";"03/04/2020";"Lyon";"7%"\n',
    ],
)
def test_one_row_is_read_as_the_training_file_was(french_run, tmp_path, content):
    dataset = french_run.read(put(tmp_path, content))
    assert {name: dataset.inputs[name][0] for name in EXPECTED} == EXPECTED
    same = french_run.predictions(
        french_run.read([dict(zip(EXPECTED, ["Lyon", "01000", "2020-04-03", "31,5", "7 %"]))]).inputs
    )
    assert french_run.predictions(dataset.inputs).equals(same)
    if "prix" in content:
        assert dataset.target.to_list() == [1234]  # alone it would be 1.234


def test_what_a_file_alone_would_be_taken_for(tmp_path):
    alone = open_source(put(tmp_path, "surface;cp;prix\n1.234;10;1\n5.678;20;2\n"), "prix").inputs
    assert alone["surface"].to_list() == [1.234, 5.678]
    asked = Asked(former=Reading(delimiter=";", decimal=",", cells={"surface": "number", "cp": "text"}))
    table = read_content("new.csv", b"surface;cp;prix\n1.234;10;1\n5.678;20;2\n", asked)
    assert table.frame["surface"].to_list() == [1234, 5678]
    assert table.frame["cp"].to_list() == ["10", "20"]
    assert any("nothing tells whether '1.234' (row 2) has a decimal mark: read as 1234" in n.text for n in table.notes)


def test_a_file_that_is_plainly_written_otherwise_is_read_as_it_is_and_this_is_said(french_run, tmp_path):
    dataset = french_run.read(put(tmp_path, "ville,cp,vente,surface,taxe\nLyon,01000,03/04/2020,31.5,7%\n"))
    assert "not written as the training file was: read as it is written" in texts(dataset)
    assert "not written as" not in " ".join(texts(french_run.read(put(tmp_path, french(3)))))


def test_other_units_than_in_training_are_warned_of(french_run, tmp_path):
    dataset = french_run.read(put(tmp_path, "ville;cp;vente;surface;taxe;prix\nLyon;01000;03/04/2020;31,5;0,07;$ 12\n"))
    assert "written with no unit, in training with '%': nothing is converted" in texts(dataset)
    assert "written with '$', in training with '€': nothing is converted" in texts(dataset)


@pytest.mark.parametrize("mark", [",", "."])
def test_values_given_one_by_one_may_have_either_mark(french_run, mark):
    row = dict(zip(EXPECTED, ["Lyon", "01000", "03/04/2020", f"31{mark}5", "7 %"]))
    assert french_run.read([row]).inputs["surface"].to_list() == [31.5]


def test_what_is_said_of_a_new_file_counts_more_than_training(french_run, tmp_path):
    path = put(tmp_path, "ville|cp|vente|surface|taxe\nLyon|01000|03/04/2020|31.500|7%\n")
    assert french_run.read(path, {"decimal": "point"}).inputs["surface"].to_list() == [31.5]
    assert french_run.read(path).inputs["surface"].to_list() == [31500]
    with pytest.raises(UnknownName, match='unknown name "decimals"; did you mean "decimal"'):
        french_run.read(path, {"decimals": "point"})


def test_words_stay_words_and_sheets_stay_sheets(tmp_path):
    table = [["code", "x", "y"], *([["A1", "1e5", "7"][i % 3], i * 7 % 40, i / 2] for i in range(N))]
    path = put(tmp_path, two_sheets(table), "a.xlsx")
    run = train(path, tmp_path / "run", target="y", data_options={"sheet": "data"})
    new = put(tmp_path, two_sheets([["code", "x"], ["1e5", 3]]), "b.xlsx")
    assert run.read(new).inputs.rows() == [("1e5", 3)]
    assert run.read(put(tmp_path, "code,x\n1e5,3\n")).inputs.rows() == [("1e5", 3)]


def test_a_run_without_names_reads_files_without_names(tmp_path):
    path = put(tmp_path, "".join(f"{i},{i * 3 % 7},{i / 4}\n" for i in range(N)), "a.csv")
    run = train(path, tmp_path / "run", target="column_3", kinds={"column_1": "number"})
    assert run.read(put(tmp_path, "9,4,2\n")).inputs.rows() == [(9, 4)]


def test_the_recipe_of_a_run_says_how_its_table_was_read(french_run):
    recipe = Recipe.read(french_run.path / "recipe.toml")
    assert recipe.data.options == french_run.reading.options()
    assert recipe == french_run.recipe
    again = open_source(recipe.data.source, "prix", recipe.data.kinds, options=recipe.data.options)
    assert again.inputs.equals(open_source(recipe.data.source, "prix", recipe.data.kinds).inputs)


# What can be said


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("a;b,c\n1;5,2\n", {"delimiter": "comma"}, {"a;b": ["1;5"], "c": [2]}),
        ("a~b\n1~2\n", {"delimiter": "~"}, {"a": [1], "b": [2]}),
        ("a\tb\n1.234\t2\n", {"decimal": ","}, {"a": [1234], "b": [2]}),
        ("a\tb\n1.234\t2\n", {"thousands": "."}, {"a": [1234], "b": [2]}),
        ("a\tb\n1.234,5\t2\n", {"thousands": "none"}, {"a": ["1.234,5"], "b": [2]}),
        ("1,2\n3,4\n", {"header": True}, {"1": [3], "2": [4]}),
        ("a,b\n3,4\n", {"header": "no"}, {"column_1": ["a", "3"], "column_2": ["b", "4"]}),
        ("x,y\n1,2\na,b\n3,4\n", {"skip": 2}, {"a": [3], "b": [4]}),
        (
            "Houses,,\na,b,c\n3,4,5\n",
            {"skip": 0},
            {"Houses": ["a", "3"], "column_2": ["b", "4"], "column_3": ["c", "5"]},
        ),
        ("a,b\n1,2\n3,4\n5,6\n", {"footer": 2}, {"a": [1], "b": [2]}),
        ("a,b\n1,2\n3,4\nTotal,6\n", {"footer": 0}, {"a": ["1", "3", "Total"], "b": [2, 4, 6]}),
    ],
)
def test_every_guess_can_be_overridden(content, options, expected):
    asked = Asked(Reading.from_options("t.csv", options))
    table = read_content("t.csv", content.encode(), asked)
    assert table.frame.to_dict(as_series=False) == expected
    for name, value in Reading.from_options("t.csv", options).options().items():
        assert table.reading.options()[name] == value


def test_the_order_of_dates_can_be_said(tmp_path):
    path = put(tmp_path, "day,y\n" + "".join(f"0{1 + i % 9}/0{1 + i % 7}/2020,{i}\n" for i in range(20)))
    for order, first in (("day", "2020-01-02"), ("month", "2020-02-01"), (None, "2020-01-02")):
        job = limpide.fit(
            path, target="y", data_options={"dates": order} if order else {}, split="ordered", accept_leaks=["all"]
        ).job
        treatment = job.preparation.treatments[0]
        assert treatment.read(pl.Series(["02/01/2020"])).dt.strftime("%Y-%m-%d").to_list() == [first]
        assert job.recipe.data.options["dates"] == (order or "day")


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({"delimter": ";"}, ['t.csv: unknown name "delimter"; did you mean "delimiter"?']),
        (
            {"delimiter": "ab", "decimal": "x", "header": "perhaps", "skip": -1, "encoding": "utf9", "dates": "year"},
            [
                "t.csv, delimiter: expected one character, or tab, space, got 'ab'",
                "t.csv, decimal: expected a point or a comma, got 'x'",
                "t.csv, header: expected yes or no, got 'perhaps'",
                "t.csv, skip: expected a count of lines, got -1",
                "t.csv, encoding: expected an encoding such as utf-8 or cp1252, got 'utf9'",
                "t.csv, dates: expected day or month, got 'year'",
            ],
        ),
        ({"encoding": "base64", "decimals": ","}, [
            "t.csv, encoding: expected an encoding such as utf-8 or cp1252, got 'base64'",
            't.csv: unknown name "decimals"; did you mean "decimal"?',
        ]),
        ({"sheet": "2"}, [
            "t.csv: expected options of CSV: delimiter, decimal, thousands, encoding, header, skip, footer, "
            "dates, missing, got sheet; "
            "leave it out",
        ]),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_answered(tmp_path, options, problems):
    with pytest.raises((DataError, UnknownName)) as caught:
        open_source(put(tmp_path, "a,b\n1,2\n2,3\n", "t.csv"), "b", options=options)
    assert [line.replace(str(tmp_path) + "/", "") for line in caught.value.problems] == problems


def test_parquet_has_little_to_say(tmp_path):
    path = put(tmp_path, parquet(pl.DataFrame({"a": [1, 2], "b": [1, 2]})), "t.parquet")
    with pytest.raises(DataError, match="expected options of Parquet: missing, got delimiter, header; leave them out"):
        open_source(path, "b", options={"delimiter": ";", "header": True})


def test_the_command_line_takes_every_option(tmp_path, capsys):
    path = put(tmp_path, "Title\na~b\n" + "".join(f"{i}.500~{i % 3}\n" for i in range(1, 30)))
    words = [
        "data",
        str(path),
        "--target",
        "b",
        "--skip",
        "1",
        "--delimiter",
        "~",
        "--thousands",
        "point",
        "--header",
        "--json",
    ]
    assert run_command(words) == 0
    assert '"mean": 15500.0' in capsys.readouterr().out
    recipe = tmp_path / "t.toml"
    assert (
        run_command(["new", str(path), "--target", "b", "--delimiter", "~", "--thousands", ".", "--out", str(recipe)])
        == 0
    )
    assert Recipe.read(recipe).data.options == {
        "delimiter": "~", "decimal": ",", "thousands": ".", "encoding": "utf-8", "header": True, "skip": 1,
    }  # fmt: skip
    assert run_command(["data", f"{path}?delimiter=~&thousands=.", "--target", "b"]) == 0


# Random tables in random dialects

words = st.text(st.sampled_from("abcé œÉ'/"), min_size=1, max_size=6).map(lambda word: "w" + word.strip())
dialects = st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", ",")])


@given(
    st.lists(st.tuples(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6, width=32), words), min_size=3, max_size=12),
    dialects,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_a_table_in_any_dialect_is_read_back(rows, dialect, encoding, end, quoting):
    delimiter, decimal = dialect
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(["n", "x", "word"])
    for n, x, word in rows:
        writer.writerow([n, f"{x:.6f}".replace(".", decimal), word])
    table = read_content("t.csv", file.getvalue().encode(encoding), Asked())
    assert table.frame["n"].to_list() == [n for n, _x, _word in rows]
    np.testing.assert_array_equal(table.frame["x"].to_numpy(), [float(f"{x:.6f}") for _n, x, _word in rows])
    assert table.frame["word"].to_list() == [word for _n, _x, word in rows]
    again = read_content("t.csv", file.getvalue().encode(encoding), Asked(table.reading))
    assert again.frame.equals(table.frame)


PIECES = ["1", "2.5", "1,5", "1.234", "1,234", "a", "é", "NA", " ", '"', ",", ";", "\t", "|", "\n", "\r", "007", "%",
          " €", "-", "Total", "01/02/2020", "#", "[{", '{"a":', "x^", "sep=;", "\0"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=60), st.sampled_from(["utf-8", "cp1252", "utf-16", "mac_roman"]))
def test_whatever_is_read_is_read_alike_the_second_time(pieces, encoding):
    content = "".join(pieces).encode(encoding)
    if not content:
        return
    problems = ["t.csv: none"]
    table = None
    try:
        table = read_content("t.csv", content, Asked())
    except DataError as error:
        problems = list(error.problems)
    assert problems
    assert all(line.startswith("t.csv") for line in problems)
    if table is None:
        return
    again = read_content("t.csv", content, Asked(Reading.from_options("t.csv", table.reading.options())))
    assert again.frame.equals(table.frame)


@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"PAR1", b"\x93NUMPY\x01\0", b"[", b'{"', b"BZh9"]),
)
def test_bytes_of_any_kind_give_a_table_or_an_error(content, start):
    if not start + content:
        return
    try:
        outcome = len(read_content("t.csv", start + content, Asked()).frame)
    except DataError as error:
        outcome = len(error.problems)
    assert outcome > 0


def test_what_was_found_in_a_table_of_both_marks_reads_it_the_same_again():
    rows = "area;price\n" + "".join(f"2{i},5;{1 + i}.00{i},25\n" for i in range(9)) + "30,5;3.0555\n"
    first = read_content("a.csv", rows.encode(), Asked())
    again = read_content("a.csv", rows.encode(), Asked(first.reading))
    assert first.frame["price"].dtype == pl.Float64
    assert again.frame.equals(first.frame)


def test_rows_of_white_space_at_the_end_do_not_count_as_its_footer():
    content = "a,b,c\n1,x,\n2,y,\ntotal\n\N{NO-BREAK SPACE}\n,\N{NO-BREAK SPACE}\n".encode()
    first = read_content("a.csv", content, Asked())
    again = read_content("a.csv", content, Asked(first.reading))
    assert first.reading.footer == 1
    assert first.frame.shape == (2, 3)
    assert again.frame.equals(first.frame)


def test_lines_above_the_table_are_counted_by_ends_of_line_alone():
    content = b"a remark\x0cwith a form feed\nand more\n\n\na,b\n1,x\n2,y\n3,z\n"
    first = read_content("a.csv", content, Asked())
    again = read_content("a.csv", content, Asked(first.reading))
    assert first.frame["b"].to_list() == ["x", "y", "z"]
    assert again.frame.equals(first.frame)


@pytest.mark.parametrize(
    "make", [lambda: read_content("a.csv", b"^a$,b\n1,2\n3,4\n", Asked()), lambda: from_frame({"^a$": [1]})]
)
def test_a_name_that_polars_takes_for_a_pattern_is_refused(make):
    with pytest.raises(DataError, match=r"expected no name from \^ to \$, which is a pattern for names, got '\^a\$'"):
        make()

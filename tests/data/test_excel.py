"""Workbooks of Excel: dates, merged cells, strings in pieces, sheets, and parts that are not there."""

import datetime
import io

import polars as pl
import pytest
import xlsxwriter

from limpide.data import excel, sheet_cells, workbooks
from limpide.data.reading import Asked, Reading
from limpide.data.tables import read_content
from limpide.errors import DataError, UnknownName
from tests.data.nasty import HERE, book, zipped
from tests.data.trades import open_document


def read(content, name="t.xlsx", **options):
    return read_content(name, content, Asked(Reading.from_options(name, options)))


def refused(content, name="t.xlsx", **options):
    with pytest.raises(DataError) as caught:
        read(content, name, **options)
    return list(caught.value.problems)


def styled(write):
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as made:
        write(made, made.add_worksheet())
    return file.getvalue()


def test_dates_times_and_percentages_of_a_workbook():
    def write(made, sheet):
        forms = ["dd/mm/yyyy", "hh:mm", "[h]:mm", "0.0%", "yyyy-mm-dd hh:mm:ss", '0.00" days"']
        sheet.write_row(0, 0, ["day", "time", "span", "share", "moment", "plain"])
        for row, values in enumerate([[45000, 0.25, 1.5, 0.125, 45000.5, 2.5], [45001, 0.5, 0.5, 0.5, 45001.25, 3]], 1):
            for column, (value, form) in enumerate(zip(values, forms)):
                sheet.write(row, column, value, made.add_format({"num_format": form}))

    table = read(styled(write), "t.xlsx")
    assert table.frame.rows()[0] == ("2023-03-15", 6, 36, 0.125, "2023-03-15 12:00:00", 2.5)
    assert "4 times of the day are read as hours" in [note.text for note in table.notes]


def test_a_workbook_of_1904_counts_its_days_from_then():
    content = book([["day", "x"], [datetime.date(2024, 1, 2), 1], [datetime.date(2024, 1, 3), 2]], lambda made: setattr(
        made, "epoch", datetime.datetime(1904, 1, 1)))  # fmt: skip
    assert read(content, "t.xlsx").frame["day"].to_list() == ["2024-01-02", "2024-01-03"]


def test_cells_merged_over_columns_and_names_merged_over_rows():
    def change(made):
        made.active.merge_cells("A1:A2")
        made.active.merge_cells("B4:C4")

    table = read(
        book([["name", "size", None], [None, "x", "y"], ["a", 1, 2], ["b", 3, None], ["c", 5, 6]], change), "t.xlsx"
    )
    assert table.frame.to_dict(as_series=False) == {"name": ["a", "b", "c"], "x": [1, 3, 5], "y": [2, 3, 6]}
    assert "1 merged cell gives its value to every cell it covers" in [note.text for note in table.notes]


def test_strings_of_a_workbook():
    assert sheet_cells.strings_of(
        b"<sst xmlns='x'><si><t>a</t></si> <si> <r><t>b</t> </r> <r><t>_x000A_c</t></r><rPh><t>no</t></rPh></si></sst>"
    ) == ["a", "b\nc"]
    assert sheet_cells.styles_of(None) == []


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("<c t='inlineStr'><is><r><t>x</t></r>\n<r><t> y</t></r><rPh><t>no</t></rPh></is></c>", "x y"),
        ("<c s='0'> <v>1e300</v> </c>", "1e300"),
        ("<c s='7'><v>1</v></c>", "1"),
        ("<c t='str'><f>A1</f><v>&lt;b&gt;</v></c>", "<b>"),
        ("<c t='b'><v>1</v></c>", "true"),
        ("<c t='s'><v>0</v></c>", "first"),
        ("<p:c xmlns:p='p' r='A1' t='s'><p:v>0</p:v></p:c>", "first"),
        ("<c t='str'><v><![CDATA[00]]>7</v></c>", "007"),
    ],
)
def test_a_cell_of_a_sheet(cell, text):
    content = f"<a><row r='3'>{cell}</row></a>"
    assert sheet_cells.grid_of("t", content.encode(), ["first"], ["date"], False).rows == {3: {0: text}}


def test_cells_that_hold_nothing_are_told_apart():
    cells = "<c t='str'><f>A1</f></c><c><f>A1</f></c><c/><c t='e'><v>#N/A</v></c><c t='inlineStr'><is/></c>"
    grid = sheet_cells.grid_of("t", f"<a><row>{cells}</row></a>".encode(), [], [], False)
    assert (grid.rows, grid.valueless, grid.faulty) == ({}, ["B1"], ["D1"])


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({}, "t.xlsx: expected a whole workbook, got no list of sheets; save it again"),
        ({"xl/_rels/workbook.xml.rels": b"<a/>"}, "t.xlsx: expected a sheet of cells, got none"),
        ({"xl/_rels/workbook.xml.rels": b"<a"}, "t.xlsx: expected a whole workbook, got unclosed token: line 1, "
                                                "column 0; save it again"),
        (
            {"xl/workbook.xml": b"<a xmlns:r='r'><sheet name='s' r:id='1'/></a>",
             "xl/_rels/workbook.xml.rels": b"<a><b Id='1' Type='x/worksheet' Target='/xl/s.xml'/></a>"},
            "t.xlsx: expected a whole workbook, got no xl/s.xml; save it again",
        ),
    ],
)  # fmt: skip
def test_a_workbook_without_its_parts(parts, problem):
    assert refused(zipped(*{"xl/workbook.xml": b"<a/>", **parts}.items()), "t.xlsx") == [problem]


def test_too_many_cells_under_merged_ones(monkeypatch):
    monkeypatch.setattr(excel, "MOST_MERGED", 3)
    content = book([["a", "b", "c"], [1, 2, 3], [3, 4, 5], [5, 6, 7]], lambda made: made.active.merge_cells("A2:B4"))
    assert refused(content, "t.xlsx") == [
        "t.xlsx: expected at most 3 cells under merged ones, got more; undo the merging"
    ]


def test_nothing_is_left_when_all_is_passed_over():
    content = book([["a", "b"], [1, 2]])
    assert refused(content, "t.xlsx", skip=9) == ["t.xlsx: expected rows under the lines passed over, got none"]
    assert refused((HERE / "houses.xls").read_bytes(), "t.xls", skip=99) == [
        "t.xls: expected rows under the lines passed over, got none"
    ]
    assert refused(content, "t.xlsx", footer=1) == [
        "t.xlsx: expected rows under the names, got only a header; add a row for each example"
    ]


def test_an_old_workbook_has_sheets_too():
    content = (HERE / "houses.xls").read_bytes()
    assert read(content, "t.xls", sheet="autre", header=False).frame.rows() == [("vide",)]
    with pytest.raises(UnknownName, match=r't.xls, sheet: unknown name "maison"; did you mean "maisons"'):
        read(content, "t.xls", sheet="maison")


def cells(*rows):
    return pl.DataFrame([[None if cell is None else str(cell) for cell in column] for column in zip(*rows)])


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([], "t.xlsb: expected a table in the sheet 'one', got an empty sheet"),
        (
            [["a", "a"], ["1", "2"]],
            't.xlsb: expected columns with different names, got 2 columns called "a"; rename all but one',
        ),
    ],
)
def test_a_binary_workbook_that_is_no_table(monkeypatch, rows, problem):
    answers = {
        "sheets": [pl.DataFrame({"name": ["one"]})],
        "cells": [cells(*rows), cells(*rows).cast(pl.Float64, strict=False)],
    }
    monkeypatch.setattr(workbooks, "read_apart", lambda where, form, mend, reader, *more: answers[reader])
    content = zipped(("xl/workbook.bin", b"x"))
    assert refused(content, "t.xlsb") == [problem]
    answers["sheets"] = [pl.DataFrame({"name": []}, schema={"name": pl.String})]
    assert refused(content, "t.xlsb") == ["t.xlsb: expected a sheet of cells, got none"]


def test_a_binary_workbook_keeps_the_digits_of_its_numbers(monkeypatch):
    numbers = pl.DataFrame({"a": [None, 1e-12, 7.0], "b": [None, None, 7.0]})
    answers = {
        "sheets": [pl.DataFrame({"name": ["one"]})],
        "cells": [cells(["x", "y"], ["0", "007"], ["7", "007"]), numbers],
    }
    monkeypatch.setattr(workbooks, "read_apart", lambda where, form, mend, reader, *more: answers[reader])
    assert read(zipped(("xl/workbook.bin", b"x")), "t.xlsb").frame.rows() == [(1e-12, "007"), (7.0, "007")]


def test_a_damaged_open_document_is_called_what_it_is():
    content = open_document([["a", "b"], [1, 2]]).replace(b"</table:table>", b"</table:other>")
    (problem,) = refused(content, "t.ods")
    assert problem.startswith("t.ods: expected an OpenDocument spreadsheet, got ")

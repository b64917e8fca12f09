"""Nasty but realistic files that are refused, each with all its problems: the file, the row, the column, the mend."""

import gzip
import json
import lzma
import pickle
import re
import struct
import zipfile

import numpy as np
import polars as pl
import pytest

from limpide.cli import run as run_command
from limpide.data import limits
from limpide.data.sources import open_source
from limpide.errors import DataError, InputError
from tests.data.nasty import (
    HOUSES,
    NAMES,
    N,
    Nasty,
    book,
    gzip_bomb,
    json_lines,
    locked,
    npy,
    npz,
    objects,
    ole,
    parquet,
    rows,
    tarred,
    write,
    zipped,
)

CSV = write()
EXPECTED = "expected a CSV, TSV, JSON, Parquet or Excel file, got "
SAVE = "open it in what made it, and save the table as .csv or .xlsx"
AGAIN = "download it again: it is cut or damaged"
ONE_OBJECT = "expected one array of objects, or an object a line, got one object that holds"
NAME_ALL = (
    "as in all rows below; give each column a name, and where commas are decimal marks, separate cells by something "
    "else"
)
LEAVE = "leave the column out with the option drop, or write its parts as columns of their own"


def no_values(made):
    made.active["D2"] = "=A2*50"
    made.active["D3"] = "=A3*50"


def header_only_npy(descr):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (3, 2), }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(48)


def refused(file, content, *says, **more):
    made = content if callable(content) else lambda: content if isinstance(content, bytes) else content.encode()
    return Nasty(file, made, "refused", says, **more)


TEXTS = [
    refused("empty.csv", b"", f"empty.csv: {EXPECTED}an empty file"),
    refused("blank.csv", "\n \n\t\n", "blank.csv: expected a table, got an empty file"),
    refused("mark-only.csv", b"\xef\xbb\xbf", "mark-only.csv: expected a table, got an empty file"),
    refused(
        "header-only.csv",
        "area,rooms,price\n",
        "header-only.csv: expected rows under the names, got only a header; add a row for each example",
    ),
    refused(
        "ragged.csv",
        "a,b,a\n1,2,3\n1,2\n1,2,3,4\n5,6,7\n8,9,1\n",
        'ragged.csv: expected columns with different names, got 2 columns called "a"; rename all but one',
        "ragged.csv, line 3: expected 3 cells as in the first row, got 2 cells",
        "ragged.csv, line 4: expected 3 cells as in the first row, got 4 cells",
    ),
    refused(
        "comment-inside.csv",
        CSV.replace("\n", "\n# checked by Ann\n", 9).replace("# checked by Ann\n", "", 8),
        "comment-inside.csv, line 10: expected 4 cells as in the first row, got 1 cell",
    ),
    refused(
        "name-lacking.csv",
        "rooms,price\n" + "\n".join(f"house {i},{i},{i * 7}" for i in range(9)) + "\n",
        f"name-lacking.csv, line 2: expected 2 cells as in the first row, got 3 cells, {NAME_ALL}",
    ),
    refused(
        "commas-among-commas.csv",
        write(shown=lambda _name, v: str(v).replace(".", ",")),
        f"commas-among-commas.csv, line 2: expected 4 cells as in the first row, got 6 cells, {NAME_ALL}",
    ),
    refused(
        "open-quote.csv",
        CSV.replace("Lyon", '"Lyon', 1),
        "open-quote.csv, line 3: expected quotes closed at the end of their cell, got a quote left open",
    ),
    refused(
        "quote-and-more.csv",
        CSV.replace("Lyon", '"Lyon" est', 1),
        "quote-and-more.csv, line 3: expected quotes closed at the end of their cell, got a quote left open",
    ),
    refused(
        "zero-byte.csv",
        CSV.replace("Lyon", "Ly\0on", 1),
        "zero-byte.csv, line 3: expected text, got a zero byte; the file is damaged, or no text: save it again",
    ),
    refused(
        "zero-bytes-at-the-end.csv",
        CSV * 400 + "\0" * 4096,
        f"zero-bytes-at-the-end.csv, line {400 * (N + 1) + 1:,}: expected text, got a zero byte; the file is "
        f"damaged, or no "
        "text: save it again",
    ),
    refused(
        "wrong-encoding.csv",
        "a,b\n1,é\n".encode("cp1252") * 9,
        "wrong-encoding.csv: expected text in ascii, got byte 0xE9 at position 6; say its encoding, or save it "
        "again as UTF-8",
        options={"encoding": "ascii"},
        target=None,
    ),
    refused(
        "half-letter.csv",
        CSV.encode("utf-16-le")[:-1],
        "half-letter.csv: expected text in UTF-16, got byte 0x0A at position "
        f"{2 * len(CSV) - 2:,}; say its encoding, or save it again as UTF-8",
    ),
    refused(
        "one-line.csv",
        "a," * 2_000_000,
        "one-line.csv: expected lines of a table, got a line of more than 1 MB; end each row with an end of line",
    ),
    refused(
        "long-cell.csv",
        write(town=["Lyon"] * 23 + ["x" * 100_001]),
        "long-cell.csv, column town, row 25: expected a cell of at most 100,000 letters, got 100,001",
    ),
    refused(
        "very-wide.csv",
        ",".join(f"c{i}" for i in range(10_001)) + "\n" + ",".join("1" * 10_001) + "\n",
        "very-wide.csv: expected at most 10,000 columns, got 10,001; keep the columns that matter",
        target=None,
    ),
    refused(
        "words-only.csv",
        "\n".join(f"a sentence that nobody wrote before, number {i}" for i in range(30)).replace(",", ""),
        "words-only.csv: expected a column to predict, of numbers or categories, got none: there is 1 column",
        target=None,
    ),
    refused(
        "one-row.csv",
        "area,price\n1,2\n",
        "one-row.csv: expected at least one column to learn from, got area (constant); "
        "say what a column is with its kind, number or category",
    ),
    refused(
        "no-answers.csv",
        "area,price\n1,\n2,NA\n3,\n",
        "target price: expected a value to learn in some rows, got none; choose another target",
    ),
]
FOREIGN = [
    refused("picture.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", f"picture.csv: {EXPECTED}a PNG image"),
    refused("document.csv", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3", f"document.csv: {EXPECTED}a PDF document; {SAVE}"),
    refused("page.xls", "<html><body><table><tr><td>1</td></tr></table>", f"page.xls: {EXPECTED}a web page; {SAVE}"),
    refused("page-2.xls", "\ufeff\n <!DOCTYPE HTML><html>", f"page-2.xls: {EXPECTED}a web page; {SAVE}"),
    refused(
        "old-xml.xls",
        '<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>',
        f"old-xml.xls: {EXPECTED}an XML document; {SAVE}",
    ),
    refused("letter.csv", r"{\rtf1\ansi hello}", f"letter.csv: {EXPECTED}a text document (RTF); {SAVE}"),
    refused(
        "pickle.csv",
        lambda: pickle.dumps(HOUSES),
        f"pickle.csv: {EXPECTED}a Python pickle, which may run code when it is opened; {SAVE}",
    ),
    refused("base.csv", b"SQLite format 3\0" + bytes(100), f"base.csv: {EXPECTED}a SQLite database; {SAVE}"),
    refused("noise.csv", bytes(range(256)) * 4, f"noise.csv: {EXPECTED}a binary file"),
    refused("packed.7z", b"7z\xbc\xaf\x27\x1c", f"packed.7z: {EXPECTED}a 7z archive; {SAVE}"),
    refused("arrow.csv", b"ARROW1\0\0", f"arrow.csv: {EXPECTED}an Arrow file; {SAVE}"),
    refused("word.doc", lambda: ole("WordDocument"), f"word.doc: {EXPECTED}an old Office document; {SAVE}"),
    refused(
        "locked.xlsx",
        lambda: ole("EncryptedPackage"),
        f"locked.xlsx: {EXPECTED}a workbook locked by a password; open it with its password, and save it without",
    ),
    refused("several.tar.gz", lambda: tarred(CSV.encode()), f"several.tar.gz: {EXPECTED}a tar archive; {SAVE}"),
]
ARCHIVES = [
    refused(
        "cut.csv.gz",
        lambda: gzip.compress(CSV.encode())[:-30],
        f"cut.csv.gz: expected a whole gzip stream, got one cut short; {AGAIN}",
    ),
    refused(
        "wrong-sum.csv.gz",
        lambda: gzip.compress(CSV.encode())[:-8] + b"12345678",
        f"wrong-sum.csv.gz: expected a whole gzip stream, got a damaged one (Error -3 while decompressing data: "
        f"incorrect data "
        f"check); {AGAIN}",
    ),
    refused("empty.csv.gz", lambda: gzip.compress(b""), f"empty.csv.gz: {EXPECTED}an empty file"),
    refused(
        "bomb.csv.gz",
        lambda: gzip_bomb(3),
        "bomb.csv.gz: expected at most 2 MB, got 2 MB; take a part of it, or set LIMPIDE_MAX_FILE_MB",
    ),
    refused(
        "bomb.csv.xz",
        lambda: lzma.compress(bytes(3 * 10**6)),
        "bomb.csv.xz: expected at most 2 MB, got 2 MB; take a part of it, or set LIMPIDE_MAX_FILE_MB",
    ),
    refused(
        "bomb.zip",
        lambda: zipped(("houses.csv", bytes(3 * 10**6))),
        "bomb.zip/houses.csv: expected at most 2 MB, got 3 MB; take a part of it, or set LIMPIDE_MAX_FILE_MB",
    ),
    refused(
        "packed-in-packed.zip",
        lambda: zipped(("houses.csv.gz", gzip.compress(CSV.encode()))),
        f"packed-in-packed.zip: {EXPECTED}a gzip archive; {SAVE}",
    ),
    refused(
        "two-tables.zip",
        lambda: zipped(("a.csv", b"1"), ("b.csv", b"2")),
        "two-tables.zip: expected one table in the zip file, got 2 files: a.csv, b.csv; unpack it, and name one "
        "of them",
    ),
    refused(
        "outside.zip",
        lambda: zipped(("../../etc/houses.csv", CSV.encode()), ("/a.csv", b"1"), ("C:/b.csv", b"1")),
        "outside.zip: expected names inside the zip file, got '../../etc/houses.csv'",
        "outside.zip: expected names inside the zip file, got '/a.csv'",
        "outside.zip: expected names inside the zip file, got 'C:/b.csv'",
    ),
    refused(
        "locked.zip",
        lambda: locked(zipped(("a.csv", CSV.encode()))),
        "locked.zip/a.csv: expected a file without a password, got a locked one",
    ),
    refused(
        "cut.zip",
        lambda: zipped(("a.csv", CSV.encode()))[:-40],
        "cut.zip: expected a zip file, got a file that is not one, or is damaged",
    ),
    refused(
        "wrong-sum.zip",
        lambda: zipped(("a.csv", CSV.encode()), method=zipfile.ZIP_STORED).replace(b"Lyon", b"Lynn", 1),
        f"wrong-sum.zip/a.csv: expected a whole file, got Bad CRC-32 for file 'a.csv'; {AGAIN}",
    ),
]
BOOKS = [
    refused(
        "never-computed.xlsx",
        lambda: book([NAMES, *rows()], no_values),
        "never-computed.xlsx: expected the values of its formulas, got 2 formulas that were never computed: D2, "
        "D3; open the "
        "workbook in a spreadsheet and save it",
    ),
    refused(
        "empty-sheet.xlsx",
        lambda: book([], lambda made: made.create_sheet("data").append(["x"])),
        "empty-sheet.xlsx: expected a table in the sheet 'Sheet', got an empty sheet; the others are Sheet, data; "
        "choose with "
        "the option sheet",
    ),
    refused(
        "no-such-sheet.xlsx",
        lambda: book([NAMES, *rows()]),
        'no-such-sheet.xlsx, sheet: unknown name "Shet"; did you mean "Sheet"?',
        options={"sheet": "Shet"},
    ),
    refused(
        "same-names.xlsx",
        lambda: book([["a", "b", "a"], [1, 2, 3], [4, 5, 6]]),
        'same-names.xlsx: expected columns with different names, got 2 columns called "a"; rename all but one',
    ),
    refused(
        "cut.xlsx",
        lambda: book([NAMES, *rows()])[:-50],
        f"cut.xlsx: expected a whole zip file, got File is not a zip file; {AGAIN}",
    ),
    refused(
        "bomb.xlsx",
        lambda: zipped(("xl/workbook.xml", b"<a/>"), ("xl/worksheets/sheet1.xml", b" " * 3 * 10**6)),
        "bomb.xlsx: expected at most 2 MB, got 3 MB; take a part of it, or set LIMPIDE_MAX_FILE_MB",
    ),
    refused(
        "entities.xlsx",
        lambda: zipped(("xl/workbook.xml", b'<!DOCTYPE a [<!ENTITY b "bbb">]><a>&b;</a>')),
        "entities.xlsx: expected a workbook, got XML that declares entities; save it again",
    ),
    refused(
        "far-cell.xlsx",
        lambda: book([NAMES, *rows()], lambda made: made.active.cell(9, 16384, 1)),
        "far-cell.xlsx: expected at most 10,000 columns, got 16,384; keep the columns that matter",
    ),
]
OTHERS = [
    refused("cut.parquet", lambda: parquet(pl.DataFrame(HOUSES))[:-60], "cut.parquet: expected a Parquet file, got "),
    refused(
        "nested.parquet",
        lambda: parquet(pl.DataFrame({**HOUSES, "tags": [["a"]] * N, "raw": [b"x"] * N})),
        f"nested.parquet, column tags: expected one value in each cell, got several, or bytes; {LEAVE}",
        f"nested.parquet, column raw: expected one value in each cell, got several, or bytes; {LEAVE}",
    ),
    refused(
        "nested.jsonl",
        lambda: json_lines([{"a": 1, "b": {"c": 2}}, {"a": [1, 2], "b": 3}]),
        f"nested.jsonl, line 1, b: expected one value, got an object; {LEAVE}",
        f"nested.jsonl, line 2, a: expected one value, got an array; {LEAVE}",
    ),
    refused(
        "answer-of-a-server.json",
        lambda: json.dumps({"count": 2, "results": objects()}, indent=1).encode(),
        f"answer-of-a-server.json: {ONE_OBJECT} the rows in 'results'; save that list as a file of its own",
    ),
    refused(
        "columns.json",
        lambda: json.dumps({name: dict(enumerate(cells)) for name, cells in HOUSES.items()}).encode(),
        f"columns.json: {ONE_OBJECT} the columns 'area', 'rooms', 'town', 'price'; write one object for each row",
    ),
    refused(
        "broken.jsonl",
        lambda: json_lines(objects()[:3]) + b'\n{"area": 1,\n[1]\n{"a": 1, "a": 2}\n',
        "broken.jsonl, line 4: expected one JSON object, got something else at letter 12",
        "broken.jsonl, line 5: expected one JSON object, got an array",
        "broken.jsonl, line 6: expected one JSON object, got the name 'a' twice",
    ),
    refused("cut.json", b'[{"area": 1}, {"area', "cut.json: expected a JSON array, got something else at letter 16"),
    refused(
        "numbers.json",
        b'[{"a": 1}, 2]',
        "numbers.json, object 2: expected an object, got a number; write one object for each row",
    ),
    refused(
        "deep.json", b'[{"a": ' + b"[" * 100_000, "deep.json: expected objects of a few levels, got very many levels"
    ),
    refused(
        "settings.json", b'{"a": {"b": 1}}', f"settings.json, line 1, a: expected one value, got an object; {LEAVE}"
    ),
    refused(
        "objects.npy",
        lambda: npy(np.array([{"a": 1}, None], dtype=object)),
        "objects.npy: expected an array of numbers or words, got Python objects, which may run code; save it as "
        "numbers, or as .csv",
    ),
    refused(
        "cut.npy",
        lambda: npy(np.zeros((3, 2)))[:-8],
        "cut.npy: expected 48 bytes of values, as its header says, got 40; save it again: it is cut or damaged",
    ),
    refused(
        "lying.npy",
        lambda: header_only_npy("'<f8'").replace(b"(3, 2)", b"(3, 9)"),
        "lying.npy: expected 216 bytes of values, as its header says, got 48; save it again: it is cut or damaged",
    ),
    refused("code.npy", lambda: header_only_npy("__import__('os')"), "code.npy: expected a header of NumPy, got "),
    refused(
        "complex.npy",
        lambda: npy(np.zeros((3, 2), complex)),
        "complex.npy: expected an array of numbers or words, got complex numbers; save it as numbers, or as .csv",
    ),
    refused(
        "several.npz",
        lambda: npz(a=np.zeros((3, 2)), b=np.zeros(4)),
        "several.npz: expected an array x with its labels y, or x_train, y_train, x_test and y_test, got a 3×2, b "
        "4; save the "
        "arrays under these names",
    ),
    refused(
        "pickled.npz",
        lambda: npz(x=np.array([{"a": 1}], dtype=object), y=np.zeros(1)),
        "pickled.npz/x.npy: expected an array of numbers or words, got Python objects, which may run code; save "
        "it as numbers, or "
        "as .csv",
    ),
]
CASES = [*TEXTS, *FOREIGN, *ARCHIVES, *BOOKS, *OTHERS]


@pytest.fixture(autouse=True)
def _small_bounds(monkeypatch):
    monkeypatch.setenv("LIMPIDE_MAX_FILE_MB", "2")
    monkeypatch.setattr(limits, "MOST_LINE_BYTES", 1 << 20)


def put(tmp_path, case):
    path = tmp_path / case.file
    path.write_bytes(case.content())
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_a_bad_file_is_refused_with_all_its_problems(tmp_path, case, monkeypatch):
    path = put(tmp_path, case)
    if path.stat().st_size > 2e6:
        monkeypatch.setenv("LIMPIDE_MAX_FILE_MB", "9")
    with pytest.raises(InputError) as caught:
        open_source(path, case.target, options=case.options)
    told = [line.replace(str(tmp_path) + "/", "") for line in caught.value.problems]
    assert len(told) == len(case.says), told
    for line, expected in zip(told, case.says):
        assert (line[: len(expected)] if expected.endswith("got ") else line) == expected


@pytest.mark.parametrize("case", CASES[::4], ids=lambda case: case.file)
def test_the_command_line_says_it_without_a_traceback(tmp_path, case, capsys):
    path = put(tmp_path, case)
    if path.stat().st_size > 2e6:
        return
    words = [word for name, value in case.options.items() for word in (f"--{name}", str(value))]
    assert run_command(["data", str(path), *words]) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    assert len(re.findall("^✗", said.err, re.MULTILINE)) >= 1


def test_a_bomb_is_refused_by_what_it_would_unpack_to(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMPIDE_MAX_FILE_MB", "2000")
    (tmp_path / "bomb.csv.gz").write_bytes(gzip_bomb(60))
    with pytest.raises(
        DataError, match=r"bomb.csv.gz: expected a file that unpacks to at most 500 times its size, got"
    ):
        open_source(tmp_path / "bomb.csv.gz")


def test_bounds_come_before_memory(tmp_path, monkeypatch):
    # a header that announces a petabyte costs nothing
    (tmp_path / "huge.npy").write_bytes(header_only_npy("'<f8'").replace(b"(3, 2)", b"(99999999999999, 9)"))
    with pytest.raises(DataError, match=r"huge.npy: expected "):
        open_source(tmp_path / "huge.npy")
    monkeypatch.setattr(limits, "MOST_CELLS", 50)
    (tmp_path / "long.csv").write_text(CSV)
    with pytest.raises(DataError, match=r"long.csv: expected at most 50 cells, got 104; take a part of it"):
        open_source(tmp_path / "long.csv")


def test_columns_nobody_needs_are_not_looked_at(tmp_path):
    frame = pl.DataFrame({**HOUSES, "tags": [["a"]] * N})
    frame.write_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_bytes(json_lines([{**one, "tags": ["a"]} for one in objects()]))
    for name in ("a.parquet", "a.jsonl"):
        dataset = open_source(tmp_path / name, "price", drop=["tags"])
        assert dataset.inputs.columns == ["area", "rooms", "town"]


def test_sixty_files_and_more():
    assert len(CASES) > 60
    assert len({case.file for case in CASES}) == len(CASES)

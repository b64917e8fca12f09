"""Nasty but realistic files that are read, each with the table it holds and the warnings it gets."""

import bz2
import datetime
import gzip
import lzma

import numpy as np
import polars as pl
import pytest

from limpide.data import values
from limpide.data.sources import open_source
from limpide.i18n import set_language
from limpide.job import prepare
from tests.data.exports import EXPORTS
from tests.data.nasty import (
    HERE,
    HOUSES,
    NAMES,
    N,
    Nasty,
    book,
    comma,
    euros,
    json_lines,
    merged,
    npy,
    npz,
    objects,
    parquet,
    quoted,
    rows,
    titled,
    with_formulas,
    write,
    zipped,
)
from tests.data.trades import TRADES

CSV = write()
EXACT = {**HOUSES, "area": [x + 1e-11 * (i == 3) for i, x in enumerate(HOUSES["area"])]}
DAYS = [datetime.datetime(2020, 1 + i % 12, 1 + i) for i in range(N)]
POSTCODES = [f"0{1000 + i % 4}" for i in range(N)]
OPEN_DAYS = [f"{1 + i % 12:02}/{1 + i % 9:02}/2020" for i in range(N)]
LEFT_OUT = "left out: every row has a word of its own"


def second_sheet(made):
    sheet = made.create_sheet("data")
    for row in [NAMES, *rows()]:
        sheet.append(row)


def text(file, content, verdict="accepted", *says, encoding="utf-8", **more):
    return Nasty(file, lambda: content.encode(encoding), verdict, says, **more)


ACCEPTED = [
    text("plain.csv", CSV),
    text("bom.csv", CSV, encoding="utf-8-sig"),
    text("utf16.csv", CSV, encoding="utf-16"),
    text("utf16-without-bom.csv", CSV, encoding="utf-16-le"),
    text("utf16-big.csv", CSV, encoding="utf-16-be"),
    text("utf32.csv", CSV, encoding="utf-32"),
    text("windows.csv", CSV, encoding="cp1252"),
    text(
        "windows-quotes.csv",
        write(note=["l’été – « 5 € »", "œuvre…"] * 12),
        encoding="cp1252",
        holds={**HOUSES, "note": ["l’été – « 5 € »", "œuvre…"] * 12},
    ),
    text("excel-europe.csv", write(";", ",", "\r\n"), encoding="cp1252"),
    text("semicolons-points.csv", write(";")),
    text("sep-line.csv", "sep=;\r\n" + write(";", ",", "\r\n")),
    text("tabs.csv", write("\t")),
    text("tabs-comma.txt", write("\t", ",")),
    text("pipes.csv", write("|")),
    text(
        "spaces.dat",
        "\n".join("  ".join(f"{v:>9}" for v in row[:2] + row[3:]) for row in [NAMES, *rows()]),
        holds={name: HOUSES[name] for name in ("area", "rooms", "price")},
    ),
    text("carets.csv", write("^"), options={"delimiter": "^"}),
    text("windows-ends.csv", write(end="\r\n")),
    text("macintosh-ends.csv", write(end="\r")),
    text("mixed-ends.csv", CSV.replace("\n", "\r\n", 5)[:-40].replace("\n", "\r", 2) + CSV[-40:]),
    text("no-last-end.csv", CSV.rstrip()),
    text("blank-lines.csv", "\n\n" + CSV.replace("\n", "\n\n") + "\n,,,\n  ,,,\n\n"),
    text("spaces-around.csv", CSV.replace(",", " , ").replace("\n", " \n")),
    text("all-quoted.csv", "\n".join(",".join(f'"{cell}"' for cell in row) for row in [NAMES, *rows()])),
    text(
        "quotes-in-quotes.csv",
        CSV.replace("Lyon", '"Lyon, ""the\nbig"" one"'),
        holds={**HOUSES, "town": [t.replace("Lyon", 'Lyon, "the\nbig" one') for t in HOUSES["town"]]},
    ),
    text("inches.csv", write(size=["5'6\"", "6'1\""] * 12), holds={**HOUSES, "size": ["5'6\"", "6'1\""] * 12}),
    text("square-header.csv", "x^2," + CSV.partition(",")[2], holds={"x^2": HOUSES["area"]}),
    text("thousands-quoted.csv", write(shown=quoted(","))),
    text("thousands-apostrophe.csv", write(";", shown=quoted("'"))),
    text("thousands-space.csv", write(";", shown=quoted("\N{NARROW NO-BREAK SPACE}", ","))),
    text("thousands-point.csv", write(";", shown=quoted(".", ","))),
    text("euros.csv", write(";", shown=euros)),
    text("dollars.csv", write("\t", shown=lambda name, v: f"${v:,.2f}" if name == "price" else str(v))),
    text("percent.csv", write(tax=[f"{i} %" for i in range(N)]), holds={**HOUSES, "tax": [i / 100 for i in range(N)]}),
    text("units.csv", write(mass=[f"{i} kg" for i in range(N)]), holds={**HOUSES, "mass": list(range(N))}),
    text("brackets.csv", write(gain=["(12.50)", "3.25"] * 12), holds={**HOUSES, "gain": [-12.5, 3.25] * 12}),
    text("minus-signs.csv", write(gain=["−5", "7-", "+2"] * 8), holds={**HOUSES, "gain": [-5, -7, 2] * 8}),
    text(
        "exponents.csv",
        write(tiny=[f"{i}e-12" for i in range(N)]),
        holds={"tiny": [float(f"{i}e-12") for i in range(N)]},
    ),
    text("postcodes.csv", write(cp=POSTCODES), holds={**HOUSES, "cp": POSTCODES}),
    text("oui-non.csv", write(";", ",", garden=["oui", "non"] * 12), holds={**HOUSES, "garden": ["oui", "non"] * 12}),
    text("iso-dates.csv", write(sold=[f"{d:%Y-%m-%dT%H:%M:%SZ}" for d in DAYS]), holds={"sold": DAYS}),
    text("day-first.csv", write(sold=[f"{d:%d/%m/%Y}" for d in DAYS]), holds={"sold": DAYS}),
    text("month-first.csv", write(sold=[f"{d:%m/%d/%Y}" for d in DAYS]), holds={"sold": DAYS}),
    text("dotted-dates.csv", write(";", ",", sold=[f"{d:%d.%m.%y}" for d in DAYS]), holds={"sold": DAYS}),
    text("month-names.csv", write(sold=[f"{d:%d %b %Y}" for d in DAYS]), holds={"sold": DAYS}),
    text(
        "month-proved-elsewhere.csv",
        write(sold=[f"{d:%m/%d/%Y}" for d in DAYS], built=["03/04/2020", "01/02/2021"] * 12),
        "warned",
        "nothing tells the day from the month; 03/04/2020 was read as 2020-03-04",
        holds={"sold": DAYS, "built": [datetime.datetime(2020, 3, 4), datetime.datetime(2021, 1, 2)] * 12},
    ),
    text(
        "missing-words.csv",
        write(view=["1.5", "NA", "n/a", "-", "?", "#N/A", "", "2"] * 3),
        holds={**HOUSES, "view": [1.5, None, None, None, None, None, None, 2] * 3},
    ),
    text(
        "emoji-and-arabic.csv", write(tag=["🏠", "بيت", "בית"] * 8), holds={**HOUSES, "tag": ["🏠", "بيت", "בית"] * 8}
    ),
    text(
        "wide.csv",
        "\n".join(
            ",".join(map(str, range(i, 3000 + i))) if i else ",".join(f"c{j}" for j in range(3000)) for i in range(30)
        ),
        target=None,
        holds={"c7": list(range(8, 37))},
    ),
    Nasty("packed.csv.gz", lambda: gzip.compress(CSV.encode()), "accepted"),
    Nasty(
        "packed-twice-over.csv.gz",
        lambda: gzip.compress(CSV[:99].encode()) + gzip.compress(CSV[99:].encode()),
        "accepted",
    ),
    Nasty("packed.csv.bz2", lambda: bz2.compress(CSV.encode()), "accepted"),
    Nasty("packed.csv.xz", lambda: lzma.compress(CSV.encode()), "accepted"),
    Nasty(
        "packed.zip",
        lambda: zipped(("__MACOSX/._houses.csv", b"\0\1"), (".DS_Store", b"\0"), ("data/houses.csv", CSV.encode())),
        "accepted",
    ),
    Nasty("houses.xlsx", lambda: book([NAMES, *rows()]), "accepted"),
    Nasty("formulas.xlsx", with_formulas, "accepted"),
    Nasty("merged.xlsx", merged, "accepted", holds={"town": sorted(HOUSES["town"])}),
    Nasty(
        "digits.xlsx",
        lambda: book([["tiny", "price"], *([float(f"{i}e-12"), v] for i, v in enumerate(HOUSES["price"]))]),
        "accepted",
        holds={"tiny": [float(f"{i}e-12") for i in range(N)]},
    ),
    Nasty(
        "excel-dates.xlsx",
        lambda: book([[*NAMES, "sold"], *rows(sold=DAYS)]),
        "accepted",
        holds={**HOUSES, "sold": DAYS},
    ),
    Nasty("excel-called.csv", lambda: book([NAMES, *rows()]), "accepted"),
    Nasty(
        "old.xls",
        lambda: (HERE / "houses.xls").read_bytes(),
        "warned",
        ['read the sheet "maisons"; the others are autre'],
        holds=EXACT,
    ),
    Nasty("houses.parquet", lambda: parquet(pl.DataFrame(HOUSES)), "accepted"),
    Nasty("lines.jsonl", lambda: json_lines(objects()), "accepted"),
    Nasty("array.json", lambda: b"[" + b",".join(json_lines(objects()).splitlines()) + b"]", "accepted"),
    Nasty(
        "gaps.jsonl",
        lambda: json_lines([*objects()[:20], *({"area": 1, "price": 2.5} for _ in range(4))]),
        "accepted",
        holds={"rooms": [*HOUSES["rooms"][:20], *[None] * 4]},
    ),
    Nasty(
        "matrix.npy",
        lambda: npy(np.array([HOUSES["area"], HOUSES["price"]]).T),
        "accepted",
        holds={"x0": HOUSES["area"], "x1": HOUSES["price"]},
        target="x1",
    ),
    Nasty(
        "records.npy",
        lambda: npy(
            pl.DataFrame(HOUSES)
            .to_numpy(structured=True)
            .astype([("area", ">f8"), ("rooms", "<i2"), ("town", "<U9"), ("price", "<f8")])
        ),
        "accepted",
    ),
    Nasty(
        "pair.npz",
        lambda: npz(x=np.array([HOUSES["area"]]).T, y=np.array(HOUSES["price"])),
        "accepted",
        holds={"x0": HOUSES["area"], "target": HOUSES["price"]},
        target=None,
    ),
]

WARNED = [
    text(
        "no-header.csv",
        write(header=False),
        "warned",
        "the first row holds values, so the columns are called column_1 to",
        holds=dict(zip(["column_1", "column_2", "column_3", "column_4"], HOUSES.values())),
        target="column_4",
    ),
    text(
        "title-above.csv",
        "Houses of the region\nas of 2024\n\n" + CSV,
        "warned",
        "2 lines above the table left out: Houses of the region / as of 2024; the option skip=0 keeps them",
    ),
    text(
        "padded-title.csv",
        "Houses;;;\r\nUnit;EUR;;\r\n;;;\r\n" + write(";", ",", "\r\n"),
        "warned",
        "2 lines above the table",
    ),
    text(
        "comments-above.csv",
        "# made by a program\n# version, 2, of, it, all\n" + CSV,
        "warned",
        "2 lines above the table",
    ),
    text(
        "total-below.csv",
        write(";", ",") + f"Total;;;{str(sum(HOUSES['price'])).replace('.', ',')}\n",
        "warned",
        "1 row at the end is no part of the table and was left out; the option footer=0 keeps it",
    ),
    text(
        "source-below.csv",
        CSV + "\nSource: the land registry\n* provisional\n",
        "warned",
        "2 rows at the end are no part",
    ),
    text(
        "padded-source-below.csv",
        write(";") + "Source: the land registry;;;\n",
        "warned",
        "1 row at the end is no part",
    ),
    text(
        "half-comma.csv",
        write(";", shown=lambda n, v: comma(n, v) if v != HOUSES["area"][2] and n == "area" else str(v)),
        "warned",
        "some of its numbers have a decimal comma, others a point ('23.0' (row 4), '20,5' (row 2))",
    ),
    text(
        "open-commas.csv",
        write("\t", big=[f"{i + 1},500" for i in range(N)], area=range(N), price=range(N)),
        "warned",
        "nothing tells whether '1,500' (row 2) has a decimal mark: read as 1500",
        holds={"big": [1500 + 1000 * i for i in range(N)]},
    ),
    text(
        "open-commas-europe.csv",
        write(";", big=[f"{i + 1},125" for i in range(N)], area=range(N), price=range(N)),
        "warned",
        "nothing tells whether '1,125' (row 2) has a decimal mark: read as 1.125",
        holds={"big": [1.125 + i for i in range(N)]},
    ),
    text(
        "open-points.csv",
        write(";", big=[f"{i + 1}.125" for i in range(N)], area=range(N), price=range(N)),
        "warned",
        "nothing tells whether the points of big are decimal marks",
        holds={"big": [1.125 + i for i in range(N)]},
    ),
    text(
        "both-open.csv",
        write("\t", big=["1.250", "2,500", "3"] * 8, area=range(N), price=range(N)),
        "warned",
        "a point or a comma may be decimal marks or not in it, such as '1.250' (row 2): kept as words",
        holds={"big": ["1.250", "2,500", "3"] * 8},
    ),
    text(
        "several-date-forms.csv",
        write(sold=["31/12/2020", "12.31.2020", "2020-12-31"] * 8),
        "warned",
        "dates written in several ways, such as '31/12/2020' (row 2), '12.31.2020' (row 3): kept as words",
        holds={"sold": ["31/12/2020", "12.31.2020", "2020-12-31"] * 8},
    ),
    text(
        "open-dates.csv",
        write(sold=OPEN_DAYS),
        "warned",
        "nothing tells the day from the month; 01/01/2020 was read",
        holds={"sold": [datetime.datetime.strptime(day, "%d/%m/%Y") for day in OPEN_DAYS]},
    ),
    text(
        "stray-words.csv",
        write(view=["1.5", "2"] * 11 + ["lots", "3"]),
        "warned",
        "numbers expected, but 'lots' (row 24)",
        holds={**HOUSES, "view": [1.5, 2] * 11 + [None, 3]},
    ),
    text(
        "stray-words-euros.csv",
        write(";", shown=euros, view=["1,5", "2"] * 11 + ["lots", "3"]),
        "warned",
        "numbers expected, but 'lots' (row 24)",
        holds={**HOUSES, "view": [1.5, 2] * 11 + [None, 3]},
    ),
    text(
        "infinite.csv",
        write(view=[*range(N - 1), "inf"]),
        "warned",
        "numbers expected, but 'inf' (row 25)",
        holds={"view": [*range(N - 1), None]},
    ),
    text(
        "two-currencies.csv",
        write(rent=["$12", "€9"] * 12),
        "warned",
        "its numbers are in several units ('$', '€')",
        holds={"rent": ["$12", "€9"] * 12},
    ),
    text(
        "half-percent.csv",
        write(tax=["12 %", "9"] * 12),
        "warned",
        "its numbers are in several units ('%', none)",
        holds={"tax": ["12 %", "9"] * 12},
    ),
    text(
        "encoded-twice.csv",
        CSV.replace("ç", "Ã§"),
        "warned",
        "letters such as 'Ã§' look encoded twice",
        holds={"town": [town.replace("ç", "Ã§") for town in HOUSES["town"]]},
    ),
    text(
        "lost-letters.csv",
        CSV.replace("ç", "\ufffd"),
        "warned",
        "letters were lost before",
        holds={"town": [town.replace("ç", "\ufffd") for town in HOUSES["town"]]},
    ),
    text(
        "macintosh.csv", CSV, "warned", "not in UTF-8, and Mac Roman gives the likeliest letters", encoding="mac_roman"
    ),
    text("dos.csv", CSV, "warned", "not in UTF-8, and DOS (cp850) gives the likeliest letters", encoding="cp850"),
    text(
        "cyrillic.csv",
        write(town=["Москва", "Лион"] * 12),
        "warned",
        "its letters look wrong in Windows-1252",
        encoding="cp1251",
        holds={name: HOUSES[name] for name in ("area", "rooms", "price")},
    ),
    text(
        "cyrillic-said.csv",
        write(town=["Москва", "Лион"] * 12),
        "accepted",
        encoding="cp1251",
        options={"encoding": "cp1251"},
        holds={**HOUSES, "town": ["Москва", "Лион"] * 12},
    ),
    text("no-target.csv", CSV + "33.5,2,Lyon,\n34.5,2,Lyon,NA\n", "warned", "2 rows without a target left out"),
    text(
        "hexadecimal.csv",
        write(code=[f"0x{i:X}F" for i in range(N)]),
        "warned",
        LEFT_OUT,
        holds={"code": [f"0x{i:X}F" for i in range(N)]},
    ),
    text(
        "huge-integers.csv",
        write(card=[str(10**25 + i) for i in range(N)]),
        "warned",
        LEFT_OUT,
        holds={"card": [str(10**25 + i) for i in range(N)]},
    ),
    text(
        "unnamed-index.csv",
        "\n".join(f"{i - 1 if i else ''},{line}" for i, line in enumerate(CSV.splitlines())),
        "warned",
        "left out: counts the rows from 0",
    ),
    text(
        "headers-again.csv",
        CSV + ",".join(NAMES) + "\n" + CSV.splitlines()[1] + "\n",
        "warned",
        "1 row that repeats the names of the columns left out: row 26",
        holds={"rooms": [*HOUSES["rooms"], 1]},
        target="town",
    ),
    Nasty(
        "errors.xlsx",
        lambda: book([[*NAMES, "view"], *rows(view=[1.5, 2] * 11 + ["#DIV/0!", 3])]),
        "warned",
        ["1 cell shows an error and is read as missing: E24"],
        holds={**HOUSES, "view": [1.5, 2] * 11 + [None, 3]},
    ),
    Nasty(
        "titled.xlsx",
        titled,
        "warned",
        ["2 lines above the table left out", "1 row at the end is no part of the table"],
    ),
    Nasty(
        "two-sheets.xlsx",
        lambda: book([NAMES, *rows()], lambda made: made.create_sheet("other").append(["x"])),
        "warned",
        ['read the sheet "Sheet"; the others are other; the option sheet changes it'],
    ),
    Nasty("second-sheet.xlsx", lambda: book([["x"]], second_sheet), "accepted", options={"sheet": "2"}),
]
CASES = [*ACCEPTED, *WARNED, *EXPORTS, *TRADES]


def put(tmp_path, case):
    path = tmp_path / case.file
    path.write_bytes(case.content())
    return path


def read(case, path):
    return open_source(path, case.target, options=case.options)


def held(dataset, name):
    """A column as the network will see it."""
    if name == dataset.target.name:
        return dataset.target.to_list()
    series = dataset.inputs[name]
    column = next(column for column in dataset.columns if column.name == name)
    if column.kind == "number":
        return values.numbers(series).to_list()
    return values.dates(series, column.date_format).to_list() if column.kind == "date" else series.to_list()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_a_nasty_file_is_read_as_what_it_holds(tmp_path, case):
    dataset = read(case, put(tmp_path, case))
    for name, expected in (case.holds or HOUSES).items():
        assert held(dataset, name) == expected, name
    warnings = [note.text for note in dataset.notes if note.level == "warning"]
    for part in case.says:
        assert any(part in warning for warning in warnings), warnings
    assert len(warnings) >= len(case.says)
    if case.verdict == "accepted":
        assert [warning for warning in warnings if not warning.startswith("left out: ")] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_what_was_guessed_reads_the_file_to_the_same_table_again(tmp_path, case):
    path = put(tmp_path, case)
    first = read(case, path)
    found = first.reading.options()
    again = open_source(path, first.target.name, options=found)
    assert again.inputs.equals(first.inputs)
    assert again.target.equals(first.target)
    assert again.columns == first.columns
    assert again.reading == first.reading


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_every_file_that_is_read_can_be_prepared(tmp_path, case):
    path = put(tmp_path, case)
    job = prepare(path, target=case.target, data_options=case.options, accept_leaks=["all"], engine="numpy")
    assert np.isfinite(job.parts["train"].x).all()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_notes_in_french_say_as_much(tmp_path, case):
    path = put(tmp_path, case)
    english = [(note.level, note.where) for note in read(case, path).notes]
    set_language("fr")
    assert [(note.level, note.where) for note in read(case, path).notes] == english


def test_there_are_enough_of_them():
    assert len(ACCEPTED) > 50
    assert len(WARNED) > 25

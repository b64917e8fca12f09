"""Files as programs and offices export them: statements, surveys, accounts, statistics."""

from __future__ import annotations

import datetime

from tests.data.nasty import HOUSES, NAMES, N, Nasty, book, comma, rows, write

SUM = sum(HOUSES["price"])
HALF = N // 2
RULE = 50 * "-"
COUNTS = [i % 9 + 1 for i in range(N)]


DAYS = [datetime.datetime(2020 + i // 12, 1 + i % 12, 1 + i) for i in range(N)]
FRENCH = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
]
SHORT = ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."]
GERMAN = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
]


def days(write_day, delimiter=",", read=None):
    """The houses with a column of dates, and these as they are read."""
    return added("sold", [write_day(day) for day in DAYS], read or DAYS, delimiter)


def quarter(day):
    return (day.month + 2) // 3


def first_of(year, month):
    return datetime.datetime(year, month, 1)


def first_of_quarter(day):
    return first_of(day.year, 3 * quarter(day) - 2)


def monday(day):
    return day - datetime.timedelta(days=day.weekday())


def text(file, content, *says, encoding="utf-8", **more):
    """A file of text: accepted with these warnings, or without any."""
    return Nasty(file, lambda: content.encode(encoding), "warned" if says else "accepted", says, **more)


def added(name, cells, read, delimiter=",", **more):
    """The houses with one more column: the cells in the file, and what they are read as."""
    mark = {";": ","}.get(delimiter, ".")
    return {"content": write(delimiter, mark, **{name: cells}), "holds": {**HOUSES, name: read}, **more}


def with_subtotals() -> str:
    lines = write(";", ",", town=[f"{town} {i}" for i, town in enumerate(HOUSES["town"])]).splitlines()
    lines = [";".join(line.split(";")[2::-1] + line.split(";")[3:]) for line in lines]  # the town comes first
    half = sum(HOUSES["price"][:HALF])
    lines.insert(HALF + 1, f"Sous-total;;;{comma('', half)}")
    lines += [f"Sous-total;;;{comma('', SUM - half)}", f"TOTAL GÉNÉRAL;;;{comma('', SUM)}"]
    return "\r\n".join(lines) + "\r\n"


def with_written_totals() -> str:
    """Amounts whose sums alone have a mark of thousands, and no cell of whose totals is empty."""
    amounts = [90.5 + i for i in range(N)]
    lines = ["town;amount;price", *(f"Lyon {i};{comma('', a)};{comma('', a * 2)}" for i, a in enumerate(amounts))]
    for place, cells in ((HALF + 1, amounts[:HALF]), (N + 2, amounts)):
        shown = (f"{sum(cells) * k:,.1f}".translate(str.maketrans(",.", ".,")) for k in (1, 2))
        lines.insert(place, ";".join(["Gesamtsumme", *shown]))
    return "\n".join(lines) + "\n"


def qualtrics() -> str:
    lines = write().splitlines()
    questions = ",".join(f"What is the {name}?" for name in NAMES)
    marks = ",".join(f'"{{""ImportId"":""QID{i}""}}"' for i in range(len(NAMES)))
    return "\n".join([lines[0], questions, marks, *lines[1:]]) + "\n"


def side_by_side() -> str:
    other = [f";;{'place' if not i else f'p{i % 3}'};{i or 'people'}" for i in range(N + 1)]
    return "\n".join(line + end for line, end in zip(write(";", ",").splitlines(), other, strict=True)) + "\n"


def behind_a_cover(made):
    """A workbook whose first sheet says what the second holds."""
    data = made.create_sheet("data")
    for row in [NAMES, *rows()]:
        data.append(row)


def filtered(made):
    for number in (5, 6):
        made.active.row_dimensions[number].hidden = True


def under_years(made):
    """A workbook with years in merged cells over the months."""
    sheet = made.active
    sheet.merge_cells("A1:A2")
    sheet.merge_cells("B1:C1")
    sheet.merge_cells("D1:E1")


def sales(*above) -> list[list]:
    """Rows of names over a shop and its sales in four months."""
    return [*map(list, above), *([f"s{i % 5}", i + 0.5, i % 7, COUNTS[i], i * 7 % N + 0.25] for i in range(N))]


def lines(table) -> str:
    return "\n".join(",".join("" if cell is None else str(cell) for cell in row) for row in table) + "\n"


SALES = {"2023 Jan": [i + 0.5 for i in range(N)], "2023 Feb": [i % 7 for i in range(N)], "2024 Jan": COUNTS}
YEARS, MONTHS = ("shop", 2023, None, 2024, None), (None, "Jan", "Feb", "Jan", "Feb")


def survey_monkey() -> str:
    top = "Respondent ID,How old are you?,Which of these do you own?,,How satisfied are you?"
    answers = ",Open-Ended Response,Car,House,Response"
    people = (f"{118 + i * 7 % N},{20 + i},{'Car' * (i % 2)},{'House' * (i % 3 > 0)},{COUNTS[i]}" for i in range(N))
    return "\n".join([top, answers, *people]) + "\n"


def framed(rule: str, is_closed: bool = True) -> str:
    """The houses between bars, under a line of dashes."""
    rows = [" | ".join(f"{cell:>9}" for cell in line.split(",")) for line in write().splitlines()]
    rows = [f"| {row} |" if is_closed else f" {row} " for row in rows]
    return "\n".join([rows[0], rule, *rows[1:]]) + "\n"


def renamed(*names) -> str:
    """The numbers of the houses under other names."""
    return "\n".join([",".join(names), *(f"{a},{b},{c}" for a, b, _town, c in rows())]) + "\n"


EXPORTS = [
    text("sap-minus.csv", **added("due", ["1.250,50-", "12,00", "3,75-"] * 8, [-1250.5, 12, -3.75] * 8, ";")),
    text("sap-minus-eur.csv", **added("due", ["12,50- EUR", "3,75 EUR"] * 12, [-12.5, 3.75] * 12, ";")),
    text(
        "excel-accounts.csv",
        write("\t", due=[" $ 1,200.00 ", " $ (12.50)", " $ -   ", "$(3.25)"] * 6),
        "'$ -' (row 4) is read as 0",
        holds={**HOUSES, "due": [1200, -12.5, 0, -3.25] * 6},
    ),
    text(
        "excel-accounts-euro.csv",
        write(";", ",", due=[" 1.200,00 € ", "- 12,50 €", " -   € "] * 8),
        "is read as 0",
        holds={**HOUSES, "due": [1200, -12.5, 0] * 8},
    ),
    text("us-dollars.csv", **added("due", [f"US$ {i}.50" for i in range(N)], [i + 0.5 for i in range(N)])),
    text("reais.csv", **added("due", [f"R$ {i},50" for i in range(N)], [i + 0.5 for i in range(N)], ";")),
    text("figure-spaces.csv", **added("due", ["1\u2007200,5", "12,5"] * 12, [1200.5, 12.5] * 12, ";")),
    text("german-gaps.csv", **added("due", ["k. A.", "1,5", "k.A.", "2,5"] * 6, [None, 1.5, None, 2.5] * 6, ";")),
    text("french-gaps.csv", **added("due", ["n.d.", "1,5", "s.o.", "2,5"] * 6, [None, 1.5, None, 2.5] * 6, ";")),
    text("german-excel.csv", **added("due", ["#WERT!", "#NV", "7,5", "2,5"] * 6, [None, None, 7.5, 2.5] * 6, ";")),
    text("french-excel.csv", **added("due", ["#VALEUR!", "#NUL!", "7,5", "2,5"] * 6, [None, None, 7.5, 2.5] * 6, ";")),
    text("spanish-excel.csv", **added("due", ["#¡VALOR!", "#¡DIV/0!", "7,5"] * 8, [None, None, 7.5] * 8, ";")),
    text(
        "censored.csv",
        write(";", ",", lead=["<0,5", "0,7", "1,2", "3,4", "5,6", "7,8"] * 4),
        "20 of its 24 cells are numbers, and others keep them words: '<0,5' (row 2), '<0,5' (row 8) and 2 more",
    ),
    text("french-months.csv", **days(lambda d: f"{d.day}{'er' * (d.day == 1)} {FRENCH[d.month - 1]} {d.year}", ";")),
    text("french-short-months.csv", **days(lambda d: f"{d:%d}-{SHORT[d.month - 1]}-{d:%y}", ";")),
    text("german-months.csv", **days(lambda d: f"{d.day}. {GERMAN[d.month - 1]} {d.year}", ";")),
    text("stata-dates.csv", **days(lambda d: f"{d:%d%b%Y}".lower())),
    text("months-alone.csv", **days(lambda d: f"{d:%Y-%m}", read=[d.replace(day=1) for d in DAYS])),
    text(
        "school-years.csv",
        **added("year", ["2009-10", "2010-11", "2011-12"] * 8, ["2009-10", "2010-11", "2011-12"] * 8),
    ),
    text(
        "log-times.csv",
        **days(lambda d: f'"{d:%Y-%m-%d %H:%M:%S},250"', read=[d.replace(microsecond=250_000) for d in DAYS]),
    ),
    text(
        "google-forms.csv",
        **days(lambda d: f"{d:%Y/%m/%d} 8:05:11 AM UTC+2", read=[d.replace(hour=6, minute=5, second=11) for d in DAYS]),
    ),
    text(
        "us-afternoons.csv",
        **days(lambda d: f"{d.month}/{d.day}/{d:%y} 1:05 PM", read=[d.replace(hour=13, minute=5) for d in DAYS]),
    ),
    text("ages.csv", **added("age", ["1 an", "3 ans", "12 ans", "1,5 an"] * 6, [1, 3, 12, 1.5] * 6, ";")),
    text("square-feet.csv", **added("lot", ["1200 sq ft", "950 sq ft", "2 sq ft"] * 8, [1200, 950, 2] * 8)),
    text("seats.csv", **added("seat", ["12A", "3A", "14A"] * 8, ["12A", "3A", "14A"] * 8)),
    text("two-terms.csv", **added("term", ["36 months", "60 months"] * 12, ["36 months", "60 months"] * 12)),
    text("arabic-digits.csv", **added("age", ["٣٥", "١٨٫٥", "٤"] * 8, [35, 18.5, 4] * 8)),
    text("text-of-excel.csv", **added("lot", ['="12"', '="7"', '="950"'] * 8, [12, 7, 950] * 8)),
    text("codes-of-excel.csv", **added("lot", ['="0012"', '="0007"'] * 12, ["0012", "0007"] * 12)),
    text("apostrophes.csv", **added("lot", ["'12", "'7", "'950"] * 8, [12, 7, 950] * 8)),
    text("en-dashes.csv", **added("gain", ["–1.5", "2.5", "–3"] * 8, [-1.5, 2.5, -3] * 8)),
    text("unseen-letters.csv", **added("gain", ["\u200e12", "7\u200b", "950"] * 8, [12, 7, 950] * 8)),
    text(
        "weekdays.csv",
        **days(lambda d: f"{['Mo', 'Di', 'Mi', 'Do', 'Fr', 'Sa', 'So'][d.weekday()]}, {d:%d.%m.%Y}", ";"),
    ),
    text("javascript-dates.csv", **days(lambda d: f"{d:%a %b %d %Y}")),
    text("french-hours.csv", **days(lambda d: f"{d:%d/%m/%Y} 8h05", ";", [d.replace(hour=8, minute=5) for d in DAYS])),
    text("iso-weeks.csv", **days(lambda d: f"{d:%G-W%V}", read=[monday(d) for d in DAYS])),
    text("french-weeks.csv", **days(lambda d: f"S{d:%V} {d:%G}", ";", [monday(d) for d in DAYS])),
    text("quarters.csv", **days(lambda d: f"{d.year}Q{quarter(d)}", read=[first_of_quarter(d) for d in DAYS])),
    text("french-quarters.csv", **days(lambda d: f"T{quarter(d)} {d.year}", ";", [first_of_quarter(d) for d in DAYS])),
    text("months-first.csv", **days(lambda d: f"{d:%m/%Y}", read=[d.replace(day=1) for d in DAYS])),
    text("excel-months.csv", **days(lambda d: f"{d:%b-%y}", read=[d.replace(day=1) for d in DAYS])),
    text(
        "french-months-alone.csv",
        **days(lambda d: f"{SHORT[d.month - 1]}-{d:%y}", ";", [d.replace(day=1) for d in DAYS]),
    ),
    text(
        "one-year-of-months.csv",
        **added("mois", [f"{i % 12 + 1:02}/2024" for i in range(N)], [first_of(2024, i % 12 + 1) for i in range(N)]),
    ),
    text("compact-dates.csv", **days(lambda d: f"{d:%Y%m%d}")),
    text("compact-stamps.csv", **days(lambda d: f"{d:%Y%m%d}T0805", read=[d.replace(hour=8, minute=5) for d in DAYS])),
    text(
        "weather-hours.csv",
        **added("AAAAMMJJHH", [f"{d:%Y%m%d}{d.day % 24:02}" for d in DAYS], [d.replace(hour=d.day % 24) for d in DAYS]),
    ),
    text(
        "compact-months.csv",
        **added("period", [f"{d:%Y%m}" for d in DAYS], [d.replace(day=1) for d in DAYS]),
    ),
    text("numbers-like-dates.csv", **added("lot", [20240101 + i for i in range(N)], [20240101 + i for i in range(N)])),
    text(
        "amounts-like-dates.csv",
        **added("paid", [20240101 + 50 * i for i in range(N)], [20240101 + 50 * i for i in range(N)]),
    ),
    text(
        "end-of-time.csv",
        write(date=[f"{d:%Y%m%d}" for d in DAYS[:-2]] + ["99991231"] * 2),
        "most of its numbers are dates, but 99991231 (row 24), 99991231 (row 25): read as numbers",
        holds={"date": [int(f"{d:%Y%m%d}") for d in DAYS[:-2]] + [99991231] * 2},
    ),
    text(
        "mysql-zero-dates.csv",
        **days(lambda d: f"{d:%Y-%m-%d}" if d.day > 2 else "0000-00-00", read=[d if d.day > 2 else None for d in DAYS]),
    ),
    text(
        "followers.csv",
        **added("fans", ["950", "12.3K", "4M", "1.2bn"] * 6, [950, 12_300, 4_000_000, 1_200_000_000] * 6),
    ),
    text("budgets.csv", **added("budget", ["12,3 k€", "4 M€", "950 €"] * 8, [12_300, 4_000_000, 950] * 8, ";")),
    text("billions.csv", **added("budget", ["$1.2M", "$3.4M", "$0.5M"] * 8, [1_200_000, 3_400_000, 500_000] * 8)),
    text("french-billions.csv", **added("budget", ["1,2 Md€", "350 M€"] * 12, [1_200_000_000, 350_000_000] * 12, ";")),
    text(
        "views.csv",
        write(views=["1.2K", "3.4M", "secret", *["2.5K"] * 21]),
        "numbers expected, but 'secret' (row 4): read as missing",
        holds={"views": [1200, 3_400_000, None, *[2500] * 21]},
    ),
    text("losses.csv", **added("gain", ["(4K)", "1.5M", "-2K"] * 8, [-4000, 1_500_000, -2000] * 8)),
    text("kelvin.csv", **added("heat", ["293.15 K", "301 K", "288 K"] * 8, [293.15, 301, 288] * 8)),
    text("metres.csv", **added("length", ["12 m", "4,5 m", "8 m"] * 8, [12, 4.5, 8] * 8, ";")),
    text("months-of-a-term.csv", **added("term", ["12M", "36M", "48M"] * 8, ["12M", "36M", "48M"] * 8)),
    text(
        "survey-monkey.csv",
        survey_monkey(),
        holds={"How old are you?": [20 + i for i in range(N)], "Which of these do you own? Car": [None, "Car"] * 12},
        target="How satisfied are you?",
    ),
    text("years-over-months.csv", lines(sales(YEARS, MONTHS)), holds=SALES, target="2024 Feb"),
    Nasty(
        "years-over-months.xlsx",
        lambda: book(sales(YEARS, MONTHS), under_years),
        "accepted",
        holds=SALES,
        target="2024 Feb",
    ),
    text(
        "pandas-levels.csv",
        lines(sales(("year", 2023, 2023, 2024, 2024), ("month", *MONTHS[1:]), ("shop", *[None] * 4))),
        holds={"shop": [f"s{i % 5}" for i in range(N)], **SALES},
        target="2024 Feb",
    ),
    text(
        "pandas-levels-alone.csv",
        lines(sales((None, 2023, 2023, 2024, 2024), MONTHS)),
        holds={"column_1": [f"s{i % 5}" for i in range(N)], **SALES},
        target="2024 Feb",
    ),
    text(
        "sap-list.txt",
        f"Dynamic list display\n\n{RULE}\n{framed(RULE)}{RULE}\n",
        "1 line above the table left out: Dynamic list",
    ),
    text("markdown.txt", framed("|---|:---:|---|---:|")),
    text("mysql.txt", f"+---+---+\n{framed('+---+---+')}+---+---+\n24 rows in set\n", "1 row at the end is no part"),
    text("psql.txt", framed("---+---", is_closed=False) + "(24 rows)\n", "1 row at the end is no part"),
    text("qualtrics.csv", qualtrics(), "two rows under the names say more of the columns, and were left out"),
    text(
        "points-among-whole-numbers.csv",
        write(lot=["1.250", "950", "2.125"] * 8, area=range(N), price=range(N)),
        "nothing tells whether the points of lot are decimal marks",
        holds={"lot": [1.25, 950, 2.125] * 8},
    ),
    text(
        "one-point-among-whole-numbers.csv",
        write(";", lot=["950"] * 11 + ["-1.000"] + ["720"] * 12, area=range(N), price=range(N)),
        "nothing tells whether the points of lot are decimal marks",
        holds={"lot": [950] * 11 + [-1] + [720] * 12},
    ),
    text(
        "powers-with-commas.csv",
        write("\t", lot=["-5,694e+04", "5,939E-09"] * 12, area=range(N), price=range(N)),
        holds={"lot": [-56940, 5.939e-9] * 12},
    ),
    text(
        "phones.csv", **added("tel", ["+33612345678", "+4915112345678"] * 12, ["+33612345678", "+4915112345678"] * 12)
    ),
    text("ja-nein.csv", **added("loft", ["J", "N"] * 12, ["J", "N"] * 12)),
    text(
        "subtotals.csv",
        with_subtotals(),
        "1 row of totals among the others left out: row 14; the option footer=0 keeps it",
        "2 rows at the end are no part of the table",
        holds={name: HOUSES[name] for name in ("area", "rooms", "price")},
    ),
    text(
        "sums-with-thousands.csv",
        with_written_totals(),
        "2 rows of totals among the others left out, the first of them row 14",
        holds={"amount": [90.5 + i for i in range(N)]},
    ),
    text(
        "media-is-a-town.csv",
        write(town=["Media", "Lyon", "Nice"] * 8, rooms=[3] * N),
        holds={"town": ["Media", "Lyon", "Nice"] * 8},
    ),
    text("delimiter-at-the-end.tsv", write("\t").replace("\n", "\t\n").replace("\t\n", "\n", 1)),
    text("side-by-side.csv", side_by_side(), "column 5 is empty and has no name, as between two tables side by side"),
    text("world-bank.csv", **added("2021", COUNTS, COUNTS) | {"content": write(**{"2021": COUNTS})}),
    text(
        "years.csv",
        renamed("2019", "2020", "2021"),
        holds={"2019": HOUSES["area"], "2020": HOUSES["rooms"]},
        target="2021",
    ),
    text(
        "eurostat.tsv",
        "\n".join(
            [
                "unit,geo\\TIME_PERIOD\t2020 \t2021 ",
                *(f"PC,G{i % 5}\t: \t{i + 0.5} " for i in range(3)),
                *(f"PC,G{i % 5}\t{i % 7 + 0.25} \t{i + 0.5} " for i in range(3, N)),
            ]
        )
        + "\n",
        holds={"2020": [None] * 3 + [i % 7 + 0.25 for i in range(3, N)]},
        target="2021",
    ),
    text(
        "pandas-without-names.csv",
        "\n".join(["0,1,2,3", *(f"{a},{b},{t},{c}" for a, b, t, c in rows())]) + "\n",
        holds=dict(zip("0123", HOUSES.values(), strict=True)),
        target="3",
    ),
    Nasty(
        "filtered.xlsx",
        lambda: book([NAMES, *rows()], filtered),
        "warned",
        ["2 hidden rows are read like the others, the first of them row 5 of the sheet"],
    ),
    Nasty(
        "cover.xlsx",
        lambda: book([["This file holds"], ["all houses"], ["version 2"]], behind_a_cover),
        "warned",
        ['read the sheet "data"; the others are Sheet; the option sheet changes it'],
    ),
]

"""Files of trades: laboratories, weather, accounts, banks, schools, sports, carriers, surveys, markets."""

from __future__ import annotations

import datetime
import io
import zipfile

from tests.data.exports import COUNTS, DAYS, text
from tests.data.nasty import HOUSES, NAMES, N, Nasty, comma, rows

AREAS, PRICES = HOUSES["area"], HOUSES["price"]
STAMPS = [day.replace(hour=i % 24, minute=5) for i, day in enumerate(DAYS)]
WELLS = [f"{'ABCDEFGH'[i % 8]}{i // 8 + 1}" for i in range(N)]


def table(delimiter=",", **columns) -> str:
    """Columns of cells as text; figures have a decimal comma between semicolons."""
    mark = comma if delimiter == ";" else lambda _name, cell: str(cell)
    cells = [[mark("", cell) for cell in row] for row in zip(*columns.values(), strict=True)]
    return "\n".join(delimiter.join(row) for row in [list(columns), *cells]) + "\n"


def trade(file, content, target, *says, **holds):
    """A file of text; accepted with these warnings, or without any."""
    return text(file, content, *says, target=target, holds=holds)


def french(number) -> str:
    return f"{number:,.2f}".translate(str.maketrans(",.", "\N{NARROW NO-BREAK SPACE},"))


def open_document(table, n_above=0) -> bytes:
    """A table as LibreOffice keeps it, under some blank rows."""

    def cell(value):
        if value is None:
            return "<table:table-cell/>"
        is_word = isinstance(value, str)
        about = 'office:value-type="string"' if is_word else f'office:value-type="float" office:value="{value}"'
        return f"<table:table-cell {about}><text:p>{value}</text:p></table:table-cell>"

    names = [f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")]
    blank = [[None]] * n_above
    body = "".join(f"<table:table-row>{''.join(map(cell, row))}</table:table-row>" for row in [*blank, *table])
    xml = (
        f"<office:document-content {' '.join(names)}><office:body><office:spreadsheet>"
        f'<table:table table:name="Feuille1">{body}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    about = f'manifest:full-path="/" manifest:media-type="{kind}"'
    listed = 'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"'
    manifest = f"<manifest:manifest {listed}><manifest:file-entry {about}/></manifest:manifest>"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (("mimetype", kind), ("content.xml", xml), ("META-INF/manifest.xml", manifest)):
            archive.writestr(name, content)
    return file.getvalue()


def months():
    return [day.replace(day=1) for day in DAYS]


TRADES = [
    # Accounts and banks
    trade(
        "123456789FEC20241231.txt",
        table(
            "\t",
            JournalCode=["AC", "VE", "BQ"] * 8,
            EcritureNum=[f"{i:06}" for i in range(N)],
            EcritureDate=[f"{day:%Y%m%d}" for day in DAYS],
            Debit=[comma("", price) for price in PRICES],
            EcritureLet=[""] * N,
        ),
        "Debit",
        EcritureDate=DAYS,
        Debit=PRICES,
    ),
    trade(
        "releve.csv",
        "Compte n°;00012345678\nSolde au 31/12/2024;1 234,56 €\n\n"
        + table(
            ";",
            Date=[f"{day:%d/%m/%Y}" for day in DAYS],
            Libellé=["CARTE", "VIREMENT"] * 12,
            Débit=[f"-{french(price)}" for price in PRICES],
        ),
        "Débit",
        "2 lines above the table left out: Compte n° 00012345678 / Solde",
        Date=DAYS,
        Débit=[-round(price, 2) for price in PRICES],
    ),
    trade(
        "umsaetze.csv",
        table(
            ";",
            Buchungstag=[f"{day:%d.%m.%y}" for day in DAYS],
            Buchungstext=["LASTSCHRIFT", "GUTSCHRIFT"] * 12,
            Betrag=PRICES,
        ),
        "Betrag",
        Buchungstag=DAYS,
    ),
    trade(
        "metatrader.csv", table(";", Time=[f"{s:%Y.%m.%d %H:%M}" for s in STAMPS], Price=PRICES), "Price", Time=STAMPS
    ),
    trade(
        "bloomberg.csv",
        table(Last=["#N/A N/A", *AREAS[1:]], Side=["buy", "sell"] * 12, Price=PRICES),
        "Price",
        Last=[None, *AREAS[1:]],
    ),
    trade(
        "paie.csv",
        table(";", Mois=[f"{i % 6 + 1:02}/24" for i in range(N)], Brut=list(map(french, PRICES)), Net=AREAS),
        "Net",
        Mois=[f"{i % 6 + 1:02}/24" for i in range(N)],
        Brut=[round(price, 2) for price in PRICES],
    ),
    # Laboratories
    trade(
        "spectrometer.csv",
        "Sample:,A12\nInstrument:,UV-1800\n\n" + table(nm=AREAS, absorbance=PRICES, reference=COUNTS),
        "absorbance",
        "2 lines above the table left out: Sample: A12 / Instrument: UV-1800",
        nm=AREAS,
    ),
    trade(
        "qpcr.csv",
        "Block Type,96well\nChemistry,SYBR\n\n[Results]\n"
        + table(Well=WELLS, Target=["a", "b"] * 12, CT=[*AREAS[:-1], "Undetermined"], Tm=PRICES),
        "Tm",
        "3 lines above the table left out",
        "numbers expected, but 'Undetermined' (row 29): read as missing",
        CT=[*AREAS[:-1], None],
    ),
    trade(
        "flow-cytometer.csv",
        table(**{"": WELLS, "Count": AREAS, "MFI": PRICES}) + "Mean,34.9,2575.8\nSD,8.8,948.2\n",
        "MFI",
        "2 rows at the end are no part of the table",
        Count=AREAS,
    ),
    trade(
        "labview.lvm",
        "LabVIEW Measurement\t\nWriter_Version\t2\n***End_of_Header***\t\n"
        + table("\t", X=AREAS, V=PRICES, Note=[""] * N),
        "V",
        "3 lines above the table left out",
        X=AREAS,
    ),
    trade("image-j.csv", table(**{" ": range(1, N + 1), "Area": AREAS, "Mean": PRICES}), "Mean", Area=AREAS),
    # Weather and sensors
    trade(
        "meteo-france.csv",
        table(
            ";", AAAAMMJJHH=[f"{s:%Y%m%d%H}" for s in STAMPS], RR1=[str(a) for a in AREAS], T=[str(p) for p in PRICES]
        ),
        "T",
        AAAAMMJJHH=[s.replace(minute=0) for s in STAMPS],
        RR1=AREAS,
    ),
    trade(
        "dwd.txt",
        table(
            ";",
            MESS_DATUM=[f"{d:%Y%m%d}" for d in DAYS],
            FX=["    -999"] * 4 + [f"{i % 7 + 3.5:8}" for i in range(20)],
            TMK=[f"  {price}" for price in PRICES],
            eor=["eor"] * N,
        ),
        "TMK",
        "-999 comes 4 times in 24 rows",
        MESS_DATUM=DAYS,
    ),
    trade(
        "nasa-power.csv",
        "-BEGIN HEADER-\nNASA/POWER Daily Data \nT2M     Temperature at 2 Meters (C) \n-END HEADER-\n"
        + table(YEAR=[2024] * N, DY=COUNTS, T2M=AREAS, RAIN=PRICES),
        "RAIN",
        "4 lines above the table left out: -BEGIN HEADER-",
        T2M=AREAS,
    ),
    trade(
        "thingspeak.csv",
        table(created_at=[f"{s:%Y-%m-%d %H:%M:%S} UTC" for s in STAMPS], field1=PRICES, status=[""] * N),
        "field1",
        created_at=STAMPS,
    ),
    trade(
        "hobo.csv",
        '"Plot Title: cave"\n'
        + table(
            **{"#": range(1, N + 1), '"Time, GMT+02:00"': [f"{s:%m/%d/%y %I:%M:%S %p}" for s in STAMPS], "RH": PRICES}
        ),
        "RH",
        "1 line above the table left out: Plot Title: cave",
        **{"Time, GMT+02:00": STAMPS},
    ),
    trade(
        "enedis.csv",
        "PRM;Type;Debut;Fin\n07123456789;Courbe de charge;01/01/2024;31/01/2024\n"
        + table(";", Horodate=[f"{s:%Y-%m-%dT%H:%M:%S}+01:00" for s in STAMPS], Valeur=COUNTS),
        "Valeur",
        "2 lines above the table left out: PRM Type Debut Fin / 07123456789",
        Horodate=[s - datetime.timedelta(hours=1) for s in STAMPS],
    ),
    # Statistics
    trade(
        "r-write-table.txt",
        "\n".join(['"area" "rooms" "price"', *(f'"House {i}" {a} {b} {p}' for i, (a, b, _t, p) in enumerate(rows()))])
        + "\n",
        "price",
        area=AREAS,
    ),
    trade(
        "r-write-table.tsv",
        '"area"\t"rooms"\t"price"\n' + "".join(f'"{i}"\t{a}\t{b}\t{p}\n' for i, (a, b, _t, p) in enumerate(rows())),
        "price",
        area=AREAS,
    ),
    trade(
        "sas.txt",
        table("\t", visit=[f"{s:%d%b%Y:%H:%M:%S}".upper() for s in STAMPS], value=PRICES),
        "value",
        visit=STAMPS,
    ),
    trade(
        "world-bank-gaps.csv",
        '"Data Source","Indicators",\n\n'
        + table(Code=["FR", "DE"] * 12, **{"2018": COUNTS, "2019": COUNTS, "2020": ["..", *AREAS[1:]], "2021": PRICES}),
        "2021",
        "1 line above the table left out: Data Source Indicators",
        **{"2020": [None, *AREAS[1:]]},
    ),
    trade(
        "dpe.csv",
        table(";", Date=[f"{d:%Y-%m-%d}" for d in DAYS], Conso=PRICES, Etiquette=list("ABCDEF") * 4),
        "Etiquette",
        Conso=PRICES,
    ),
    trade(
        "dvf.txt",
        table(
            "|",
            Service=[""] * N,
            Date=[f"{d:%d/%m/%Y}" for d in DAYS],
            Valeur=[comma("", p) for p in PRICES],
            Postal=["01000", "75011"] * 12,
        ),
        "Valeur",
        Postal=["01000", "75011"] * 12,
        Valeur=PRICES,
    ),
    # Web, schools, sports, carriers
    trade(
        "analytics.csv",
        "# ------\n# All Web Site Data\n# ------\n"
        + table(Page=[f"/p{i}" for i in range(N)], Bounce=[f"{i + 40}.5%" for i in range(N)], Sessions=COUNTS)
        + f",45.1%,{sum(COUNTS)}\n",
        "Sessions",
        "3 lines above the table left out",
        "1 row at the end is no part of the table",
        Sessions=COUNTS,
    ),
    trade(
        "multi-timeline.csv",
        "Category: All categories\n\n" + table(Week=[f"{d:%Y-%m-%d}" for d in DAYS], **{"python: (France)": PRICES}),
        "python: (France)",
        "1 line above the table left out: Category: All categories",
        Week=DAYS,
    ),
    trade(
        "strava.csv",
        table(
            **{
                "Activity Date": [f'"{s:%b %d, %Y}, {s:%I:%M:%S %p}"' for s in STAMPS],
                "Distance": AREAS,
                "Relative Effort": PRICES,
            }
        ),
        "Relative Effort",
        **{"Activity Date": STAMPS},
    ),
    trade(
        "laps.csv",
        table(driver=["a", "b"] * 12, lap=["1:20.25", "1:19.5"] * 12, speed=PRICES),
        "speed",
        lap=[80.25 / 3600, 79.5 / 3600] * 12,
    ),
    trade(
        "marathon.csv",
        table(";", temps=["2:59:58", "27:00:36"] * 12, points=PRICES),
        "points",
        temps=[2 + 3598 / 3600, 27.01] * 12,
    ),
    trade(
        "clocks-and-spans.csv",
        table(";", temps=["19:30", "1:30:00"] * 12, points=PRICES),
        "points",
        "some of its times have seconds, others not: '19:30' is read as hours and minutes",
        temps=[19.5, 1.5] * 12,
    ),
    trade(
        "moodle.csv",
        table(
            **{
                "Commencé le": [f"{s.day} janvier 2024  {s:%H:%M}" for s in STAMPS],
                '"Note/20,00"': [f'"{comma("", p)}"' for p in PRICES],
            }
        ),
        "Note/20,00",
        **{"Commencé le": [datetime.datetime(2024, 1, s.day, s.hour, s.minute) for s in STAMPS], "Note/20,00": PRICES},
    ),
    trade(
        "vehicules.csv",
        table(
            ";",
            **{
                "1ère mise en circulation": [f"{day:%m/%Y}" for day in DAYS],
                "Kilométrage": [f"{french(a * 1000)[:-3]} km" for a in AREAS],
                "Prix": [f"{french(p)} €" for p in PRICES],
            },
        ),
        "Prix",
        **{"1ère mise en circulation": months(), "Kilométrage": [a * 1000 for a in AREAS]},
    ),
    trade(
        "colis.csv",
        table(
            ";",
            Poids=[f"{comma('', a)} kg" for a in AREAS],
            Enlèvement=[f"{s:%d/%m/%Y %H:%M}" for s in STAMPS],
            Délai=COUNTS,
        ),
        "Délai",
        Poids=AREAS,
        Enlèvement=STAMPS,
    ),
    Nasty("libreoffice.ods", lambda: open_document([NAMES, *rows()]), "accepted"),
]

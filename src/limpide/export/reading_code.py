"""How the files of a run are read, written out as code: cells as numbers, rows of a table, pixels of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from limpide.data.clocks import CLOCK
from limpide.data.numerals import CURRENCIES, MINUS, SHARES, UNITS
from limpide.data.reading import Reading
from limpide.data.values import MISSING_WORDS

_MISSING = '''
def is_missing(cell):
    """Whether a cell holds nothing."""
    return cell is None or str(cell).strip().lower() in MISSING
'''.strip().splitlines()

_HOURS = '''
def hours(cell):
    """The hours of a time such as 08:30 and 27:00:36, or of a lap such as 1:20.35."""
    parts = re.split("[:hH]", cell.strip().replace(",", "."))
    if len(parts) == 2 and "." in parts[1]:
        parts = ["0", *parts]
    return sum(float(part) / 60**i for i, part in enumerate(parts))
'''.strip().splitlines()


def cell_code(reading: Reading, units: Mapping[str, str]) -> Iterator[str]:
    """`is_missing(cell)` and `number(cell, fill)`, for cells written as those of the training rows were.

    units  of the columns that the network takes
    """
    words = [*MISSING_WORDS, *reading.missing_cells]
    yield f"MISSING = {sorted({word.lower() for word in words})!r}"
    shares = {unit: size for unit, size in SHARES.items() if unit in units.values()}
    if shares:
        yield f"SHARES = {shares!r}  # 45 % is 0.45"
    yield ""
    yield ""
    yield from _MISSING
    yield ""
    yield ""
    if CLOCK in units.values():
        yield from [*_HOURS, "", ""]
    yield 'def number(cell, fill, unit=""):' if units else "def number(cell, fill):"
    without = ", without its unit" if units else ""
    yield f'    """The number of a cell{without}; where it is missing, what stands in for it."""'
    yield "    if is_missing(cell):"
    yield "        return fill"
    yield "    if not isinstance(cell, str):"
    yield "        return float(cell)"
    if CLOCK in units.values():
        yield f'    if unit == "{CLOCK}":'
        yield "        return hours(cell)"
    if shares:
        yield "    size = SHARES.get(unit, 1) if unit in cell else 1"
    if units:
        yield '    cell = cell.replace(unit, "")'
    if any(unit.startswith("/") for unit in units.values()):
        yield '    cell = cell.split("/")[0]  # 12 / 20'
    if any(_is_word(unit) for unit in units.values()):
        yield "    cell = cell.rstrip(unit) if unit.isalpha() else cell  # 1 room, 2 rooms"
    yield "    cell = cell.strip()"
    yield f'    if cell.endswith((")", "-")) or cell.startswith({tuple(MINUS)!r}):'
    yield f'        cell = "-" + (cell.strip("()- {MINUS}") or "0")  # (12) of accounts, 12- of older machines'
    if reading.thousands in (".", ","):
        # before other than three digits the mark stays, and the cell is refused or has its decimals
        yield f'    cell = re.sub(r"[{reading.thousands}](?=[0-9]{{3}}([^0-9]|$))", "", cell)'
    elif reading.thousands == "'":
        yield """    cell = cell.replace("'", "").replace("\\u2019", "")"""
    elif reading.thousands:
        yield '    cell = "".join(cell.split())'
    if reading.decimal == ",":
        yield '    cell = cell.replace(",", ".")'
    yield "    return float(cell) / size" if shares else "    return float(cell)"


def _is_word(unit: str) -> bool:
    """Whether a unit is a word of the file's own, which may have a plural, not one that all files share."""
    return unit.isalpha() and unit not in UNITS.split() and unit not in CURRENCIES.split()


def is_plain(reading: Reading) -> bool:
    """Whether files are such as csv.DictReader takes without a word: commas between cells, a decimal point, UTF-8."""
    return (
        (reading.delimiter or ",") == ","
        and (reading.decimal or ".") == "."
        and _encoding(reading) == "utf-8-sig"
        and reading.header is not False
        and not reading.skip
    )


def described(reading: Reading) -> str:
    """How the cells of a file are to be written, as the head of a program says it."""
    marks = [f"cells between {reading.delimiter or ','!r}", f"decimal mark {reading.decimal or '.'!r}"]
    return ", ".join([_encoding(reading).removesuffix("-sig"), *marks])


def _encoding(reading: Reading) -> str:
    name = reading.encoding or "utf-8"
    return "utf-8-sig" if name in ("utf-8", "utf-8-sig", "ascii") else name


def table_door(reading: Reading) -> list[str]:
    """`predict(rows)`, `read(name)`, and what the program does when it is run."""
    way = [] if (reading.delimiter or ",") == "," else [f"delimiter={reading.delimiter!r}"]
    way += ["skipinitialspace=True"] if reading.delimiter == " " else []
    lines = [f'    with open(name, encoding={_encoding(reading)!r}, newline="") as file:']
    if reading.skip:
        lines.append(f"        lines = list(file)[{reading.skip}:]")
    source = "lines" if reading.skip else "file"
    if reading.header is False:
        lines.append(f"        rows = list({', '.join([f'csv.reader({source}', *way])}))")
        lines.append('    return [{f"column_{i}": cell for i, cell in enumerate(row, 1)} for row in rows]')
    else:
        lines.append(f"        return list({', '.join([f'csv.DictReader({source}', *way])}))")
    return [*_PREDICT, "", "", *_READ, *lines, "", "", *_MAIN]


_PREDICT = '''
def predict(rows):
    """Predictions for rows, each a mapping from the names of the columns to cells of text, numbers or None."""
    return decode(forward(prepare(rows)))
'''.strip().splitlines()

_READ = '''
def read(name):
    """The rows of a file that is written as the one this network learned from."""
'''.strip().splitlines()

_MAIN = """
if __name__ == "__main__":
    for name in sys.argv[1:]:
        for answer in predict(read(name)):
            print(answer)
""".strip().splitlines()

IMAGE_DOOR = '''
def predict(images):
    """Predictions for images (n, channels, rows, columns) of values from 0 to 255."""
    return decode(forward(prepare(images)))


def read(name):
    """One image file as (channels, rows, columns): turned as it is looked at, on white, in 8 bits, of the size."""
    from PIL import Image, ImageOps

    channels, rows, columns = SHAPE
    image = Image.open(name)
    image.draft(image.mode, (2 * max(rows, columns), 2 * max(rows, columns)))
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        image = Image.fromarray(((np.asarray(image).astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if image.mode in ("1", "L") else "RGB")
    image = image.resize((columns, rows), Image.Resampling.BILINEAR).convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, predict(read(name)[None])[0])
'''.strip().splitlines()

"""Dates as people and programs write them in words: 1er mars 2024, 3. Okt. 2024, 01jan2020, 8:05:00 AM UTC+2."""

from __future__ import annotations

import re
from datetime import date

NAMES = (
    ("January", "janvier janv januar jänner jän januari enero ene gennaio gen janeiro"),
    ("February", "février fevrier févr fevr fév februar februari febrero febbraio fevereiro fev"),
    ("March", "mars märz maerz mär mrz maart mrt marzo março"),
    ("April", "avril avr abril abr aprile"),
    ("May", "mai mei mayo maggio mag maio"),
    ("June", "juin juni junio jun giugno giu junho"),
    ("July", "juillet juil juill juli julio luglio lug julho"),
    ("August", "août aout augustus agosto ago"),
    ("September", "septembre sept septiembre setiembre settembre setembro set"),
    ("October", "octobre oktober okt octubre ottobre ott outubro out"),
    ("November", "novembre noviembre novembro"),
    ("December", "décembre decembre déc dezember dez december diciembre dicembre dic dezembro"),
)
"""The months in French, German, Dutch, Spanish, Italian and Portuguese; in English the first three letters do too."""

DAYS = (
    "lundi mardi mercredi jeudi vendredi samedi dimanche lun mer jeu ven sam dim "
    "monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun "
    "montag dienstag mittwoch donnerstag freitag samstag sonntag mo di mi do fr sa so"
)
"""The days of the week in French, English and German; mar is March."""

_MONTHS = {word: name for name, words in NAMES for word in (name.lower(), name[:3].lower(), *words.split())}
_YEAR = r"((?:19|20)\d\d)"
_PARTS = (
    ("quarter", r"(?:[QT]([1-4])|([1-4])(?:er|e|\.)? ?(?:[QT]|trim(?:estre|\.)?|quartal|quarter))"),
    ("week", r"(?:(?:W|KW ?|S(?=\d\d))(\d{1,2}))"),
    ("half", r"(?:[HS]([12]))"),
)
_MONTH = r"(0?[1-9]|1[0-2])"
_PERIODS = (
    *(
        (name, re.compile(written, re.IGNORECASE), is_year_first)
        for name, part in _PARTS
        for written, is_year_first in ((rf"{_YEAR}[-/ ]?{part}", True), (rf"{part}[-/. ]?{_YEAR}", False))
    ),
    ("month", re.compile(rf"{_YEAR}(?:[-/ ]|-?[Mm]){_MONTH}"), True),
    ("month", re.compile(rf"{_MONTH}[-/. ]{_YEAR}"), False),
)
_WEEKDAY = re.compile(rf"{_YEAR}-?W(\d\d)-?([1-7])")
_RULES = (
    (re.compile(r"^(\d{4})(\d\d)(\d\d)[T ](\d\d):?(\d\d):?(\d\d)(?:\.\d+)?Z?$"), r"\1-\2-\3 \4:\5:\6"),
    (re.compile(r"^(\d{4})(\d\d)(\d\d)[T ](\d\d):?(\d\d)Z?$"), r"\1-\2-\3 \4:\5"),
    (re.compile(r"^([^\W\d_]{3,9})\.?[- ](\d{4})$"), r"1 \1 \2"),
    (re.compile(r"^(\d{4})[- ]([^\W\d_]{3,9})\.?$"), r"1 \2 \1"),
    (re.compile(r"^([^\W\d_]{3,9})\.?[-'](\d\d)$"), r"1 \1 \2"),
    (re.compile(rf"^(?:{'|'.join(DAYS.split())})\b[.,]?\s+", re.IGNORECASE), ""),
    (re.compile(r" (\d{1,2})h(\d\d)$"), r" \1:\2"),
    (re.compile(r"^(\d{1,2})(?:er|st|nd|rd|th|[.º])?[- ]?(?=[^\W\d_]{3})"), r"\1 "),
    (re.compile(r"(?<=[^\W\d_])\.?(?:-| de |(?=\d{4}(?:$|:))|(?<=\.))"), " "),
    (re.compile(r" de "), " "),
    (re.compile(r"(:\d\d),(\d{1,6})$"), r"\1.\2"),
    (re.compile(r"^(\d{4}-\d\d)$"), r"\1-01"),
    (re.compile(r"(?<=[^\W\d_] \d{4}):(?=\d\d:\d\d)"), " "),
    (re.compile(r",(?= \d{4},? \d)|(?<=\d{4}),(?= \d)"), ""),
    (re.compile(r" (?:at|à|um|a las) (?=\d)"), " "),
    (re.compile(r"(:\d\d(?:\.\d+)?)([+-]\d\d)$"), r"\1\g<2>00"),
)
_ZONE_NAME = re.compile(r" ?\([^)]*\)$|\[[^\]]*\]$")
_ZONE = re.compile(r" (?:UTC|GMT)(?:([+-])(\d{1,2})(?::?(\d\d))?)?$")


def plain_date(cell: str) -> str:
    """The same date as numbers and English months; a month, a quarter or a week alone is its first day.

    >>> plain_date("1er janv. 2024"), plain_date("01jan2020"), plain_date("2024/05/01 8:00:11 AM UTC+2")
    ('1 January 2024', '01 January 2020', '2024/05/01 8:00:11 AM +0200')
    >>> plain_date("2024-W07"), plain_date("T2 2024"), plain_date("03/2024"), plain_date("Jan-24")
    ('2024-02-12', '2024-04-01', '2024-03-01', '1 January 24')
    """
    period = _first_day(cell)
    if period:
        return period
    cell = re.sub(r"[^\W\d_]{3,}\.?", lambda found: _MONTHS.get(found[0].lower().rstrip("."), found[0]), cell)
    cell = _ZONE_NAME.sub("", " ".join(cell.split()))
    for pattern, new in _RULES:
        cell = pattern.sub(new, cell)
    cell = _ZONE.sub(lambda found: f" {found[1] or '+'}{int(found[2] or 0):02}{found[3] or '00'}", cell)
    return cell


def _first_day(cell: str) -> str:
    """The first day of a month, a quarter, half a year or a week of ISO 8601, or a day of such a week; else nothing."""
    weekday = _WEEKDAY.fullmatch(cell)
    if weekday:
        return _of_week(*map(int, weekday.groups()))
    for name, pattern, is_year_first in _PERIODS:
        found = pattern.fullmatch(cell)
        if found:
            numbers = [int(group) for group in found.groups() if group]
            year, n = numbers if is_year_first else reversed(numbers)
            if name == "week":
                return _of_week(year, n, 1)
            return f"{year}-{ {'quarter': 3 * n - 2, 'half': 6 * n - 5, 'month': n}[name]:02}-01"
    return ""


def _of_week(year: int, week: int, day: int) -> str:
    try:
        return date.fromisocalendar(year, week, day).isoformat()
    except ValueError:  # a year of 52 weeks
        return ""

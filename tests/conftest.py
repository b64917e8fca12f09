"""What every test shares: English, a generator, where the real MNIST may lie."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from limpide import i18n

pytest.register_assert_rewrite("limpide.testing")

settings.register_profile("dev", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(autouse=True)
def _english(monkeypatch):
    monkeypatch.delenv("LIMPIDE_LANG", raising=False)
    i18n.set_language("en")
    yield
    i18n.set_language("en")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def mnist_place():
    """Where the real MNIST lies: `LIMPIDE_DATA`, else the folder beside a checkout; None where it does not."""
    places = [Path(os.environ.get("LIMPIDE_DATA", "missing")), Path(__file__).parents[1] / "../shared/data/mnist"]
    return next((place for place in places if (place / "train-images-idx3-ubyte.gz").exists()), None)


@pytest.fixture(scope="session")
def mnist_folder(mnist_place):
    """The real MNIST, for tests that need it."""
    if mnist_place is None:
        pytest.skip("the real MNIST is not here: set LIMPIDE_DATA to its folder")
    return mnist_place

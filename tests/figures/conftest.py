"""Small runs whose data and training can be had again."""

import pytest

import limpide as lp

QUICK = {"save": False, "baselines": False, "engine": "numpy"}


@pytest.fixture(scope="session")
def iris():
    return lp.train("iris", epochs=4, network="6 relu", batch_size=16, **QUICK)


@pytest.fixture(scope="session")
def costs():
    return lp.train("production-costs", epochs=2, network="8 tanh", **QUICK)


@pytest.fixture(scope="session")
def digits():
    return lp.train("digits", epochs=1, network="conv 3 3x3 pad 1 relu, maxpool 2, flatten, 10", **QUICK)

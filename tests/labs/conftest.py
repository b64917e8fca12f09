"""What the tests of the labs share: the real MNIST where it is, and no download where it is not."""

import pytest

from limpide.errors import MissingData


@pytest.fixture(autouse=True)
def _mnist(mnist_place, monkeypatch):
    def refuse(*_given):
        raise MissingData("the tests fetch nothing")

    if mnist_place is None:
        monkeypatch.setattr("limpide.data.downloads._fetch", refuse)
    else:
        monkeypatch.setenv("LIMPIDE_DATA", str(mnist_place))

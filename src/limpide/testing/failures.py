"""The suite without pytest: which calls of a test an engine fails, so that an engine wrong on purpose can be shown."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator
from itertools import product

from limpide.engines.base import Engine
from limpide.testing.conformance import EngineConformance

TESTS = tuple(name for name in vars(EngineConformance) if name.startswith("test_"))
"""The name of every test of the suite."""


def failures(engine: Engine, test: str, lacks: Collection[str] = ()) -> Iterator[str]:
    """What the test was called on, each time that it failed; any error but a failed assertion is let through.

    >>> from limpide.engines.base import get_engine
    >>> list(failures(get_engine("numpy"), "test_what_the_engine_lacks_is_refused", lacks={"conv"}))
    ['']
    """
    suite = type("Suite", (EngineConformance,), {"engine": engine, "lacks": frozenset(lacks)})()
    method = getattr(suite, test)
    for values in product(*(suite.values(argument) for argument in inspect.signature(method).parameters)):
        try:
            method(*values)
        except AssertionError:
            yield ", ".join(str(value) for value in values)

"""The conformance suite: what every engine must satisfy, given only its name.

    from limpide.testing import EngineConformance

    class TestNumpy(EngineConformance):
        engine = "numpy"

The reference is the mathematics of `nn/` in float64 and, for every derivative, central differences of the loss: a
backward pass is never compared with itself alone. Every layer's examples, every loss and every optimizer is enrolled
by its catalogue, so one that an engine lacks is named by the tests that fail.
"""

from __future__ import annotations

from limpide.testing.cases import TOLERANCES as TOLERANCES
from limpide.testing.cases import Case as Case
from limpide.testing.cases import Rule as Rule
from limpide.testing.cases import assert_close as assert_close
from limpide.testing.cases import assert_same_bits as assert_same_bits
from limpide.testing.conformance import EngineConformance as EngineConformance
from limpide.testing.failures import TESTS as TESTS
from limpide.testing.failures import failures as failures
from limpide.testing.reference import central_differences as central_differences

from limpide.testing import EngineConformance


class TestNumpy(EngineConformance):
    engine = "numpy"

"""The outside oracle: PyTorch, on one thread."""

import importlib
import os

import pytest


@pytest.fixture(scope="session")
def torch():
    """PyTorch; where it is not installed the test is skipped, or fails if `LIMPIDE_REQUIRE_TORCH` is set."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        if os.environ.get("LIMPIDE_REQUIRE_TORCH"):
            raise
        pytest.skip("PyTorch is not installed: it is the oracle of this test")
    torch.set_num_threads(1)
    return torch

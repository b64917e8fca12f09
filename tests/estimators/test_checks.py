"""scikit-learn's own checks of an estimator, all of them."""

import os
import subprocess
import sys
from unittest import SkipTest

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from limpide import NetworkClassifier, NetworkRegressor

# Defaults, then a second setting of each, so that no check rests on one default alone.
CHECKED = [
    NetworkClassifier(),
    NetworkRegressor(),
    NetworkClassifier("16 tanh", optimizer="momentum", rate=0.05, epochs=60, validation=None),
    NetworkRegressor("16 tanh", loss="huber", epochs=80, batch_size=16, validation=0.25, schedule="cosine"),
]


def is_for_numpy_arrays(check):
    """Whether scikit-learn skips this check unless SCIPY_ARRAY_API is set before SciPy is imported."""
    return getattr(check, "func", check).__name__ == "check_array_api_input"


@parametrize_with_checks(CHECKED)
def test_scikit_learn_finds_nothing_to_say(estimator, check):
    if is_for_numpy_arrays(check):
        code = (
            "import limpide\n"
            "from sklearn.utils.estimator_checks import check_array_api_input as check\n"
            f"estimator = limpide.{estimator!r}\n"
            f"check(type(estimator).__name__, estimator, **{check.keywords!r})\n"
        )
        settings = {**os.environ, "SCIPY_ARRAY_API": "1"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=settings)
        assert done.returncode == 0, done.stderr
        return
    try:
        check(estimator)
    except SkipTest as skipped:
        pytest.fail(f"skipped: {skipped}")

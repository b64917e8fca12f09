import json

import pytest

wide = pytest.importorskip("benchmarks.wide")


def test_the_summary_of_tables_without_classes_says_nothing_of_log_loss():
    kept = json.loads(wide.RESULTS.read_text(encoding="utf-8"))["tables"]
    said = wide.summary([wide.read(kept["Carseats"])])
    assert said[0].startswith("all tables, accuracy or R2: reached on ")
    assert not [line for line in said if "log-loss" in line]

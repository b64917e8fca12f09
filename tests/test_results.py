import pickle
import re

import numpy as np
import pytest

import limpide as lp
from limpide import i18n, results
from limpide.errors import DataError
from limpide.evaluation import evaluate
from limpide.results import Measures


@pytest.fixture
def asked(monkeypatch):
    """The parts evaluated, as they are."""
    calls = []
    monkeypatch.setattr(results, "evaluate", lambda *given: calls.append(len(given[1])) or evaluate(*given))
    return calls


def answers(rng):
    truths = {part: rng.normal(size=n) for part, n in (("train", 60), ("validation", 20), ("test", 30))}
    return truths, {part: truth + rng.normal(size=len(truth)) for part, truth in truths.items()}


def test_a_run_is_measured_when_somebody_looks_and_once(asked):
    run = lp.train("iris", save=False, baselines=False, epochs=1, engine="numpy")
    assert "test" in run.evaluations
    assert list(run.evaluations) == ["train", "validation", "test"]
    assert asked == []
    first = run.test
    assert asked == [run.split_sizes["test"]]
    assert run.verdict.startswith("There is nothing to compare")
    assert run.test is first
    assert len(asked) == 1


def test_what_is_measured_does_not_depend_on_who_looks_first(rng, asked):
    truths, outputs = answers(rng)
    forwards, backwards, unseen = (Measures("regression", (), 3, truths, outputs) for _i in range(3))
    expected = {p: evaluate("regression", truths[p], outputs[p], (), p == "test", 3) for p in truths}
    assert {part: forwards[part] for part in truths} == expected
    assert {part: backwards[part] for part in reversed(truths)} == expected
    assert unseen == expected
    assert repr(unseen) == repr(expected)


def test_a_copy_that_is_sent_away_is_measured_when_looked_at(rng, asked):
    truths, outputs = answers(rng)
    measures = Measures("regression", (), 0, truths, outputs)
    sent = pickle.loads(pickle.dumps(measures))
    assert asked == []
    assert sent["test"].draws is not None
    assert sent["test"].metrics == measures["test"].metrics
    assert asked == [30, 30]


def test_what_cannot_be_measured_is_refused_before_anybody_looks(rng):
    truths, outputs = answers(rng)
    outputs["test"][3] = np.inf
    with pytest.raises(DataError):
        Measures("regression", (), 0, truths, outputs)


def test_the_verdict_of_a_folder_is_the_one_written_down(tmp_path):
    run = lp.train("iris", baselines=False, epochs=1, engine="numpy", out=tmp_path / "run", report=False)
    assert lp.load(tmp_path / "run").verdict == run.verdict


def test_a_number_that_stands_among_words_is_shown_as_the_others_are(tmp_path):
    lines = ["hours,price,cost"]
    lines += [f"{'n.c.' if i % 20 == 4 else i + 0.5},{i + 0.25},{i * 37 % 80 + 0.1}" for i in range(80)]
    (tmp_path / "costs.csv").write_text("\n".join(lines))
    i18n.set_language("fr")
    run = lp.train(tmp_path / "costs.csv", target="cost", epochs=1, save=False)
    shown = [value for example in run.examples for value in example.values.values()]
    assert shown
    assert all(re.fullmatch(r"\d+,\d+|n\.c\.", value) for value in shown)

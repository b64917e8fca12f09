import json
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

from limpide import i18n
from limpide.errors import RecipeError, RunError
from limpide.experiment.comparing import compare
from limpide.experiment.variants import check_same_rows
from limpide.experiment.verdict import Terms, Words, mean_and_interval, stand
from limpide.paired import paired_difference

SMALL = {"epochs": 2, "network": "4 relu", "engine": "numpy"}
QUICK = {**SMALL, "report": False}
ACTIVATIONS = {"activation": ["relu", "tanh"]}


def sentence(scores, n_seeds=10, **terms):
    terms = Terms(**{"metric": "accuracy", "zone": 0.002, **terms})
    standings = stand({name: dict(enumerate(values)) for name, values in scores.items()}, terms)
    return Words(terms, n_seeds, len(standings.pairs)).verdict(standings), standings


def around(mean, sd, n=10, seed=0):
    return (mean + sd * np.random.default_rng(seed).normal(size=n)).tolist()


def test_a_clear_difference_is_said_with_its_evidence():
    a = around(0.90, 0.01)
    b = [x + 0.008 + d for x, d in zip(a, around(0, 0.004, seed=1))]
    text, standings = sentence({"A": a, "B": b})
    assert re.fullmatch(r"B is better than A by 0\.\d+ ± 0\.\d+ points \(95%, 10 paired seeds\)\.", text)
    assert (standings.leaders, standings.is_settled) == (("B",), True)
    pair = standings.pairs[0]
    assert pair.difference.mean == pytest.approx(np.mean(b) - np.mean(a))


def test_lower_is_better_where_the_metric_says_so():
    text, _standings = sentence({"A": around(5, 0.1), "B": around(4, 0.1, seed=1)}, metric="rmse", zone=0.05)
    assert text.startswith("B is better than A by 0.99 ± 0.08 (95%")


def test_a_difference_too_small_to_matter_is_called_equal():
    a = around(0.90, 0.01)
    text, standings = sentence({"A": a, "B": [x + 0.0005 + d for x, d in zip(a, around(0, 0.001, seed=1))]})
    assert "practically equal (within 0.2 points)" in text
    assert standings.is_settled


def test_what_is_not_shown_is_said_with_the_seeds_that_would_tell():
    text, standings = sentence({"A": around(0.90, 0.01), "B": around(0.905, 0.01, seed=1)})
    assert re.match(r"Not shown: about \d+ more seeds would tell; B is ahead of A by", text)
    assert not standings.is_settled
    text, _standings = sentence({"A": around(0.9, 0.01), "B": around(0.9001, 0.01, seed=0)}, zone=0.0)
    assert text.startswith("Not shown: ") or "better" in text


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_seeds_say_what_they_cannot_say(n):
    text, standings = sentence({"A": [0.9] * n, "B": [0.99] * n}, n)
    assert re.search(rf"but {n} seeds? cannot tell skill from luck; it takes 3", text)
    assert not standings.is_settled
    text, _standings = sentence({"A": [0.9] * n, "B": [0.99] * n, "C": [0.8] * n}, n)
    assert "cannot tell skill from luck" in text


def test_equal_means_are_not_said_to_be_ahead_and_a_gap_is_never_rounded_to_nothing():
    assert "A and B have the same mean; 1 seed cannot tell" in sentence({"A": [0.9], "B": [0.9]}, 1)[0]
    mirrored = {"A": [0.8, 0.9, 1.0, 0.7], "B": [0.9, 0.8, 0.7, 1.0]}
    assert re.search(r"A and B have the same mean: 0 ± \d+ points", sentence(mirrored)[0])
    apart = {name: [value + (name == "A") * 0.004 for value in of] for name, of in mirrored.items()}
    assert re.search(r"A is ahead of B by 0\.4 ± [\d.]+ points", sentence(apart)[0])
    words = Words(Terms("accuracy", 0.002), 1, 1)
    assert words.bare_amount(-0.0) == "0"
    assert words.bare_amount(0.0038889, 0.0038749) == "0.389 ± 0.387", "an interval that leaves zero out reads so"
    assert words.bare_amount(0.004, 0.004) == "0.4 ± 0.4", "the same to the last digit"


def test_among_several_the_best_alone_ties_and_equals_are_told_apart():
    base = around(0.9, 0.01)
    near = [x + d for x, d in zip(base, around(0, 0.0008, seed=2))]
    far = [x - 0.05 + d for x, d in zip(base, around(0, 0.003, seed=3))]
    loose = around(0.9, 0.02, seed=5)
    text, standings = sentence({"A": far, "B": base, "C": [x - 0.1 for x in near]})
    assert text.startswith("B is the best of 3: better than A, the next one, by ")
    assert "corrected for 3 pairs" in text
    text, standings = sentence({"A": far, "B": base, "C": near})
    assert re.match(r"[BC] is practically equal to [BC] \(within 0\.2 points; .*\)\. [BC] is better than A\.", text)
    assert {standings.standing(name) for name in "BC"} == {"tied"}
    text, standings = sentence({"A": far, "B": base, "C": loose})
    assert re.match(r"It is not shown which of [BC] and [BC] is the best: ", text)
    assert standings.standing("A") == "behind"


def test_a_single_variant_has_its_mean_and_nothing_to_be_compared_with(here):
    here(score=lambda layers, seed: 0.9 + 0.01 * (seed % 3))
    comparison = compare("iris", seeds=6, save=False, **QUICK)
    assert re.fullmatch(
        r"iris: accuracy 91\.0% on the mean of 6 seeds \(95% interval 90\.\d% to 91\.9%\)\.", comparison.verdict
    )


def test_more_data_is_asked_for_where_no_number_of_seeds_would_tell():
    a, b = around(0.90, 0.01), around(0.901, 0.01, seed=1)
    text, _standings = sentence({"A": a, "B": b}, overlap=0.25)
    assert "no number of seeds would tell, it takes more data" in text
    assert "each with a split of its own" in text


@pytest.fixture
def shown(here):
    rates = {"relu": 0.9, "tanh": 0.85, "silu": 0.9}

    def score(layers, seed):
        name = next(name for name in rates if name in layers)
        return rates[name] + 0.02 * np.sin(3 * seed + len(name)) / (1 + (name == "relu"))

    here(score=score)
    return compare("iris", vary={"activation": ["relu", "tanh", "silu"]}, seeds=6, out="c", **SMALL)


def test_the_updates_are_counted_to_a_loss_that_every_variant_reaches(shown):
    assert all(row.updates is not None for row in shown.rows)
    for row in shown.rows:
        reached = [score.updates_to(shown.common_loss) for score in shown.scores[row.name].values()]
        assert sum(n is not None and n <= row.updates for n in reached) >= len(reached) / 2


def test_everything_is_said_as_json_too(shown, tmp_path):
    facts = json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert facts | {"comparison": "c"} == json.loads(json.dumps(shown.to_dict(), allow_nan=False))
    assert {"verdict", "variants", "pairs", "zone", "seeds", "differing", "notes"} <= set(facts)
    assert facts["verdict"] == shown.verdict
    assert all(len(variant["scores"]) == 6 for variant in facts["variants"])


def test_every_figure_is_one_xml_element_with_a_table_behind_it(shown):
    assert shown.figures.names() == ["scores", "differences", "progress"]
    for name in shown.figures.names():
        picture = getattr(shown.figures, name)()
        root = ElementTree.fromstring(picture.svg())
        assert root.tag.endswith("svg")
        assert {len(row) for row in picture.table.rows} == {len(picture.table.header)}
        assert picture.svg() == picture.svg()


def test_the_page_holds_the_verdict_and_asks_for_nothing(shown, tmp_path):
    page = (tmp_path / "c" / "report.html").read_text()
    assert shown.verdict.replace("'", "&#39;") in page
    for text in ("Pair by pair", "What differs between them", "network.layers", "the test set was not opened"):
        assert text in page
    assert not re.search(r'(src|href)="(?!#|data:)|@import|url\((?!#)|<script', page)


def test_the_page_and_the_verdict_follow_the_language(shown, tmp_path):
    i18n.set_language("fr")
    shown.report(tmp_path / "fr.html")
    assert 'lang="fr"' in (tmp_path / "fr.html").read_text()


def test_a_comparison_that_is_not_kept_needs_a_path_for_its_report(here):
    here(score=lambda layers, seed: 0.9 + 0.001 * seed)
    comparison = compare("iris", vary=ACTIVATIONS, seeds=3, save=False, **QUICK)
    with pytest.raises(RunError, match="give one, or keep the comparison"):
        comparison.report()
    assert comparison.verdict in comparison._repr_html_()
    assert str(comparison) == comparison.verdict


def test_variants_on_other_rows_are_found_out(shown):
    a, b, *_ = shown.settled.values()
    with pytest.raises(RecipeError, match="data: expected the same"):
        check_same_rows([a, replace(b, data="0" * 64)])


@pytest.fixture
def three_rows():
    """One row in each part: R² is defined in no training."""
    return pl.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]})


def test_where_the_metric_is_defined_nowhere_a_comparison_says_why_and_draws_nothing(three_rows):
    options = {"target": "y", "epochs": 2, "engine": "numpy", "workers": 1}
    found = compare(three_rows, vary={"activation": ["relu", "tanh"]}, seeds=2, out="kept", **options)
    assert found.verdict == "Nothing is shown: every variant failed under some seed."
    reason = "failed under 2 of 2 seeds, so nothing is claimed of it: the metric is not defined on these rows"
    assert found.troubles() == [f"relu {reason}", f"tanh {reason}"]
    assert found.figures.names() == []
    assert found.verdict in found._repr_html_()
    assert reason in (found.path / "report.html").read_text("utf-8")


@pytest.mark.parametrize(("n", "half"), [(1, math.inf), (2, math.inf), (5, math.inf), (6, 0.0)])
def test_equal_scores_have_the_interval_of_equal_differences(n, half):
    assert mean_and_interval([0.9] * n) == (0.9, 0.0, half)
    assert paired_difference([0.9] * n, [0.0] * n).half_width() == half

"""The leak guard: each leak has a table that holds it and one that does not; healthy tables pass."""

import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.data.builtin import BUILTIN
from limpide.data.columns import task_of
from limpide.data.leaks import ALL, Leak, equal_rows, find_leaks, guard
from limpide.data.leaks.evidence import Answers, ranks
from limpide.data.sources import open_source
from limpide.data.splits import split
from limpide.errors import LeakError

N = 400


def leaks_in(columns, method=None, column=None, seed=0, target="y", kinds=None):
    """Every leak that is more than an information."""
    dataset = open_source(pl.DataFrame(columns), target, kinds or {})
    return [leak for leak in all_leaks(dataset, method, column, seed) if leak.level != "info"]


def all_leaks(dataset, method=None, column=None, seed=0):
    task = task_of(dataset)[0]
    chosen = method or dataset.suggested.get("split.method") or ("random" if task == "regression" else "stratified")
    keys = {}
    if column is not None:
        keys = {"groups" if chosen == "group" else "times": dataset.inputs[column]}
    parts = split(len(dataset), chosen, validation=0.15, test=0.2, seed=seed, target=dataset.target, **keys)
    return find_leaks(dataset, parts, task, column=column, seed=seed)


def names(leaks):
    return [leak.name for leak in leaks]


def noise(seed=1, n=N):
    return np.random.default_rng(seed).normal(size=n)


def houses():
    """A healthy table: an area and a town, which tell the price but for a tenth of it."""
    area = 50 + 10 * noise(1)
    town = np.where(noise(2) > 0, "Lyon", "Nice")
    return {"area": area, "town": town, "y": 3 * area + np.where(town == "Nice", 20, 0) + 8 * noise(3)}


def tumours():
    """A healthy table with two classes that two measures tell apart, not without error."""
    y = np.where(noise(4) > 0, "ill", "well")
    return {"size": noise(5) + 2 * (y == "ill"), "depth": noise(6) + 2 * (y == "ill"), "y": y}


# Columns that give the target away


def test_healthy_tables_have_no_leak():
    assert leaks_in(houses()) == []
    assert leaks_in(tumours()) == []


@pytest.mark.parametrize(
    "copy",
    [
        lambda y: y * 1.08 + 5,
        lambda y: -y,
        lambda y: np.log(y),
        lambda y: np.round(y / 0.92, 0),
        lambda y: np.where(np.arange(N) % 20 == 0, np.nan, y * 2),
    ],
    ids=["affine", "opposite", "logarithm", "rounded", "with gaps"],
)
def test_a_copy_of_the_target_in_another_unit_is_found(copy):
    table = houses()
    assert names(leaks_in(table | {"usd": copy(table["y"])})) == ["target-in-disguise:usd"]


def test_a_good_predictor_is_no_disguise():
    table = houses()
    assert leaks_in(table | {"estimate": table["y"] + 0.03 * table["y"].std() * noise(7)}) == []


def test_a_table_of_one_column_is_the_task_itself():
    x = noise()
    assert leaks_in({"x": x, "y": 3 * x + 2}) == []
    assert names(leaks_in({"x": x, "other": noise(2), "y": 3 * x + 2})) == ["target-in-disguise:x"]


def test_words_one_to_one_with_the_classes_are_found():
    table = tumours()
    words = np.where(table["y"] == "ill", "C80", "Z00")
    assert names(leaks_in(table | {"code": words})) == ["target-in-disguise:code"]
    words[:20] = np.where(table["y"] == "ill", "Z00", "C80")[:20]
    assert leaks_in(table | {"code": words}) == []


def test_numbers_that_stand_for_the_classes_are_found():
    table = tumours()
    assert names(leaks_in(table | {"code": np.where(table["y"] == "ill", 7, 3)})) == ["target-in-disguise:code"]


def test_a_disguise_with_gaps_is_found():
    table = tumours()
    codes = [None if i % 9 == 0 else 7 if y == "ill" else 3 for i, y in enumerate(table["y"])]
    assert names(leaks_in(table | {"code": codes})) == ["target-in-disguise:code"]
    words = [None if code is None else f"C{code}" for code in codes]
    assert names(leaks_in(table | {"code": words})) == ["target-in-disguise:code"]
    few = [code if i % 10 == 1 else None for i, code in enumerate(codes)]
    assert leaks_in(table | {"code": few}) == []


def test_a_column_cut_into_the_classes_is_found():
    score = noise(8)
    table = {"score": score, "points": 100 + 15 * score, "age": noise(9)}
    found = leaks_in(table | {"y": np.where(score > 0.3, "pass", "fail")})
    assert names(found) == ["target-in-disguise:score", "target-in-disguise:points"]
    assert leaks_in(table | {"y": np.where(score + 0.3 * noise(10) > 0.3, "pass", "fail")}) == []


def test_classes_that_nature_keeps_apart_are_no_cut():
    y = np.where(noise(4) > 0, "setosa", "versicolor")
    measures = {name: noise(i) / 4 + 3 * (y == "setosa") for i, name in enumerate(["length", "width"])}
    assert leaks_in(measures | {"y": y}) == []


def test_a_perfect_column_far_ahead_of_all_others_is_found():
    table = tumours()
    leaver = table["y"] == "ill"
    later = np.where(leaver, 0.9, 0.1) + 0.02 * noise(11)
    assert names(leaks_in(table | {"probability": later})) == ["tells-the-target:probability"]
    when = [datetime.date(2024, 1, 1 + i % 28) if gone else None for i, gone in enumerate(leaver)]
    assert names(leaks_in(table | {"left_on": when})) == ["target-in-disguise:left_on"]
    finer = np.where(leaver, np.where(noise(12) > 0, "C80", "C81"), np.where(noise(13) > 0, "Z00", "Z01"))
    assert names(leaks_in(table | {"code": finer})) == ["tells-the-target:code"]


def test_a_column_that_leaves_one_number_is_found():
    table = houses()
    x = noise(14)
    assert names(leaks_in(table | {"x": x, "y": x**2})) == ["tells-the-target:x"]
    product = np.arange(N) * 7 % 20
    price = noise(15)[product]
    table |= {"product": [f"p{i}" for i in product]}
    assert names(leaks_in(table | {"y": price})) == ["tells-the-target:product"]
    assert leaks_in(table | {"y": price + 0.2 * noise(16)}) == []


@pytest.mark.parametrize(
    ("make", "name", "formula"),
    [
        (lambda a, b, c: a + b, "target-is-a-sum:a+b", "y is a + b ("),
        (lambda a, b, c: c - a - 6, "target-is-a-sum:a+c", "y is c - a - 6 ("),
        (lambda a, b, c: (a + b + c) / 3, "target-is-a-sum:a+b+c", "y is (a + b + c) × 0.3333 ("),
        (lambda a, b, c: np.round(a + b, 0), "target-is-a-sum:a+b", "y is a + b ("),
    ],
)
def test_a_sum_a_difference_and_a_mean_are_found(make, name, formula):
    a, b, c = (50 + size * noise(i) for i, size in enumerate((20, 5, 30)))
    table = {"a": a, "b": b, "c": c, "d": noise(9)}
    (leak,) = leaks_in(table | {"y": make(a, b, c)})
    assert leak.name == name
    assert leak.found.startswith(formula)


def test_a_sum_of_all_columns_and_a_formula_of_somebody_are_tasks():
    a, b, c = noise(1), noise(2), noise(3)
    assert leaks_in({"a": a, "b": b, "y": a + b}) == []
    assert leaks_in({"a": a, "b": b, "c": c, "y": 3 * a + 2 * b}) == []
    assert leaks_in({"a": a, "b": b, "c": c, "y": a + b + 0.1 * noise(4)}) == []


# Copies


def with_copies(table, n):
    frame = pl.DataFrame(table)
    return pl.concat([frame, frame.head(n)])


def test_copied_rows_stop_a_training_and_a_new_identifier_does_not_hide_them():
    table = with_copies(houses(), 100)
    assert names(leaks_in(table)) == ["repeated-rows"]
    named = table.with_columns(pl.Series("id", np.arange(len(table))[::-1]))
    (leak,) = leaks_in(named)
    assert (leak.name, leak.level) == ("repeated-rows", "block")


def test_few_copies_are_told_and_no_more():
    assert [leak.level for leak in all_leaks(open_source(with_copies(houses(), 4)))] in ([], ["info"])
    (leak,) = leaks_in(with_copies(houses(), 25))
    assert leak.level in ("warning", "block")


def test_rows_that_come_back_by_chance_only_warn():
    rng = np.random.default_rng(0)
    table = {"sex": rng.choice(["f", "m"], N), "class": rng.integers(1, 4, N), "y": rng.choice(["lost", "saved"], N)}
    (leak,) = leaks_in(table)
    assert (leak.name, leak.level) == ("repeated-rows", "warning")


def test_a_split_that_keeps_equal_rows_together_has_no_copies():
    table = with_copies(houses(), 100)
    dataset = open_source(table, "y")
    groups = equal_rows(dataset)
    assert groups.tolist() == [*range(N), *range(100)]
    parts = split(len(table), "group", validation=0.15, test=0.2, groups=groups)
    assert find_leaks(dataset, parts) == []


def test_equal_images_are_found_whatever_their_class(rng):
    images = rng.integers(0, 256, (100, 8, 8), dtype=np.uint8)
    labels = np.arange(130) % 2
    twice = np.concatenate([images, images[:30]])
    (leak,) = all_leaks(open_source((twice, labels)))
    assert (leak.name, leak.level) == ("repeated-images", "block")
    assert equal_rows(open_source((twice, labels))).tolist() == [*range(100), *range(30)]
    assert all_leaks(open_source((images, labels[:100]))) == []


# Identifiers, groups, time


def test_an_identifier_that_the_user_made_a_feature_is_told():
    table = houses() | {"id": np.arange(N)[::-1] * 3}
    assert leaks_in(table) == []
    (leak,) = leaks_in(table, kinds={"id": "number"})
    assert (leak.name, leak.level) == ("identifier:id", "warning")
    assert leaks_in(table, kinds={"area": "number"}) == []


def patients(tie):
    patient = np.arange(N) // 8
    return houses() | {"patient_id": patient + 100, "y": tie * noise(5)[patient] + noise(6)}


def test_groups_cut_by_chance_are_found_where_their_rows_are_alike():
    assert names(leaks_in(patients(2))) == ["cut-group:patient_id"]
    assert leaks_in(patients(0)) == []
    assert leaks_in(patients(2), "group", "patient_id") == []


def test_many_alike_groups_without_a_telling_name_warn():
    lot = np.arange(N) // 5
    table = houses() | {"lot": [f"lot {i}" for i in lot], "y": 2 * noise(5)[lot] + noise(6)}
    (leak,) = leaks_in(table)
    assert (leak.name, leak.level) == ("cut-group:lot", "warning")


def test_a_property_of_a_person_is_no_group():
    table = houses() | {"customer_age": np.arange(N) // 8, "y": noise(5)[np.arange(N) // 8] + 0.5 * noise(6)}
    assert leaks_in(table) == []


def days(y, name="day", seed=3):
    """Rows of one day each, in a file without order."""
    start = datetime.date(2023, 1, 1)
    order = np.random.default_rng(seed).permutation(N)
    table = {**houses(), name: [start + datetime.timedelta(days=int(i)) for i in range(N)], "y": y}
    return pl.DataFrame(table)[order]


def test_a_target_that_drifts_with_time_is_found():
    walk = np.cumsum(noise(5))
    (leak,) = leaks_in(days(walk))
    assert (leak.name, leak.level) == ("time-order:day", "block")
    (leak,) = leaks_in(days(np.sin(np.arange(N) / 30) + 1.2 * noise(6)))
    assert (leak.name, leak.level) == ("time-order:day", "warning")
    assert leaks_in(days(walk), "time", "day") == []
    assert leaks_in(days(noise(7))) == []


def test_a_day_of_birth_is_not_the_time_of_a_row():
    assert leaks_in(days(np.cumsum(noise(5)), "birth_date")) == []


# No false alarms


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", [name for name in BUILTIN if name not in ("mnist", "fashion-mnist")])
def test_no_built_in_is_blocked_or_warned_of_but_the_calculator_whose_pairs_come_back(name, seed):
    leaks = [leak for leak in all_leaks(BUILTIN[name].open(), seed=seed) if leak.level != "info"]
    expected = [("repeated-rows", "warning")] if name == "calculator" else []
    assert [(leak.name, leak.level) for leak in leaks] == expected


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("calculator", {"maximum": 9}),
        ("calculator", {"operation": "multiply", "scaled": True}),
        ("line", {"noise": 0.0}),
        ("xor", {"samples": 5000}),
        ("clouds", {"shifted": True, "samples": 1000}),
        ("blobs", {"centers": 2, "features": 6}),
        ("spirals", {"arms": 4, "noise": 0.0}),
    ],
)
def test_no_drawn_data_set_is_blocked_whatever_its_options(name, options):
    leaks = [leak for seed in range(3) for leak in all_leaks(BUILTIN[name].open(options), seed=seed)]
    assert [leak for leak in leaks if leak.level == "block"] == []


def healthy(seed, n, n_numbers, is_regression):
    """A table with skewed, rounded and correlated numbers, words, gaps and dates, and a target with noise."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(n, n_numbers)) @ rng.normal(size=(n_numbers, n_numbers))
    mixed[:, 0] = np.exp(mixed[:, 0] / mixed[:, 0].std())
    score = mixed @ rng.normal(size=n_numbers)
    score = score / score.std() + 0.3 * rng.normal(size=n)
    table = {f"x{i}": mixed[:, i].round(3) for i in range(n_numbers)}
    table["x0"] = np.where(rng.random(n) < 0.05, np.nan, table["x0"])
    table["town"] = rng.choice(["Lyon", "Nice", "Paris"], n)
    table["rooms"] = rng.integers(1, 6, n)
    start = datetime.date(2020, 1, 1)
    table["day"] = [start + datetime.timedelta(days=int(i)) for i in rng.integers(0, 900, n)]
    return table | {"y": score if is_regression else np.where(score > np.median(score), "yes", "no")}


@given(st.integers(0, 10_000), st.integers(60, 500), st.integers(2, 7), st.booleans())
def test_no_random_healthy_table_is_blocked_or_warned_of(seed, n, n_numbers, is_regression):
    assert leaks_in(healthy(seed, n, n_numbers, is_regression), seed=seed) == []


@pytest.mark.parametrize("seed", range(12))
def test_no_large_healthy_table_is_blocked_or_warned_of(seed):
    assert leaks_in(healthy(seed, 8_000, 12, seed % 2 == 0), seed=seed) == []


# What is said, and what is accepted


def test_what_is_found_is_told_with_figures_an_example_and_the_mend():
    table = houses()
    (disguise,) = leaks_in(table | {"usd": np.round(1.1 * table["y"], 1)})
    assert disguise.problem() == (
        "column usd: it rises as y rises, row after row (rank correlation 0.99999; 146.5 where y is 133.2); the "
        "network would only copy it, and in use it is not known before y; leave it out with --drop usd, or go on with "
        "--accept-leak target-in-disguise:usd"
    )
    (group,) = leaks_in(patients(2))
    assert group.problem() == (
        "column patient_id: 77 of the 80 test rows share their patient_id with rows trained on, and 78% of the "
        "differences in y vanish within one patient_id; the test does not show how the network does on a new "
        "patient_id; keep each patient_id in one part with --split group --split-by patient_id, or go on with "
        "--accept-leak cut-group:patient_id"
    )
    (copies,) = leaks_in(with_copies(houses(), 100))
    assert copies.problem() == (
        "rows: 36 of the 100 test rows (36.0%) stand among the rows trained on too (such as row 3, equal to row 403); "
        "a network that learned them by heart would seem to understand; keep equal rows in one part with --split "
        "distinct, or go on with --accept-leak repeated-rows"
    )


def test_the_guard_tells_all_leaks_at_once_and_lets_pass_what_is_accepted():
    leaks = [Leak(name, "block", name, "found", "why", ("mend",)) for name in ("a:x", "b:y")]
    with pytest.raises(LeakError) as caught:
        guard(leaks)
    assert caught.value.names == ("a:x", "b:y")
    assert caught.value.problems[0] == "a:x: found; why; mend, or go on with --accept-leak a:x"
    with pytest.raises(LeakError) as caught:
        guard(leaks, ["a:x", "unheard-of"])
    assert caught.value.names == ("b:y",)
    assert [(n.level, n.text) for n in guard(leaks, [ALL])] == [("warning", "leak accepted: found; why")] * 2


def test_likeness_is_one_minus_half_of_von_neumanns_ratio(rng):
    y = rng.permutation(50).astype(float)
    ranked = ranks(y)
    ratio = np.mean(np.diff(ranked) ** 2) / np.var(ranked, ddof=1)
    found = Answers.of(pl.Series("y", y), "regression").likeness(np.arange(49), np.arange(1, 50))
    assert found == pytest.approx(1 - ratio / 2)


def test_ranks_are_those_of_scipy(rng):
    from scipy.stats import rankdata

    x = rng.integers(0, 20, 100).astype(float)
    np.testing.assert_allclose(ranks(x) * 100, rankdata(x) - 0.5)

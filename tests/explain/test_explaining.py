"""A step of a run: which one, the way to the others, and how it is shown."""

import json
import re

import numpy as np
import polars as pl
import pytest

import limpide as lp
from limpide.__main__ import main
from limpide.errors import DataError, RecipeError, RunError, UnknownName
from limpide.explaining import prove
from limpide.explaining.walk import Walk
from limpide.i18n import set_language

QUICK = {"baselines": False, "report": False}


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """A table with every kind of column, a value that is missing, and its run."""
    folder = tmp_path_factory.mktemp("houses")
    rng = np.random.default_rng(0)
    lines = ["area,city,garden,sold,price"]
    for i in range(90):
        area = "" if i == 7 else f"{rng.uniform(20, 150):.1f}"
        city, garden = rng.choice(["Lyon", "Nice", "Lille"]), rng.choice(["yes", "no"])
        sold = f"20{rng.integers(10, 24)}-0{rng.integers(1, 10)}-1{rng.integers(0, 10)}"
        lines.append(f"{area},{city},{garden},{sold},{3000 * float(area or 60) + rng.normal(0, 40000):.0f}")
    place = folder / "houses.csv"
    place.write_text("\n".join(lines))
    run = lp.train(
        place, target="price", network="6 tanh, dropout 0.2, batchnorm, 1", epochs=4, batch_size=16, engine="numpy",
        patience=0, out=folder / "run", **QUICK,
    )  # fmt: skip
    return lp.load(run.path)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "run"
    return lp.train("digits", network="conv 2 3x3, maxpool 2, flatten, 10", epochs=1, out=folder, **QUICK)


def all_hold(explanation):
    for section in explanation.sections:
        for number in section.numbers:
            proof = prove(number)
            assert proof is None or proof.holds, (number.name, number.value, proof)


def test_the_first_step_is_the_first_that_training_made(houses):
    opened = houses.explain()
    fit = lp.fit(houses.recipe)
    first = next(iter(fit.steps()))
    assert opened.moment.update == 1
    assert opened.number("loss").value == pytest.approx(first.loss, rel=1e-12)
    weights = fit.trainer.weights()
    for name, after in opened.step.after.items():
        np.testing.assert_array_equal(after, weights[name])
    all_hold(opened)


def test_any_step_is_the_one_that_training_made(houses):
    """Forwards, back over an epoch, and to a far one: always the weights of a training that was never left."""
    fit, made = lp.fit(houses.recipe), {}
    for step in fit.steps():
        made[step.update] = fit.trainer.weights()
    opened = houses.explain(epoch=2, step=3)
    n = opened.moment.n_steps
    far = [opened, opened.forward(), opened.back(), opened.forward("epoch"), opened.back("epoch").back("batch")]
    assert [e.moment.update for e in far] == [n + 3, n + 4, n + 2, 2 * n + 3, 2]
    for e in far:
        for name, after in e.step.after.items():
            np.testing.assert_array_equal(after, made[e.moment.update][name])
        all_hold(e)
    assert houses.explain(step=n + 3).moment == opened.moment


def test_the_ways_stop_at_the_ends_of_the_training(houses):
    first = houses.explain()
    assert first.neighbour("batch", -1) is None
    with pytest.raises(RunError, match="expected a step of the training, got one beyond the first one"):
        first.back()
    last = houses.explain(epoch=4, step=first.moment.n_steps)
    size = last.step.n_rows
    assert last.forward("sample").step.row == 1
    assert houses.explain(epoch=4, step=last.moment.n_steps, sample=size - 1).neighbour("sample", 1) is None
    before = houses.explain(epoch=2).back("sample")
    assert (before.moment.epoch, before.step.row) == (1, before.step.n_rows - 1)


def test_a_row_is_found_in_the_update_that_visits_it(houses):
    row = int(Walk(houses).job.split.train[10])
    for epoch in (1, 3):
        opened = houses.explain(row=row, epoch=epoch)
        assert opened.sample.number == row
        assert opened.moment.epoch == epoch
    with pytest.raises(RunError, match="expected a row of the training, got one of another part"):
        houses.explain(row=int(houses.test_rows[0]), epoch=1)


def test_a_row_under_the_weights_of_the_run_gives_what_predict_gives(houses):
    frame = pl.read_csv(houses.recipe.data.source)
    for row in (0, 7):
        opened = houses.explain(row=row)
        answer = [n for section in opened.sections for n in section.numbers if n.symbol.letter == "price"][-1]
        assert answer.value == pytest.approx(houses.predict(frame[[row]])["prediction"][0], rel=1e-6)
        all_hold(opened)
    assert opened.sample.cells["area"] == "missing"


def test_each_kind_of_cell_tells_how_it_was_prepared(houses):
    text = houses.explain(values={"area": "70", "city": "Lyon", "garden": "yes", "sold": "2020-03-12"}).text(200)
    assert re.search(r"x\[0\] = \(area - [\d.]+\) / [\d.]+ = \(70 - ", text)
    assert "[city = Lyon] = 1" in text
    assert "[city = Nice] = 0" in text
    assert "sin(2π·(month - 1) / 12)" in text
    assert "Loss" not in text
    far = houses.explain(values={"area": "9999", "city": "Paris", "garden": "", "sold": ""})
    assert "min(area, " in far.text(200)
    assert "[city = (other)] = 1" in far.text(200)
    all_hold(far)


def test_the_rows_of_a_stream_have_no_numbers(tmp_path):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300)})
    frame.with_columns(y=pl.col("a") + pl.Series(rng.normal(size=300))).write_csv(tmp_path / "rows.csv")
    run = lp.train(
        tmp_path / "rows.csv", target="y", network="2 relu, 1", epochs=2, stream=True, engine="numpy", save=False,
        baselines=False,
    )  # fmt: skip
    all_hold(run.explain(epoch=2, step=2))
    for asked in ({"row": 3}, {"row": 3, "epoch": 1}):
        with pytest.raises(RunError, match="row: expected data in memory, got a stream"):
            run.explain(**asked)


def test_a_row_of_ones_own_with_its_answer_has_a_way_back(houses):
    values = {"area": "70", "city": "Lyon", "garden": "yes", "sold": "2020-03-12", "price": "210000"}
    opened = houses.explain(values=values)
    all_hold(opened)
    assert opened.number("0.dense.dW[0,0]").value
    early = houses.explain(values=values, epoch=2)
    assert early.number("loss").value != opened.number("loss").value
    with pytest.raises(RunError, match="expected a step of the training, got a row of its own"):
        early.forward()


def test_a_run_that_its_recipe_does_not_redo_is_not_walked():
    given = {"0.dense.W": np.zeros((4, 3))}
    run = lp.train("iris", network="3 tanh", weights=given, epochs=3, engine="numpy", save=False, baselines=False)
    for epoch in (1, 3):
        with pytest.raises(RunError, match="its recipe does not redo this run"):
            run.explain(epoch=epoch)


def test_a_walk_begins_at_the_checkpoint_of_an_interrupted_training(tmp_path, monkeypatch):
    def stop(training, epoch):
        if epoch is not None and epoch.epoch == 3:
            raise KeyboardInterrupt

    run = lp.train("iris", epochs=6, patience=0, watch=stop, out=tmp_path / "run", **QUICK)
    assert lp.load(run.path).explain(epoch=3).moment.start == 0
    walk = Walk(run)
    assert sorted(walk._starts) == [0, 3]


def test_images_show_the_patch_and_the_kernel(digits):
    opened = digits.explain(row=0, layer=0, unit=(1, 2, 3))
    titles = [section.title for section in opened.sections]
    assert {"patch, channel 0", "kernel, channel 0"} <= set(titles)
    all_hold(opened)
    all_hold(digits.explain())
    assert "pixel[0,0,0] / 255" in digits.explain(row=3).text(120)


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"layer": "9"}, UnknownName, 'layer: unknown name "9"'),
        ({"open": "0.dense.W[99,0]"}, RecipeError, "expected an index in an array of"),
        ({"open": "0.dense.nonsense[1]"}, UnknownName, "unknown name"),
        ({"open": "?"}, RecipeError, "expected an address such as"),
        ({"epoch": 9}, RunError, "epoch: expected a number from 1 to 4, got 9"),
        ({"step": 0}, RunError, "step: expected a number from 1 to"),
        ({"sample": 99}, RunError, "sample: expected a number from 0 to 15, got 99"),
        ({"row": 5, "step": 2}, RecipeError, "the row says which update"),
        ({"row": 5000}, DataError, "row: expected a number from 0 to 89, got 5000"),
        ({"unit": 1}, RecipeError, "unit: expected a layer beside it, got none"),
        ({"values": {"area": "3"}}, DataError, "column city: expected a value, got none"),
        ({"row": 5, "sample": 2}, RecipeError, "expected one of row, values and sample"),
    ],
)
def test_what_cannot_be_shown_is_refused(houses, asked, error, words):
    with pytest.raises(error, match=re.escape(words)):
        houses.explain(**asked)


def test_a_run_of_a_frame_is_given_its_frame_again():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)})
    frame = frame.with_columns(y=frame["a"] - frame["b"] + rng.normal(size=60))
    run = lp.train(frame, target="y", network="2 tanh, 1", epochs=2, engine="numpy", save=False, baselines=False)
    all_hold(run.explain(epoch=2, source=frame))
    all_hold(run.explain(row=3, source=frame))
    for asked in ({"epoch": 2}, {"row": 3}):
        with pytest.raises(RunError, match="expected the data of the run, got data that have changed since"):
            run.explain(source=frame.with_columns(a=pl.lit(1.0)), **asked)


# ----------------------------------------------------------------------------------------------------- what is shown


def test_the_text_tells_the_whole_step(houses):
    text = str(houses.explain())
    told = ["houses.csv: update 1 of the training", "0.dense: ", "batchnorm", "Loss: mse"]
    told += [
        "(ŷ - t)²; t is the target, ŷ the output",
        "Back to the output of 0.dense",
        "Update of 0.dense",
        "rounding",
    ]
    for words in told:
        assert words in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_page_asks_for_nothing_and_its_links_lead_somewhere(houses, tmp_path):
    page = houses.explain().save(tmp_path / "step.html").read_text("utf-8")
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)
    marks = re.findall(r' id="([^"]+)"', page)
    assert len(marks) == len(set(marks))
    from urllib.parse import unquote

    assert {unquote(link) for link in re.findall(r'href="#([^"]+)"', page)} <= set(marks)
    assert page.count("<math") > 40
    assert "<math" in houses.explain()._repr_html_()


def test_json_holds_every_term(digits):
    facts = digits.explain(row=1, layer=3, unit=4).to_dict()
    json.dumps(facts, allow_nan=False)
    number = facts["numbers"]["3.dense.y[4]"]
    assert len(number["arithmetic"]["sum"]) == 19
    assert number["gap"] <= number["allowed"]
    weights = facts["layers"][0]["weights"]["W"]
    assert np.shape(weights["slope"]) == np.shape(weights["before"]) == (18, 10)
    np.testing.assert_allclose(np.add(weights["before"], weights["change"]), weights["after"], rtol=1e-6)


def test_the_command_shows_a_step_and_the_way_to_the_next(houses, capsys, tmp_path):
    folder = str(houses.path)
    assert main(["explain", folder, "--epoch", "2", "--open", "0.dense.dW[0,1]", "--digits", "4"]) == 0
    text = capsys.readouterr().out
    assert "∂J/∂W₀[0,1] = " in text
    assert "--epoch 2 --step 2 --open '0.dense.dW[0,1]'" in text
    assert main(["explain", folder, "--row", "3", "--layer", "0", "--unit", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sample"]["row"] == 3
    page = tmp_path / "step.html"
    assert main(["explain", folder, "--html", str(page), "--lang", "fr"]) == 0
    assert main(["explain", folder, "--html", str(page)]) == 2
    assert main(["explain", folder, "--unit", "x"]) == 2
    assert "✗" in capsys.readouterr().err


def test_a_french_page_writes_french_numbers(houses):
    set_language("fr")
    assert re.search(r"<mn>\d+,\d+</mn>", houses.explain(row=0).html())


def test_a_number_that_stands_among_words_is_shown_as_the_others_are(tmp_path):
    lines = ["hours;price;cost"]
    lines += [f"{'n.c.' if i % 20 == 4 else f'{i},5'};{i * 13 % 80},25;{i * 37 % 80},1" for i in range(80)]
    (tmp_path / "costs.csv").write_text("\n".join(lines))
    run = lp.train(tmp_path / "costs.csv", target="cost", network="2 tanh", epochs=1, save=False, baselines=False)
    set_language("fr")
    assert run.explain(row=3).sample.cells == {"hours": "3,5", "price": "39,25"}
    assert run.explain(row=4).sample.cells == {"hours": "n.c.", "price": "52,25"}

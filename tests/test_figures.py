import io
import math
import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

import limpide as lp
from limpide import i18n
from limpide.errors import InputError, RunError
from limpide.evaluation import evaluate
from limpide.figures import Figures, Picture, data, picture, regression
from limpide.figures.axes import name_ends, number_width, show_numbers, show_powers, text_width
from limpide.history import Stop

COLOURS = {
    picture.INK,
    picture.MUTED,
    picture.GRID,
    picture.PAPER,
    picture.BLUE,
    picture.ORANGE,
    picture.GREEN,
    picture.RED,
    picture.ON_COLOUR,
}


@pytest.fixture(scope="module")
def digits():
    return lp.train("digits", save=False, epochs=3, baselines=False)


@pytest.fixture(scope="module")
def costs():
    return lp.train("production-costs", save=False, epochs=3)


@pytest.fixture(scope="module")
def moons():
    return lp.train("moons", save=False, epochs=2)


@pytest.fixture(params=["digits", "costs", "moons"])
def figures(request):
    return request.getfixturevalue(request.param).figures


def pictures(figures: Figures) -> list[Picture]:
    return [getattr(figures, name)() for name in figures.names()]


def test_every_figure_is_one_xml_element_with_a_table_behind_it(figures):
    for shown in pictures(figures):
        root = ElementTree.fromstring(shown.svg())
        assert root.tag.endswith("svg"), shown.name
        assert root.get("aria-label", "").startswith(shown.title)
        assert shown.table.rows, shown.name
        assert {len(row) for row in shown.table.rows} == {len(shown.table.header)}, shown.name


def test_a_figure_is_drawn_alike_twice(figures):
    for shown, again in zip(pictures(figures), pictures(figures)):
        assert shown.svg() == again.svg()


def test_two_figures_of_a_page_share_no_identifier_that_means_two_things(figures):
    seen: dict[str, str] = {}
    for shown in pictures(figures):
        for element in ElementTree.fromstring(shown.svg()).iter():
            if name := element.get("id"):
                text = ElementTree.tostring(element).decode().strip()
                assert seen.setdefault(name, text) == text, name


def test_every_colour_of_a_figure_has_its_twin_for_the_dark(figures):
    for shown in pictures(figures):
        assert set(re.findall(r"(?:fill|stroke): (#\w+)", shown.svg())) <= COLOURS, shown.name
    assert all(f'"fill: {colour}"' in picture.DARK_STYLE for colour in COLOURS)


def test_the_users_matplotlib_style_neither_leaks_in_nor_is_changed(costs):
    before = costs.figures.loss().svg()
    with matplotlib.rc_context({"text.color": "red", "axes.facecolor": "black", "axes.grid": True, "font.size": 30}):
        mine = dict(matplotlib.rcParams)
        assert costs.figures.loss().svg() == before
        assert dict(matplotlib.rcParams) == mine


def test_matplotlib_waits_until_a_figure_is_drawn_and_pyplot_is_never_loaded():
    code = """
import sys
from limpide.figures import Picture, Table
assert "matplotlib" not in sys.modules
Picture("n", "t", "c", Table(("a",), ((1,),)), lambda sheet: sheet.axes(1, 1).plot([1, 2])).svg()
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_loss_shows_the_history_and_the_running_average_under_its_own_name(costs):
    shown = costs.figures.loss()
    assert [row[:3] for row in shown.table.rows] == [(e.epoch, e.train_loss, e.validation_loss) for e in costs.history]
    assert "running average" not in shown.svg()
    assert "running average" in costs.figures.loss(running=True).svg()
    assert f"best: epoch {costs.stop.best_epoch}" in shown.svg()


def test_the_loss_of_a_run_that_diverged_is_drawn_as_far_as_it_goes(costs):
    last = costs.history[-1]
    broken = replace(last, epoch=4, train_loss=math.inf, validation_loss=math.nan)
    run = replace(costs, history=[*costs.history, broken], stop=Stop("diverged", 3, 3, last.validation_loss))
    assert "nan" not in run.figures.loss().svg().lower()


def test_a_loss_that_falls_far_gets_plain_numbers_on_a_logarithmic_axis(costs):
    history = [replace(costs.history[0], epoch=e, train_loss=10.0**-e, validation_loss=2 * 10.0**-e) for e in (1, 2, 3)]
    svg = replace(costs, history=history).figures.loss().svg()
    assert ">0.01<" in svg
    assert ">0.1<" in svg
    assert "logarithmic" in svg


def test_a_history_of_one_epoch_is_a_dot(costs):
    assert "<use" in replace(costs, history=costs.history[:1], stop=Stop("epochs", 1, 1, 1.0)).figures.loss().svg()


def test_the_confusion_matrix_shows_every_count_that_is_not_zero(digits):
    shown = digits.figures.confusion()
    counts = np.asarray(digits.test.confusion)
    assert np.array_equal([row[1:] for row in shown.table.rows], counts)
    written = [element.text for element in ElementTree.fromstring(shown.svg(titled=False)).iter() if element.text]
    for n in counts[counts > 0]:
        assert str(n) in written


def test_an_arrow_is_drawn_for_each_large_error_and_for_no_other(costs):
    errors = np.abs(costs.test_outputs - costs.test_truth)
    limit = float(np.sort(errors)[-6])
    svg = costs.figures.prediction_vs_truth(large=limit).svg(dark=False)
    assert svg.count(f"fill: {picture.RED}") == 5
    assert "The red arrows are the 5 errors larger than" in svg
    assert picture.RED not in costs.figures.prediction_vs_truth(large=1e9).svg(dark=False)


def test_among_many_predictions_the_worst_are_always_drawn(rng):
    truth = rng.normal(size=3_000)
    outputs = truth + rng.normal(size=3_000) * 0.1
    outputs[[17, 2_500]] += 9
    shown = regression.prediction_vs_truth(truth, outputs, np.arange(3_000), "price")
    drawn = [row[0] for row in shown.table.rows]
    assert {17, 2_500} <= set(drawn)
    assert len(drawn) <= 500
    assert "of 3,000 rows are drawn" in shown.caption


def test_predictions_can_lie_one_after_the_other(costs):
    svg = costs.figures.prediction_vs_truth("row", large=1e9).svg(dark=False)
    assert svg.count(f"fill: {picture.GREEN}") == len(costs.test_truth)


def test_the_residuals_count_every_row(costs):
    assert sum(row[2] for row in costs.figures.residuals().table.rows) == costs.test.n


def test_the_mean_of_the_residuals_is_told_from_chance(rng):
    truth = rng.normal(size=400)
    for shift, words in ((0.0, "is no farther from it than chance takes it"), (0.2, "is no work of chance")):
        found = evaluate("regression", truth, truth - shift + 0.5 * rng.normal(size=400))
        assert words in regression.residuals(found, "price").caption


@pytest.mark.parametrize(("low", "high"), [(0.9865, 0.9895), (0.2, 0.9), (0.0, 1.0)])
def test_room_is_left_for_every_tick(low, high):
    axes = Figure().add_axes((0.2, 0.2, 0.7, 0.7))
    axes.set_ylim(low, high)
    show_numbers(axes.yaxis, as_percent=True)
    axes.figure.canvas.draw()
    shown = [tick.get_text() for tick in axes.get_yticklabels()]
    assert number_width(low, high, as_percent=True) >= text_width(shown)


def test_the_baselines_stand_beside_the_network_best_first(costs):
    shown = costs.figures.baselines("rmse")
    assert {row[0] for row in shown.table.rows} == {"the network", "mean", "linear regression", "gradient boosting"}
    values = [float(row[1]) for row in shown.table.rows]
    assert values == sorted(values)


def test_the_roc_table_gives_the_share_found_for_few_false_alarms(moons):
    truth = np.array([0, 0, 1, 1])
    outputs = np.array([[0.9, 0.1], [0.4, 0.6], [0.45, 0.55], [0.2, 0.8]])
    run = replace(moons, evaluations={"test": evaluate("binary", truth, outputs, ("no", "yes"), intervals=False)})
    label, area, *found = run.figures.roc().table.rows[0]
    assert (label, area) == ("yes", pytest.approx(0.75))
    assert found == ["50.0%"] * 5 + ["100.0%"]


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_the_figures_of_classes_exist_for_each_part(digits, part):
    for name in ("confusion", "calibration", "roc"):
        assert getattr(digits.figures, name)(part).table.rows


def test_the_worst_images_are_shown_with_their_truth(digits):
    shown = digits.figures.examples()
    assert len(shown.table.rows) == len(digits.examples)
    assert shown.svg().count("data:image/png;base64") == len(digits.examples)


def test_a_figure_of_the_other_task_says_which_one_to_take(costs, digits):
    with pytest.raises(RunError) as caught:
        costs.figures.confusion()
    message = "figures.confusion: expected a run that predicts classes, got regression; use residuals()"
    assert str(caught.value) == message
    with pytest.raises(RunError) as caught:
        digits.figures.residuals()
    assert (
        str(caught.value) == "figures.residuals: expected a run that predicts numbers, got multiclass; use confusion()"
    )


def test_the_suffix_says_how_a_figure_is_saved(costs, tmp_path):
    shown = costs.figures.loss()
    assert shown.save(tmp_path / "loss.svg").read_text("utf-8") == shown.svg(captioned=True)
    assert shown.save(tmp_path / "loss.png").read_bytes() == shown.png(captioned=True)
    assert shown.save(tmp_path / "loss.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(InputError) as caught:
        shown.save("loss.gif")
    message = "loss.gif: expected a name that ends in .svg, .png or .pdf, got '.gif'; change its ending"
    assert str(caught.value) == message


def test_a_png_has_the_size_its_resolution_promises(costs):
    shown = costs.figures.loss()
    image = Image.open(io.BytesIO(shown.png(dpi=100)))
    assert image.width == round(shown.size[0] * 100)


def test_a_notebook_shows_the_picture_its_caption_and_its_table(costs):
    html = costs.figures.loss()._repr_html_()
    assert all(piece in html for piece in ("<svg", "<figcaption", "<details", "<table"))
    assert costs.figures._repr_html_().count("<figure") == len(costs.figures.names())


def test_french_figures_write_french_numbers(costs):
    i18n.set_language("fr")
    history = [replace(costs.history[0], epoch=e, train_loss=10.0**-e, validation_loss=2 * 10.0**-e) for e in (1, 2, 3)]
    assert ">0,01<" in replace(costs, history=history).figures.loss().svg()


@settings(max_examples=15)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=4, unique=True))
def test_the_words_of_peoples_files_are_drawn_as_they_are(words):
    shown = data.class_balance(dict.fromkeys([*words, "$a_$", "<b>&", "日本"], 3))
    texts = {element.text for element in ElementTree.fromstring(shown.svg()).iter()}
    assert {"$a_$", "<b>&", "日本"} <= texts


def test_names_at_the_ends_of_lines_do_not_overlap():
    from matplotlib.figure import Figure

    axes = Figure(figsize=(5, 3)).add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    name_ends(axes, [(1.0, 0.5, "training", "blue"), (1.0, 0.5, "validation", "red")])
    low, high = sorted(text.xyann[1] for text in axes.texts)
    assert high - low >= picture.TEXT_SIZE


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.7), (1e-9, 1e9), (0.03, 2.0)])
def test_a_logarithmic_axis_has_a_few_ticks_whatever_its_range(low, high):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    axes.set_yscale("log")
    show_powers(axes.yaxis, low, high)
    ticks = axes.yaxis.get_majorticklocs()
    assert 1 <= len(ticks) <= 7
    assert all(low <= tick <= high for tick in ticks)

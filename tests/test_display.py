"""In a notebook: networks, runs, data, trainings, traces and measures as HTML that needs nothing from outside."""

import re
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

import limpide as lp
from limpide.i18n import set_language
from limpide.markup import MOST_ROWS, table

EVIL = '<script>alert("x")</script>'


class Page(HTMLParser):
    """The cells of every table, the tags that are open at the end, and what would be fetched."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.open, self.fetched, self.tags = [], [], [], set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in ("img", "br", "use", "path"):
            self.open.append(tag)
        self.fetched += [value for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def training():
    training = lp.fit("digits", network="conv 2 3x3 pad 1 relu, maxpool 2, flatten, 8 relu, dropout 0.2", epochs=3)
    list(training)
    return training


@pytest.fixture(scope="module")
def trace(training):
    rows = training.job.parts["train"]
    return training.trainer.trace(rows.x[:16], rows.y[:16], lambda path: np.random.default_rng(0))


@pytest.fixture(scope="module")
def run():
    return lp.train("iris", save=False, epochs=3, network="4 relu")


@pytest.mark.parametrize("name", ["training", "trace", "run", "network", "evaluation", "table", "images"])
def test_everything_that_people_look_at_shows_itself_offline(name, request):
    things = {
        "network": lambda: lp.Network.parse("4, 3 relu, 2"),
        "evaluation": lambda: request.getfixturevalue("run").test,
        "table": lambda: lp.open_source("iris"),
        "images": lambda: lp.open_source("digits"),
    }
    thing = things[name]() if name in things else request.getfixturevalue(name)
    html = thing._repr_html_()
    page = Page(html)
    assert page.open == []
    assert all(place.startswith(("data:image/png;base64,", "#")) for place in page.fetched)
    assert "script" not in page.tags
    assert page.rows or name == "images"
    # the page's own colours hold, light or dark; a figure alone brings its own
    assert not re.search(r"(background|color):", re.sub(r"<svg.*?</svg>", "", html, flags=re.DOTALL))


def test_a_trace_is_a_row_for_each_layer_with_the_numbers_of_the_step(training, trace):
    page = Page(trace._repr_html_())
    header, *rows = page.rows
    assert header[:4] == ["layer", "shapes", "least output", "greatest output"]
    assert [row[0] for row in rows] == training.job.network.paths
    assert rows[0][1] == "1×8×8 → 2×8×8"
    assert f"loss {trace.loss:.4g}" in trace._repr_html_()
    for row, layer in zip(rows, trace.layers, strict=True):
        assert float(row[2]) == pytest.approx(layer.output.min(), rel=1e-3, abs=1e-6)
        assert float(row[3]) == pytest.approx(layer.output.max(), rel=1e-3)
        assert float(row[4]) == pytest.approx(np.linalg.norm(layer.grad_output), rel=1e-2)
        found = {
            (key, column): float(size)
            for column in (5, 6)
            for key, size in re.findall(r"(\w+) ([\d.e-]+)", row[column])
        }
        for key, grad in layer.grads.items():
            assert found[key, 5] == pytest.approx(np.linalg.norm(grad), rel=1e-2)
            update = trace.updates[f"{layer.path}.{key}"]
            assert found[key, 6] == pytest.approx(np.linalg.norm(update), rel=1e-2)


def test_a_training_shows_its_layers_and_its_epochs(training):
    page = Page(training._repr_html_())
    epochs = page.rows[-3:]
    assert [row[0].split()[0] for row in epochs] == ["1", "2", "3"]
    assert sum("★" in row[0] for row in epochs) == 1
    assert float(epochs[2][1]) == pytest.approx(training.history[2].train_loss, rel=1e-3)
    assert training.stop.sentence() in training._repr_html_()
    assert "0 of 5 epochs" in lp.fit("iris", epochs=5)._repr_html_()


def test_names_from_files_cannot_reach_the_page():
    frame = pl.DataFrame({EVIL: [1.0, 2.0, 3.0] * 10, "b": ["x", "y", EVIL] * 10})
    dataset = lp.open_source(frame, target="b")
    page = Page(dataset._repr_html_())
    assert page.rows[1][0] == EVIL
    assert "script" not in page.tags
    run = lp.train(frame, target="b", save=False, epochs=1, baselines=False, network="2 relu")
    assert "<script>" not in run._repr_html_()


def test_images_are_shown_with_their_answers():
    html = lp.open_source("digits")._repr_html_()
    assert html.count("<img ") == 12
    assert 'alt="0"' in html
    assert "digits: 1,797 rows, 1×8×8" in html


def test_numbers_and_words_are_the_users(run):
    set_language("fr")
    assert re.search(r"\d,\d", run.test._repr_html_())
    assert not re.search(r">\d+\.\d", run.test._repr_html_())


def test_a_long_table_keeps_its_ends():
    page = Page(table(("n",), [(str(i),) for i in range(200)]))
    cells = [row[0] for row in page.rows[1:]]
    assert len(cells) == MOST_ROWS + 1
    assert (cells[0], cells[30], cells[-1]) == ("0", "⋮", "199")

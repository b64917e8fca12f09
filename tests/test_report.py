import re
from dataclasses import replace
from html.parser import HTMLParser

import polars as pl
import pytest

import limpide as lp
from limpide import i18n
from limpide.data import dataset
from limpide.data.dataset import Note
from limpide.errors import RunError
from limpide.report import LEFT_OUT, render_report

VOID = {"meta", "link", "img", "br", "hr", "input", "path"}


@pytest.fixture(scope="module")
def digits():
    return lp.train("digits", save=False, epochs=3, baselines=False)


@pytest.fixture(scope="module")
def costs():
    return lp.train("production-costs", save=False, epochs=3)


@pytest.fixture(scope="module")
def wine():
    return lp.train("wine", save=False, epochs=5)


@pytest.fixture(params=["digits", "costs", "wine"])
def run(request):
    return request.getfixturevalue(request.param)


class Page(HTMLParser):
    """A page read strictly: tags closed in order, what it fetches, what it links to, its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert tag in VOID or self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_report_is_well_formed_and_names_no_element_twice(run):
    page = Page(render_report(run))
    assert page.open == []
    names = [attributes["id"] for tag, attributes in page.tags if "id" in attributes and tag in ("section", "h2")]
    assert len(names) == len(set(names))


def test_the_report_fetches_nothing(run):
    text = render_report(run)
    for _tag, attributes in Page(text).tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "poster", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:")), attributes
    assert not re.search(r"@import|<script|<link|<iframe|<object", text)
    # the only url() there is points into the page: a clip path of a figure
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert "default-src 'none'" in text


def test_every_link_of_the_contents_leads_somewhere(run):
    page = Page(render_report(run))
    there = {attributes["id"] for _tag, attributes in page.tags if "id" in attributes}
    links = [attributes["href"] for attributes in page.all("a")]
    assert len(links) > 5
    assert all(link[1:] in there for link in links)


def test_the_first_thing_a_keyboard_meets_is_the_way_to_the_result(costs):
    assert Page(render_report(costs)).all("a")[0] == {"class": "skip", "href": "#result"}


def test_every_picture_has_words_and_every_chart_a_table(run):
    page = Page(render_report(run))
    charts = [attributes for attributes in page.all("svg") if attributes.get("role") == "img"]
    assert charts
    assert all(attributes.get("aria-label") for attributes in charts)
    assert len(page.all("details")) == len(charts)
    assert all(attributes.get("alt") for attributes in page.all("img"))
    assert all("aria-hidden" in attributes for attributes in page.all("svg") if attributes not in charts)


def test_the_report_says_what_the_run_is_worth_and_how_it_was_made(run):
    text = Page(render_report(run)).text
    assert run.verdict in text
    assert i18n.format_count(run.network.n_parameters) in text
    for row in run.network.table():
        assert row.arithmetic in text
    for choice in run.inferences:
        assert choice.why in text
    for row in run.preparation.rows():
        assert row.treatment in text
    for column in run.columns:
        assert column.name in text
    for value in run.environment.values():
        assert value in text
    assert f'source = "{run.dataset_name}"' in text


def test_the_verdict_and_the_main_metric_come_first(costs):
    text = Page(render_report(costs)).text
    places = [text.index(words) for words in (costs.verdict, "95% interval", "The data", "Preparation", "The training")]
    assert places == sorted(places)


def test_the_worst_rows_are_shown_with_their_values(costs):
    text = Page(render_report(costs)).text
    worst = costs.examples[0]
    assert worst.truth in text
    assert worst.prediction in text
    assert all(value in text for value in worst.values.values())


def test_the_worst_images_are_shown(digits):
    page = Page(render_report(digits))
    shown = {attributes["src"].removeprefix("data:image/png;base64,") for attributes in page.all("img")}
    assert {example.png for example in digits.examples} <= shown
    assert {png for _label, png in digits.image_samples} <= shown


def test_the_report_of_digits_is_light(digits):
    assert len(render_report(digits).encode()) < 400_000


def test_the_report_is_the_same_each_time(run):
    assert render_report(run) == render_report(run)


def test_warnings_stand_at_the_top_and_notes_below(costs):
    notes = [Note("info", "x0", "read as a number"), Note("warning", "x1", "half of it is missing")]
    text = Page(render_report(replace(costs, notes=notes))).text
    assert text.index("half of it is missing") < text.index("The data") < text.index("read as a number")


def test_the_words_of_peoples_files_cannot_become_html(costs):
    text = render_report(replace(costs, dataset_name="<script>alert(1)</script>", told="<b>", evaluations=_read(costs)))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "&lt;b&gt;" in text


def _read(run):
    """The evaluations of a run as a folder gives them back."""
    return {name: type(each).from_dict(each.to_dict()) for name, each in run.evaluations.items()}


def test_a_run_read_from_its_folder_gives_the_same_report(costs, tmp_path):
    costs.save(tmp_path / "run", report=False)
    assert render_report(lp.load(tmp_path / "run")) == render_report(costs)


def test_a_run_without_baselines_or_notes_has_a_report(costs):
    page = Page(render_report(replace(costs, baselines={}, notes=[], examples=[], inferences=[])))
    assert "beside simpler models" in page.text
    assert "#worst" not in [attributes["href"] for attributes in page.all("a")]


def test_a_run_whose_rows_leave_every_r2_undefined_has_a_report(tmp_path):
    """One row in each part: no metric has a value in any epoch, nor beside the baselines."""
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]})
    run = lp.train(frame, target="y", epochs=3, out=tmp_path / "run", engine="numpy")
    assert [epoch.validation["r2"] for epoch in run.history] == [None] * 3
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_report_without_a_place_is_refused(costs, tmp_path):
    unsaved = replace(costs, path=None)
    with pytest.raises(RunError, match="expected a path, got a run that is not saved; give one, or save the run"):
        unsaved.report()
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="expected a file that can be written"):
        unsaved.report(tmp_path / "file" / "report.html")


def test_the_language_asked_for_lasts_as_long_as_the_report(costs):
    assert Page(render_report(costs, "fr")).all("html") == [{"lang": "fr"}]
    assert i18n.get_language() == "en"


def test_every_kind_of_column_is_explained():
    assert set(LEFT_OUT) == set(dataset.KINDS) - set(dataset.FEATURE_KINDS)
    assert set(dataset.KIND_WORDS) == set(dataset.KINDS)

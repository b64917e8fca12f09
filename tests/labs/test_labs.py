"""Every lab says the same in both languages, runs, and finds what is recorded."""

import ast
import json
import re

import pytest

from limpide import i18n
from limpide.__main__ import main
from limpide.errors import MissingData, MissingPackage
from limpide.labs import CLAIMS, LABS, open_lab, run_lab
from limpide.labs.claims import Finding, checks_of, french, in_language
from limpide.labs.lab import FOLDER
from limpide.labs.page import render_page, to_html
from limpide.labs.quiz import read_answer
from limpide.labs.scripts import to_notebook, to_script

# Claims that nothing short of the whole experiment decides: three trainings on all of MNIST.
ONLY_FULL = {"cnn-all-excellent"}

EVERY_LAB = pytest.mark.parametrize("lab", LABS.values(), ids=LABS)


@EVERY_LAB
def test_the_story_has_the_same_blocks_in_both_languages(lab):
    english, french = lab.story("en"), lab.story("fr")
    assert [b.kind for b in english] == [b.kind for b in french]
    assert [b.names for b in english] == [b.names for b in french]
    for one, other in zip(english, french):
        assert re.findall(r"^#+ ", one.text, re.MULTILINE) == re.findall(r"^#+ ", other.text, re.MULTILINE)
        assert one.text.count("$") == other.text.count("$")


@EVERY_LAB
def test_the_story_shows_each_cell_once_in_the_order_of_the_code(lab):
    shown = [name for block in lab.story("en") if block.kind == "cell" for name in block.names]
    assert shown == [name for name in lab.cells if name]


@EVERY_LAB
def test_every_claim_of_a_lab_is_known_and_has_a_check(lab):
    assert len(set(lab.claims)) == len(lab.claims)
    assert set(lab.claims) <= set(CLAIMS)
    assert set(checks_of(lab.folder)) == set(lab.claims)


@EVERY_LAB
def test_a_lab_runs_and_finds_what_is_recorded(lab, request):
    if "mnist" in (lab.folder / "cells.py").read_text("utf-8"):
        request.getfixturevalue("mnist_folder")
    done = run_lab(lab)
    assert set(done.missing) <= ONLY_FULL
    assert not [(claim.id, found) for claim, found in done.disagreements()]
    assert set(done.findings) | set(done.missing) == set(lab.claims)
    assert all(found.evidence for found in done.findings.values())
    assert all(cell.shown for cell in done.cells.values() if "show(" in cell.code)
    for lang in ("en", "fr"):
        i18n.set_language(lang)
        page = render_page(done)
        assert "http://www.w3.org" in page or "<math" not in page
        assert not re.findall(r'(?:src|href)="(?!#|data:)', page)


@EVERY_LAB
def test_each_question_has_a_right_answer_and_explains_the_wrong_ones(lab):
    assert lab.quiz
    for question in lab.quiz:
        for lang in ("en", "fr"):
            i18n.set_language(lang)
            assert question.text
            if question.value is not None:
                assert question.why
                assert question.grade(question.value) == (True, [question.why])
                for wrong, why in question.mistakes:
                    assert question.grade(wrong) == (False, [why[lang]])
                continue
            right = [i for i, answer in enumerate(question.answers) if answer.is_right]
            assert right
            assert len(right) < len(question.answers)
            assert question.grade(right)[0]
            for i, answer in enumerate(question.answers):
                assert answer.text
                assert answer.why
                if not answer.is_right:
                    assert question.grade([i]) == (False, [answer.why])


@EVERY_LAB
def test_the_claims_and_titles_are_in_both_languages(lab):
    assert set(lab.titles) == set(lab.aims) == {"en", "fr"}
    for name in lab.claims:
        texts = french()[name]
        assert set(texts) <= {"statement", "setup", "reported", "verified", "note"}
        assert texts["statement"]
        assert "note" in texts or not re.search("[a-z]{4}", CLAIMS[name].note)
        assert in_language(CLAIMS[name], "fr").statement == texts["statement"]


@EVERY_LAB
def test_the_script_and_the_notebook_hold_the_code(lab):
    for lang in ("en", "fr"):
        i18n.set_language(lang)
        script, notebook = to_script(lab), json.loads(to_notebook(lab))
        ast.parse(script)
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        assert len(code) == len(lab.cells)
        for cell in code:
            assert "".join(cell["source"]) in script


def test_a_wrong_check_is_told(monkeypatch, capsys, tmp_path):
    lab = next(iter(LABS.values()))
    false = {name: lambda: Finding("not reproducible", "nothing") for name in lab.claims}
    monkeypatch.setattr("limpide.labs.running.checks_of", lambda folder: false)
    assert main(["labs", "run", lab.name, "--out", str(tmp_path)]) == 1
    assert f"✗ {lab.claims[0]}: nothing" in capsys.readouterr().out


def test_what_lacks_its_data_or_a_package_is_left_out_and_told(monkeypatch, capsys, tmp_path):
    lab = next(iter(LABS.values()))
    first, second, *others = lab.claims
    real = checks_of(lab.folder)

    def no_data():
        raise MissingData("digits.gz: not here")

    def no_package():
        raise MissingPackage("engine torch: not here")

    lacking = real | {first: no_data, second: no_package}
    monkeypatch.setattr("limpide.labs.running.checks_of", lambda folder: lacking)
    names = list(lab.cells)
    monkeypatch.setitem(lab.cells, names[-1], "from limpide.errors import MissingData\nraise MissingData('no digits')")
    done = run_lab(lab)
    assert done.missing == {
        names[-1]: "no digits",
        first: "digits.gz: not here",
        second: "engine torch: not here",
    }
    assert set(done.findings) == set(others)
    page = render_page(done)
    assert page.count("Not recomputed here") == 2
    assert "no digits" in page
    assert main(["labs", "run", lab.name, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "1 step left out: digits.gz: not here" in out


def test_all_labs_run_one_after_the_other_and_are_summed_up(monkeypatch, capsys, tmp_path):
    few = {name: LABS[name] for name in ("one-neuron", "forward-pass")}
    monkeypatch.setattr("limpide.labs.lab.LABS", few)
    assert main(["labs", "run", "all", "--out", str(tmp_path)]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(lab.title) for line, lab in zip(lines, few.values()))
    n = sum(len(lab.claims) for lab in few.values())
    assert last.startswith(f"2 labs: {n} claims recomputed, 0 otherwise than recorded; ")
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(few)


def test_a_lab_that_cannot_be_written_is_told(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    for words in (["labs", "export", "one-neuron"], ["labs", "exercise", "rn-1"]):
        assert main([*words, "--out", str(tmp_path / "file" / "x")]) == 2
        assert "expected a file that can be written" in capsys.readouterr().err


def test_labs_are_found_by_name_and_number_and_a_wrong_name_is_told(capsys):
    first = next(iter(LABS.values()))
    assert open_lab(first.name) is open_lab("1") is first
    assert main(["labs", "run", first.name[:-1]]) == 2
    assert f'did you mean "{first.name}"' in capsys.readouterr().err


def test_every_folder_is_a_lab():
    assert {lab.folder for lab in LABS.values()} == {p for p in FOLDER.iterdir() if re.match(r"\d\d_", p.name)}


def test_formulas_become_mathml_and_raw_html_does_not_pass():
    html = to_html("a $x^2$ <script>alert(1)</script>")
    assert "<msup>" in html
    assert "<script>" not in html


def test_the_errata_list_what_is_wrong(capsys):
    assert main(["labs", "errata", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert len(json.loads(line)["errata"]) == sum(claim.verdict == "wrong" for claim in CLAIMS.values())


def test_the_right_answer_is_first_no_more_often_than_others():
    asked = [question.answers for lab in LABS.values() for question in lab.quiz if question.answers]
    places = [[answer.is_right for answer in answers].index(True) for answers in asked]
    fair = sum(sum(answer.is_right for answer in answers) / len(answers) for answers in asked)
    assert places.count(0) < 1.3 * fair
    assert set(places) >= {0, 1, 2}


@pytest.mark.parametrize(
    ("lang", "text", "value"),
    [("en", "3,072", 3072), ("en", "0,5", 0.5), ("en", "-1,250.5", -1250.5), ("fr", "3 072", 3072),
     ("fr", "250\u202f000", 250_000), ("fr", "3,072", 3.072), ("fr", "\u22120,75", -0.75)],
)  # fmt: skip
def test_an_answer_is_read_as_people_write_numbers(lang, text, value):
    i18n.set_language(lang)
    assert read_answer(text) == value


def test_a_quiz_in_the_terminal_counts_what_is_right(monkeypatch, capsys):
    lab = open_lab("one-neuron")
    (choices,) = [question.answers for question in lab.quiz if question.answers]
    right = [answer.is_right for answer in choices].index(True) + 1
    words = iter(["-1,1", str(right)])
    monkeypatch.setattr("click.prompt", lambda *a, **k: next(words))
    assert main(["labs", "quiz", lab.name]) == 1
    out = capsys.readouterr().out
    assert "The bias is missing." in out
    assert "1 of 2 right" in out


def test_every_claim_and_every_system_of_the_documents_is_in_one_lab():
    assert sorted(name for lab in LABS.values() for name in lab.claims) == sorted(CLAIMS)
    assert sorted(number for lab in LABS.values() for number in lab.systems) == list(range(1, 64))

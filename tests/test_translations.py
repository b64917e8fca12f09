"""The French: nothing missing, nothing English left, every blank in its place, the typography of a French page."""

import ast
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

import limpide as lp
from limpide import errors, i18n
from limpide.errors import problem
from limpide.evaluation import format_metric
from limpide.i18n import _, format_count, format_decimal, format_number, format_percent, ngettext, set_language
from limpide.report import render_report

HOME = Path(lp.__file__).parent
PO = i18n.LOCALE_FOLDER / "fr" / "LC_MESSAGES" / "limpide.po"
MODULES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(HOME.rglob("*.py"))}

NBSP, THIN = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"
BLANK = re.compile(r"\{[^{}]*\}")

# Texts that are the same in both languages. A line here that is no longer needed fails.
ALIKE = {
    *("CSV", "Excel", "F1", "F1 (macro)", "JSON", "OpenDocument", "Parquet", "PyTorch", "ROC-AUC", "R²"),
    *("Code", "Note", "Quiz", "budget", "distance", "export", "gradient", "gradients", "minutes", "note", "null"),
    *(
        "place",
        "variable",
        "x",
        "y",
        "{amount} points",
        "RN_2, convolutions",
        "{n} classes",
        "{gap} ± {half}",
        "{metric}, points",
        "{value} ({seconds} s)",
    ),
    *(
        "activation",
        "classes",
        "date",
        "distribution",
        "gradient boosting",
        "images",
        "pixels",
        "test",
        "total",
        "validation",
    ),
    *("schedule", "warm_up, every, factor", "{size}, stride {stride}"),
    *("centres", "convolution", "correction", "dense", "divergence", "figure", "options", "question"),
    *("score", "softmax", "source", "z", "{evidence}. {advice}"),
}

# What a message may quote as it is: packages and the commands that install them.
CODE = re.compile(r"numba|torch|pip install [^ ]+")


def forms(text):
    """The singular alone, or the singular and the plural."""
    return (text,) if isinstance(text, str) else tuple(text)


@pytest.fixture(scope="module")
def catalogue():
    with PO.open("rb") as file:
        return read_po(file, locale="fr")


@pytest.fixture(scope="module")
def pairs(catalogue):
    """Every English form beside its French one."""
    return [
        pair
        for message in catalogue
        if message.id
        for pair in zip(forms(message.id), forms(message.string), strict=True)
    ]


# ------------------------------------------------------------------------------------------------------- what there is


def name_of(call):
    """The last word of what is called: `print` of `console.print(...)`."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def calls(*names):
    """Every call of a function of these names in the sources, with where it stands."""
    for path, module in MODULES.items():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and name_of(node) in names:
                yield f"{path.relative_to(HOME)}:{node.lineno}", node


def texts_of_the_sources():
    """What is given to `_`, `N_` and `ngettext`, in Python and in the templates."""
    for _place, call in calls("_", "N_", "ngettext"):
        literals = tuple(word.value for word in call.args[:2] if isinstance(word, ast.Constant))
        if literals and name_of(call) == "ngettext":
            yield literals
        elif literals:
            yield literals[0]
    reader = jinja2.Environment(extensions=["jinja2.ext.i18n"])
    for path in (HOME / "templates").glob("*.html"):
        for _line, _function, text in reader.extract_translations(path.read_text("utf-8")):
            yield text


def test_the_french_has_every_text_of_the_sources_and_no_other(catalogue):
    asked = {forms(text) for text in texts_of_the_sources()}
    given = {forms(message.id) for message in catalogue if message.id}
    assert asked - given == set(), "python3 dev.py translate gathers them"
    assert given - asked == set(), "python3 dev.py translate drops them"


def test_every_text_has_its_french(catalogue):
    lacking = [m.id for m in catalogue if m.id and (m.fuzzy or not all(map(str.strip, forms(m.string))))]
    assert lacking == []
    assert not catalogue.obsolete


def test_what_is_read_is_what_was_written(catalogue):
    made = io.BytesIO()
    write_mo(made, catalogue)
    assert PO.with_suffix(".mo").read_bytes() == made.getvalue(), "python3 dev.py translate compiles it"


def test_only_names_and_words_of_both_languages_are_the_same_in_french(pairs):
    assert {english for english, french in pairs if english == french} == ALIKE


# ----------------------------------------------------------------------------------------------------- what it is like


def test_the_blanks_of_a_text_are_those_of_its_french(pairs):
    """Each as often as the sentence needs it: French may name a thing twice where English does once."""
    assert [english for english, french in pairs if set(BLANK.findall(english)) != set(BLANK.findall(french))] == []


def test_pieces_of_a_sentence_join_as_in_english(pairs):
    """A leading or closing space counts where pieces are put together; so do the paragraphs of a help page."""

    def joints(text):
        return text.startswith(" "), text.endswith(" "), text.count("\n\n"), text.count("\n")

    assert [english for english, french in pairs if joints(english) != joints(french)] == []


def test_french_punctuation_keeps_its_distance(pairs):
    faults = {
        "a colon without a no-break space": rf"(?<!{NBSP}):(?=\s|$)",
        "; ! or ? without a narrow no-break space": rf"(?<!{THIN})[;!?](?=[\s)]|$)",
        "a guillemet without a no-break space": rf"«(?!{NBSP})|(?<!{NBSP})»",
        "% without a narrow no-break space": rf"(?<=[\d}}])%|[ {NBSP}]%",
        "a straight apostrophe": r"(?<=[^\W\d_])'(?=[\w{«])",
        "a thousand without a narrow no-break space": r"\d \d{3}\b|(?<![\d,])[1-9]\d{0,2},\d{3}\b",
        "two blanks": r"\s\s(?<!\n\n)(?<!\n\t)",
    }
    for fault, pattern in faults.items():
        assert [french for _english, french in pairs if re.search(pattern, french)] == [], fault


def test_english_sets_the_percent_sign_without_a_space(pairs):
    texts = [english for english, _french in pairs]
    folders = [HOME / "labs", HOME.parents[1] / "docs" / "en"]
    pages = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".md", ".toml")]
    texts += [path.read_text("utf-8") for path in pages if ".fr." not in path.name]
    assert [text for text in texts if re.search(r"[\d}] %", text)] == []


@pytest.mark.parametrize(("n", "text"), [(0, "0 ligne"), (1, "1 ligne"), (2, "2 lignes"), (1000, "1\u202f000 lignes")])
def test_none_is_singular_in_french(catalogue, n, text):
    assert (catalogue.num_plurals, catalogue.plural_expr) == (2, "(n > 1)")
    set_language("fr")
    assert ngettext("{n} row", "{n} rows", n).format(n=format_count(n)) == text


# ------------------------------------------------------------------------------------------------- no English left over


def words_in(node):
    """The text of a literal or an f-string, its blanks left out; nothing of any other expression."""
    pieces = node.values if isinstance(node, ast.JoinedStr) else [node]
    return " ".join(p.value for p in pieces if isinstance(p, ast.Constant) and isinstance(p.value, str))


def is_prose(node):
    text = words_in(node).strip()
    return bool(re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}|^[a-z]{3,}$", text)) and not CODE.fullmatch(text)


ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}

# What a person reads: the calls that show it, and which of their arguments.
SHOWN = {
    "problem": slice(1, 4),
    "Note": slice(2, 3),
    "complain": slice(0, 1),
    "echo": slice(0, 1),
    "add_column": slice(0, 1),
    "set_xlabel": slice(0, 1),
    "set_ylabel": slice(0, 1),
    "Spinner": slice(1, 2),
    **dict.fromkeys(ERRORS - {"UnknownName"}, slice(0, None)),
}


def test_what_people_read_passes_through_the_catalogue():
    shown = [(place, word) for place, call in calls(*SHOWN) for word in call.args[SHOWN[name_of(call)]]]
    shown += [(place, k.value) for place, call in calls("command", "option", "group") for k in call.keywords
              if k.arg in ("help", "epilog", "short_help")]  # fmt: skip
    assert len(shown) > 200
    assert [f"{place}: {words_in(word)}" for place, word in shown if is_prose(word)] == []


def test_a_text_is_filled_in_after_its_translation_is_found():
    """`_(f"...")` and `_("...".format(...))` would look for a text that stands in no catalogue."""
    marked = [(place, word) for place, call in calls("_", "N_", "ngettext") for word in call.args[:2]]
    assert [place for place, word in marked if isinstance(word, (ast.JoinedStr, ast.BinOp, ast.Call))] == []


@pytest.mark.parametrize("source", ["production-costs", "wine"])
def test_a_run_made_in_french_is_reported_in_french(source, pairs):
    set_language("fr")
    run = lp.train(source, save=False, epochs=2)
    page = render_report(run)
    assert '<html lang="fr">' in page
    whole = [english for english, french in pairs if english.count(" ") >= 3 and "{" not in english]
    assert [english for english in whole if english in page] == []
    assert "L’entraînement" in page
    assert "les 2 époques sont faites ; les poids de l’époque" in run.stop.sentence().replace(THIN, " ")


# ------------------------------------------------------------------------------------------------------- how it reads


def test_problems_read_well_in_french():
    set_language("fr")
    where, mend = _("layer {path}").format(path="3.dense"), _("put a flatten before it")
    assert problem(where, _("a flat input (features,)"), "8×8×4", mend) == (
        "couche 3.dense\u00a0: il faut une entrée plate (features,)\u202f; reçu\u00a0: 8×8×4\u202f; "
        "placer un flatten avant cette couche"
    )
    with pytest.raises(lp.LimpideError) as caught:
        lp.Network.parse("4, 3 rleu")
    assert str(caught.value) == (
        "réseau, élément 2\u00a0: nom «\u00a0rleu\u00a0» inconnu\u202f; peut-être «\u00a0relu\u00a0»\u202f?"
    )
    with pytest.raises(lp.LimpideError) as caught:
        lp.Recipe.from_options("iris", rate=-1, epochs=0)
    assert str(caught.value).splitlines() == [
        "optimizer.rate\u00a0: il faut un nombre supérieur à 0\u202f; reçu\u00a0: -1",
        "training.epochs\u00a0: il faut un nombre d’au moins 1\u202f; reçu\u00a0: 0",
    ]


def test_a_catalogue_names_what_it_lists_in_french():
    set_language("fr")
    with pytest.raises(lp.LimpideError) as caught:
        format_metric("acuracy", 0.5)
    assert str(caught.value) == (
        "métrique\u00a0: nom «\u00a0acuracy\u00a0» inconnu\u202f; peut-être «\u00a0accuracy\u00a0»\u202f?"
    )


def test_numbers_are_written_the_french_way():
    set_language("fr")
    assert format_number(0.0123456) == "0,01235"
    assert format_decimal(1234.5, 2) == "1\u202f234,50"
    assert format_count(401920) == "401\u202f920"
    assert format_metric("accuracy", 0.9722) == "97,2\u202f%"
    assert format_percent(0.00012345, digits=2) == "0,012\u202f%"


@pytest.mark.parametrize(
    ("words", "beginning"),
    [
        (["train"], "✗ Argument manquant\u00a0: 'SOURCE'."),
        (["train", "iris", "--rate", "quick"], "✗ --rate\u00a0: il faut un nombre\u202f; reçu\u00a0: 'quick'"),
        (["trian"], "✗ Commande 'trian' inconnue. Peut-être 'train'\u202f?"),
    ],
)
def test_click_speaks_french_too(words, beginning):
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "limpide", *words, "--lang", "fr"]
    if words == ["trian"]:
        command = [sys.executable, "-m", "limpide", *words]
        environment["LIMPIDE_LANG"] = "fr"
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 2
    assert done.stderr.decode("utf-8").startswith(beginning)

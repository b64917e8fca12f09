"""The command line as real processes: signals, pipes, terminals, languages, what is imported."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from limpide.cli import click_words
from limpide.runs import load

ENDLESS = ["--epochs", "1000000", "--patience", "0", "--no-report", "--no-baselines"]
PLAIN = {"PYTHONUTF8": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}


def start(*words, before="pass", folder=None, **environment):
    """A command as a process of its own, in English unless the environment says otherwise."""
    dropped = ("LIMPIDE_", "LANG", "LC_", "COLUMNS", "NO_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    program = f"import sys; {before}; from limpide.__main__ import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=folder,
        env={**kept, **PLAIN, **environment},
    )


def read_until(process, beginning):
    """The lines of a process up to one that begins so."""
    for line in process.stdout:
        if line.startswith(beginning):
            return
    process.kill()
    pytest.fail(f"no line began with {beginning!r}; on standard error: {process.stderr.read()}")


def finish(process):
    with process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_ctrl_c_keeps_the_best_weights_so_far_and_says_so(tmp_path):
    process = start("train", "iris", *ENDLESS, "--out", tmp_path / "run")
    read_until(process, "epoch 5 of")
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    run = load(tmp_path / "run")
    assert (run.stop.reason, run.stop.epoch) == ("interrupted", len(run.history))
    assert len(run.history) >= 5
    assert run.stop.sentence() in out
    assert run.stop.sentence().startswith("interrupted after epoch")


def test_ctrl_c_before_the_first_epoch_is_over_writes_nothing(tmp_path):
    process = start("train", "digits", *ENDLESS, "--network", "3000 relu, 3000 relu", "--batch", "1", folder=tmp_path)
    read_until(process, "total")
    process.send_signal(signal.SIGINT)
    code, _out, err = finish(process)
    assert (code, err.strip()) == (130, "interrupted: nothing was written")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_early_gets_no_error(tmp_path):
    with start("train", "iris", *ENDLESS, folder=tmp_path) as process:
        read_until(process, "epoch 1 of")
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=120) == 1
    assert list(tmp_path.iterdir()) == []


def test_help_imports_nothing_heavy():
    heavy = ["numpy", "polars", "pydantic", "rich", "sklearn", "scipy", "matplotlib"]
    check = f"import atexit; atexit.register(lambda: print([m for m in {heavy} if m in sys.modules], file=sys.stderr))"
    code, out, err = finish(start("--help", before=check))
    assert (code, err) == (0, "[]\n")
    assert out.startswith("Usage: limpide [OPTIONS] COMMAND ...")
    listed = [line.split()[0] for line in out.partition("Commands:\n")[2].splitlines() if line.startswith("  ")]
    assert listed[:4] == ["train", "resume", "compare", "search"]


def test_the_command_is_a_module_and_its_errors_are_exit_codes():
    done = subprocess.run([sys.executable, "-m", "limpide", "network", "4, 3 rleu"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    done = subprocess.run([sys.executable, "-m", "limpide", "network", "4, 3"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(os.name == "nt", reason="Windows consoles have no pseudo-terminals for tests")
@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal_a_bar_is_drawn_and_nothing_is_wider_than_the_terminal(tmp_path, width):
    import pty

    main_end, other_end = pty.openpty()
    words = ["train", "iris", "--epochs", "400", "--patience", "0", "--no-report", "--no-baselines"]
    process = subprocess.Popen(
        [sys.executable, "-m", "limpide", *words],
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        cwd=tmp_path,
        env={**os.environ, **PLAIN, "COLUMNS": str(width), "TERM": "xterm", "NO_COLOR": "1"},
    )
    os.close(other_end)
    chunks = []
    while True:
        try:
            chunks.append(os.read(main_end, 65536))
        except OSError:  # Linux reports the end of a terminal as an error
            break
        if not chunks[-1]:
            break
    os.close(main_end)
    assert process.wait(timeout=120) == 0
    text = b"".join(chunks).decode("utf-8")
    assert "━" in text
    assert "at most" in text
    assert "epoch 1 of 400:" not in text
    plain = click.unstyle(text).replace("\x1b[2K", "").replace("\x1b[1A", "\n")
    visible = [piece.split("\x1b")[0] for line in plain.splitlines() for piece in line.split("\r")]
    assert max(map(len, visible)) <= width


def test_what_an_encoding_lacks_is_written_as_its_nearest_neighbour():
    code, out, _err = finish(start("network", "28x28, 10", PYTHONIOENCODING="ascii", PYTHONUTF8="0"))
    assert code == 0
    assert "28*28*10 + 10 = 7,850" in out
    assert "28x28 > 784" in out
    code, _out, err = finish(start("network", "28x28, 10 rleu", PYTHONIOENCODING="ascii", PYTHONUTF8="0"))
    assert (code, err) == (2, 'x network, item 2: unknown name "rleu"; did you mean "relu"?\n')


# ------------------------------------------------------------------------------------------------------------ languages


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """A French catalogue of a few texts, ours and click's; the statement that puts it in place."""
    words = Catalog(locale="fr")
    words.add("Options", "Choix")
    words.add("Show this message and exit.", "Montre cette aide.")
    words.add("Leave this column out; may be repeated.", "Laisse cette colonne de côté.")
    words.add("Missing argument", "Il manque l'argument")
    words.add('{where}: unknown name "{name}"; {mend}', "{where} : nom inconnu « {name} » ; {mend}")
    folder = tmp_path_factory.mktemp("locale")
    path = folder / "fr" / "LC_MESSAGES" / "limpide.mo"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        write_mo(file, words)
    return f"import pathlib, limpide.i18n; limpide.i18n.LOCALE_FOLDER = pathlib.Path({str(folder)!r})"


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["train", "--help", "--lang", "fr"], {}),
        (["train", "--help", "--lang=fr"], {}),
        (["--lang", "fr", "train", "--help"], {}),
        (["train", "--help"], {"LC_ALL": "fr_FR.UTF-8"}),
        (["train", "--help"], {"LIMPIDE_LANG": "fr"}),
        (["train", "--help", "--lang", "fr"], {"LANGUAGE": "en", "LIMPIDE_LANG": "en"}),
    ],
)
def test_help_pages_are_in_the_language_asked_for(catalogue, words, environment):
    code, out, _err = finish(start(*words, before=catalogue, **environment))
    assert code == 0
    assert "Choix:" in out
    assert "Montre cette aide." in out
    assert "Laisse cette colonne de côté." in out


def test_english_can_be_asked_for_where_the_system_is_french(catalogue):
    _code, out, _err = finish(start("train", "--help", "--lang", "en", before=catalogue, LC_ALL="fr_FR.UTF-8"))
    assert "Show this message and exit." in out
    assert "Choix" not in out


def test_errors_are_in_the_language_asked_for_clicks_own_too(catalogue):
    code, _out, err = finish(start("train", "--lang", "fr", before=catalogue))
    assert code == 2
    assert err.startswith("✗ Il manque l'argument 'SOURCE'.")
    _code, _out, err = finish(start("network", "4, 3 rleu", "--lang", "fr", before=catalogue))
    assert err.startswith("✗ network, item 2 : nom inconnu « rleu » ; ")


def gettext_texts(source):
    """The first argument of every call of a gettext function in a Python text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "ngettext"):
            yield tuple(ast.literal_eval(word) for word in node.args[:2] if isinstance(word, ast.Constant))


def test_the_words_gathered_from_click_are_the_ones_it_asks_for():
    asked = {
        texts for path in Path(click.__file__).parent.glob("*.py") for texts in gettext_texts(path.read_text("utf-8"))
    }
    gathered = set(gettext_texts(Path(click_words.__file__).read_text("utf-8")))
    assert len(gathered) == len(click_words.click_words())
    assert gathered <= asked

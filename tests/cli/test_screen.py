"""What commands show with."""

import pytest

from limpide.cli.options import recipe_values
from limpide.cli.screen import make_table, natural_width, open_console, printable, sparkline
from limpide.errors import RecipeError


def test_values_of_options_are_read_as_toml_or_as_a_bare_word():
    others = {"momentum": "0.9", "missing": "mean", "standardise": "false", "image_size": "[8, 8]"}
    with pytest.raises(RecipeError, match="momentum"):
        recipe_values({}, others)
    others["optimizer.options.momentum"] = others.pop("momentum")
    assert recipe_values({"rate": None, "epochs": 2, "drop": []}, others) == {
        "training.epochs": 2,
        "preparation.missing": "mean",
        "preparation.standardise": False,
        "preparation.image_size": [8, 8],
        "optimizer.options.momentum": 0.9,
    }


def test_a_sparkline_is_empty_only_where_there_is_nothing():
    assert sparkline([0, 1, 500, 1000]) == " ▁▄█"
    assert sparkline([]) == ""


def test_names_from_files_cannot_move_the_cursor():
    assert printable("\x1b[2Jgone\r\nnext\u202f1") == "\N{REPLACEMENT CHARACTER}[2Jgone next\u202f1"


def test_square_brackets_in_names_are_shown_as_they_are(capsys):
    console = open_console()
    console.print(make_table(("a",), [("[bold]x[/bold] :smile:",)]))
    assert "[bold]x[/bold] :smile:" in capsys.readouterr().out


def test_a_table_knows_the_width_on_which_nothing_wraps(capsys, monkeypatch):
    table = make_table(("a", "b"), [("one word", "three more words")])
    assert natural_width(table) == len("one word") + 2 + len("three more words")
    monkeypatch.setenv("COLUMNS", str(natural_width(table)))
    open_console().print(table)
    assert "one word  three more words" in capsys.readouterr().out

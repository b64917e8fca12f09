"""What a cell shows where it runs as a script or in a notebook."""

from limpide import i18n
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.labs import LABS, run_lab, show
from limpide.labs.claims import CLAIMS, in_language
from limpide.nn.network import Network

TABLE = Table(("series", "loss"), (("first", 0.25), ("second", 12345), ("", -0.0)))


def test_a_table_is_printed_in_columns(capsys):
    show(TABLE)
    assert capsys.readouterr().out.splitlines() == [
        "series    loss",
        "──────  ──────",
        "first     0.25",
        "second  12,345",
        "             0",
    ]
    assert TABLE._repr_html_() == TABLE.html()
    assert str(Table(("a", "bc"), ())).splitlines() == ["a  bc", "─  ──"]


def test_numbers_in_a_table_have_the_marks_of_the_language(capsys):
    i18n.set_language("fr")
    show(Table(("a", "b"), ((0.5, "0.618"), (1.5, "1.5e-05 .. 2.25"))))
    assert capsys.readouterr().out.splitlines()[2:] == ["0,5  0,618", "1,5  1,5e-05 .. 2,25"]


def test_a_network_is_printed_with_its_layers(capsys):
    show(Network.parse("2, 3 relu, 1"))
    out = capsys.readouterr().out
    assert out.startswith("2, 3 relu, 1\n")
    assert "0.dense  3       2·3 + 3 = 9\n" in out
    assert out.endswith("total            13\n")


def test_the_file_of_a_picture_has_a_name_for_every_system(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    lines = {"f": ([0.0, 1.0], [0.0, 1.0])}
    show(plots.lines("x", "L’été, déjà : 1 pas", "", "x", "y", lines))
    assert capsys.readouterr().out == "l-ete-deja-1-pas.png\n"
    assert (tmp_path / "l-ete-deja-1-pas.png").stat().st_size


def test_what_is_found_has_the_marks_of_the_language():
    lab = LABS["losses"]
    assert run_lab(lab, cells=False).findings["mae-temperature"].evidence == "2.4"
    i18n.set_language("fr")
    found = run_lab(lab, cells=False).findings
    assert found["mae-temperature"].evidence == "2,4"
    assert found["bce-signs"].evidence == "+0,1054 +0,2231 +0,5108"
    assert in_language(CLAIMS["mae-temperature"]).reported == "2,4"
    assert in_language(CLAIMS["quiz3-q14-reference"]).reported == "5.4", "a section, not a number"

"""What the house promises about its own text: small parts, thin skins, light imports, nothing of one machine."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import limpide

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "limpide").rglob("*.py"))
PYTHON_FILES = [
    *SOURCES,
    *sorted((ROOT / "tests").rglob("*.py")),
    *sorted((ROOT / "benchmarks").rglob("*.py")),
    ROOT / "dev.py",
]

FILE_LINES = 400
FUNCTION_LINES = 60
COMMAND_LINES = 35

# What may be longer, and why. A line here that is no longer needed fails.
LONG_FILES: dict[str, str] = {
    "src/limpide/data/builtin.py": "a table: a function and a row for each built-in data set",
    "src/limpide/data/columns.py": "what a column is: its kinds, its target, its summary, one after the other",
    "src/limpide/runs.py": "a run and its folder: the form written is read beside the form read",
    "src/limpide/training.py": "the one loop, read from top to bottom, and the two functions that drain it",
    "tests/data/test_corpus_accepted.py": "a table: a row for each file that is read",
    "tests/data/test_corpus_refused.py": "a table: a row for each file that is refused",
    "tests/data/test_images.py": "a test for each way in which an image file can be wrong",
}
LONG_FUNCTIONS: dict[str, str] = {}

# The public API as the README and ARCHITECTURE.md present it.
PUBLIC = {
    "Comparison",
    "Dataset",
    "Doctor",
    "Explanation",
    "LimpideError",
    "Network",
    "NetworkClassifier",
    "NetworkRegressor",
    "Outcome",
    "Recipe",
    "Run",
    "Search",
    "compare",
    "diagnose",
    "explain",
    "find_rates",
    "fit",
    "load",
    "open_source",
    "resume",
    "search",
    "set_language",
    "train",
    "train_many",
}

# What `import limpide` must not load: each belongs to the file that needs it, at the moment it needs it.
HEAVY = {
    "sklearn",
    "scipy",
    "matplotlib",
    "polars",
    "pandas",
    "torch",
    "numba",
    "click",
    "rich",
    "jinja2",
    "PIL",
    "pydantic",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> list[tuple[str, Function]]:
    """Every function of a file, methods and inner ones too, as "path:name"."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [(f"{name_of(path)}:{node.name}", node) for node in nodes if isinstance(node, Function)]


def length(node: Function) -> int:
    """The lines of a function without its docstring: a formula explained at length is no fault."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_source_files_are_found():
    assert {"errors.py", "i18n.py", "catalogue.py"} <= {path.name for path in SOURCES}


def test_no_file_is_longer_than_a_reader_bears():
    long = {name_of(p) for p in PYTHON_FILES if len(p.read_text(encoding="utf-8").splitlines()) > FILE_LINES}
    assert long == set(LONG_FILES)


def test_no_function_is_longer_than_a_screen():
    long = {name for path in PYTHON_FILES for name, node in functions(path) if length(node) > FUNCTION_LINES}
    assert long == set(LONG_FUNCTIONS)


def test_every_exception_to_a_cap_has_its_reason():
    assert all(len(reason.split()) >= 4 for reason in [*LONG_FILES.values(), *LONG_FUNCTIONS.values()])


def test_the_public_names_are_the_documented_ones():
    assert set(limpide.__all__) == PUBLIC
    assert limpide.__all__ == sorted(limpide.__all__)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_loads_and_says_what_it_is(name):
    assert getattr(limpide, name).__doc__


def undocumented(path: Path) -> list[str]:
    """The public classes, functions and methods of a file that have no docstring of their own.

    A method that fulfils what a base class or a protocol describes may stay silent.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = [] if ast.get_docstring(tree) else [name_of(path)]
    for node in tree.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                silent.append(f"{name_of(path)}:{node.name}")
            if isinstance(node, ast.ClassDef) and not node.bases:
                silent += [
                    f"{name_of(path)}:{node.name}.{method.name}"
                    for method in node.body
                    if isinstance(method, Function)
                    and not method.name.startswith("_")
                    and not ast.get_docstring(method)
                ]
    return silent


def test_everything_public_has_a_docstring():
    assert [name for path in SOURCES for name in undocumented(path)] == []


def test_a_command_parses_calls_one_function_and_shows():
    skins = [path for path in SOURCES if path.name in ("cli.py", "__main__.py") or path.parent.name == "cli"]
    assert skins
    assert [name for path in skins for name, node in functions(path) if length(node) > COMMAND_LINES] == []


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "misc"])
def test_no_module_is_named_after_nothing(word):
    assert [name_of(path) for path in SOURCES if path.stem == word or path.parent.name == word] == []


def untranslatable(path: Path) -> list[str]:
    """The calls of `_`, `N_` and `ngettext` whose text the extraction for translators would miss or garble."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    found = []
    for call in calls:
        if not isinstance(call.func, ast.Name) or call.func.id not in ("_", "N_", "ngettext"):
            continue
        texts = call.args[:2] if call.func.id == "ngettext" else call.args
        for text in texts:
            spelled = [
                node for node in ast.walk(text) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
            is_looked_up = isinstance(text, ast.Subscript | ast.Name | ast.Attribute) or not spelled
            if not isinstance(text, ast.Constant) and not (is_looked_up and call.func.id != "N_"):
                found.append(f"{name_of(path)}:{call.lineno}: {ast.unparse(text)[:60]}")
    return found


def test_every_text_for_translators_is_one_plain_string():
    assert [place for path in SOURCES for place in untranslatable(path)] == []


def repository_texts() -> list[tuple[str, str]]:
    """Every text file that git keeps or would keep, by name."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("this is not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    texts = []
    for path in paths:
        if path.is_file() and (data := path.read_bytes()) and b"\0" not in data:
            texts.append((name_of(path), data.decode("utf-8")))
    return texts


# Written in pieces, so that this file does not find itself.
FOREIGN = {
    "the address of a package index": r"(pypi|pythonhosted|anaconda|download\.pytorch)\."
    + r"org|--(extra-)?index"
    + r"-url",
    "a path of one machine": r"(?<![\w.])/(home|Users|work|root)" + r"/\w",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_holds(what):
    pattern = re.compile(FOREIGN[what])
    texts = repository_texts()
    assert texts
    found = [f"{name}: {match.group()}" for name, text in texts for match in pattern.finditer(text)]
    assert found == []


def test_importing_limpide_loads_nothing_heavy():
    loaded = json.loads(run_python("import json, sys, limpide; print(json.dumps(sorted(sys.modules)))"))
    assert HEAVY & {module.split(".")[0] for module in loaded} == set()


def test_the_command_line_starts_without_the_heavy_libraries():
    code = "import json, sys, limpide.cli; print(json.dumps(sorted(sys.modules)))"
    loaded = {module.split(".")[0] for module in json.loads(run_python(code))}
    assert loaded & {"sklearn", "scipy", "matplotlib", "pandas", "torch", "numba"} == set()


def test_every_file_stands_on_a_floor():
    pytest.importorskip("importlinter")
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    assert done.returncode == 0, done.stdout

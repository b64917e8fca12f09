#!/usr/bin/env python3
"""One door to the project on a bare Python: makes `.venv`, installs what the command needs, runs it.

python3 dev.py try                train on real handwritten digits and write a report (small install, no torch)
python3 dev.py limpide ...        the command line of limpide, as if it were installed
python3 dev.py test ...           the whole test suite; what follows goes to pytest
python3 dev.py check              format, lint, types, floors, dependencies, tests
python3 dev.py bench [name ...]   measured ratios: limpide beside PyTorch, scikit-learn and polars
python3 dev.py fuzz [reader ...]  an hour of damaged files through every reader; --minutes N for less
python3 dev.py translate          gather the texts to translate, compile the translations, list what is missing
python3 dev.py docs               build the guide in both languages into docs/_build; a warning fails it
python3 dev.py pin                work out constraints.txt anew from pyproject.toml

The first two install the library alone. The others add the tools and torch, which serves as an outside oracle in the
tests; on Linux its usual wheel brings the CUDA libraries, several gigabytes. Nothing outside `.venv` is touched.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PYTHON_FLOOR = (3, 11)

if sys.version_info < PYTHON_FLOOR:
    needed, got = (".".join(map(str, version[:2])) for version in (PYTHON_FLOOR, sys.version_info))
    sys.exit(
        f"dev.py: expected Python {needed} or newer, got {got}; start it with a newer one, such as python3.12 dev.py"
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "installed-by-dev.txt"
CONSTRAINTS = ROOT / "constraints.txt"
LOCALE = ROOT / "src" / "limpide" / "locale"

CORE: frozenset[str] = frozenset()
TOOLS = frozenset({"dev"})
ALL = frozenset({"dev", "torch"})

# Small products are many times slower when two threads share them on a busy machine.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
# An engine named here that cannot be imported fails the tests instead of skipping them.
TEST_SETTINGS = {**ONE_THREAD, "LIMPIDE_REQUIRE_ENGINES": "numpy,compiled,torch"}

# The checks in the order of `check`: what it is, then the words after `python`.
CHECKS = {
    "format": ["-m", "ruff", "format", "--check", "."],
    "lint": ["-m", "ruff", "check", "."],
    "types": ["-m", "mypy"],
    "floors": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
    "dependencies": ["-m", "deptry", "."],
    "tests": ["-m", "pytest"],
}

# No line numbers, alphabetical order: limpide.po changes only where a text does.
EXTRACT = "--mapping babel.cfg --project limpide --no-location --sort-output --width 110"
UPDATE = "--locale fr --width 110 --init-missing --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date"
BABEL = "import sys; from babel.messages.frontend import main; sys.exit(main())"
# Not Babel's own compile: it takes the "% i" of "95% interval" for a format.
COMPILE = """
import re, sys
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
with open(sys.argv[1], "rb") as file:
    catalogue = read_po(file)
with open(sys.argv[2], "wb") as file:
    write_mo(file, catalogue)
texts = lambda text: [text] if isinstance(text, str) else list(text)
blanks = lambda text: set(re.findall(r"{\\w+|%[(]\\w+", text))
messages = [message for message in catalogue if message.id]
faults = 0
for message in messages:
    english, french = texts(message.id), texts(message.string)
    if message.fuzzy or not all(french):
        fault = "untranslated"
    elif any(blanks(one) != blanks(other) for one, other in zip(english, french)):
        fault = "other {names} than the English"
    else:
        continue
    print(f"  {fault}: {english[0]!r}")
    faults += 1
print(f"{len(messages)} texts, {faults} to translate or mend")
sys.exit(1 if faults else 0)
"""


class Failure(Exception):
    """What went wrong and what to do, in one sentence."""


def run(command: list[str | Path], cwd: Path | None = None, **settings: str) -> int:
    """The exit code of a command that shares this terminal; Ctrl-C is the command's to answer."""
    before = signal.signal(signal.SIGINT, lambda *_: None)  # a handler, not SIG_IGN: a child would inherit that
    try:
        code = subprocess.Popen([str(word) for word in command], cwd=cwd, env={**os.environ, **settings}).wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else 128 - code


# ---------------------------------------------------------------------------------------------------- the environment


def fingerprint() -> str:
    """What an install depends on: the project's two files, and where the tree lies (it is installed in place)."""
    digest = hashlib.sha256(str(ROOT).encode())
    for path in (ROOT / "pyproject.toml", CONSTRAINTS):
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def is_installed(extras: frozenset[str]) -> bool:
    """Whether the stamp says that these extras were installed from the files as they are now."""
    if not STAMP.exists():
        return False
    installed_from, *installed = STAMP.read_text(encoding="utf-8").split()
    return installed_from == fingerprint() and extras <= set(installed)


def is_usable() -> bool:
    """Whether `.venv` holds a Python that starts, is new enough and has pip."""
    question = f"import sys, pip; sys.exit(sys.version_info < {PYTHON_FLOOR})"
    try:
        return subprocess.run([PYTHON, "-c", question], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make_venv() -> None:
    """A new `.venv` of the Python that runs this file.

    Raises  Failure  when the venv module is missing or incomplete, as on a bare Debian
    """
    print(f"dev.py: making {VENV} with Python {'.'.join(map(str, sys.version_info[:3]))}", flush=True)
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", VENV], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        print(made.stdout.strip(), file=sys.stderr)
        raise Failure(
            "expected the Python modules venv and ensurepip, got the error above; "
            "on Debian and Ubuntu: sudo apt install python3-venv"
        )


def install(extras: frozenset[str]) -> None:
    """limpide in place with these extras, at the versions of constraints.txt; the stamp comes last.

    Raises  Failure  when pip fails: its last lines are shown first
    """
    STAMP.unlink(missing_ok=True)
    names = f"[{','.join(sorted(extras))}]" if extras else ""
    print(f"dev.py: installing limpide{names} into {VENV}; the first time takes a minute or more", flush=True)
    pip: list[str | Path] = [
        PYTHON,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
    ]
    started = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(
        [*pip, "--constraint", CONSTRAINTS, "--editable", f"{ROOT}{names}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PIP_USER": "0"},
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            show_progress(lines[-1])
    show_progress("")
    if process.returncode != 0:
        print("\n".join(lines[-25:]), file=sys.stderr)
        raise Failure(
            "expected pip to install limpide, got the error above; check the network connection (or pip's proxy and "
            "index settings), then run the same command again"
        )
    STAMP.write_text(" ".join([fingerprint(), *sorted(extras)]) + "\n", encoding="utf-8")
    print(f"dev.py: installed in {time.monotonic() - started:.0f} s", flush=True)


def show_progress(line: str) -> None:
    """What pip is at, on one line that the next one replaces; nothing in a pipe."""
    steps = ("Collecting", "Downloading", "Installing")
    if not sys.stdout.isatty() or (line and not line.lstrip().startswith(steps)):
        return
    width = shutil.get_terminal_size().columns - 1
    print("\r" + f"  {line.strip()}"[:width].ljust(width) if line else "\r" + " " * width + "\r", end="", flush=True)


def prepare(extras: frozenset[str]) -> None:
    """`.venv` with these extras, made or brought up to date only when it has to be."""
    if not is_usable():
        if VENV.exists():
            print(f"dev.py: {VENV} does not work any more (its Python is gone, too old or without pip)", flush=True)
        make_venv()
    if not is_installed(extras):
        install(extras)


# ------------------------------------------------------------------------------------------------------- the commands


def limpide(arguments: list[str]) -> int:
    """The command line of limpide, where the user stands."""
    prepare(CORE)
    return run([PYTHON, "-m", "limpide", *arguments])


def try_it(arguments: list[str]) -> int:
    """The main job on the digits that come with the library."""
    code = limpide(["train", "digits", *arguments])
    if code == 0:
        print("\nWhat is written limpide above is python3 dev.py limpide here. Now your own table:", flush=True)
        print("  python3 dev.py limpide train FILE.csv --target COLUMN", flush=True)
    return code


def test(arguments: list[str]) -> int:
    """The whole suite, or what the arguments say to pytest."""
    prepare(ALL)
    return run([PYTHON, "-m", "pytest", *arguments], cwd=ROOT, **TEST_SETTINGS)


def check(arguments: list[str]) -> int:
    """Every check, also after one has failed, then one line for each.

    arguments  names of checks; none means all
    """
    unknown = [name for name in arguments if name not in CHECKS]
    if unknown:
        raise Failure(f"check: expected some of {', '.join(CHECKS)}, got {' '.join(unknown)}")
    prepare(ALL)
    outcomes: dict[str, tuple[int, float]] = {}
    for name in arguments or CHECKS:
        print(f"\n=== {name}: python {' '.join(CHECKS[name])}", flush=True)
        started = time.monotonic()
        outcomes[name] = run([PYTHON, *CHECKS[name]], cwd=ROOT, **TEST_SETTINGS), time.monotonic() - started
    print()
    for name, (code, seconds) in outcomes.items():
        print(f"{name:<14}{'passed' if code == 0 else 'FAILED'}  {seconds:6.1f} s")
    return int(any(code for code, _ in outcomes.values()))


def bench(arguments: list[str]) -> int:
    """The benchmarks named, or all."""
    prepare(ALL)
    return run([PYTHON, "-m", "benchmarks", *arguments], cwd=ROOT)


def fuzz(arguments: list[str]) -> int:
    """Damaged files through the readers named, or all; 1 when one crashed."""
    prepare(ALL | {"fuzz"})
    return run([PYTHON, "-m", "benchmarks.fuzz", *arguments], cwd=ROOT)


def translate(arguments: list[str]) -> int:
    """Sources and templates -> limpide.po -> limpide.mo, then what French lacks; exit code 1 if it lacks anything.

    arguments  --check writes nothing and also fails when the two files are not what they would become
    """
    if arguments not in ([], ["--check"]):
        raise Failure(f"translate: expected nothing more or --check, got {' '.join(arguments)}")
    prepare(TOOLS)
    kept = LOCALE / "fr" / "LC_MESSAGES" / "limpide.po"
    with tempfile.TemporaryDirectory() as folder:
        pot, po = Path(folder) / "limpide.pot", Path(folder) / "limpide.po"
        if kept.exists():
            shutil.copy(kept, po)
        steps: list[list[str | Path]] = [
            ["extract", *EXTRACT.split(), "--output-file", pot, "src/limpide"],
            ["update", *UPDATE.split(), "--input-file", pot, "--output-file", po],
        ]
        for step in steps:
            if code := run([PYTHON, "-c", BABEL, "--quiet", *step], cwd=ROOT):
                return code
        missing = run([PYTHON, "-c", COMPILE, po, po.with_suffix(".mo")])
        stale = [name for name in ("limpide.po", "limpide.mo") if is_changed(kept.with_name(name), Path(folder) / name)]
        for name in () if arguments else stale:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(folder) / name, kept.with_name(name))
    if arguments and stale:
        print(f"{', '.join(stale)} behind the texts; run python3 dev.py translate")
        return 1
    return missing


def is_changed(kept: Path, made: Path) -> bool:
    """Whether the file in the repository is absent or differs from the one just made."""
    return not kept.exists() or kept.read_bytes() != made.read_bytes()


def docs(arguments: list[str]) -> int:
    """The guide as web pages, in English and in French; what follows goes to sphinx-build."""
    prepare(TOOLS)
    built = ROOT / "docs" / "_build"
    codes = []
    for tree in ("en", "fr"):
        words: list[str | Path] = ["-W", "--keep-going", "--quiet", "-D", f"language={tree}", "-c", ROOT / "docs"]
        kept: list[str | Path] = ["-d", built / f".{tree}"]
        codes.append(run([PYTHON, "-m", "sphinx", *words, *kept, *arguments, ROOT / "docs" / tree, built / tree]))
        print(f"{built / tree / 'index.html'}" if codes[-1] == 0 else f"docs/{tree}: FAILED", flush=True)
    return int(any(codes))


def pin(arguments: list[str]) -> int:
    """constraints.txt: one resolution for every system and every Python from the floor up.

    torch pins the CUDA packages of its Linux wheel itself, and its CPU wheels have none: they are left out.

    arguments  go to uv, such as --upgrade-package numpy; pins that still fit are kept
    """
    prepare(TOOLS)
    if run([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"]):
        raise Failure("pin: expected pip to install uv, got the error above; check the network connection")
    resolve = ["-m", "uv", "pip", "compile", "pyproject.toml", "--all-extras", "--universal"]
    settings = ["--python-version", "{}.{}".format(*PYTHON_FLOOR), "--no-annotate", "--no-emit-index-url", "--quiet"]
    said = {"UV_CUSTOM_COMPILE_COMMAND": "python3 dev.py pin"}
    code = run([PYTHON, *resolve, *settings, "--output-file", CONSTRAINTS, *arguments], cwd=ROOT, **said)
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("cuda-", "nvidia-", "triton"))]
    CONSTRAINTS.write_text("".join(kept), encoding="utf-8", newline="\n")
    return code


COMMANDS = {
    "try": try_it,
    "limpide": limpide,
    "test": test,
    "check": check,
    "bench": bench,
    "fuzz": fuzz,
    "translate": translate,
    "docs": docs,
    "pin": pin,
}


def main(arguments: list[str]) -> int:
    """The exit code of one command."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(__doc__.strip())
        return 0
    name, *rest = arguments
    try:
        if name not in COMMANDS:
            raise Failure(f"expected one of {', '.join(COMMANDS)}, got {name}; python3 dev.py lists what each does")
        return COMMANDS[name](rest)
    except Failure as failure:
        print(f"dev.py: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ndev.py: interrupted; the same command takes it up again", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

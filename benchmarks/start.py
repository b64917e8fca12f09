"""What it costs to begin: `import limpide` over `import numpy`, and the command line's help."""

from __future__ import annotations

from benchmarks.timing import Comparison, process_seconds, take_turns

N_ROUNDS = 15


def milliseconds(*command: str) -> float:
    """How long a Python process takes."""
    return process_seconds(command) * 1000


def compare() -> list[Comparison]:
    """Whole processes, in milliseconds."""
    took = take_turns(
        {
            "numpy": lambda: milliseconds("-c", "import numpy"),
            "limpide": lambda: milliseconds("-c", "import numpy, limpide"),
            "train": lambda: milliseconds("-c", "import numpy, limpide; limpide.train"),
            "help": lambda: milliseconds("-m", "limpide", "--help"),
        },
        N_ROUNDS,
    )
    return [
        Comparison("import limpide", "import numpy", "ms", took["limpide"], took["numpy"], "more", 150),
        Comparison("import limpide; limpide.train", "import numpy", "ms", took["train"], took["numpy"], "more", None),
        Comparison("limpide --help", "", "ms", took["help"], [], "total", 400),
    ]

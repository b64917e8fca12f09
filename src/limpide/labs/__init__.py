"""Executable lessons: a story in two languages around cells of code that run, claims that are recomputed, and a quiz.

A lab is a folder here:

lab.toml       its systems of the source documents, its title and aim in each language
cells.py       the code, cut into named cells by lines `# %% name`: a script that runs as it is
story.en.md    the story; a line `{cell} name` shows a cell and what it gave, a line `{claims} id ...` claims
story.fr.md    the same in French: the same lines in the same order
claims.fr.toml the French texts of its claims
checks.py       one function for each claim, which recomputes it
quiz.toml      questions in both languages, each wrong answer explained
"""

from limpide.labs.claims import CLAIMS as CLAIMS
from limpide.labs.lab import LABS as LABS
from limpide.labs.lab import Lab as Lab
from limpide.labs.lab import open_lab as open_lab
from limpide.labs.running import LabRun as LabRun
from limpide.labs.running import run_lab as run_lab
from limpide.labs.showing import is_full as is_full
from limpide.labs.showing import show as show

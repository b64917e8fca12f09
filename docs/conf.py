"""Sphinx, for both trees: `docs/en` and `docs/fr` are built with this file, each in the language it is named after.

`python3 dev.py docs` builds both.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

sys.path.insert(0, str(Path(__file__).parent))

from generate import fill, speak

import limpide

project = "limpide"
author = "limpide"
version = release = limpide.__version__
extensions = ["myst_parser"]
myst_heading_anchors = 3
smartquotes = False  # it would join the two hyphens of an option, and French needs spaces of its own
templates_path: list[str] = []
html_theme = "furo"
html_title = "limpide"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"light_css_variables": {"font-stack": "system-ui, sans-serif"}}


def setup(app: Sphinx) -> None:
    """Speak the language of the tree, and fill its pages with what is generated."""
    app.connect("config-inited", choose_language)
    app.connect("source-read", fill_page)


def choose_language(app: Sphinx, config: Config) -> None:
    """The words of the program in the language of the pages; Sphinx has chosen its own words by now."""
    tree = Path(app.srcdir).name
    if config.language != tree:
        raise ConfigError(f"expected -D language={tree} for docs/{tree}, got {config.language}")
    speak(tree)


def fill_page(app: Sphinx, name: str, content: list[str]) -> None:
    """The page with its generated parts."""
    content[0] = fill(content[0])

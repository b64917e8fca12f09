"""What click says by itself, gathered here so that it stands in our translations: click looks for it there."""

from __future__ import annotations

from limpide.i18n import _, ngettext


def click_words() -> list[str]:
    """Every text of click that a command of limpide can come to show, in the user's language."""
    return [
        _("Usage:"),
        _("Options"),
        _("Commands"),
        _("Show this message and exit."),
        _("Show the version and exit."),
        _("Missing command."),
        _("Missing argument"),
        _("Missing option"),
        _("Choose from:\n\t{choices}"),
        _("No such command {name!r}."),
        _("No such option {name!r}."),
        ngettext("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)", 2),
        ngettext("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments.", 2),
        _("Option {name!r} does not take a value."),
        ngettext("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})", 2),
        _("Invalid value for {param_hint}: {message}"),
        ngettext("{value!r} is not {choice}.", "{value!r} is not one of {choices}.", 2),
    ]

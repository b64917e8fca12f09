"""The command line: each command parses, calls one function of the API, and shows what came."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

import limpide
from limpide.cli.checking import check
from limpide.cli.comparing import compare
from limpide.cli.completion import complete_parameters, completion
from limpide.cli.doctor import doctor, rates
from limpide.cli.engines import engines, settings
from limpide.cli.explaining import explain
from limpide.cli.exporting import export
from limpide.cli.figures import figure
from limpide.cli.labs import labs
from limpide.cli.options import lang
from limpide.cli.predictions import evaluate, predict
from limpide.cli.recipes import recipes
from limpide.cli.runs import runs, show
from limpide.cli.screen import complain
from limpide.cli.searching import search
from limpide.cli.training import new, resume, train
from limpide.cli.understanding import data, network
from limpide.distributed import signed
from limpide.errors import LimpideError
from limpide.i18n import _
from limpide.settings import is_set


class _InOrder(click.Group):
    """A group that lists its commands as they were given, not by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    "limpide",
    cls=_InOrder,
    commands=[
        train,
        resume,
        compare,
        search,
        predict,
        evaluate,
        runs,
        show,
        figure,
        check,
        explain,
        doctor,
        rates,
        data,
        new,
        recipes,
        network,
        engines,
        settings,
        completion,
        export,
        labs,
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar=_("COMMAND ..."),
    help=_("Train neural networks on your own tables and images, and see every number they compute."),
    epilog=_("Begin with: limpide train digits"),
)
@click.version_option(limpide.__version__, message="limpide %(version)s")
@lang
def group() -> None:
    """The words after `limpide`."""


complete_parameters(group)


def run(words: Sequence[str]) -> int:
    """Run a command; what goes wrong is told in a line, and gives the exit code.

    LIMPIDE_DEBUG=1 shows where an error came from.
    """
    try:
        code = group.main(list(words) or ["--help"], prog_name="limpide", standalone_mode=False)
        sys.stdout.flush()
        return code or 0
    except click.Abort:
        raise KeyboardInterrupt from None
    except BrokenPipeError:
        # the reader left; what is still buffered for it must not fail again when Python closes the stream
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except click.ClickException as error:
        complain([error.format_message()])
        if isinstance(error, click.UsageError) and error.ctx is not None:
            hint = _("{command} --help tells more").format(command=error.ctx.command_path)
            print(" ", hint, file=sys.stderr)
        return error.exit_code
    except LimpideError as error:
        _trace()
        complain(signed(error.problems))
        return error.exit_code
    except Exception as error:
        _trace()
        hint = "" if is_set("LIMPIDE_DEBUG") else _("; LIMPIDE_DEBUG=1 shows where")
        complain([_("unexpected error: {kind}: {text}{hint}").format(kind=type(error).__name__, text=error, hint=hint)])
        return 1


def _trace() -> None:
    if is_set("LIMPIDE_DEBUG"):
        traceback.print_exc()

"""`limpide completion`: a shell completes commands, options, data sets, engines, losses, optimizers and run folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from glob import escape, glob
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from limpide.cli.options import lang
from limpide.i18n import _

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    help=_(
        "Print the script by which a shell completes what is typed after limpide.\n\n"
        'In ~/.bashrc or ~/.zshrc: eval "$(limpide completion bash)", or zsh in its place. In '
        "~/.config/fish/config.fish: limpide completion fish | source"
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
@lang
def completion(context: click.Context, shell: str) -> None:
    """The script asks limpide itself, through a variable that click reads."""
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(context.find_root().command, {}, "limpide", "_LIMPIDE_COMPLETE").source())


def data_sets() -> Iterable[str]:
    """The names of the built-in data sets."""
    from limpide.data.builtin import BUILTIN

    return BUILTIN


def engines() -> Iterable[str]:
    """What `--engine` takes."""
    from limpide.engines.base import ENGINES

    return ["auto", *ENGINES]


def losses() -> Iterable[str]:
    """What `--loss` takes."""
    from limpide.nn.losses import LOSSES

    return LOSSES


def optimizers() -> Iterable[str]:
    """What `--optimizer` takes."""
    from limpide.nn.optimizers import OPTIMIZERS

    return OPTIMIZERS


def loggers() -> Iterable[str]:
    """What `--log` takes."""
    from limpide.loggers import LOGGERS

    return LOGGERS


def splits() -> Iterable[str]:
    """What `--split` takes."""
    from typing import get_args

    from limpide.recipe import SplitSection

    methods = SplitSection.model_fields["method"].annotation
    return [word for part in get_args(methods) for word in get_args(part)]


def run_folders(begun: str) -> Iterator[str]:
    """The run folders, finished or not, whose path begins like this: those here, and those one folder down."""
    for kept in ("metrics.json", "progress.safetensors"):
        for depth in ("*", "*/*"):
            yield from (str(Path(place).parent) for place in glob(f"{escape(begun)}{depth}/{kept}"))


class Completed(click.ParamType[Any]):
    """A parameter's type, completed by names.

    names  all there are, or those that go on from what was begun
    kind   what the shell completes by itself where no name fits: "file", "dir", or "" for nothing
    """

    def __init__(self, inner: click.ParamType[Any], names: Callable[[str], Iterable[str]], kind: str = "") -> None:
        self.inner, self.names, self.kind = inner, names, kind
        self.name = inner.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As the type itself."""
        return self.inner.convert(value, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        """The shell's own completion first: bash forgets what came before it."""
        found = sorted({name for name in self.names(incomplete) if name.startswith(incomplete)})
        own = [CompletionItem(incomplete, type=self.kind)] if self.kind else []
        return [*own, *(CompletionItem(name) for name in found)]


BY_OPTION: dict[str, Callable[[], Iterable[str]]] = {
    "--engine": engines,
    "--log": loggers,
    "--loss": losses,
    "--optimizer": optimizers,
    "--split": splits,
}


def complete_parameters(command: click.Command) -> None:
    """Let a command, and those in it, be completed: options by their name, RUN and SOURCE wherever they stand."""
    for inner in getattr(command, "commands", {}).values():
        complete_parameters(inner)
    for param in command.params:
        if isinstance(param, click.Option):
            names = next((BY_OPTION[word] for word in param.opts if word in BY_OPTION), None)
            if names is not None:
                param.type = Completed(param.type, lambda _begun, names=names: names())  # type: ignore[misc]
        elif param.metavar == "RUN":
            param.type = Completed(param.type, run_folders, "dir")
        elif param.name in ("source", "sources"):
            param.type = Completed(param.type, lambda _begun: data_sets(), "file")

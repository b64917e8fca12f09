"""A training as it goes: a bar on a terminal, one plain line for each epoch in a pipe."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from limpide.cli.screen import Drawing, labelled
from limpide.data.downloads import WATCH
from limpide.i18n import _, format_count, format_decimal, format_number

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from limpide.history import Epoch
    from limpide.training import Fit


class Progress(Drawing):
    """What `limpide.training.train` calls to be watched: opens the job, then follows it.

    On a terminal a bar is drawn until the run is complete, then wiped out.
    """

    def __init__(self, console: Console, source: str) -> None:
        super().__init__(console)
        self.source = source

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.draw(_waiting(_("reading {source}").format(source=self.source)))
        WATCH.set(self._fetched)
        return self

    def _fetched(self, name: str, done: int, total: int) -> None:
        """A download goes on: on a terminal the bytes so far, in a pipe one line for each file."""
        text = _("fetching {name}: {done} of {total} MB").format(
            name=name, done=format_decimal(done / 1e6, 1), total=format_decimal(max(done, total) / 1e6, 1)
        )
        if self.live is not None:
            self.live.update(_waiting(text))
        elif done >= total:
            print(text, file=self.console.file, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        WATCH.set(None)
        super().__exit__(kind, error, trace)

    def __call__(self, training: Fit, epoch: Epoch | None) -> None:
        """Before the first epoch (None) and after each."""
        if epoch is not None:
            if self.live is None:
                print(epoch_line(training, epoch), file=self.console.file, flush=True)
            return
        from limpide.cli.pages import show_job

        if self.live is not None:
            self.live.stop()
        show_job(self.console, training.job)
        self.console.file.flush()
        if self.live is not None:
            self.draw(_Bar(training))


class _Bar:
    """Two lines on the state of a training, read from it each time they are drawn."""

    def __init__(self, training: Fit) -> None:
        from rich.spinner import Spinner

        self.training = training
        self.measuring = Spinner("line", _("measuring the network and the baselines, writing the run"))

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        training = self.training
        if training.stop is not None:
            return self.measuring
        done = len(training.history)
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_column(no_wrap=True)
        title = _("epoch {epoch} of {epochs}").format(epoch=format_count(done), epochs=format_count(training.epochs))
        if not done:
            grid.add_row(title, ProgressBar(total=training.epochs, completed=0), "")
            return Group(grid, "")
        last = training.history[-1]
        left = last.seconds / done * (training.epochs - done)
        text = _("at most {time} left").format(time=clock(left))
        grid.add_row(title, ProgressBar(total=training.epochs, completed=done), text)
        return Group(grid, ", ".join(_measures(training, last)))


def epoch_line(training: Fit, epoch: Epoch) -> str:
    """An epoch on one line."""
    done = _("epoch {epoch} of {epochs}").format(epoch=format_count(epoch.epoch), epochs=format_count(training.epochs))
    return labelled(done, ", ".join(_measures(training, epoch)))


def _measures(training: Fit, epoch: Epoch) -> list[str]:
    from limpide.evaluation import MAIN_METRIC, METRICS, format_metric

    main = MAIN_METRIC[training.job.target.task]
    measures = [
        _("loss {loss}").format(loss=format_number(epoch.train_loss)),
        _("validation loss {loss}").format(loss=format_number(epoch.validation_loss)),
        _("validation {metric} {value}").format(
            metric=_(METRICS[main].label), value=format_metric(main, epoch.validation.get(main))
        ),
    ]
    if training.patience_left is not None:
        measures.append(_("patience left {left}").format(left=training.patience_left))
    return measures


def _waiting(text: str) -> RenderableType:
    from rich.spinner import Spinner

    return Spinner("line", text)


def clock(seconds: float) -> str:
    """A time as hours, minutes and seconds.

    >>> clock(4.2), clock(3661)
    ('0:05', '1:01:01')
    """
    whole = -int(-seconds // 1)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

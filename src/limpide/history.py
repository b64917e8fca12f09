"""What a run tells of itself: its epochs, why it stopped, what was inferred, its worst predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from limpide.i18n import _, format_count, format_number, ngettext
from limpide.markup import table


@dataclass(frozen=True)
class Epoch:
    """One pass over the training rows.

    Every measure but one is taken when the epoch is over, with its last weights, on the training rows as on the
    validation rows. `running_loss` is the mean of the batch losses while the weights were moving, each batch
    weighted by its size.

    updates            updates made since the start
    train, validation  metrics; None where the rows leave one undefined (R² of equal values)
    rate               learning rate of the last update
    seconds            since the training began
    """

    epoch: int
    updates: int
    running_loss: float
    train_loss: float
    validation_loss: float
    train: dict[str, float | None]
    validation: dict[str, float | None]
    rate: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON."""
        # `asdict` takes many times as long, and a checkpoint holds every epoch
        return {**vars(self), "train": dict(self.train), "validation": dict(self.validation)}


def epochs_table(history: Sequence[Epoch], best_epoch: int, planned: int) -> str:
    """The epochs as a table for a notebook, the one whose weights are kept starred."""
    metrics = list(history[-1].validation) if history else []
    headers = (
        _("epoch"),
        _("loss"),
        _("validation loss"),
        *(_("validation {metric}").format(metric=name) for name in metrics),
        _("rate"),
        _("seconds"),
    )
    rows = []
    for epoch in history:
        values = [epoch.train_loss, epoch.validation_loss, *(epoch.validation.get(name) for name in metrics)]
        shown = ["–" if value is None else format_number(value) for value in (*values, epoch.rate, epoch.seconds)]
        rows.append((f"{epoch.epoch}{' ★' if epoch.epoch == best_epoch else ''}", *shown))
    done = _("{done} of {planned} epochs; ★ the lowest validation loss")
    caption = done.format(done=format_count(len(history)), planned=format_count(planned))
    return table(headers, rows, right=range(len(headers)), caption=caption)


Reason = Literal["patience", "epochs", "interrupted", "diverged", "stopped"]


@dataclass(frozen=True)
class Stop:
    """Why the training ended, and where.

    best_epoch  the epoch whose weights were kept: the lowest validation loss
    place       diverged: the layer, the tensor and the update where NaN or Inf first stood
    is_mean     what is kept is the mean of the weights over the epochs up to that one
    """

    reason: Reason
    epoch: int
    best_epoch: int
    best_loss: float
    patience: int = 0
    place: str = ""
    is_mean: bool = False

    def sentence(self) -> str:
        """The reason in words, in the user's language."""
        kept = (
            _("the mean of the weights up to epoch {best} is kept")
            if self.is_mean
            else _("the weights of epoch {best} are kept")
        )
        kept = kept.format(best=self.best_epoch)
        if self.reason == "patience":
            return ngettext(
                "stopped at epoch {epoch}: {n} epoch without a better validation loss; {kept}",
                "stopped at epoch {epoch}: {n} epochs without a better validation loss; {kept}",
                self.patience,
            ).format(epoch=self.epoch, n=self.patience, kept=kept)
        if self.reason == "epochs":
            return ngettext("the one epoch done; {kept}", "all {epoch} epochs done; {kept}", self.epoch).format(
                epoch=self.epoch, kept=kept
            )
        if self.reason == "interrupted":
            return _("interrupted after epoch {epoch}; {kept}").format(epoch=self.epoch, kept=kept)
        if self.reason == "diverged":
            return _("diverged in epoch {epoch}: {place}; {kept}").format(
                epoch=self.epoch + 1, place=self.place, kept=kept
            )
        return _("stopped by the caller after epoch {epoch}; {kept}").format(epoch=self.epoch, kept=kept)

    def to_dict(self) -> dict[str, Any]:
        """JSON."""
        # a run whose weights are those of one epoch is written as before there were means
        return {name: value for name, value in asdict(self).items() if name != "is_mean" or value}


@dataclass(frozen=True)
class Inference:
    """A choice made for the user.

    what   the recipe's dotted key
    value  what was chosen, as text
    why    the reason, a sentence in the user's language
    """

    what: str
    value: str
    why: str


@dataclass(frozen=True)
class Example:
    """One row of the test set and its prediction.

    row         its number in the data
    error       regression: prediction minus truth; classes: 1 minus the probability given to the truth
    confidence  classes: the probability given to the prediction
    values      the row's raw values; empty for an image
    png         an image, base64; "" for a table
    """

    row: int
    truth: str
    prediction: str
    error: float
    confidence: float | None
    values: dict[str, str] = field(default_factory=dict)
    png: str = ""

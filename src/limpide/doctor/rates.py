"""The rate finder: a few hundred updates at rates that rise exponentially, and the range in which the loss falls.

Source  Smith 2017, Cyclical Learning Rates for Training Neural Networks, section 3.3
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from limpide import seeds
from limpide.engines.base import get_engine
from limpide.errors import InputError, problem
from limpide.i18n import _, format_count, format_number
from limpide.job import Job, prepare
from limpide.nn.network import Parameters

if TYPE_CHECKING:
    from limpide.figures import Picture

N_UPDATES, LOWEST, HIGHEST = 200, 1e-6, 10.0

SMOOTHING = 0.9
"""What each loss keeps of the mean of those before it."""

BLOWN = 2.0
"""The sweep ends where the smoothed loss is above its lowest by so many times the loss it began with."""

FALL, SHARE_OF_FALL = 0.1, 0.1
"""The loss must fall by this share of itself in all; the range begins where it has fallen by this share of that."""

BELOW_LOWEST = 10.0
"""The suggested rate is the one of the lowest loss, divided by this: at the lowest the loss is about to rise."""


@dataclass(frozen=True)
class Sweep:
    """The losses of updates made at rising rates, from the initial weights.

    losses     of each batch before its update, smoothed
    suggested  a rate to train with; None where no rate lowered the loss
    low, high  the range in which the loss falls
    rate       the one of the recipe
    """

    name: str
    optimizer: str
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float | None
    low: float | None
    high: float | None
    rate: float

    def sentence(self) -> str:
        """What to take, in words."""
        if self.suggested is None:
            text = _("no rate from {low} to {high} lowered the loss in {n} updates: look elsewhere than at the rate")
            ends = {"low": format_number(self.rates[0], 1), "high": format_number(self.rates[-1], 2)}
            return text.format(**ends, n=format_count(len(self.rates)))
        text = _("{optimizer}: the loss falls from {low} to {high}; try {suggested} (the recipe has {rate})")
        return text.format(
            optimizer=self.optimizer,
            low=format_number(self.low or 0.0, 2),
            high=format_number(self.high or 0.0, 2),
            suggested=format_number(self.suggested, 2),
            rate=format_number(self.rate),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def picture(self) -> Picture:
        """The smoothed loss against the rate, both as they rise."""
        from limpide.figures.plots import lines

        series = {_("loss"): (np.array(self.rates), np.array(self.losses))}
        if self.low is not None and self.high is not None:
            inside = np.array([self.low <= rate <= self.high for rate in self.rates])
            series[_("range")] = (np.array(self.rates)[inside], np.array(self.losses)[inside])
        return lines(
            "rates",
            _("Loss at rising rates, {name}").format(name=self.name),
            self.sentence(),
            _("rate"),
            _("loss"),
            series,
            log_x=True,
        )

    def _repr_html_(self) -> str:
        return self.picture()._repr_html_()


def find_rates(source: Any, *, updates: int = N_UPDATES, **options: Any) -> Sweep:
    """Train for a few updates at rates from 0.000001 to 10, and say in which range the loss falls.

    source   a recipe, a `.toml` file, or anything `open_source` takes
    updates  how many, from 1
    options  flat names of a recipe's keys: `limpide.recipe.OPTIONS`
    Raises   InputError for no update at all; else as `limpide.job.prepare`
    """
    if updates < 1:
        raise InputError(problem("updates", _("a number of at least {bound}").format(bound=1), str(updates)))
    return sweep(prepare(source, **options), updates)


def sweep(job: Job, updates: int = N_UPDATES) -> Sweep:
    """The rate finder on a job; nothing of it is changed."""
    optimizer = job.recipe.optimizer.build()
    rates, losses, mean = np.geomspace(LOWEST, HIGHEST, updates), [], 0.0
    for i, loss in enumerate(_losses(job, rates)):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        losses.append(mean / (1 - SMOOTHING ** (i + 1)))
        if not np.isfinite(losses[-1]):
            losses.pop()
            break
        if losses[-1] > min(losses) + BLOWN * losses[0]:
            break
    tried = rates[: len(losses)]
    low, high, suggested = _range(tried, np.array(losses))
    named = (job.dataset.name, optimizer.name, tuple(map(float, tried)), tuple(losses))
    return Sweep(*named, suggested, low, high, optimizer.rate)


def _range(rates: np.ndarray, losses: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """The rate from which the loss falls, the one where it is lowest, and the one to take."""
    if not len(losses):
        return None, None, None
    lowest = int(losses.argmin())
    begun = float(np.median(losses[: max(1, len(losses) // 10)]))
    fall = begun - float(losses[lowest])
    if fall < FALL * abs(begun):
        return None, None, None
    # seen from the lowest loss: the batches of the first updates differ by luck
    before = np.flatnonzero(losses[:lowest] > begun - SHARE_OF_FALL * fall)
    low, high = float(rates[before[-1] + 1 if len(before) else 0]), float(rates[lowest])
    return low, high, max(low, high / BELOW_LOWEST)


def _losses(job: Job, rates: np.ndarray) -> Iterator[float]:
    """The loss of a batch before the update at each rate."""
    recipe, rows, network = job.recipe, job.parts["train"], job.network
    dtype, engine, loss = np.dtype(recipe.dtype), get_engine(job.engine.name), job.loss
    optimizer = recipe.optimizer.build()
    named = network.initialize(seeds.stream(recipe.seed, "weights"))
    parameters = Parameters.of(network, named, dtype)
    state = optimizer.init(parameters.flat)
    noise = seeds.streams(recipe.seed, "noise", 1)
    batches = _batches(job)
    for step, rate in enumerate(rates):
        batch = rows.taken(next(batches)).of_type(dtype)
        value, gradients = engine.loss_and_gradients(network, loss, parameters.named(), batch.x, batch.y, noise)
        yield value
        flat = np.concatenate([np.asarray(gradients[slot.name], dtype).reshape(-1) for slot in network.slots])
        with np.errstate(over="ignore", invalid="ignore"):
            # a schedule of its own would bend the sweep
            here = replace(optimizer, rate=float(rate), schedule=type(optimizer.schedule)())
            change, state = here.update(parameters.flat, flat, state, step, len(rates))
            parameters.flat += change


def _batches(job: Job) -> Iterator[np.ndarray]:
    """Batches of training rows without end, in the orders of the training's epochs."""
    n, size = len(job.parts["train"].x), job.recipe.training.batch_size or 1
    epoch = 0
    while True:
        epoch += 1
        order = seeds.stream(job.recipe.seed, "order", epoch).permutation(n)
        yield from (order[start : start + size] for start in range(0, n, size))

"""The weights that an epoch is measured by: the trainer's own, or their mean over the epochs.

The last updates push the weights about, each batch its own way; their mean lies nearer the middle. With a share `a`
above 0 the mean is moved at the end of every epoch. It starts at zero, which the division below makes up for:

    mean ← a mean + (1 - a) weights        measured and kept: mean / (1 - a^t) after t epochs

So epoch k counts (1 - a) a^(t - k) / (1 - a^t), the last one most. The updates themselves are not affected.

Source  Polyak & Juditsky 1992; with these shares Kingma & Ba 2015, section 7.2
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from limpide.arrays import Array, Tree
from limpide.engines.base import Trainer
from limpide.nn.optimizers import SGD, Optimizer


class Averaged:
    """A trainer, and what its epochs are measured with.

    trainer  the one that learns
    share    of the mean so far; 0 measures the trainer's own weights
    state    the mean, corrected, in the names of a trainer's state (weights, and what batch norm keeps of its inputs)
             with the number of its epochs; empty where the share is 0
    """

    def __init__(self, open_trainer: Callable[[Optimizer], Trainer], optimizer: Optimizer, share: float = 0.0) -> None:
        """open_trainer  `Engine.trainer` for whatever optimizer, all else being settled"""
        self.trainer = self._holder = open_trainer(optimizer)
        self.share = share
        self.state: Tree = {}
        if share:
            # a second trainer, which never trains: it holds the mean, to measure it and to hand it out
            self._holder = open_trainer(SGD())
            own = self.trainer.state()
            self.state = {name: own[name] for name in own if name == "params" or name.startswith("buffer/")}
            self.state["epochs"] = np.array(0)

    def take(self, state: Mapping[str, np.ndarray]) -> None:
        """Take an epoch into the mean, by the state of the trainer at its end."""
        if not self.share:
            return
        epochs = int(self.state["epochs"]) + 1
        # the first one counts 1, to the last bit
        new = (1 - self.share) / (1 - self.share**epochs)
        with np.errstate(over="ignore", invalid="ignore"):
            # what is not finite shows in what is measured
            mean = {n: (1 - new) * held + new * state[n] for n, held in self.state.items() if n != "epochs"}
        self.load_state({**mean, "epochs": np.array(epochs)})

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a `state` of before."""
        if self.share:
            self.state = dict(state)
            self._holder.load_state({**{n: a for n, a in state.items() if n != "epochs"}, "step": np.array(0)})

    def evaluate(self, x: Array) -> np.ndarray:
        """The outputs for these rows, in evaluation mode."""
        return self._holder.evaluate(x)

    def weights(self) -> Tree:
        """A copy of the weights and buffers by full name."""
        return self._holder.weights()

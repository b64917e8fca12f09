"""What batch normalisation does in evaluation."""

from __future__ import annotations

import numpy as np

from limpide.labs.claims import Finding, checks, judge
from limpide.labs.running import names_of
from limpide.nn.layers import BatchNorm
from limpide.nn.layers.base import EVALUATION, TRAINING

STORY = names_of(__file__, "normalise")


@checks("eval-switches-batchnorm-off")
def evaluation() -> Finding:
    """The output in evaluation is neither the input, as a layer switched off would give, nor that of training."""
    layer, batch = BatchNorm(), STORY.batch
    out = layer.forward(layer.init((1,), np.random.default_rng(0)), batch, TRAINING)
    unseen = layer.forward(
        layer.init((1,), np.random.default_rng(0))._replace(buffers=out.buffers), batch, EVALUATION
    ).y
    by_hand = STORY.normalise(batch, out.buffers["mean"], out.buffers["variance"])
    np.testing.assert_allclose(unseen, by_hand, rtol=1e-12)
    return judge(
        bool(np.allclose(unseen, batch)),
        f"{out.y.mean():.3f} ± {out.y.std():.3f}; {unseen.mean():.3f} ± {unseen.std():.3f}",
    )

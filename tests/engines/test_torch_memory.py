"""What the torch engine says to the C library: keep what was freed for the next update."""

import os
import platform
import subprocess
import sys

import pytest

from limpide.testing import EngineConformance


class Torch(EngineConformance):
    engine = "torch"


Torch().open()  # skips this file where the engine is missing, and fails where it is required

UPDATES = """
import resource

import numpy as np
import torch

from limpide.engines.base import get_engine
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import make_optimizer

torch.set_num_threads(1)
network = Network.parse("1x28x28, conv 32 3x3 relu, maxpool 2, flatten, 10")
weights = network.initialize(np.random.default_rng(0))
trainer = get_engine("torch").trainer(network, LOSSES["cross_entropy"], make_optimizer("adam"), weights)
x, y = np.zeros((320, 1, 28, 28), np.float32), np.zeros(320, int)
faults = []
for _epoch in range(4):
    trainer.run(x, y, np.arange(320), 32, lambda path: None)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[-2])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another library than glibc has the memory")
def test_updates_do_not_ask_the_system_for_their_memory_again():
    said = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    asked = [
        int(subprocess.run([sys.executable, "-c", UPDATES], capture_output=True, text=True, check=True, env=env).stdout)
        for env in (said, {**said, "MALLOC_MMAP_THRESHOLD_": str(128 << 10)})
    ]
    # pages for ten updates, some 26,000 where every block is given back; what the user says of it holds
    assert asked[0] < 200
    assert asked[1] > 5_000

"""The glass box: one training step opened, every number with the arithmetic that made it.

`explain` opens a step of a run; `OpenedStep` one of any network, loss and optimizer.
"""

from limpide.explaining.addresses import number_at as number_at
from limpide.explaining.arithmetic import Number as Number
from limpide.explaining.arithmetic import Operation as Operation
from limpide.explaining.arithmetic import prove as prove
from limpide.explaining.asking import explain as explain
from limpide.explaining.explanation import Explanation as Explanation
from limpide.explaining.step import OpenedStep as OpenedStep

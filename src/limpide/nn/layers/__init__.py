"""Every layer, by its keyword."""

from __future__ import annotations

from limpide.nn.layers.activation import Activation as Activation
from limpide.nn.layers.base import EVALUATION as EVALUATION
from limpide.nn.layers.base import TRAINING as TRAINING
from limpide.nn.layers.base import Count as Count
from limpide.nn.layers.base import Layer as Layer
from limpide.nn.layers.base import Mode as Mode
from limpide.nn.layers.base import Out as Out
from limpide.nn.layers.base import Weights as Weights
from limpide.nn.layers.base import items_of as items_of
from limpide.nn.layers.batch_norm import BatchNorm as BatchNorm
from limpide.nn.layers.convolution import Conv2d as Conv2d
from limpide.nn.layers.dense import Dense as Dense
from limpide.nn.layers.dropout import Dropout as Dropout
from limpide.nn.layers.flatten import Flatten as Flatten
from limpide.nn.layers.pooling import AvgPool2d as AvgPool2d
from limpide.nn.layers.pooling import GlobalAvgPool as GlobalAvgPool
from limpide.nn.layers.pooling import MaxPool2d as MaxPool2d
from limpide.nn.layers.residual import Residual as Residual

LAYERS: dict[str, type[Layer]] = {
    layer.keyword: layer
    for layer in (
        Dense,
        Activation,
        Dropout,
        BatchNorm,
        Flatten,
        Conv2d,
        MaxPool2d,
        AvgPool2d,
        GlobalAvgPool,
        Residual,
    )
}

"""A trained network as a program of its own, readable, without limpide: NumPy, PyTorch or Keras."""

from limpide.export.program import PROGRAMS as PROGRAMS
from limpide.export.program import export as export
from limpide.export.program import is_centred as is_centred

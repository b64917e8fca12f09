"""The doctor: watches a training, and names what is wrong, with the evidence and the next thing to try.

`diagnosis.py` says what a diagnosis is; the rows of the catalogue stand in `data.py`, `signals.py` and `steps.py`,
each beside the function that looks. `examination.py` is all that they may look at.
"""

from limpide.doctor import data as data
from limpide.doctor import signals as signals
from limpide.doctor import steps as steps
from limpide.doctor.diagnosis import DIAGNOSES as DIAGNOSES
from limpide.doctor.diagnosis import Checkup as Checkup
from limpide.doctor.diagnosis import Diagnosis as Diagnosis
from limpide.doctor.diagnosis import Finding as Finding
from limpide.doctor.rates import Sweep as Sweep
from limpide.doctor.rates import find_rates as find_rates
from limpide.doctor.watch import Doctor as Doctor
from limpide.doctor.watch import diagnose as diagnose

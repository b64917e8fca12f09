"""Networks as scikit-learn estimators: at home in its pipelines, searches and cross-validations.

scikit-learn is imported with this package, and the package only when one of its names is used.
"""

from limpide.estimators.classifier import NetworkClassifier as NetworkClassifier
from limpide.estimators.regressor import NetworkRegressor as NetworkRegressor

"""Criteria as text, such as ``magnitude:l1``."""

from collections.abc import Callable

from spec.errors import UserError
from sw.compress.criteria.activation import Activation
from sw.compress.criteria.base import Criterion
from sw.compress.criteria.least_squares import LeastSquares
from sw.compress.criteria.magnitude import Magnitude
from sw.compress.criteria.regression import Regression
from sw.compress.criteria.scaling_factor import ScalingFactor
from sw.compress.criteria.second_order import SecondOrder

FORMS: dict[str, Callable[[], Criterion]] = {
    "magnitude": Magnitude,
    "magnitude:l1": lambda: Magnitude(norm=1),
    "scaling-factor": ScalingFactor,
    "second-order": SecondOrder,
    "activation": Activation,
    "regression": Regression,
    "least-squares": LeastSquares,
}
"""What makes each criterion."""


def parse(text: str | Criterion) -> Criterion:
    """The criterion that a text names; a criterion is given back as it is."""
    if isinstance(text, Criterion):
        return text
    if text not in FORMS:
        raise UserError(f"the criterion {text!r} was given; there are {', '.join(FORMS)}")
    return FORMS[text]()

"""Exact samplers on the integers: no floating-point number decides an outcome unless its error is bounded.

Each draw reads a uniform real bit by bit. A first word decides nearly always, in floating point with a proven error
bound; where it leaves a doubt, more bits are read and compared with the exact probability in integers. What remains
undecided after 1024 bits is less than `TOTAL_VARIATION` for each draw, which `reticent.dp.epsilon` takes from delta.
"""

from reticent.dp.samplers.coins import bernoulli, bernoulli_exp, integers
from reticent.dp.samplers.gaussian import discrete_gaussian
from reticent.dp.samplers.laplace import LARGEST_SCALE, discrete_laplace, rounded_laplace
from reticent.dp.samplers.uniform import TOTAL_VARIATION, Uniform

__all__ = [
    "LARGEST_SCALE",
    "TOTAL_VARIATION",
    "Uniform",
    "bernoulli",
    "bernoulli_exp",
    "discrete_gaussian",
    "discrete_laplace",
    "integers",
    "rounded_laplace",
]

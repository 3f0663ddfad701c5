"""Differential privacy: what is promised, what was released, how much that reveals, and exact noise.

numpy only, and nothing about privacy has a default. Events describe mechanisms; `epsilon` judges them; a `Grant`
permits a draw; `add_gaussian` is the one place in the project where noise is added.

GUARANTEE. What is released is almost as likely with one unit's data as without (or with others in their place): odds
change by a factor of e^epsilon at most, but for a mass of delta. Epsilon is a certified upper bound for the events that
were drawn. It bounds what is learnt about one unit, and nothing of what is true of people in general.

ADVERSARY. Sees every release, knows every record but one unit's, all parameters and this code, and has unbounded time
against the noise (its keystream is AES-128-CTR from operating-system entropy). Timing of the sampler is not covered.

COST. Accuracy, which falls with epsilon and rises with the number of people: docs/results/heart-disease.md has an
example. Noise costs about a tenth of a microsecond for each number, calibration up to two seconds; gradients row by row
cost most.
"""

from reticent.dp import events
from reticent.dp.accountant import PrivacyAccountant
from reticent.dp.accounting import LossDistribution, delta, epsilon, loss_distribution
from reticent.dp.accounting.renyi import RENYI_ORDERS, renyi_budget, renyi_curve, renyi_epsilon
from reticent.dp.additive import gaussian, gaussian_event, geometric, geometric_event, laplace, laplace_event
from reticent.dp.answers import randomized_response, randomized_response_event
from reticent.dp.calibration import calibrate, gaussian_sigma, noise_multiplier, sampling_probability, steps
from reticent.dp.discrete import discrete_gaussian, discrete_gaussian_event
from reticent.dp.encoding import encoded_sum
from reticent.dp.events import (
    ApproximateDP,
    BoundedRange,
    Composed,
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    Gaussian,
    Laplace,
    Mechanism,
    PoissonSampled,
    PureDP,
    RandomizedResponse,
    Repeated,
    SampledWithoutReplacement,
    Single,
    flatten,
)
from reticent.dp.guarantee import Guarantee
from reticent.dp.in_memory import PrivacyBudget, Remaining
from reticent.dp.mechanisms import add_gaussian, add_laplace
from reticent.dp.precision import encoded_sensitivity, grid_for
from reticent.dp.release import Grant, Relation, Release, Unit
from reticent.dp.sampling import PoissonSampler
from reticent.dp.selection import exponential, permute_and_flip, report_noisy_max
from reticent.dp.sparse import SparseVector, sparse_vector_event
from reticent.dp.target import Target, check_delta
from reticent.dp.trade_off import TradeOff, trade_off
from reticent.errors import PrivacyBudgetExhausted

__all__ = [
    "RENYI_ORDERS",
    "ApproximateDP",
    "BoundedRange",
    "Composed",
    "DiscreteGaussian",
    "DiscreteLaplace",
    "Event",
    "Gaussian",
    "Grant",
    "Guarantee",
    "Laplace",
    "LossDistribution",
    "Mechanism",
    "PoissonSampled",
    "PoissonSampler",
    "PrivacyAccountant",
    "PrivacyBudget",
    "PrivacyBudgetExhausted",
    "PureDP",
    "RandomizedResponse",
    "Relation",
    "Release",
    "Remaining",
    "Repeated",
    "SampledWithoutReplacement",
    "Single",
    "SparseVector",
    "Target",
    "TradeOff",
    "Unit",
    "add_gaussian",
    "add_laplace",
    "calibrate",
    "check_delta",
    "delta",
    "discrete_gaussian",
    "discrete_gaussian_event",
    "encoded_sensitivity",
    "encoded_sum",
    "epsilon",
    "events",
    "exponential",
    "flatten",
    "gaussian",
    "gaussian_event",
    "gaussian_sigma",
    "geometric",
    "geometric_event",
    "grid_for",
    "laplace",
    "laplace_event",
    "loss_distribution",
    "noise_multiplier",
    "permute_and_flip",
    "randomized_response",
    "randomized_response_event",
    "renyi_budget",
    "renyi_curve",
    "renyi_epsilon",
    "report_noisy_max",
    "sampling_probability",
    "sparse_vector_event",
    "steps",
    "trade_off",
]

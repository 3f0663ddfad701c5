"""What the noise on a split model's boundary costs, torch-free: a plan is derived from it before any model exists.

In one pass over its rows a defended site sends a clipped and noised vector for each row, `Gaussian(noise.vectors)`;
and if the part of the model that makes the vectors learns from the same rows, it learns by a noised sum,
`Gaussian(noise.updates)`. Why these two are enough, and none of them without the other, stands in
`reticent.split.defence`. The batches of one pass hold different rows, so a pass is charged and not its batches.

There is no amplification by sampling: whoever receives the vector of a row knows whose row it is. For the same reason
membership is public, and the only relation is `replace_one`: the promise is about what a row *says*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from reticent import dp
from reticent.dp import Composed, Event, Gaussian, Relation, Release, Repeated
from reticent.errors import PolicyRefused, UsageError

__all__ = ["BoundaryNoise", "BoundaryPrivacy", "boundary_events", "boundary_noise_multiplier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryNoise:
    """Noise multipliers: standard deviation over the largest norm of one row's (or person's) contribution.

    Attributes:
      vectors: Of the vectors that are sent, one for each row.
      updates: Of the sums by which the part behind the boundary learns; None if it is frozen, or learns from the
        noised vectors alone.
    """

    vectors: float
    updates: float | None = None


def boundary_events(
    *, passes: int, evaluations: int = 0, rows_per_unit: int = 1, noise: BoundaryNoise
) -> tuple[Event, ...]:
    """Return everything that one boundary releases about one unit.

    Args:
      passes: Passes over the training rows, those of spare attempts included.
      evaluations: Passes over test rows: vectors, but nothing learned.
      rows_per_unit: Most rows of one person; 1 under unit record.
      noise: The noise multipliers.

    Returns:
      Events for `dp.epsilon(..., relation="replace_one")` and for a ledger's reservation.

    Raises:
      UsageError: If a count is out of range.
    """
    _require(passes, evaluations, rows_per_unit)
    vectors = Repeated(Gaussian(noise.vectors), rows_per_unit)
    once: Event = vectors
    if noise.updates is not None:
        once = Composed((vectors, Repeated(Gaussian(noise.updates), rows_per_unit)))
    training = Repeated(once, passes)
    return (training, Repeated(vectors, evaluations)) if evaluations else (training,)


def boundary_noise_multiplier(
    *,
    epsilon: float,
    delta: float,
    passes: int,
    evaluations: int = 0,
    rows_per_unit: int = 1,
    trains: bool,
    update_share: float = 0.25,
    also: Iterable[Event] = (),
) -> BoundaryNoise:
    """Return the smallest noise that keeps `boundary_events` within the target, under relation `replace_one`.

    Args:
      epsilon, delta: The target, `also` included.
      passes, evaluations, rows_per_unit: As in `boundary_events`.
      trains: Whether the part behind the boundary learns from the exact rows, by noised sums.
      update_share: Part of the budget (of the sum of 1 / multiplier^2) that those sums take, in (0, 1). It moves
        noise between vectors and sums and leaves the promise as it is. A sum over a batch bears more noise than the
        vector of a single row.
      also: Other events on the same people, such as those of a second boundary or of noised metrics.

    Raises:
      UsageError: If an argument is out of range.
      PolicyRefused: If `also` alone exceeds the target.
    """
    _require(passes, evaluations, rows_per_unit)
    if not 0 < update_share < 1:
        raise UsageError(
            "invalid-boundary", f"update_share is {update_share}", hint="give a number above 0 and below 1"
        )
    # Unsampled Gaussians compose into one, of 1 / multiplier^2 = the sum of theirs (Dong, Roth, Su 2022, cor. 3.3).
    once = dp.noise_multiplier(
        epsilon=epsilon, delta=delta, sampling_probability=1.0, steps=1, relation="replace_one", also=also
    ) * (1 + 1e-9)
    sent = rows_per_unit * (passes + evaluations)
    if not trains:
        return BoundaryNoise(vectors=once * math.sqrt(sent))
    return BoundaryNoise(
        vectors=once * math.sqrt(sent / (1 - update_share)),
        updates=once * math.sqrt(rows_per_unit * passes / update_share),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryPrivacy:
    """The declared defence of one boundary of one site: what is bounded, how much noise, and whose budget pays.

    Attributes:
      kind: `outputs`: the gradient of each row's loss with respect to the model's outputs, where the labels are;
        `activations`: what a bottom makes of each row's features.
      passes: Passes over the training rows, those of spare attempts included.
      evaluations: Passes over test rows whose activations are sent.
      noise: From `boundary_noise_multiplier`.
      max_norm: Largest L2 norm of one row's vector, all coordinates together.
      max_update_norm: Largest L2 norm of one unit's gradient with respect to the weights of the bottom; given exactly
        where `noise.updates` is.
      unit: `record` or `person`.
      relation: `replace_one`; nothing else can hold here.
      rows_per_unit: Most rows of one person, declared; 1 under unit record.
      population: The people whose budget is charged.
      dataset: The version of their data.
    """

    kind: Literal["activations", "outputs"]
    passes: int
    evaluations: int = 0
    noise: BoundaryNoise
    max_norm: float
    max_update_norm: float | None = None
    unit: Literal["record", "person", "site"]
    relation: Relation
    rows_per_unit: int = 1
    population: str
    dataset: str

    def __post_init__(self) -> None:
        _require(self.passes, self.evaluations, self.rows_per_unit)
        for name in ("max_norm", "max_update_norm"):
            value = getattr(self, name)
            if value is not None and not 1e-9 <= value <= 1e9:
                raise UsageError("invalid-boundary", f"{name} is {value}", hint="give a number between 1e-9 and 1e9")
        trains = self.noise.updates is not None
        if trains != (self.max_update_norm is not None) or (trains and self.kind == "outputs"):
            raise UsageError(
                "invalid-boundary",
                f"kind is {self.kind}, noise.updates is {self.noise.updates}, max_update_norm {self.max_update_norm}",
                hint="give both for a bottom that learns, and none for a frozen one or for outputs, behind which all "
                "learning is from noised gradients",
            )
        self.release(self.events())  # refuses a unit or relation that does not exist
        _refuse(self)

    def pass_events(self) -> tuple[Event, ...]:
        """Return what one pass over the training rows releases."""
        return boundary_events(passes=1, rows_per_unit=self.rows_per_unit, noise=self.noise)

    def evaluation_events(self) -> tuple[Event, ...]:
        """Return what one pass over test rows releases."""
        noise = BoundaryNoise(vectors=self.noise.vectors)
        return boundary_events(passes=1, rows_per_unit=self.rows_per_unit, noise=noise)

    def events(self) -> tuple[Event, ...]:
        """Return everything that the whole plan releases through this boundary."""
        return boundary_events(
            passes=self.passes, evaluations=self.evaluations, rows_per_unit=self.rows_per_unit, noise=self.noise
        )

    def release(self, events: tuple[Event, ...]) -> Release:
        """Return `events` as a release on this site's people: for a ledger's reservation, or one pass's cost."""
        return Release(
            events=events, unit=self.unit, relation=self.relation, population=self.population, dataset=self.dataset
        )

    def epsilon(self, delta: float) -> float:
        """Return a certified upper bound on the epsilon of the whole plan; infinite without noise."""
        return dp.epsilon(self.events(), delta=delta, relation="replace_one")

    def auc_ceiling(self) -> float:
        """Return the area under the ROC curve that no attack exceeds, .5 to 1; 1 without noise.

        The attack tells two values of one unit apart (the label of a record, say) from all that crosses this boundary,
        knowing everything else. All Gaussians together are one, whose neighbours lie `2 * sqrt(sum 1 / z^2)`
        deviations apart, and two normal curves that far apart have this area (Dong, Roth, Su 2022, cor. 3.3).
        """
        counts = dp.flatten(self.events())
        multipliers = [(event.noise_multiplier, n) for event, n in counts.items() if isinstance(event, Gaussian)]
        if any(z == 0 for z, _ in multipliers):
            return 1.0
        apart = 2 * math.sqrt(sum(n / z**2 for z, n in multipliers))
        return (1 + math.erf(apart / 2)) / 2  # the normal distribution function at apart / sqrt(2)


def _refuse(privacy: BoundaryPrivacy) -> None:
    if privacy.relation != "replace_one":
        raise PolicyRefused(
            "boundary-membership-public",
            f"relation is {privacy.relation}: a vector for every row tells everybody which rows there are",
            hint='use relation = "replace_one"; where membership itself is secret, use federated learning',
        )
    if privacy.unit == "site":
        raise PolicyRefused(
            "boundary-unit",
            "unit is site: one vector for every row hides what a row says, never that a site takes part",
            hint='use unit = "person" or unit = "record"',
        )
    if privacy.unit == "record" and privacy.rows_per_unit != 1:
        raise UsageError(
            "invalid-boundary",
            f"unit is record and rows_per_unit is {privacy.rows_per_unit}",
            hint='leave rows_per_unit out, or use unit = "person"',
        )


def _require(passes: int, evaluations: int, rows_per_unit: int) -> None:
    least = {"passes": (passes, 1), "evaluations": (evaluations, 0), "rows_per_unit": (rows_per_unit, 1)}
    for name, (value, bound) in least.items():
        if value < bound:
            raise UsageError("invalid-boundary", f"{name} is {value}", hint=f"give a whole number, {bound} or larger")

"""What the noise on a split model's boundary costs, torch-free: a plan is derived from it before any model exists.

A defended site releases, for every row and epoch, each *kind* of vector once (its activations, or the gradients that
a label holder returns), and trains the part that makes it once, by a noised sum. Per kind that is one
`Gaussian(noise.vectors)` and one `Gaussian(noise.updates)` in each epoch; the argument stands in
`reticent.split.defence`. Batches of one epoch hold different rows, so the epoch is charged once and not per batch.

There is no amplification by sampling: whoever receives the vector of a row knows whose row it is. For the same reason
membership is public, and the only relation is `replace_one`: the promise is about what a row *says*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from reticent import dp
from reticent.dp import Composed, Event, Gaussian, Relation, Release, Repeated
from reticent.errors import PolicyRefused, UsageError

__all__ = ["BoundaryNoise", "BoundaryPrivacy", "Vector", "boundary_events", "boundary_noise_multiplier"]

Vector = Literal["activations", "gradients"]
"""What a site sends for each of its rows: what its bottom makes of the inputs, or what its labels say about them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryNoise:
    """Noise multipliers: standard deviation over the largest norm of one row's (or person's) contribution.

    Attributes:
      vectors: Of the vectors that travel, one for each row.
      updates: Of the sums by which the site's own parts learn.
    """

    vectors: float
    updates: float


def boundary_events(
    *, kinds: int, epochs: int, evaluations: int = 0, noise: BoundaryNoise, rows_per_unit: int = 1
) -> tuple[Event, ...]:
    """Return everything that one defended site releases about one unit.

    Args:
      kinds: Kinds of vectors that the site sends: 1 for a site with a bottom or with labels, 2 for a site with both
        (U-shape), each with the part of the model that it trains.
      epochs: Passes over the rows, spare ones included.
      evaluations: Passes over test rows whose activations are sent.
      noise: The noise multipliers.
      rows_per_unit: Most rows of one person; 1 under unit record.

    Returns:
      Events for `dp.epsilon(..., relation="replace_one")` and for a ledger's reservation.

    Raises:
      UsageError: If a count is out of range.
    """
    _require(kinds, epochs, evaluations, rows_per_unit)
    vectors, updates = Gaussian(noise.vectors), Gaussian(noise.updates)
    times = kinds * rows_per_unit
    training = Repeated(Composed((Repeated(vectors, times), Repeated(updates, times))), epochs)
    return (training, Repeated(vectors, evaluations * rows_per_unit)) if evaluations else (training,)


def boundary_noise_multiplier(
    *,
    epsilon: float,
    delta: float,
    kinds: int,
    epochs: int,
    evaluations: int = 0,
    rows_per_unit: int = 1,
    update_share: float = 0.5,
    also: Iterable[Event] = (),
) -> BoundaryNoise:
    """Return the smallest noise that keeps `boundary_events` within the target, under relation `replace_one`.

    Args:
      epsilon, delta: The target, `also` included.
      kinds, epochs, evaluations, rows_per_unit: As in `boundary_events`.
      update_share: Part of the budget (of the sum of 1 / multiplier^2) that the updates take, in (0, 1). It moves
        noise between vectors and updates and leaves the promise as it is. A sum over a batch bears more noise than
        the vector of a single row, so less than a half is usual.
      also: Other events on the same people, such as noised metrics.

    Raises:
      UsageError: If an argument is out of range.
      PolicyRefused: If `also` alone exceeds the target.
    """
    _require(kinds, epochs, evaluations, rows_per_unit)
    if not 0 < update_share < 1:
        raise UsageError(
            "invalid-boundary", f"update_share is {update_share}", hint="give a number above 0 and below 1"
        )
    # Unsampled Gaussians compose into one, of 1 / multiplier^2 = the sum of theirs (Dong, Roth, Su 2022, cor. 3.3).
    once = dp.noise_multiplier(
        epsilon=epsilon, delta=delta, sampling_probability=1.0, steps=1, relation="replace_one", also=also
    ) * (1 + 1e-9)
    sent = rows_per_unit * (kinds * epochs + evaluations)
    learned = rows_per_unit * kinds * epochs
    return BoundaryNoise(
        vectors=once * math.sqrt(sent / (1 - update_share)), updates=once * math.sqrt(learned / update_share)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryPrivacy:
    """The declared defence of one site: what it sends, how it is bounded, and whose budget pays.

    Attributes:
      sends: Kinds of vectors: ("activations",) for a bottom, ("gradients",) for a label holder, both for U-shape.
      epochs: Passes over the rows, spare ones included.
      evaluations: Passes over test rows whose activations are sent.
      noise: From `boundary_noise_multiplier`.
      max_activation_norm: Largest L2 norm of one row's activations, all sources and coordinates together.
      max_gradient_norm: The same of the gradient returned for one row.
      max_update_norm: Largest L2 norm of one unit's gradient with respect to the weights of a part.
      unit: `record` or `person`.
      relation: `replace_one`; nothing else can hold here.
      rows_per_unit: Most rows of one person, declared; 1 under unit record.
      population: The people whose budget is charged.
      dataset: The version of their data.
    """

    sends: tuple[Vector, ...]
    epochs: int
    evaluations: int = 0
    noise: BoundaryNoise
    max_activation_norm: float = 1.0
    max_gradient_norm: float = 1.0
    max_update_norm: float = 1.0
    unit: Literal["record", "person", "site"]
    relation: Relation
    rows_per_unit: int = 1
    population: str
    dataset: str

    def __post_init__(self) -> None:
        unknown = set(self.sends) - set(get_args(Vector))
        if not self.sends or unknown or len(set(self.sends)) != len(self.sends):
            raise UsageError(
                "invalid-boundary",
                f"sends is {self.sends}",
                hint='name what leaves the site: ("activations",), ("gradients",), or both once',
            )
        _require(len(self.sends), self.epochs, self.evaluations, self.rows_per_unit)
        for name in ("max_activation_norm", "max_gradient_norm", "max_update_norm"):
            if not 1e-9 <= getattr(self, name) <= 1e9:
                raise UsageError(
                    "invalid-boundary", f"{name} is {getattr(self, name)}", hint="give a number between 1e-9 and 1e9"
                )
        self.release(self.events())  # a unit or relation that does not exist
        _refuse(self)

    def epoch_events(self) -> tuple[Event, ...]:
        """Return what one pass over the training rows releases."""
        return boundary_events(kinds=len(self.sends), epochs=1, noise=self.noise, rows_per_unit=self.rows_per_unit)

    def evaluation_events(self) -> tuple[Event, ...]:
        """Return what one pass over test rows releases: their activations, if this site sends any."""
        if "activations" not in self.sends:
            return ()
        return (Repeated(Gaussian(self.noise.vectors), self.rows_per_unit),)

    def events(self) -> tuple[Event, ...]:
        """Return everything that the whole plan releases, spare epochs included."""
        training = Repeated(Composed(self.epoch_events()), self.epochs)
        tests = self.evaluation_events() if self.evaluations else ()
        return (training, *(Repeated(event, self.evaluations) for event in tests))

    def release(self, events: tuple[Event, ...]) -> Release:
        """Return `events` as a release on this site's people: for a ledger's reservation, or one request's cost."""
        return Release(
            events=events,
            unit=self.unit,
            relation=self.relation,
            population=self.population,
            dataset=self.dataset,
        )

    def epsilon(self, delta: float) -> float:
        """Return a certified upper bound on the epsilon of the whole plan; infinite without noise."""
        return dp.epsilon(self.events(), delta=delta, relation="replace_one")


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


def _require(kinds: int, epochs: int, evaluations: int, rows_per_unit: int) -> None:
    least = {"kinds": (kinds, 1), "epochs": (epochs, 1), "evaluations": (evaluations, 0)}
    for name, (value, bound) in {**least, "rows_per_unit": (rows_per_unit, 1)}.items():
        if value < bound:
            raise UsageError("invalid-boundary", f"{name} is {value}", hint=f"give a whole number, {bound} or larger")

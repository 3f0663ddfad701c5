"""What the traffic of split learning shows: measured, torch-free, arrays in and numbers out.

Two things are measured, each by the attacks that are known best and cost nothing:

- how much the activations still say about the inputs: distance correlation (Szekely, Rizzo, Bakirov, Annals of
  Statistics 2007), 1 for activations that are a rotation of the inputs, 0 in the limit for independent ones;
- how well the returned gradients give the labels away: by their length (the rarer class has the longer ones) and by
  their direction (gradients of one class point one way), as the area under the ROC curve, .5 for guessing and 1 for
  certainty (Li et al., "Label leakage and protection in two-party split learning", ICLR 2022, sections 3.2 and 3.3).

**Who measures, and on what.** Inputs are known where they lie and labels where they lie, so each figure is taken there.
Figures taken on a site's own rows are statistics of records: without an epsilon they are listed as a release, with one
they would have to be paid for and stay in the site's folder. What a run states in any case is taken on *canaries*
(`reticent.split.canaries`), synthetic rows that belong to nobody: a function of the weights, and so post-processing.

No figure here is a guarantee. An attack that was not tried may do better; only an epsilon bounds them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reticent.errors import UsageError

__all__ = ["LeakageReport", "distance_correlation", "label_auc", "leakage"]

_HINTS = 8
"""How many rows of known label the attacker by direction is given, one at a time; the mean over them is reported."""

_POWER_STEPS = 30
"""Iterations for the main direction of all gradients (their first singular vector)."""

_BLOCK_VALUES = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakageReport:
    """What was measured at one boundary.

    Attributes:
      distance_correlation: Between inputs and activations, 0 to 1; None if not measured here.
      distance_correlation_unbiased: The bias-corrected square of it (Szekely and Rizzo 2013), 0 on average for
        independent arrays of any width; the plain one grows towards 1 with the width. May be below 0.
      label_auc_norm: Label inference by the length of returned gradients, .5 to 1; None if not measured here.
      label_auc_direction: Label inference by their direction, given a row whose label is known, or their main one.
      rows: On how many rows.
      measured_on: `canaries` (synthetic rows) or `rows` (a site's own; the figure stays in the site's folder).
    """

    distance_correlation: float | None = None
    distance_correlation_unbiased: float | None = None
    label_auc_norm: float | None = None
    label_auc_direction: float | None = None
    rows: int
    measured_on: Literal["canaries", "rows"]

    def words(self) -> str:
        """Return the figures as a sentence, with what they do not say."""
        found = []
        if self.distance_correlation is not None:
            found.append(f"distance correlation between inputs and activations {self.distance_correlation:.2f}")
        if self.label_auc_norm is not None:
            found.append(f"labels inferred from the length of gradients with AUC {self.label_auc_norm:.2f}")
        if self.label_auc_direction is not None:
            found.append(f"from their direction with AUC {self.label_auc_direction:.2f}")
        on = "synthetic rows (canaries)" if self.measured_on == "canaries" else "rows of this site"
        return (
            f"Leakage on {self.rows} {on}: {', '.join(found) or 'nothing measured here'}; "
            "measured, no guarantee: an attack that was not tried may do better."
        )


def leakage(
    *,
    inputs: NDArray[Any] | None = None,
    activations: NDArray[Any] | None = None,
    gradients: NDArray[Any] | None = None,
    labels: NDArray[Any] | None = None,
    measured_on: Literal["canaries", "rows"],
    most_rows: int = 2000,
) -> LeakageReport:
    """Measure what one party can: inputs with activations, gradients with labels, or both.

    Args:
      inputs: Shape `(n, *shape)`.
      activations: As sent, shape `(n, *shape)`, row i that of input i.
      gradients: As returned for each row, shape `(n, *shape)`.
      labels: Class numbers, shape `(n,)`.
      measured_on: Whose rows these are.
      most_rows: Cap for the distance correlation, whose time grows with the square of the rows; the first are taken.

    Raises:
      UsageError: If arrays do not belong together.
    """
    _same_rows(inputs, activations)
    _same_rows(gradients, labels)
    plain = unbiased = norm = direction = None
    if inputs is not None and activations is not None:
        first = slice(0, most_rows)
        plain = distance_correlation(inputs[first], activations[first])
        unbiased = distance_correlation(inputs[first], activations[first], unbiased=True)
    if gradients is not None and labels is not None:
        norm = label_auc(gradients, labels, by="norm")
        direction = label_auc(gradients, labels, by="direction")
    measured = inputs if inputs is not None else gradients
    return LeakageReport(
        distance_correlation=plain,
        distance_correlation_unbiased=unbiased,
        label_auc_norm=norm,
        label_auc_direction=direction,
        rows=0 if measured is None else len(measured),
        measured_on=measured_on,
    )


def distance_correlation(first: NDArray[Any], second: NDArray[Any], *, unbiased: bool = False) -> float:
    """Return the distance correlation of two samples, row i of one with row i of the other.

    Args:
      first, second: Shape `(n, *shape)` each; 0 where one of them is constant.
      unbiased: Return the bias-corrected *squared* correlation (Szekely and Rizzo 2013, definition 2), -1 to 1; needs
        4 rows.

    Returns:
      A number of 0 to 1, the sample distance correlation (2007, definition 5).

    Raises:
      UsageError: If the arrays have different or too few rows.
    """
    _same_rows(first, second)
    a, b = (np.asarray(values, dtype=np.float64).reshape(len(values), -1) for values in (first, second))
    complete = np.isfinite(a).all(1) & np.isfinite(b).all(1)
    n = int(complete.sum())
    if n < 4:
        raise UsageError("leakage-rows", f"{n} rows to measure on", hint="give at least 4 complete rows, better 500")
    a, b = (values[complete] - values[complete].mean(0) for values in (a, b))  # far from 0, distances lose digits
    sums_a, sums_b = np.zeros(n), np.zeros(n)
    products = np.zeros(3)  # sums over all pairs of a*b, a*a, b*b
    block = max(1, _BLOCK_VALUES // n)
    for start in range(0, n, block):
        part = slice(start, start + block)
        far_a, far_b = _distances(a, part), _distances(b, part)
        sums_a[part], sums_b[part] = far_a.sum(1), far_b.sum(1)
        products += [np.vdot(far_a, far_b), np.vdot(far_a, far_a), np.vdot(far_b, far_b)]
    combine = _unbiased_covariance if unbiased else _covariance
    pairs = ((sums_a, sums_b), (sums_a, sums_a), (sums_b, sums_b))
    cross, own_a, own_b = (combine(p, x, y) for p, (x, y) in zip(products, pairs, strict=True))
    scale = float(np.sqrt(max(own_a, 0.0) * max(own_b, 0.0)))
    # Constant arrays: what is left is rounding of sums of this size.
    if scale <= 1e-12 * float(np.sqrt(products[1] * products[2])) / n**2:
        return 0.0
    ratio = cross / scale
    return float(np.clip(ratio, -1.0, 1.0)) if unbiased else float(np.sqrt(np.clip(ratio, 0.0, 1.0)))


def label_auc(gradients: NDArray[Any], labels: NDArray[Any], *, by: Literal["norm", "direction"]) -> float | None:
    """Return how well an attacker tells the labels from the gradients, as an area under the ROC curve.

    Args:
      gradients: Shape `(n, *shape)`.
      labels: Class numbers, shape `(n,)`. With more than two, each class against the rest, and the worst is reported.
      by: `norm`: the length, in whichever sense separates better (the attacker may know which class is the rarer).
        `direction`: the cosine with the gradient of one row whose label is known, the mean over up to 8 such rows; or
        the projection on the direction in which gradients vary most, if that separates better.

    Returns:
      .5 to 1, or None where only one class is present.
    """
    vectors = np.nan_to_num(np.asarray(gradients, dtype=np.float64).reshape(len(gradients), -1), posinf=0, neginf=0)
    lengths = np.sqrt((vectors**2).sum(1))
    found = []
    for label in np.unique(labels):
        positive = np.asarray(labels == label)
        if positive.all():
            continue
        if by == "norm":
            area = auc(lengths, positive)
            found.append(max(area, 1 - area))
            continue
        found += _by_direction(vectors, lengths, positive)
    return max(found) if found else None


def _by_direction(
    vectors: NDArray[np.float64], lengths: NDArray[np.float64], positive: NDArray[np.bool_]
) -> list[float]:
    """Return the areas of two attackers: one who knows the label of a row, and one who looks for the main direction."""
    units = vectors / np.maximum(lengths, 1e-300)[:, None]
    known = np.flatnonzero(positive)[:_HINTS]
    areas = []
    for row in known if positive.sum() > 1 else ():
        others = np.arange(len(units)) != row
        areas.append(auc(units[others] @ units[row], positive[others]))
    main = np.ones(vectors.shape[1]) if not lengths.any() else vectors[np.argmax(lengths)]
    for _ in range(_POWER_STEPS):
        main = vectors.T @ (vectors @ main)
        main /= max(float(np.linalg.norm(main)), 1e-300)
    along = auc(vectors @ main, positive)
    mean = [float(np.mean(areas))] if areas else []
    return [max(area, 1 - area) for area in (*mean, along)]


def auc(scores: NDArray[Any], positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: the chance that a positive scores higher, ties counted half."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def _distances(values: NDArray[np.float64], part: slice) -> NDArray[np.float64]:
    """Return the distances of the rows of `part` to all rows, shape `(block, n)`."""
    some = values[part]
    squares = (some**2).sum(1)[:, None] + (values**2).sum(1)[None, :] - 2 * some @ values.T
    own = np.arange(len(some))
    squares[own, part.start + own] = 0.0
    distances: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0))
    return distances


def _covariance(product: float, x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    n = len(x)
    return float(product / n**2 + x.sum() * y.sum() / n**4 - 2 * np.vdot(x, y) / n**3)


def _unbiased_covariance(product: float, x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    n = len(x)
    centred = product + x.sum() * y.sum() / ((n - 1) * (n - 2)) - 2 * np.vdot(x, y) / (n - 2)
    return float(centred / (n * (n - 3)))


def _same_rows(first: NDArray[Any] | None, second: NDArray[Any] | None) -> None:
    if (first is None) != (second is None) or (first is not None and second is not None and len(first) != len(second)):
        counts = [None if values is None else len(values) for values in (first, second)]
        raise UsageError(
            "leakage-rows",
            f"arrays with {counts[0]} and {counts[1]} rows are to be compared",
            hint="give inputs with activations, gradients with labels, row by row",
        )

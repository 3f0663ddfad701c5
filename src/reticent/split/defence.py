"""The accounted defence of split learning: clipped, noised boundaries, and why nothing else needs noise.

**The mistake to avoid.** Noise on the vectors that travel is not enough. The label of row j changes the weights of the
top, and the weights of the top are in the gradients that are returned for every *other* row afterwards; the features
of row j change the bottom, and the bottom is in all later activations. A defence that noises the traffic and trains on
exact rows hides a row in its own vector and shows it in those of others (a test here reads it out). So all that is
computed from a row, directly or through weights, must come from a mechanism that was charged.

**Who looks.** At a site's messages: the coordinator, every other site, all of them together. They know the model, the
schedule of batches, all rows of this site but one unit's, and may send anything in place of activations and gradients.
They know whose row each vector is, so there is no amplification, and membership is no secret (`replace_one`).

**Labels** (`kind="outputs"`, at the site with the labels). Step t: outputs `o_i = top_t(a_i)`, from activations that
were received. The site computes `g_i = dl(o_i, y_i)/do_i` for the rows of the batch, clips each to `max_norm` and adds
noise. The noised `g_i` are all that it uses: they give the top's update and the gradients that are returned.

    Claim. One pass is, for one record, one Gaussian(z) mechanism, and E passes are E of them.
    Proof. Let H be everything seen and received before step t, with all noised g of earlier steps. The weights top_t
    are a function of H (induction: top_0 is public, a step uses noised g and activations only), hence so is o_i.
    Given H, replacing y_j changes g_j alone, in step t only if j is in batch t. (A loss broadcast over outputs of another
    shape would put y_j into every g_i: outputs of shapes with which it was not tried are refused, in the same words for
    all labels.) Both values are at most `max_norm` long, so they are 2 * max_norm apart, and the noise is z * max_norm:
    Gaussian(z) under `replace_one`. A record is in one batch of a pass (`RowsOnce` refuses a second time), so E steps
    are not the same for both neighbours. What these E mechanisms are was fixed in advance, their inputs are adaptive:
    Gaussian mechanisms compose so (Dong, Roth, Su 2022, theorem 3.2). All messages are functions of H and of what was
    drawn: post-processing. []

    It covers the label, not features that the same site puts into the top: those enter o_i exactly.

**Features** (`kind="activations"`, at the site with a bottom). Step t: the site sends `a_i = clip(bottom_t(x_i))` with
noise, receives any `g_i`, and updates the bottom with `sum_i clip(J_t(x_i)^T g_i)` plus noise (`update`).

    Claim. One pass is, for one record, a Gaussian(z_v) and a Gaussian(z_u); frozen bottoms have the first alone.
    Proof. H now holds all noised activations, received gradients and *noised sums*. bottom_t is a function of H by
    the same induction. Given H, replacing x_j changes a_j (2 * max_norm apart) and, after a_j and whatever was answered
    to it, one summand of one sum (2 * max_update_norm apart). Both only in j's batch. []

    It holds whatever the other side sends: a coordinator that steers the bottom to leak (FSHA, Pasquini et al., CCS
    2021) steers it as it likes and reads out no more than epsilon. What the weights of the bottom reveal, when they
    are handed to the next client or published, is covered: the noised sums are charged as if they had been sent.

**Persons.** Which rows are a person's is public, like membership. A person with k declared rows is in at most k batches
of a pass, or several times in one: its rows' vectors together cost at most k Gaussian(z_v); its gradients within a
batch are summed before they are clipped, so that each of at most k sums costs one Gaussian(z_u).

**Several sites.** A person whose columns and label lie at several sites is protected by each for what that site holds;
who sees all of them faces the sum of the epsilons. In U-shape one site holds both, and pays for both boundaries.

Not covered: reply times; floating-point differences between batches of different sizes (public); metrics, unless paid
for; activations of rows after training, unless planned as `evaluations`.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reticent.dp import Gaussian, Grant, Release
from reticent.errors import PolicyRefused, UsageError
from reticent.split.boundary_accounting import BoundaryNoise, BoundaryPrivacy
from reticent.split.boundary_bottom import NoisedBottom, refuse_mixing_frozen
from reticent.split.boundary_loss import refuse_mixing_loss
from reticent.split.boundary_parallel import RowsOnce
from reticent.split.boundary_vectors import noised_rows
from reticent.training import Loss

__all__ = ["GaussianBoundary", "GaussianCrossing"]

_VECTORS, _UPDATES = "vectors", "updates"


class GaussianBoundary:
    """Noise at one boundary of one site, for `split.Client`.

    Run by: the site whose rows are behind it. Requires: a grant for every pass. Reveals: noised vectors, which keep
    the promise by themselves.

    Args:
      privacy: What was declared and charged.
      units: Whose row each of the site's training rows is, dense numbers, shape `(rows,)`; `arange(rows)` under unit
        record.

    Attributes:
      trains: Whether the bottom behind it learns, by `GaussianCrossing.update` and in no other way.

    Raises:
      PolicyRefused: If a person has more rows than declared. Raised before the run, and so listed as not covered.
    """

    def __init__(self, privacy: BoundaryPrivacy, *, units: NDArray[np.int64]) -> None:
        # Under unit record, rows of one person are different units.
        counts = np.bincount(units) if privacy.unit == "person" and len(units) else np.zeros(0)
        if np.any(counts > privacy.rows_per_unit):
            raise PolicyRefused(
                "boundary-rows-per-unit",
                f"at least one person has more than the declared {privacy.rows_per_unit} rows",
                hint="declare a larger rows_per_unit, which costs more, or keep fewer rows of each person before the run",
            )
        self.privacy = privacy
        self.trains = privacy.noise.updates is not None
        self._units = np.arange(len(units)) if privacy.unit == "record" else units
        self._bottoms = _Bottoms(privacy.max_norm)

    def cost(self) -> Release:
        """Return what one pass over the rows discloses."""
        return self.privacy.release(self.privacy.pass_events())

    def open(self, grant: Grant) -> GaussianCrossing:
        """Use up the grant for one pass, and return the pass; it lives in memory and cannot be restored.

        Raises:
          PolicyRefused: If the pass was not paid for.
        """
        return GaussianCrossing(self.privacy, self._units, grant, self._bottoms)

    def check_bottom(self, bottom: nn.Module, shape: tuple[int, ...]) -> None:
        """Refuse a bottom in which one row shows in the activations of another; tried on made-up rows.

        Args:
          bottom: The part behind the boundary; a frozen one in evaluation mode, as it is used.
          shape: Of one row's features.

        Raises:
          PolicyRefused: With code `mixes-examples`.
        """
        if self.trains:
            self._bottoms.learner(bottom, shape)
        else:
            refuse_mixing_frozen(bottom, shape)

    def check_loss(self, loss: Loss, classes: int) -> frozenset[tuple[int, ...]]:
        """Refuse a loss in which the label of one row shows in the gradient of another; tried on made-up outputs.

        Args:
          loss: A mean over rows.
          classes: Number of label classes; 0 for a numeric label.

        Returns:
          The shapes of one row's outputs that it takes without mixing.

        Raises:
          PolicyRefused: With code `mixes-examples`.
          UsageError: If the loss takes no outputs that are usual for so many classes.
        """
        return refuse_mixing_loss(loss, classes)

    def for_tests(self, units: NDArray[np.int64]) -> GaussianBoundary:
        """Return the boundary for a pass over test rows, from which nothing is learned."""
        plain = {name: getattr(self.privacy, name) for name in self.privacy.__dataclass_fields__}
        noise = BoundaryNoise(vectors=self.privacy.noise.vectors)
        return GaussianBoundary(BoundaryPrivacy(**{**plain, "noise": noise, "max_update_norm": None}), units=units)


class GaussianCrossing:
    """One paid pass over a site's rows; see `GaussianBoundary.open`."""

    def __init__(self, privacy: BoundaryPrivacy, units: NDArray[np.int64], grant: Grant, bottoms: _Bottoms) -> None:
        self._privacy = privacy
        self._units = units
        self._vectors = Gaussian(privacy.noise.vectors)
        self._updates = None if privacy.noise.updates is None else Gaussian(privacy.noise.updates)
        kinds = {_VECTORS: self._vectors} | ({} if self._updates is None else {_UPDATES: self._updates})
        self._once = RowsOnce(grant, kinds, rows=len(units), rows_per_unit=privacy.rows_per_unit)
        self._bottoms = bottoms

    def release(self, values: Tensor, *, rows: NDArray[np.int64], units: NDArray[np.int64]) -> Tensor:
        """Return what may leave instead of `values`: every row clipped to `max_norm` and noised.

        Args:
          values: One row each, shape `(n, *shape)`; of `outputs`, the gradient of each row's own loss.
          rows: Which of the site's rows they are, shape `(n,)`.
          units: Whose, shape `(n,)`; the numbers given to the boundary are what counts.

        Raises:
          PolicyRefused: If a row was served before in this pass.
          UsageError: If a row does not exist, or the shapes do not fit.
        """
        del units
        _same_length(values, rows)
        grant = self._once.part(_VECTORS, rows)
        return noised_rows(values, max_norm=self._privacy.max_norm, event=self._vectors, grant=grant)

    def update(
        self,
        bottom: nn.Module,
        features: Tensor,
        returned: Tensor,
        optimizer: torch.optim.Optimizer,
        *,
        rows: NDArray[np.int64],
    ) -> None:
        """Let the bottom learn from what came back for `rows`, in place of `backward()` and `optimizer.step()`.

        Args:
          bottom: Trained in place; it must not mix the rows of a batch.
          features: Shape `(n, *shape)`, the rows whose activations were sent.
          returned: The gradient of each row's own loss with respect to its activations, shape `(n, *activation)`.
          optimizer: Over the bottom's parameters.
          rows: Which of the site's rows they are, shape `(n,)`.

        Raises:
          PolicyRefused: If the bottom mixes rows, is frozen by the plan, or a row was served before in this pass.
          UsageError: If bottom, optimizer or shapes cannot be used.
        """
        if self._updates is None or self._privacy.max_update_norm is None:
            raise PolicyRefused(
                "boundary-frozen",
                "the bottom behind this boundary was to learn, and the plan pays for no update",
                hint="plan with noise.updates and max_update_norm, or leave the bottom as it is",
            )
        _same_length(features, rows)
        _same_length(returned, rows)
        learner = self._bottoms.learner(bottom, tuple(features.shape[1:]))
        learner.update(
            optimizer,
            features,
            returned,
            self._units[rows],
            max_norm=self._privacy.max_update_norm,
            event=self._updates,
            grant=self._once.part(_UPDATES, rows),
        )


class _Bottoms:
    """The bottoms that were checked, by their layers: once for a run and not for every pass."""

    def __init__(self, max_norm: float) -> None:
        self._max_norm = max_norm
        self._known: dict[Hashable, tuple[list[nn.Module], NoisedBottom]] = {}

    def learner(self, bottom: nn.Module, shape: tuple[int, ...]) -> NoisedBottom:
        layers = list(bottom.modules())  # kept beside the learner, so that their ids stay their own
        key = (shape, *map(id, layers))
        if key not in self._known:
            self._known[key] = layers, NoisedBottom(bottom, shape, max_norm=self._max_norm)
        return self._known[key][1]


def _same_length(values: Tensor, rows: NDArray[np.int64]) -> None:
    if values.ndim == 0 or len(values) != len(rows):
        raise UsageError(
            "boundary-rows",
            f"values of shape {tuple(values.shape)} were given for {len(rows)} rows",
            hint="give one vector for each row of the batch",
        )

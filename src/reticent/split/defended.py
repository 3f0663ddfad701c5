"""A site's defences in use: what each pass costs, and that a promise is made only where it can be kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reticent.dp import Event, Gaussian, Grant, Release
from reticent.errors import PolicyRefused
from reticent.split.boundary_port import Boundary, Crossing
from reticent.split.holding import Holding
from reticent.split.labels import Counted
from reticent.split.settings import SplitTraining
from reticent.split.sides import Side
from reticent.split.wire import EVALUATE, TRAIN, Counts
from reticent.training import METRICS_GRID, noised_confusion

__all__ = ["Defences"]


class Defences:
    """The boundaries of one site; without any, values pass unchanged and nothing is claimed."""

    def __init__(
        self,
        activations: Boundary | None,
        outputs: Boundary | None,
        metrics_noise_multiplier: float | None,
        settings: SplitTraining,
        *,
        covers: Literal["record", "labels"],
        site: str,
    ) -> None:
        self._activations = activations
        self._for_tests: Boundary | None = None
        self._outputs = outputs
        self._counts = None if metrics_noise_multiplier is None else Gaussian(metrics_noise_multiplier)
        self._classes = settings.classes
        self._site = site
        self._has_labels = site in settings.head_sites
        self._grant: Grant | None = None
        self._crossings: dict[str, Crossing] = {}
        self._covers = covers
        if activations is not None or outputs is not None:
            self._require_kept(settings)
        elif self._counts is not None:
            raise _empty_promise(
                f"site {site} adds noise to its counts, and nothing says whose budget they are charged to",
                "give the client a defence too, or leave metrics_noise_multiplier out",
            )

    def _require_kept(self, settings: SplitTraining) -> None:
        """Refuse a defence that could not keep what it says."""
        if settings.shape == "vanilla":
            raise _empty_promise(
                f"site {self._site} sends its labels in the clear in the shape vanilla",
                'use shape = "u-shape", in which labels stay',
            )
        if self._outputs is not None and not self._has_labels:
            raise _empty_promise(
                f"site {self._site} has no labels to defend", "give the defence of the labels to a site with a head"
            )
        # Features enter the bottom's activations and weights, labels the gradients: one boundary covers one of them.
        wanted = {"activations": self._covers == "record", "outputs": self._has_labels}
        given = {"activations": self._activations is not None, "outputs": self._outputs is not None}
        if wanted != given:
            raise _empty_promise(
                f"a defence that covers {self._covers} at site {self._site} has "
                f"{' and '.join(name for name in given if given[name])}",
                f"give it {' and '.join(name for name in wanted if wanted[name])}; with covers = 'labels' features are "
                "sent in the clear, and the plan must say so",
            )
        if self._activations is not None and settings.bottom_optimizer is not None and not self._activations.trains:
            raise _empty_promise(
                f"the bottom of site {self._site} is trained on the exact rows, which others' activations would show",
                "plan noise for its updates too, or set bottom_optimizer = None and start from a public bottom",
            )
        said = {(each.unit, each.relation, each.population, each.dataset) for each in self._releases(TRAIN)}
        if len(said) > 1:
            raise _empty_promise(
                f"the two defences of site {self._site} speak of different units or populations",
                "give both the same unit, relation, population and dataset",
            )
        if self._has_labels and settings.evaluations and self._counts is None:
            raise _empty_promise(
                f"the evaluations of site {self._site} would send exact counts",
                "set metrics_noise_multiplier, or evaluations = ()",
            )

    def check(self, holding: Holding, shape: tuple[int, ...]) -> None:
        """Refuse a bottom or a loss that a boundary cannot defend, and be ready for passes over the test rows."""
        if self._activations is not None:
            self._activations.check_bottom(holding.bottom.module, shape)
            self._for_tests = self._activations.for_tests(holding.rows(EVALUATE).units)
        if self._outputs is not None and holding.labels is not None:
            holding.labels.shapes = self._outputs.check_loss(holding.labels.loss, self._classes)

    @property
    def trains(self) -> bool:
        """Whether the bottom learns by the boundary's updates."""
        return self._activations is not None and self._activations.trains

    def _releases(self, task: str) -> list[Release]:
        used = (self._activations, self._outputs) if task == TRAIN else (self._for_tests, None)
        return [boundary.cost() for boundary in used if boundary is not None]

    def cost(self, task: str) -> Release | None:
        """Return what one pass discloses; None where nothing is claimed."""
        model = self._activations or self._outputs
        if model is None:
            return None
        events: list[Event] = [event for release in self._releases(task) for event in release.events]
        if task == EVALUATE and self._has_labels and self._counts is not None:
            events.append(self._counts)
        return replace(model.cost(), events=tuple(events)) if events else None

    def open(self, task: str, grant: Grant | None) -> None:
        """Begin a pass.

        Raises:
          PolicyRefused: Without the grant for its cost.
        """
        self._crossings, self._grant = {}, grant
        if self.cost(task) is None:
            return
        if grant is None:
            raise PolicyRefused(
                "noise-not-granted",
                f"site {self._site} was asked for a defended pass without a grant",
                hint="let the host commit the client's cost first",
            )
        features = self._activations if task == TRAIN else self._for_tests
        if features is not None:
            self._crossings["activations"] = features.open(grant)
        if self._outputs is not None and task == TRAIN:
            self._crossings["outputs"] = self._outputs.open(grant)

    def update(self, bottom: Side, features: Tensor, returned: Tensor, rows: NDArray[np.int64]) -> None:
        """Let the bottom learn from each row's own gradient, noised."""
        assert bottom.optimizer is not None  # noqa: S101  (a frozen bottom learns nothing)
        crossing = self._crossings["activations"]
        crossing.update(bottom.module, features, returned, bottom.optimizer, rows=rows)

    def activations(self, values: Tensor, rows: NDArray[np.int64], units: NDArray[np.int64]) -> Tensor:
        """Return what may leave instead of `values`."""
        crossing = self._crossings.get("activations")
        return values if crossing is None else crossing.release(values, rows=rows, units=units)

    @property
    def outputs_defended(self) -> bool:
        """Whether the labels have a defence."""
        return self._outputs is not None

    def outputs(self, gradient: Tensor, rows: NDArray[np.int64], units: NDArray[np.int64]) -> Tensor:
        """Return what may be used instead of each row's gradient; only while a defended pass is open."""
        return self._crossings["outputs"].release(gradient, rows=rows, units=units)

    def counts(self, counted: Counted, units: NDArray[np.int64]) -> tuple[Counts, dict[str, Any]]:
        """Return the counts that may leave, and the exact figures, which stay."""
        exact = counted.confusion()
        notes = {
            "confusion": exact.reshape(self._classes, self._classes).tolist(),
            "loss": counted.loss(),
            "rows": counted.rows,
            "auc": counted.auc(),
        }
        if self._activations is None and self._outputs is None:
            return Counts(
                exact, None if counted.loss() is None else counted.loss_sum, counted.rows, counted.auc()
            ), notes
        if self._counts is None or self._grant is None:
            raise PolicyRefused(
                "noise-not-granted",
                f"site {self._site} was asked for exact counts of a defended evaluation",
                hint="set metrics_noise_multiplier, and let the host commit the client's cost first",
            )
        shares = _shares(counted, units, self._classes)
        return Counts(noised_confusion(shares, event=self._counts, grant=self._grant), None, None, None), notes


def _shares(counted: Counted, units: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Return each unit's share of the counts, rounded down so that its norm is at most 1 (training.unit_confusion)."""
    shares = np.zeros((int(units.max()) + 1 if len(units) else 0, classes**2))
    if counted.truth:
        cells = np.concatenate(counted.truth) * classes + np.concatenate(counted.predicted)
        np.add.at(shares, (units, cells), 1.0)
        shares /= np.maximum(np.bincount(units, minlength=len(shares)), 1)[:, None]
    floored: NDArray[np.float64] = np.floor(shares / METRICS_GRID) * METRICS_GRID
    return floored


def _empty_promise(why: str, hint: str) -> PolicyRefused:
    return PolicyRefused("defence-without-effect", why, hint=hint)

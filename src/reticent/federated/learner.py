"""What a site computes on its own rows: a weighted model update, or the counts of an evaluation.

The rows are touched here and nowhere else in `federated`. Under differential privacy the clipping, the noise and
the sampler are those of `reticent.training.DPSGD` or `DPFedAvg`, which cannot be taken apart.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.data import Examples
from reticent.dp import Gaussian, Grant
from reticent.errors import PolicyRefused
from reticent.federated.aggregation import METRICS_BOUND
from reticent.federated.settings import LocalTraining, PrivateTraining
from reticent.training import (
    DPSGD,
    DPFedAvg,
    LocalSteps,
    Trainer,
    evaluate,
    fit_plain,
    flatten,
    load_flat,
    noised_confusion,
    unit_confusion,
)

__all__ = ["Learner"]


class Learner:
    """A site's model, training settings and rows."""

    def __init__(self, model: Any, training: LocalTraining, *, train: Examples, test: Examples, name: str) -> None:
        self._model = model
        self._training = training
        self._train = train
        self._test = test
        self._name = name
        self.length = int(flatten(model).size)
        self._classes = training.classes
        counts = self._classes**2
        self.metrics_length = counts if training.private else counts + 2

    def update(
        self, start: NDArray[Any], *, round_number: int, grant: Grant | None, bound: float
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Train from `start` and return weight * (trained - start), shape (length,), and notes that stay here."""
        load_flat(self._model, start)
        if self._training.private is None:
            self._fit_plain(round_number)
        else:
            self._fit_private(self._training.private, grant)
        update = self._training.weight * (flatten(self._model).astype(np.float64) - start.astype(np.float64))
        return _bounded(update, bound)

    def _fit_plain(self, round_number: int) -> None:
        if not len(self._train):
            return
        seed = None if self._training.seed is None else _seed(self._training.seed, self._name, round_number)
        fit_plain(
            self._model,
            self._training.loss,
            self._training.optimizer(self._trained()),
            self._train,
            batch_size=self._training.batch_size,
            local_epochs=self._training.local_epochs,
            local_steps=self._training.local_steps,
            seed=seed,
            proximal=self._training.mu,
        )

    def _fit_private(self, private: PrivateTraining, grant: Grant | None) -> None:
        if grant is None:
            raise PolicyRefused(
                "noise-not-granted",
                f"site {self._name} was asked to train privately without a grant",
                hint="let the host commit the client's cost first",
            )
        settings: dict[str, Any] = {
            "population": private.population_size,
            "expected_batch_size": private.expected_batch_size,
            "steps": self._training.local_steps or 0,
            "unit": private.unit,
            "relation": private.relation,
            "noise_multiplier": private.noise_multiplier,
            # The plan's own number: for one size in sixteen it differs from the quotient in the last bit, and a grant
            # covers exactly what was charged.
            "sampling_probability": private.sampling_probability,
        }
        if private.contribution == "update":
            trainer = self._each_person_alone(DPFedAvg(clipping_norm=private.max_grad_norm, **settings), grant)
        else:
            dpsgd = DPSGD(max_grad_norm=private.max_grad_norm, **settings)
            optimizer = self._training.optimizer(self._trained())
            trainer = dpsgd.trainer(
                self._model, self._training.loss, optimizer, grant=grant, proximal=self._training.mu
            )
        trainer.fit(self._train)

    def _each_person_alone(self, dpfedavg: DPFedAvg, grant: Grant) -> Trainer:
        local = LocalSteps(
            optimizer=self._training.optimizer,
            epochs=1 if self._training.local_epochs is None else self._training.local_epochs,
            batch_size=self._training.batch_size,
            mu=self._training.mu,
        )
        return dpfedavg.trainer(self._model, self._training.loss, local, grant=grant)

    def _trained(self) -> list[Any]:
        return [parameter for parameter in self._model.parameters() if parameter.requires_grad]

    def metrics(self, model: NDArray[Any], *, grant: Grant | None) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Return the confusion counts on the held-out rows, noised under differential privacy, and exact notes.

        Without a claim of privacy the vector ends with the sum of the losses and the number of rows. The notes hold
        the exact figures; they stay at the site.
        """
        load_flat(self._model, model)
        exact = evaluate(self._model, self._training.loss, self._test, self._classes)
        loss = exact.loss_sum / exact.rows if exact.rows else 0.0
        notes = {
            "confusion": exact.confusion.tolist(),
            # JSON has no infinity: a note that could not be written would stop the site for some people's rows only.
            "loss": loss if exact.rows and math.isfinite(loss) else None,
            "rows": exact.rows,
        }
        private = self._training.private
        if private is None:
            ending = [_clamp(exact.loss_sum), float(exact.rows)]
            return np.concatenate([exact.confusion.ravel().astype(np.float64), ending]), notes
        if grant is None or private.metrics_noise_multiplier is None:
            raise PolicyRefused(
                "noise-not-granted",
                f"site {self._name} was asked for metrics without a grant",
                hint="let the host commit the client's cost first",
            )
        shares = unit_confusion(self._model, self._test, self._classes)
        event = Gaussian(private.metrics_noise_multiplier)
        return noised_confusion(shares, event=event, grant=grant), notes


def _bounded(update: NDArray[np.float64], bound: float) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Scale an update down as a whole if it exceeds `bound`; one that is not finite contributes nothing."""
    if not np.isfinite(update).all():
        return np.zeros_like(update), {"update": "not finite: contributed zero"}
    largest = float(np.abs(update).max(initial=0.0))
    if largest <= bound:
        return update, {}
    # Scaling alone can end one unit in the last place above the bound, which the encoding refuses.
    return np.clip(update * (bound / largest), -bound, bound), {
        "update": f"scaled down by {bound / largest:.3g} to fit the bound {bound:g}"
    }


def _clamp(loss_sum: float) -> float:
    return float(np.clip(loss_sum, 0.0, METRICS_BOUND)) if np.isfinite(loss_sum) else METRICS_BOUND


def _seed(seed: int, name: str, round_number: int) -> int:
    words = np.random.SeedSequence([seed, round_number, *name.encode()]).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))

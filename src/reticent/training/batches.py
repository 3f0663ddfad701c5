"""Batches that cannot be chosen, changed or used twice: a batch is the right to one sample, drawn where it is used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reticent.data import Examples
from reticent.dp import PoissonSampler, Unit
from reticent.errors import PolicyRefused, UsageError
from reticent.training.contributions import Rows
from reticent.training.datasets import Dataset, as_examples

__all__ = ["Batch", "Source", "source_of"]


class Batch:
    """The right to one Poisson sample of units; only `batches` of a mechanism makes them.

    The sample is drawn inside `trainer.step`, once. Somebody who looks at it first (`features`, `labels`, `counts`:
    for tests of the sampler) has used it up: otherwise samples could be looked through until one pleases, and what
    was charged is the first.
    """

    __slots__ = ("__weakref__", "_sampler", "_seen", "_source", "_taken", "number")

    def __init__(self, number: int, source: Source, sampler: PoissonSampler) -> None:
        self.number = number
        self._source = source
        self._sampler = sampler
        self._taken = False
        self._seen: Rows | None = None

    def take(self) -> Rows:
        """Draw the sample.

        Raises:
          PolicyRefused: With code `not-the-next-sample`, if it was drawn before.
        """
        if self._taken:
            raise PolicyRefused(
                "not-the-next-sample",
                f"batch {self.number} was used or looked at before, and a sample is good for one step",
                hint="write: for batch in dpsgd.batches(examples): trainer.step(batch); or trainer.fit(examples)",
            )
        self._taken = True
        return self._source.sample(self._sampler)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row; known without drawing the sample."""
        return self._source.shape

    @property
    def label_type(self) -> torch.dtype:
        """Type of the labels; known without drawing the sample."""
        return self._source.label_type

    def _look(self) -> Rows:
        if self._seen is None:
            self._seen = self.take()
        return self._seen

    @property
    def features(self) -> Tensor:
        """Rows of the sample, `(rows, *shape)`, those of one unit side by side. Looking uses the batch up."""
        return self._look().features

    @property
    def labels(self) -> Tensor:
        """Labels of the sample, `(rows,)`. Looking uses the batch up."""
        return self._look().labels

    @property
    def counts(self) -> list[int] | None:
        """Rows of each sampled unit; None where rows are units. Looking uses the batch up."""
        return self._look().counts

    def __repr__(self) -> str:
        return f"Batch(number={self.number})"  # neither rows nor their number: a repr ends up in logs


class Source:
    """Rows to sample from, ordered so that a unit's rows lie side by side.

    Args:
      features, labels: Shapes `(n, *shape)` and `(n,)`.
      units: Dense number of each row's unit, shape `(n,)`; None if each row is a unit.
      n_units: How many units there are.
    """

    def __init__(self, features: Tensor, labels: Tensor, units: NDArray[np.int64] | None, n_units: int) -> None:
        self._features = features
        self._labels = labels
        self._n_units = n_units
        self.shape = tuple(features.shape[1:])
        self.label_type = labels.dtype
        self._order = None if units is None else np.argsort(units, kind="stable")
        self._owners = None if units is None or self._order is None else units[self._order]
        self._rows_of = None if units is None else np.bincount(units, minlength=n_units)

    def sample(self, sampler: PoissonSampler) -> Rows:
        """Draw one sample from operating-system entropy, possibly empty."""
        chosen = sampler.sample(self._n_units)
        if self._order is None or self._owners is None or self._rows_of is None:
            rows = torch.from_numpy(chosen)
            return Rows(self._features.index_select(0, rows), self._labels[rows], None)
        taken = np.zeros(self._n_units, dtype=bool)
        taken[chosen] = True
        rows = torch.from_numpy(self._order[taken[self._owners]])
        return Rows(self._features.index_select(0, rows), self._labels[rows], self._rows_of[chosen].tolist())


def source_of(data: Dataset | Mapping[str, Dataset], unit: Unit) -> Source:
    """Return what to sample from: rows, persons with their rows, or sites with all of theirs.

    Raises:
      PolicyRefused: With code `unit-site-unsupported`, for the rows of one site alone.
      UsageError: With code `not-examples`.
    """
    if unit == "site":
        return _sites(data)
    if isinstance(data, Mapping):
        raise UsageError(
            "not-examples",
            f"data are a mapping of {len(data)} sites, and the unit is {unit}",
            hint="give the examples of one site, or unit='site' where whole sites shall be hidden",
        )
    examples = as_examples(data, unit)
    features, labels = torch.from_numpy(examples.features), torch.from_numpy(examples.labels)
    if unit == "record":
        return Source(features, labels, None, len(examples))
    return Source(features, labels, examples.units, examples.n_units)


def _sites(data: Dataset | Mapping[str, Dataset]) -> Source:
    if not isinstance(data, Mapping):
        raise PolicyRefused(
            "unit-site-unsupported",
            "unit is 'site', and the data do not say whose rows they are: a site cannot hide itself in its own rows",
            hint="where one trusted party holds all rows, give {site name: examples}; where sites keep their rows, "
            "noise must be complete in the sum over sites only: use unit='person' or unit='record' until then",
        )
    sites: list[Examples] = [as_examples(part, "record") for part in data.values()]
    if not sites:
        raise UsageError("not-examples", "data name no site at all", hint="give {site name: examples}")
    units = np.repeat(np.arange(len(sites)), [len(part) for part in sites])
    features = torch.cat([torch.from_numpy(part.features) for part in sites])
    labels = torch.cat([torch.from_numpy(part.labels) for part in sites])
    return Source(features, labels, units, len(sites))

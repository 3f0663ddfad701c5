"""What a site holds: its parts, its rows, and both together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from reticent.data import Examples
from reticent.errors import DataError, UsageError
from reticent.split.labels import LabelSide
from reticent.split.rows import Rows, epoch_batches, evaluation_batches
from reticent.split.settings import SplitTraining
from reticent.split.sides import Side, redraw
from reticent.split.state import pack, unpack
from reticent.split.wire import TRAIN

__all__ = ["Holding", "refuse_batch_of_one"]


class Holding:
    """A site's bottom, perhaps its head, and its rows.

    Attributes:
      bottom: The part that reads the rows.
      labels: The head with the loss; None where the labels' side is the coordinator.
    """

    def __init__(
        self,
        parts: nn.Module | tuple[nn.Module, nn.Module],
        train: Examples,
        test: Examples | None,
        settings: SplitTraining,
        *,
        site: str,
        defended: bool,
    ) -> None:
        bottom, head = parts if isinstance(parts, tuple) else (parts, None)
        _require_fitting(bottom, head, settings, site)
        self._settings = settings
        self._site = site
        self.bottom = Side(bottom, settings.bottom_optimizer, first=True)
        self.labels = None if head is None else LabelSide(Side(head, settings.head_optimizer), settings)
        self._train = Rows(train, bottom, settings, site=site, defended=defended)
        held_out = train.select(np.array([], dtype=np.intp)) if test is None else test
        self._test = Rows(held_out, bottom, settings, site=site, defended=defended)
        if settings.shape == "vanilla" or head is not None:
            self._train.require_labels(settings.classes, site=site)
            self._test.require_labels(settings.classes, site=site)
        for side in self._sides().values():
            refuse_batch_of_one(side, len(self._train), settings)

    def _sides(self) -> dict[str, Side]:
        return {"bottom": self.bottom} | ({} if self.labels is None else {"head": self.labels.side})

    def rows(self, task: str) -> Rows:
        """Return the rows that a task reads."""
        return self._train if task == TRAIN else self._test

    def batches(self, task: str, epoch: int, order_secret: bytes) -> list[NDArray[np.int64]]:
        """Return the positions of the rows of a task, batch by batch, and be ready for the first."""
        self.bottom.drop()
        if task == TRAIN:
            return epoch_batches(len(self._train), self._settings, epoch=epoch, site=self._site, secret=order_secret)
        if self.labels is not None:
            self.labels.begin_count()
        return evaluation_batches(len(self._test))

    def forward(self, task: str, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return activations and labels of `rows`; in training the graph stays in `bottom`."""
        features, labels = self.rows(task).take(rows)
        values = self.bottom.forward(features) if task == TRAIN else self.bottom.infer(features)
        return values, labels

    def redraw(self) -> None:
        """Draw the first weights of the trained parts anew."""
        for side in self._sides().values():
            if not side.frozen:
                redraw(side.module)

    def pack(self, *, generator: bool) -> bytes:
        """Return the parts as bytes."""
        return pack(self._sides(), generator=generator)

    def unpack(self, data: bytes, *, generator: bool) -> None:
        """Read the parts from bytes; `generator` as in `pack`, and only for this site's own bytes."""
        unpack(self._sides(), data, generator=generator)


def _require_fitting(bottom: nn.Module, head: nn.Module | None, settings: SplitTraining, site: str) -> None:
    if site not in settings.sites:
        raise UsageError(
            "parts-do-not-fit",
            f"{site!r} is not one of the sites {', '.join(settings.sites)}",
            hint="give the client the name that it has in the settings",
        )
    if (head is not None) != (site in settings.head_sites):
        raise UsageError(
            "parts-do-not-fit",
            f"site {site} was given {'a head' if head is not None else 'no head'} in the shape {settings.shape}",
            hint=f"heads belong to {', '.join(settings.head_sites) or 'no site'}: pass (bottom, head) there, and the "
            "bottom alone elsewhere",
        )
    if not any(True for _ in bottom.parameters()):
        raise UsageError(
            "parts-do-not-fit",
            f"the bottom of site {site} has no parameters: the rows themselves would leave",
            hint="cut after a layer with weights",
        )


def refuse_batch_of_one(side: Side, rows: int, settings: SplitTraining) -> None:
    """Refuse a batch of one row where batch normalisation would divide by its variance.

    Raises:
      DataError: With code `batch-of-one`.
    """
    normalises = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in side.module.modules())
    if normalises and not side.frozen and 1 in settings.batch_sizes(rows):
        raise DataError(
            "batch-of-one",
            f"{rows} rows in batches of {settings.batch_size} end in a batch of one row, which cannot be normalised",
            hint='set last_batch = "drop", or another batch_size',
        )

"""A site's rows as tensors, in the batches of an epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reticent.data import Examples
from reticent.errors import DataError
from reticent.randomness import Keystream, derive
from reticent.split.settings import EVALUATION_ROWS, SplitTraining

__all__ = ["Rows", "epoch_batches", "evaluation_batches", "order_digest"]


class Rows:
    """Rows of one site, in the type and on the device of its bottom.

    Args:
      defended: Rows with values that are missing are kept with zeros in their place, since how many there are would
        show in the number of batches. Otherwise they are left out.
    """

    def __init__(
        self, examples: Examples, part: nn.Module, settings: SplitTraining, *, site: str, defended: bool
    ) -> None:
        complete = examples.complete & np.isfinite(examples.labels)
        kept = np.arange(len(examples)) if defended else np.flatnonzero(complete)
        if settings.shape == "vertical" and len(kept) < len(examples):
            raise DataError(
                "vertical-row-incomplete",
                f"{len(examples) - len(kept)} rows of site {site} hold values that are missing",
                hint="a row that one site leaves out would shift all rows after it: impute before the rows are aligned",
            )
        like = next((value for value in part.parameters() if value.is_floating_point()), torch.empty(0))
        features = torch.from_numpy(examples.features[kept])
        self.features = torch.where(features.isfinite(), features, 0.0).to(device=like.device, dtype=like.dtype)
        labels = torch.from_numpy(np.nan_to_num(examples.labels[kept], posinf=0.0, neginf=0.0))
        self.labels = labels.to(like.device, like.dtype) if labels.is_floating_point() else labels.to(like.device)
        self.units: NDArray[np.int64] = examples.units[kept]

    def __len__(self) -> int:
        return len(self.labels)

    def require_labels(self, classes: int, *, site: str) -> None:
        """Refuse labels that are no classes of the study.

        Raises:
          DataError: With code `label-not-a-class`.
        """
        whole = not self.labels.is_floating_point()
        if classes and (not whole or bool(((self.labels < 0) | (self.labels >= classes)).any())):
            raise DataError(
                "label-not-a-class",
                f"labels of site {site} are not the class numbers 0 to {classes - 1}",
                hint="number the classes from 0, and give the settings their number",
            )

    def take(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return features and labels of `rows`, copied."""
        index = torch.from_numpy(rows).to(self.labels.device)
        return self.features[index], self.labels[index]


def epoch_batches(
    rows: int, settings: SplitTraining, *, epoch: int, site: str, secret: bytes = b""
) -> list[NDArray[np.int64]]:
    """Return the positions of the rows in every batch of an epoch.

    In vertical training the order is the same at every site. Public orders are a function of the seed; others of
    `secret`, which never leaves the site.
    """
    if settings.public_order:
        name = b"" if settings.shape == "vertical" else site.encode()
        order = np.random.default_rng([settings.seed, epoch, *name]).permutation(rows)
    else:
        stream = Keystream(derive(secret, info=f"reticent split order {epoch}".encode(), length=16))
        order = np.argsort(stream.words(rows), kind="stable")
    cuts = np.cumsum(settings.batch_sizes(rows))
    return list(np.split(order.astype(np.int64), cuts)[: len(cuts)])


def evaluation_batches(rows: int) -> list[NDArray[np.int64]]:
    """Return the positions of held-out rows, in their own order."""
    return [np.arange(start, min(start + EVALUATION_ROWS, rows)) for start in range(0, rows, EVALUATION_ROWS)]


def order_digest(ids: Sequence[str] | Iterable[str]) -> bytes:
    """Return a hash of ids in their order, 32 bytes: equal at two sites whose rows are aligned.

    It confirms a guess of the whole list to whoever sees it, and tells nothing about a single id otherwise.
    """
    digest = hashlib.sha256(b"reticent split rows 1\0")
    for each in ids:
        raw = str(each).encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.digest()

"""Standardising a site's features by its own statistics, for studies that claim no epsilon."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Standardiser"]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Standardiser:
    """Mean and standard deviation of each feature over a site's training rows.

    These are statistics of records: they stay at the site, and a model that was trained on features made with them may
    carry them out; so no epsilon can be claimed where they are used.

    Attributes:
      mean: float64, shape `shape` of one example.
      deviation: Sample standard deviation (divisor n - 1), float64, the same shape.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> Standardiser:
        """Return the statistics of features of shape `(n, *shape)`, missing values left out."""
        values = features.astype(np.float64)
        with warnings.catch_warnings():
            # An all-missing column or a single row has no statistics; it is then left as it is.
            warnings.simplefilter("ignore", RuntimeWarning)
            mean, deviation = np.nanmean(values, axis=0), np.nanstd(values, axis=0, ddof=1)
        return cls(np.nan_to_num(mean), np.nan_to_num(deviation, nan=1.0))

    def apply(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return `(features - mean) / (deviation + 1e-9)`, the formula of FLamby (NeurIPS 2022, Fed-Heart-Disease).

        A feature that is constant in training becomes zero, in test rows too: a division by 1e-9 would otherwise blow
        up the first test row that differs.
        """
        scaled = (features - self.mean) / (self.deviation + 1e-9)
        varies = self.deviation > 1e-9 * np.maximum(1.0, np.abs(self.mean))
        return np.where(varies, scaled, scaled * 0.0).astype(np.float32)

    def __repr__(self) -> str:
        return f"Standardiser(shape={self.mean.shape})"

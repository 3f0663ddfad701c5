"""Which implementation of the kernels runs, chosen once."""

from __future__ import annotations

import importlib
import os
from functools import cache
from types import ModuleType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reticent.errors import EnvironmentFault, UsageError
from reticent.kernels.compiled import INTERFACE, Compiled
from reticent.kernels.reference import Reference

__all__ = ["Kernels", "active", "choose", "describe"]

VARIABLE = "RETICENT_KERNELS"
_LEVELS = ("avx512", "avx2", "plain")
_CHOICES = ("auto", "native", "reference", *(f"native:{level}" for level in _LEVELS))


class Kernels(Protocol):
    """What every implementation does, with equal results."""

    def describe(self) -> str:
        """Return in a few words what runs, for `reticent doctor`, reports and measurements."""

    def gaussian(self, key: bytes, scale: float, out: NDArray[np.int64]) -> NDArray[np.int64]:
        """Fill `out` with rounded Gaussian draws, except where their value is not proven.

        Draw i comes from word i of the keystream of `key`: `reticent.dp.noise` says how.

        Args:
          key: 16 secret bytes, used for this call only.
          scale: Standard deviation, above 0 and at most 2^40.
          out: int64 `(n,)`, C-contiguous; overwritten.

        Returns:
          int64, ascending: the indices that the caller must decide exactly. What `out` holds there means nothing.
          Implementations differ in these indices, never in the other values.
        """


def choose(wanted: str) -> Kernels:
    """Return the implementation that a value of `RETICENT_KERNELS` names.

    Raises:
      UsageError: If there is no such value.
      EnvironmentFault: If the compiled module is demanded and was not built, or this processor lacks the level.
    """
    if wanted not in _CHOICES:
        raise UsageError(
            "unknown-kernels",
            f"{VARIABLE} is {wanted!r}",
            hint=f"set it to one of {', '.join(_CHOICES)}, or leave it out",
        )
    if wanted == "reference":
        return Reference(f"{VARIABLE} is reference")
    module, missing = _module()
    if module is None:
        if wanted == "auto":
            return Reference(missing)
        raise EnvironmentFault(
            "kernels-not-built",
            f"{VARIABLE} is {wanted}, but {missing}",
            hint="install a C++ compiler (GCC or Clang), then `RETICENT_REQUIRE_NATIVE=1 pip install --force-reinstall "
            f"--no-deps reticent`, which shows what fails; or set {VARIABLE}=auto",
        )
    levels = module.levels()
    level = wanted.partition(":")[2] or levels[0]
    if level not in levels:
        raise EnvironmentFault(
            "kernels-level-missing",
            f"{VARIABLE} is {wanted}, and this processor has no level {level}",
            hint=f"set it to native:{levels[0]}, or to auto, which takes the fastest",
        )
    return Compiled(module, level)


@cache
def active() -> Kernels:
    """Return the implementation that this process uses: chosen at the first call, and kept."""
    return choose(os.environ.get(VARIABLE) or "auto")


def describe() -> str:
    """Return in a few words which implementation this process uses."""
    return active().describe()


def _module() -> tuple[ModuleType | None, str]:
    try:
        module = importlib.import_module("reticent.kernels._native")
    except ModuleNotFoundError:
        return None, "the compiled module was not built"
    except ImportError as error:  # built for another Python or C library
        return None, f"the compiled module does not load ({error})"
    if module.interface != INTERFACE:
        return None, "the compiled module was built from other sources"
    return module, ""

"""What each error code means, why it is refused, and what to do: the text of `reticent help CODE`.

One module for each package that raises errors; each holds `EXPLANATIONS`, a mapping from code to a short text.
A test compares these texts with the codes that the source raises, so that neither can lack the other.
"""

from __future__ import annotations

import importlib
import pkgutil

__all__ = ["explain", "known_codes"]


def known_codes() -> dict[str, str]:
    """Return every code with its explanation, sorted by code."""
    found: dict[str, str] = {}
    for module in pkgutil.iter_modules(__path__):
        found.update(importlib.import_module(f"{__name__}.{module.name}").EXPLANATIONS)
    return dict(sorted(found.items()))


def explain(code: str) -> str | None:
    """Return the explanation of `code`, or None if no such code exists."""
    return known_codes().get(code)

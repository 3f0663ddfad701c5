"""The canonical text of a cell, so that 1, 1.0, "1" and " 1.0 " are the same code at every site."""

from __future__ import annotations

import re

__all__ = ["canonical"]

_WHOLE = re.compile(r"([+-]?\d+)\.0*")


def canonical(value: object) -> str:
    """Return the text of one value: no surrounding blanks, and whole numbers without a decimal point.

    Whether a file format or a gap elsewhere in the column turned a code 1 into 1.0 must not matter: one row's
    preparation would otherwise depend on another's.
    """
    text = str(value).strip()
    whole = _WHOLE.fullmatch(text)
    return whole.group(1) if whole else text

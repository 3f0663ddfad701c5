"""How each error code of rings is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np

from reticent.rings import FixedPoint, Interpolation, Ring64, combine, combine_additive, combine_replicated, split

_WORD = np.zeros(1, dtype=np.uint64)
_ENCODING = FixedPoint(1.0, 0.5, 3)

CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "encode-not-finite": lambda folder: _ENCODING.encode(np.array([np.nan])),
    "encode-over-bound": lambda folder: _ENCODING.encode(np.array([1.5])),
    "invalid-encoding": lambda folder: FixedPoint(float("nan"), 0.5, 3),
    "invalid-fraction-bits": lambda folder: Ring64(31),
    "invalid-points": lambda folder: Interpolation([1, 1]),
    "invalid-threshold": lambda folder: split(b"s", shares=2, threshold=3),
    "malformed-words": lambda folder: _ENCODING.unpack(b"", 3),
    "ring-too-wide": lambda folder: FixedPoint(1e9, 1e-9, 3),
    "secret-too-long": lambda folder: split(bytes(33), shares=2, threshold=2),
    "shares-inconsistent": lambda folder: combine({1: b"", 2: b""}, threshold=2),
    "shares-not-neighbours": lambda folder: combine_replicated((_WORD, _WORD), (_WORD + np.uint64(1), _WORD)),
    "shares-of-other-shape": lambda folder: combine_additive([_WORD]),
    "too-few-shares": lambda folder: combine({1: b""}, threshold=2),
}

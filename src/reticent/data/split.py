"""Who is kept for tests: a keyed hash of the person decides, at every site alike, and nobody else's row matters."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["held_out", "held_out_rows"]


def held_out(persons: NDArray[Any], *, key: str, fraction: float) -> NDArray[np.bool_]:
    """Return which rows belong to persons that are kept for tests, shape `(n,)`.

    A person is kept if HMAC-SHA256(key, person), read as a number in [0, 1), is below `fraction`; so all rows of a
    person fall on one side, at every site and in every version of the data.
    """
    names, place = np.unique(persons.astype(str), return_inverse=True)
    kept = _below((name.encode() for name in names.tolist()), key=key, fraction=fraction)
    return np.array(kept, dtype=bool)[place]


def held_out_rows(*parts: NDArray[Any], key: str, fraction: float) -> NDArray[np.bool_]:
    """Return which rows are kept for tests where each row is a person of its own, shape `(n,)`.

    The hash is of the row's content and of how many equal rows stand before it. A hash of the row's *number* would be
    wrong: one row more at the top would deal all others anew, and neighbouring data sets would have training sets that
    are no neighbours.

    Args:
      *parts: What makes up the rows' content, each of shape `(n, ...)` and of a fixed-size type.
      key: Key of the hash, the same at all sites.
      fraction: Expected share of rows that are kept, in [0, 1).
    """
    flat = [np.ascontiguousarray(part.reshape(len(part), -1)) for part in parts]
    seen: dict[bytes, int] = {}
    messages = []
    for row in zip(*flat, strict=True):
        content = b"".join(part.tobytes() for part in row)
        copy = seen[content] = seen.get(content, 0) + 1
        messages.append(content + copy.to_bytes(8, "big"))
    return np.array(_below(messages, key=key, fraction=fraction), dtype=bool)


def _below(messages: Iterable[bytes], *, key: str, fraction: float) -> list[bool]:
    secret, limit = key.encode(), int(fraction * 2**64)
    return [int.from_bytes(hmac.digest(secret, message, "sha256")[:8], "big") < limit for message in messages]

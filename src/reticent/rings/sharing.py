"""Additive and replicated shares over Z/2^64: each single share is uniform and tells nothing.

Additive: s_0 + .. + s_{n-1} = x modulo 2^64. Replicated among three: x = s_0 + s_1 + s_2 and party i holds
(s_i, s_{i+1}), so that any two hold all (Araki, Furukawa, Lindell, Nof and Ohara, CCS 2016). All shares but one are
drawn over the *whole* ring: shares drawn from a small range, such as 0 to 99, give the secret away in the last one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reticent.errors import UsageError
from reticent.randomness import Keystream

__all__ = ["combine_additive", "combine_replicated", "split_additive", "split_replicated"]

Shares = NDArray[np.uint64]


def split_additive(words: Shares, parties: int, stream: Keystream | None = None) -> list[Shares]:
    """Return one share for each party, each of the shape of `words`.

    Args:
      words: What to share, `uint64 (...)`.
      parties: How many shares, at least 2.
      stream: Where the shares come from; a fresh one if None. Used for nothing else.

    Raises:
      UsageError: If `parties` is below 2.
    """
    if parties < 2:
        raise UsageError("invalid-parties", f"parties is {parties}", hint="share among at least 2 parties")
    source = Keystream.fresh() if stream is None else stream
    drawn = [_uniform(source, words.shape) for _ in range(parties - 1)]
    last = words.copy()
    for share in drawn:
        last = np.subtract(last, share)
    return [*drawn, np.asarray(last)]


def combine_additive(shares: Sequence[Shares]) -> Shares:
    """Return the sum of `shares`, which all have one shape.

    Raises:
      UsageError: If there are fewer than 2 shares, or their shapes differ.
    """
    _check(shares, at_least=2)
    total = np.zeros(shares[0].shape, dtype=np.uint64)
    for share in shares:
        total = np.add(total, share)
    return np.asarray(total)


def split_replicated(words: Shares, stream: Keystream | None = None) -> list[tuple[Shares, Shares]]:
    """Return the pair (s_i, s_{i+1}) of each of three parties."""
    parts = split_additive(words, 3, stream)
    return [(parts[i], parts[(i + 1) % 3]) for i in range(3)]


def combine_replicated(first: tuple[Shares, Shares], second: tuple[Shares, Shares]) -> Shares:
    """Return the secret from the pairs of two neighbours: party i, then party i + 1 (modulo 3).

    Raises:
      UsageError: If the two do not agree on the share that both hold.
    """
    _check([*first, *second], at_least=4)
    if not np.array_equal(first[1], second[0]):
        raise UsageError(
            "shares-not-neighbours",
            "two replicated shares do not agree on the part that both parties hold",
            hint="give the pair of party i first and the pair of party i + 1 (modulo 3) second",
        )
    return combine_additive([first[0], first[1], second[1]])


def _uniform(stream: Keystream, shape: tuple[int, ...]) -> Shares:
    out = np.empty(shape, dtype=np.uint64)
    stream.fill(out)
    return out


def _check(shares: Sequence[Shares], *, at_least: int) -> None:
    if len(shares) < at_least or any(share.shape != shares[0].shape for share in shares):
        raise UsageError(
            "shares-of-other-shape",
            f"{len(shares)} shares of shapes {sorted({share.shape for share in shares})} were to be combined",
            hint="give all shares of one secret",
        )

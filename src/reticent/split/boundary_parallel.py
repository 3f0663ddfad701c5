"""One payment for one pass over the rows, drawn in parts: parallel composition, enforced and not assumed.

Neighbouring data sets differ in one unit. If the parts of a pass look at different rows, only the part with that
unit's row differs between neighbours, however the parts were chosen from what was seen before; so the whole pass
costs what one part costs (McSherry 2009, theorem 4, here with adaptively chosen parts). That is true only while no
row is served twice, and the coordinator says which rows it wants: hence the memory below, which no request can talk
around.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from reticent.dp import Gaussian, Grant
from reticent.errors import PolicyRefused, UsageError

__all__ = ["RowsOnce"]


class RowsOnce:
    """Permission to draw each kind of noise once for every row, and never twice for any.

    It lives in memory only. After a crash nobody knows which rows were served, so the pass is lost and a new one is
    paid for.

    Args:
      grant: For everything that a pass releases; all of it is used up at once, so that a crash has spent it.
      kinds: For each kind of noise its event.
      rows: Number of rows that there are.
      rows_per_unit: How often each event was paid for: most rows of one unit.

    Raises:
      PolicyRefused: If an event was not paid for.
    """

    def __init__(self, grant: Grant, kinds: Mapping[str, Gaussian], *, rows: int, rows_per_unit: int) -> None:
        for event in kinds.values():
            for _ in range(rows_per_unit):
                grant.draw(event)
        self._key = grant.key
        self._events = dict(kinds)
        self._served = {kind: np.zeros(rows, dtype=np.bool_) for kind in kinds}

    def part(self, kind: str, rows: NDArray[np.int64]) -> Grant:
        """Return the grant for one draw of `kind` that looks at `rows` and no others.

        Args:
          kind: As named in the constructor.
          rows: Row numbers, each once, shape `(n,)`.

        Raises:
          PolicyRefused: If a row was served before in this pass, or is named twice.
          UsageError: If a row does not exist.
        """
        served = self._served[kind]
        if not (rows.ndim == 1 and rows.dtype.kind == "i" and np.all((rows >= 0) & (rows < len(served)))):
            raise UsageError(
                "boundary-rows",
                f"the rows of a batch are not all whole numbers from 0 to {len(served) - 1}",
                hint="give numbers of this site's own rows, int64, one-dimensional",
            )
        if served[rows].any() or len(np.unique(rows)) != len(rows):
            raise PolicyRefused(
                "boundary-row-twice",
                f"a batch asks for {kind} of rows that were served before in this pass, or names a row twice",
                hint="a row is paid for once in each pass: use batches without overlap, and pay for a new pass to "
                "repeat one that was interrupted",
            )
        served[rows] = True  # before any noise exists: an error from here on has spent these rows
        return Grant(f"{self._key} / {kind}", [self._events[kind]])

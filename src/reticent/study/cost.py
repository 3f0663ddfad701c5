"""Predicted traffic of one site. Counted from the formats on the wire; a test compares with recorded messages."""

from __future__ import annotations

import math

from reticent.study.plan import Cost

__all__ = ["predict"]

_MODEL_VALUE = 4
_PLAIN_VALUE = 8
_METRICS_BITS = 41
"""Counts up to 2**30 in steps of 2**-10, with sign; the number of sites adds its logarithm."""
_ENVELOPE = 375
"""A signed envelope with its address, around one record."""
_MASKED_DOWN, _MASKED_UP = 1450, 1590
"""The four envelopes of a masked sum, with what does not depend on the number of peers."""
_PEER_DOWN, _PEER_UP = 365, 160
"""Keys, sealed shares and names, for each site in the round."""


def predict(
    *,
    vector_length: int,
    classes: int,
    clients: int,
    ring_bits: int,
    masked: bool,
    rounds: int,
    evaluations: int,
    private: bool,
    statistics: tuple[int, int] | None = None,
) -> Cost:
    """Return the traffic of a site that is chosen in every round.

    Args:
      vector_length: Values of the model that travel.
      classes: Classes of the label; an evaluation sends their confusion counts.
      clients: Sites in one round.
      ring_bits: Width of a masked element.
      masked: Whether sums are taken under secure aggregation.
      rounds: Training rounds.
      evaluations: Rounds that are followed by an evaluation.
      private: Whether an epsilon is claimed; without one, the loss and the number of rows travel, too.
      statistics: Length of their vector and bits of each value, if there are any.
    """
    model = _MODEL_VALUE * vector_length
    metrics_length = classes**2 + (0 if private else 2)
    if masked:
        down, up = _MASKED_DOWN + clients * _PEER_DOWN, _MASKED_UP + clients * _PEER_UP
        update, counts = (
            _packed(vector_length, ring_bits),
            _packed(metrics_length, _METRICS_BITS + clients.bit_length()),
        )
    else:
        down = up = _ENVELOPE
        update, counts = vector_length * _PLAIN_VALUE, metrics_length * _PLAIN_VALUE
    total = rounds * (model + down + update + up) + evaluations * (model + down + counts + up)
    if statistics is not None:
        total += down + _packed(*statistics) + up
    return Cost(download_per_round=model + down, upload_per_round=update + up, total_per_site=total)


def _packed(length: int, bits: int) -> int:
    return math.ceil(length / 8) * bits

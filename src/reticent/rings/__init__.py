"""Numbers that can be added without being seen: fixed-point encoding in a ring, and shares of secrets.

Nothing here knows parties or messages; `reticent.secagg` and `reticent.mpc` build their protocols from these parts.
"""

from reticent.rings.fixed_point import FixedPoint, Words
from reticent.rings.ring64 import Ring64
from reticent.rings.shamir import FIELD, SHARE_BYTES, Interpolation, combine, join_number, split, split_number
from reticent.rings.sharing import combine_additive, combine_replicated, split_additive, split_replicated

__all__ = [
    "FIELD",
    "SHARE_BYTES",
    "FixedPoint",
    "Interpolation",
    "Ring64",
    "Words",
    "combine",
    "combine_additive",
    "combine_replicated",
    "join_number",
    "split",
    "split_additive",
    "split_number",
    "split_replicated",
]

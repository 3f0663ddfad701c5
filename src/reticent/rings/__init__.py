"""Numbers that can be added without being seen: fixed-point encoding in a ring, and Shamir's shares of secrets.

Nothing here knows parties or messages; `reticent.secagg` builds its protocol from these parts.
"""

from reticent.rings.fixed_point import FixedPoint, Words
from reticent.rings.shamir import SHARE_BYTES, Interpolation, combine, split

__all__ = ["SHARE_BYTES", "FixedPoint", "Interpolation", "Words", "combine", "split"]

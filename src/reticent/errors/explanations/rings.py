"""Explanations for `reticent.rings`."""

EXPLANATIONS: dict[str, str] = {
    "encode-not-finite": (
        "Numbers that are infinite or not a number cannot be encoded in a ring. The error gives counts only, "
        "since the numbers come from a site's data. Replace the site's contribution by zero before it is encoded; "
        "training does so for rows that give no finite gradient."
    ),
    "encode-over-bound": (
        "Numbers exceed the bound that the plan declared, for which the ring of the secure sum was sized; a larger "
        "number could wrap around and spoil the sum of everybody without a trace. Clip before encoding, or declare a "
        "larger bound."
    ),
    "invalid-encoding": (
        "The bound, the precision or the number of terms of a fixed-point encoding makes no sense. All are above 0, "
        "and the precision is not coarser than the bound."
    ),
    "invalid-fraction-bits": (
        "Numbers on the ring of 64 bits have 0 to 30 bits after the point. A product carries twice as many until it is "
        "truncated, so more would leave no room before it. Use 16 unless more digits are needed."
    ),
    "invalid-points": (
        "Shares were to be combined for holders that are named twice, or for holder 0, which does not exist since its "
        "share would be the secret. This is an error in the calling code."
    ),
    "invalid-threshold": (
        "A secret can be shared so that 1 up to all of the holders restore it, among fewer than 65,536 holders. "
        "Choose the threshold in that range."
    ),
    "malformed-words": (
        "Packed ring elements that came from outside have the wrong length or bits set where none belong. Nothing of "
        "them was used. Check that all participants run the same plan; if they do, treat the sender as hostile."
    ),
    "ring-too-wide": (
        "The sum of so many numbers, so large and in steps so fine, needs more than 2^53 steps, which 64-bit floating "
        "point cannot hold exactly. Make the bound smaller, the precision coarser, or sum fewer terms."
    ),
    "secret-too-long": (
        "Secret sharing takes secrets of up to 32 bytes. This is an error in the calling code: share a key, and "
        "encrypt the long text under it."
    ),
    "shares-inconsistent": (
        "Shares of a secret are malformed or do not fit together, so that at least one holder sent a wrong one, by "
        "mistake or on purpose. The secret was not restored and the round has failed. Repeat it, without the sites "
        "that fail again."
    ),
    "shares-not-neighbours": (
        "Two of the three replicated shares restore a secret, given in the order of their parties, since the second "
        "part of the one is the first part of the other. These do not agree on it: they are in another order, or of "
        "different secrets."
    ),
    "shares-of-other-shape": (
        "Shares that are combined are all those of one secret, so they have one shape, and there are at least two. "
        "Give all shares of one secret."
    ),
    "too-few-shares": (
        "A secret cannot be restored from fewer shares than its threshold; that is what the threshold is for. Collect "
        "shares from more holders."
    ),
}

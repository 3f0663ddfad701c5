"""Explanations for the core of `reticent.mpc`."""

EXPLANATIONS: dict[str, str] = {
    "condition-not-a-bit": (
        "`select` multiplies by its condition, which must be a shared 0 or 1, and another value would give a mixture "
        "of both sides. Compare first: `(x > 0).select(a, b)`."
    ),
    "dealer-computes": (
        "Whoever deals the triples knows every mask, and hence can read every value that a party sends. A dealer that "
        "is a computing party as well would see all inputs. Let somebody deal who holds no share, or use the protocol "
        "`replicated`, which needs no dealer."
    ),
    "degree-too-high": (
        "Multiplying two Shamir shares point by point doubles the degree of the polynomial, so that the threshold "
        "would no longer restore the product. Share additively and multiply with a triple."
    ),
    "index-not-whole": (
        "A place among zeros is named by a whole number, as `argmax` gives it, among at most 256 places. A number "
        "with bits after the point names no place."
    ),
    "input-missing": (
        "The program asks for an input that this party owns and was not given. Inputs are found by name; give each "
        "party those it owns, spelled as in the program."
    ),
    "input-shape": (
        "The shape of an input is public and stands in the program, since every party must know how much to send. "
        "The owner's array has another one. State the true shape at every party."
    ),
    "invalid-domain": (
        "Division and roots are exact to their stated error between two powers of two that are given beforehand, at "
        "most 30 doublings apart and within the range of fixed point. Give `low` and `high` so."
    ),
    "malformed-request": (
        "The dealer was asked for something it does not deal, or in a form it does not know. Different versions of "
        "reticent are the usual reason; otherwise treat the sender as hostile."
    ),
    "material-reused": (
        "Correlated randomness was asked for under a number that was served before. The same masks would hide two "
        "values, and their difference would be plain to see. This is an error in the calling code."
    ),
    "message-of-other-length": (
        "A participant sent more or fewer bytes than the program says. The parties run different programs, shapes, "
        "settings or versions; or the sender is not what it should be. Nothing of the message was used."
    ),
    "no-such-axis": (
        "A maximum was to be taken along an axis that the tensor does not have, or that has no elements. Axes are "
        "numbered from 0, or from -1 backwards."
    ),
    "no-such-owner": (
        "An input was said to belong to a party that does not compute. Computing parties are numbered from 0; a dealer "
        "has no inputs."
    ),
    "no-such-receiver": (
        'A result can be revealed to all (`to="all"`) or to one computing party by its number. Nobody else can '
        "receive it."
    ),
    "not-integers": (
        "`mpc.share` takes integers: of 64 bits, or with a threshold one of up to 255 bits. Real numbers are inputs of "
        "a session, which encodes them as fixed point and checks their range."
    ),
    "nothing-to-join": (
        "An empty list of tensors has no shape and no session, so it cannot be joined. Give at least one tensor."
    ),
    "parties-differ": (
        "Two secrets were shared among different parties, or with different thresholds; their shares do not belong "
        "together and their sum would be no share of anything. Share both alike."
    ),
    "protocol-parties": (
        "Replicated shares are for exactly three parties. Additive shares are for two or more, and the last "
        "participant on the channel is the dealer, who computes nothing else."
    ),
    "secret-branch": (
        "Python was to decide on a value that is shared. If it could, the branch taken would tell everybody the value. "
        "Write `condition.select(a, b)`, which computes both sides, or reveal the condition if all may know it."
    ),
    "shapes-do-not-fit": (
        "Two arrays cannot be added or multiplied because their shapes do not fit. The rules are those of numpy, for "
        "broadcasting and for matrix products."
    ),
    "stream-reused": (
        "A keystream was to be drawn a second time for the same use of the same operation. One-time masks would hide "
        "two values. This is an error in the calling code."
    ),
    "tensor-of-other-session": (
        "Shares of two sessions are made with different keys and by different counts of operations, so they cannot be "
        "combined. Give the input to the session in which it is used."
    ),
    "triple-does-not-fit": (
        "A multiplication triple was dealt for other parties or another shape than the operands have. It was spent "
        "if it was looked at. Deal one with the parties and the shape of both operands."
    ),
    "triple-missing": (
        "Multiplying share by share does not give shares of the product: the cross terms are missing. Two secrets are "
        "multiplied with one of Beaver's triples, dealt by somebody who holds no share of them."
    ),
    "triple-reused": (
        "A triple masks the operands of one product. Used for a second one, the difference of the operands of both "
        "would be plain to everybody. Deal a new triple for each product."
    ),
    "unknown-protocol": (
        "Computation on shares runs over `replicated` (three parties, no dealer) or `additive` (two or more parties "
        "and a dealer)."
    ),
    "unknown-truncation": (
        "After a product the extra bits are cut off: `exact` gives the floor, bit for bit; `probabilistic` gives the "
        "floor or one unit more, in four rounds fewer."
    ),
}

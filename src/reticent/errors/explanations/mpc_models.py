"""Explanations for the models of `reticent.mpc`: compiled networks and joint regressions."""

EXPLANATIONS: dict[str, str] = {
    "architecture-differs": (
        "The parties passed models of different layers or shapes to `session.compile`, or named different owners. Shares "
        "of other shapes would be multiplied into noise or be waited for without end, so everybody stops before a weight "
        "moves. Pass the same module, the same shape of example and the same owner everywhere; only weights may differ."
    ),
    "declared-range": (
        "Rows are split between parties, so nobody knows a column's smallest and largest value, and each column is "
        "scaled by a range that all declare. One range is empty or not finite. Give each column a finite low below its "
        "high, from what is known about the quantity: a range read off the records would be a release of them."
    ),
    "layer-not-shared": (
        "The model has an operation that has no protocol under secret sharing; the message names it. A logarithm of "
        "shares costs much and gains nothing at the end of a classifier. Leave it out or replace the layer; a log-softmax "
        "can be applied by whoever the result is revealed to."
    ),
    "network-example": (
        "A torch module is followed on an example to learn its shapes, and none was given. Pass a batch of the right "
        "shape as the second argument; its values are not used. A program made by `lowering.lower` needs none."
    ),
    "network-input-shape": (
        "A compiled network was called with a secret tensor whose samples have another shape than the example it was "
        "compiled with. Reshape the tensor, or compile the module with the right example; the batch size is free."
    ),
    "network-owner": (
        "The owner of a model's weights must be one of the computing parties, since the weights enter as its secret "
        "input. Name its number, counted from 0."
    ),
    "network-range": (
        "Under sharing a product must stay below 2^(62 - 2 fraction_bits), or it wraps around in the ring and the result "
        "is wrong without a sign of it. On the inputs given, a layer may exceed that. Scale the inputs or weights "
        "down, or use fewer fraction bits, and ask for the bound again."
    ),
    "network-without-weights": (
        "The party that owns the weights passed an architecture, which holds shapes and no numbers. Pass the trained "
        "module or the lowered program there; architectures are for the other parties."
    ),
    "regression-batches": (
        "The public batches of a joint regression are empty, name rows that do not exist, or are asked for in an "
        "impossible size. Every step needs at least one row, numbered from 0 over all parties' rows. "
        "Use `cyclic_batches(rows, size, steps)` if you have no order of your own."
    ),
    "regression-layout": (
        "The parties' parts of a joint regression do not fit together: rows and columns both or neither split, one shape "
        "too few, unequal numbers of columns (rows split) or of rows (columns split), or no party named for the labels. "
        "Correct the declaration, which must be the same at every party."
    ),
    "regression-not-finite": (
        "A value to be scaled is missing or infinite. The error names how many and not which, because that would tell "
        "about records. Fill or drop such values at the party that holds them before they enter."
    ),
    "regression-settings": (
        "The learning rate or the l2 penalty of a joint regression is out of range: the rate must be above 0, the "
        "penalty 0 or more, and their product below 1, or the weights would change sign at each step. Choose smaller ones."
    ),
}

"""Explanations for the mechanisms of `reticent.dp`."""

EXPLANATIONS: dict[str, str] = {
    "invalid-bounds": (
        "Each row is clipped to the declared bounds before it is added up, and the noise covers what one row within "
        "them can change. They must be finite numbers, the lower one not above the upper one, declared beforehand and "
        "never read from the data."
    ),
    "not-laplace": (
        "`add_laplace` draws Laplace noise, and was asked to charge it as another mechanism. What is drawn is what is "
        "charged, so it refuses. Use the function of the mechanism that the event names."
    ),
    "relation-not-declared": (
        "An event counts the noise in norms of one unit's contribution, of which neighbours under replace_one are two "
        "apart, so the same noise is another event under the other relation. A draw that uses up a grant therefore "
        "needs the relation of the release that was paid for."
    ),
    "sum-too-long": (
        "Sums are kept as whole numbers of grid steps in 64 bits, and so many rows within such bounds could leave that "
        "range. A sum that wraps around would be wrong and unprotected. Use a coarser grid or tighter bounds."
    ),
}

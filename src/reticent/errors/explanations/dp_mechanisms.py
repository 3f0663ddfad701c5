"""Explanations for the mechanisms of `reticent.dp`."""

EXPLANATIONS: dict[str, str] = {
    "invalid-bounds": (
        "Each row is clipped to the declared bounds before it is added up, and the noise covers what one row within "
        "them can change. They must be finite numbers, the lower one not above the upper one, declared beforehand and "
        "never read from the data."
    ),
    "invalid-categories": (
        "The number of possible answers sets how often an answer must be replaced, and is 2 or more. "
        "Declare it; an answer that nobody gave counts, too."
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
    "sparse-vector-exhausted": (
        "A sparse vector answers questions about a threshold for free as long as the answer is no. The number of yeses "
        "was declared and paid for, and all are given: one more answer would not be covered. Declare more positives "
        "next time, or pay for a new one."
    ),
    "sum-too-long": (
        "Sums are kept as whole numbers of grid steps in 64 bits, and so many rows within such bounds could leave that "
        "range. A sum that wraps around would be wrong and unprotected. Use a coarser grid or tighter bounds."
    ),
    "unknown-answer": (
        "Randomized response replaces answers by other possible ones, so every answer must be one of the declared "
        "categories, coded as 0, 1, 2 and so on. Which answer was not is left unsaid."
    ),
    "utilities-differ": (
        "Every candidate needs one utility, and there must be at least one candidate. Which candidates there are must "
        "be declared; a list read from the data would be a release of its own."
    ),
}

"""Explanations for `reticent.dp.accounting`, calibration and budgets in memory."""

EXPLANATIONS: dict[str, str] = {
    "budget-copied": (
        "A privacy budget in memory, a grant or a sparse vector was about to exist twice: copied, pickled, carried into a "
        "forked process, or read from its saved state while the original is alive. Each copy could spend what is left. "
        "Hand over the object itself; where several processes share a budget, use reticent.ledger."
    ),
    "privacy-budget-exhausted": (
        "The next step would take a budget in memory beyond what its owner allowed, so it was refused before anything "
        "was drawn, and nothing was charged. Release nothing more of these data, or something with more noise. A budget "
        "is never refilled by waiting."
    ),
    "invalid-range": (
        "A search for the smallest number that keeps a target needs a range to search: two finite numbers, the first "
        "above 0 and below the second. Widen it on the side that the answer lies on."
    ),
    "invalid-renyi-curve": (
        "A Renyi curve holds one divergence for each order of dp.RENYI_ORDERS, and a divergence is never negative. "
        "Something of another length, or with a negative number or NaN, was to be converted. Use dp.renyi_curve, and "
        "add curves up."
    ),
    "invalid-saved-budget": (
        "A saved budget is the text that to_json wrote, whole and unchanged. What was given is something else, or was "
        "written by a version that this one cannot read. A state that cannot be read counts as spent."
    ),
    "unsupported-event": (
        "For this mechanism under this neighbouring relation no bound is proven, so none is claimed. Randomized response "
        "and samples of a fixed size show who took part: they are claims about replacing a unit (replace_one). Describe "
        "another kind of release by a claim that was proven for it, such as PureDP, under the relation it was proven for."
    ),
}
"""Code to explanation."""

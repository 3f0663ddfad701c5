"""Explanations for `reticent.dp.accounting`, calibration and budgets in memory."""

EXPLANATIONS: dict[str, str] = {
    "invalid-renyi-curve": (
        "A Renyi curve holds one divergence for each order of dp.RENYI_ORDERS, and a divergence is never negative. "
        "Something of another length, or with a negative number or NaN, was to be converted. Use dp.renyi_curve, and "
        "add curves up."
    ),
    "unsupported-event": (
        "For this mechanism under this neighbouring relation no bound is proven, so none is claimed. Randomized response "
        "and samples of a fixed size show who took part: they are claims about replacing a unit (replace_one). Describe "
        "another kind of release by a claim that was proven for it, such as PureDP, under the relation it was proven for."
    ),
}
"""Code to explanation."""

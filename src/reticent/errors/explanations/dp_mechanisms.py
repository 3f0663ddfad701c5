"""Explanations for the mechanisms of `reticent.dp`."""

EXPLANATIONS: dict[str, str] = {
    "not-laplace": (
        "`add_laplace` draws Laplace noise, and was asked to charge it as another mechanism. What is drawn is what is "
        "charged, so it refuses. Use the function of the mechanism that the event names."
    ),
}

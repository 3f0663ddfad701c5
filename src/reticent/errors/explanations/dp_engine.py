"""Explanations for questions asked of `reticent.dp.accounting`."""

EXPLANATIONS: dict[str, str] = {
    "invalid-method": (
        "Epsilon can be computed in three ways: `tight`, the best proven bound; `pld`, from the loss distribution; `rdp`, "
        "from Renyi divergences, which is looser and what many papers report. All three are upper bounds for the same "
        "events. Leave the argument out, or write one of the three."
    ),
}
"""Code to explanation."""

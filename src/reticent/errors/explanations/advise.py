"""Explanations of the error codes that `reticent.advise` and `reticent advise` raise."""

from __future__ import annotations

__all__ = ["EXPLANATIONS"]

EXPLANATIONS: dict[str, str] = {
    "measure-data": (
        "The techniques can be measured on a table of yours: CSV or Parquet with number columns and one label column "
        "that has two values. This one cannot be read or has too little in it. Give another table or column, or leave "
        "--data out to use Breast Cancer Wisconsin."
    ),
    "needs-contradict": (
        "Two of the needs cannot be true together, so no answer would mean anything. The message names both. Correct "
        "one of them."
    ),
    "needs-missing": (
        "`reticent advise` asks its questions at a terminal. In a script, or with --format json, nobody can answer. "
        "Give a file with a table [needs], or every key with --set."
    ),
    "needs-unreadable": (
        "The file with the needs does not exist, cannot be read, is no TOML, or has no table [needs]. Give the path of "
        "a file that has one; docs/choose.md shows an example."
    ),
    "no-example-data": (
        "The techniques are measured on Breast Cancer Wisconsin, which ships inside scikit-learn, and scikit-learn is "
        "an extra. Install it with pip install 'reticent[examples]', give a table of your own with --data and --label, "
        "or rank without figures: --no-measure."
    ),
}

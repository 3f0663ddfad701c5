"""Divide the columns of scikit-learn's breast cancer set between three organisations that know the same patients."""

from __future__ import annotations

import sys
from pathlib import Path

from sklearn.datasets import load_breast_cancer

MEASURED = {"clinic": "worst", "imaging": "mean", "laboratory": "error"}


def make_sites(folder: Path) -> None:
    """Write one CSV for each organisation, rows in an order of its own, and `whole.csv`, into `folder`."""
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.rename(columns=lambda name: name.replace(" ", "_"))
    frame.insert(0, "diagnosis", [bunch.target_names[label] for label in bunch.target])
    frame.insert(0, "patient", [f"p{number:03d}" for number in range(len(frame))])
    folder.mkdir(parents=True, exist_ok=True)
    for number, (site, kind) in enumerate(MEASURED.items()):
        held = [name for name in frame.columns if kind in name.split("_")]
        known = ["patient", *(["diagnosis"] if site == "clinic" else []), *held]
        frame[known].sample(frac=1, random_state=number).to_csv(folder / f"{site}.csv", index=False)
    # Nobody has this table. It is here to try `reticent predict` on.
    frame.to_csv(folder / "whole.csv", index=False)


if __name__ == "__main__":
    make_sites(Path(sys.argv[1]))

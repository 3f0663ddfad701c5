"""Deal the records of scikit-learn's breast cancer set out to three hospitals, and put the network beside the study."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sklearn.datasets import load_breast_cancer

from reticent.data import partition

SIZES = {"north": 257, "south": 200, "east": 112}


def make_sites(folder: Path) -> None:
    """Write one CSV for each hospital, `whole.csv` and `network.py` into `folder`."""
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.loc[:, [name for name in bunch.data.columns if name.startswith("mean ")]]
    frame.columns = [name.removeprefix("mean ").replace(" ", "_") for name in frame.columns]
    frame["diagnosis"] = [bunch.target_names[label] for label in bunch.target]
    folder.mkdir(parents=True, exist_ok=True)
    for site, rows in zip(SIZES, partition.uneven(len(frame), list(SIZES.values()), seed=7), strict=True):
        frame.iloc[rows].to_csv(folder / f"{site}.csv", index=False)
    frame.to_csv(folder / "whole.csv", index=False)
    shutil.copy(Path(__file__).with_name("network.py"), folder)


if __name__ == "__main__":
    make_sites(Path(sys.argv[1]))

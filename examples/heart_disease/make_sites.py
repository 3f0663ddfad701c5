"""Put the four hospitals of the UCI heart disease set where the study expects them, with FLamby's train and test rows.

FLamby (Ogier du Terrail et al., NeurIPS 2022) drops three columns and every row with a missing value, and splits each
hospital by scikit-learn's train_test_split with random_state 43.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

HEADER = ["age", "sex", "pain", "pressure", "cholesterol", "sugar", "ecg", "rate", "angina", "oldpeak"]
DROPPED = ["slope", "vessels", "thal"]
HOSPITALS = {"cleveland": 199, "hungarian": 172, "switzerland": 30, "va": 85}

SITE = """\
# What this hospital says about its own table; it stays here.
data = "{hospital}.csv"
missing = ["?"]

[columns.disease.codes]          # the hospital grades 0 to 4, the study asks for two classes
"0" = "absent"
"1" = "present"
"2" = "present"
"3" = "present"
"4" = "present"
"""


def make_sites(source: Path, folder: Path) -> None:
    """Write `HOSPITAL.csv` and `HOSPITAL.toml` for the four hospitals into `folder`.

    Args:
      source: Folder with `processed.HOSPITAL.data`, as UCI publishes them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for hospital in HOSPITALS:
        path = source / f"processed.{hospital}.data"
        table = pd.read_csv(path, header=None, names=[*HEADER, *DROPPED, "disease"], dtype=str).drop(columns=DROPPED)
        complete = np.flatnonzero(~(table == "?").any(axis=1))
        ill = (table.disease.iloc[complete] != "0").to_numpy()
        stratify = ill if np.bincount(ill).min() > 2 else None
        _, test = train_test_split(complete, train_size=0.66, test_size=1 - 0.66, random_state=43, stratify=stratify)
        table["fold"] = np.where(np.isin(np.arange(len(table)), test), "test", "train")
        table.to_csv(folder / f"{hospital}.csv", index=False)
        (folder / f"{hospital}.toml").write_text(SITE.format(hospital=hospital))


if __name__ == "__main__":
    make_sites(Path(sys.argv[1]), Path(sys.argv[2]))

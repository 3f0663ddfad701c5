"""Divide the columns of one table between a clinic and a laboratory, as FATE's vertical example does.

FATE's files are Breast Cancer Wisconsin (diagnostic) as it ships inside scikit-learn, standardised, rounded to six
digits, with the number of the row as its id. Where they are not in the folder of data sets, the same table is made here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_breast_cancer

from reticent.data import data_folder

FILES = {"clinic": "breast_hetero_guest.csv", "laboratory": "breast_hetero_host.csv"}


def make_sites(folder: Path) -> None:
    """Write `clinic.csv` (ten columns and the diagnosis), `laboratory.csv` (twenty) and `whole.csv` into `folder`."""
    bunch = load_breast_cancer(as_frame=True)
    names = [name.replace(" ", "_") for name in bunch.data.columns]
    columns = {"clinic": ["diagnosis", *names[20:]], "laboratory": names[:20]}
    source = data_folder()
    if source is not None and (source / "breast_cancer_vertical").is_dir():
        tables = {site: pd.read_csv(source / "breast_cancer_vertical" / file) for site, file in FILES.items()}
        for site, table in tables.items():
            table.columns = ["id", *columns[site]]
        tables["clinic"]["diagnosis"] = [bunch.target_names[label] for label in tables["clinic"]["diagnosis"]]
    else:
        table = ((bunch.data - bunch.data.mean()) / bunch.data.std(ddof=0)).round(6)
        table.columns = names
        table.insert(0, "diagnosis", [bunch.target_names[label] for label in bunch.target])
        table.insert(0, "id", range(len(table)))
        tables = {site: table[["id", *held]].sample(frac=1, random_state=7) for site, held in columns.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for site, table in tables.items():
        table.to_csv(folder / f"{site}.csv", index=False)
    # Nobody has this table in a federation. It is here to try `reticent predict` on.
    tables["clinic"].merge(tables["laboratory"], on="id").to_csv(folder / "whole.csv", index=False)


if __name__ == "__main__":
    make_sites(Path(sys.argv[1]))

"""Tables and image sets: the schema contract, preparation, and partitions for simulation.

Run by a site on its own machine, before anything is sent. What this room protects:

- The preparation of one row depends on that row and on the public contract alone, so that a neighbouring data set stays
  a neighbour after it: cells are parsed one by one, constants are declared, the split hashes persons or contents.
  (The exception, `standardise = "per-site"`, is refused by `study` wherever an epsilon is claimed.)
- Refusals and warnings name columns and counts, never a record or a value of the data.

What it does not: whether a site refuses before the run depends on its data, and is listed as not covered.
"""

from __future__ import annotations

from reticent.data import partition
from reticent.data.columns import AlignedColumns, prepare_columns
from reticent.data.contract import Column, Contract
from reticent.data.examples import Examples
from reticent.data.images import data_folder, mnist, read_idx
from reticent.data.mapping import ColumnMapping, CsvFormat, SiteMapping, load_mapping
from reticent.data.observed import read_contract_columns
from reticent.data.preparation import Prepared, prepare
from reticent.data.scaling import Standardiser
from reticent.data.table import features_of
from reticent.data.tables import load_table
from reticent.data.text import canonical

__all__ = [
    "AlignedColumns",
    "Column",
    "ColumnMapping",
    "Contract",
    "CsvFormat",
    "Examples",
    "Prepared",
    "SiteMapping",
    "Standardiser",
    "canonical",
    "data_folder",
    "features_of",
    "load_mapping",
    "load_table",
    "mnist",
    "partition",
    "prepare",
    "prepare_columns",
    "read_contract_columns",
    "read_idx",
]

"""Secret-shared computation."""

from reticent.mpc.arithmetic import concat, stack
from reticent.mpc.cost import Cost, Entry, Total
from reticent.mpc.dealer import Dealer, run_dealer
from reticent.mpc.local import Program, open_session, run_local, run_party
from reticent.mpc.session import Session
from reticent.mpc.tensor import Tensor

__all__ = [
    "Cost",
    "Dealer",
    "Entry",
    "Program",
    "Session",
    "Tensor",
    "Total",
    "concat",
    "open_session",
    "run_dealer",
    "run_local",
    "run_party",
    "stack",
]

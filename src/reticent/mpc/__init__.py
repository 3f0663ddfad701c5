"""Secret-shared computation."""

from reticent.mpc.arithmetic import concat, stack
from reticent.mpc.cost import Cost, Entry, Total
from reticent.mpc.dealer import Dealer, run_dealer
from reticent.mpc.local import Program, open_session, run_local, run_party
from reticent.mpc.party import ConnectedSession, connect, hash_of, run_dealer_file, run_party_file
from reticent.mpc.party_file import PartyFile, party_files, read_party_file
from reticent.mpc.session import Session
from reticent.mpc.tensor import Tensor

__all__ = [
    "ConnectedSession",
    "Cost",
    "Dealer",
    "Entry",
    "PartyFile",
    "Program",
    "Session",
    "Tensor",
    "Total",
    "concat",
    "connect",
    "hash_of",
    "open_session",
    "party_files",
    "read_party_file",
    "run_dealer",
    "run_dealer_file",
    "run_local",
    "run_party",
    "run_party_file",
    "stack",
]

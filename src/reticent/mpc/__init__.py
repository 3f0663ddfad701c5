"""Secret-shared computation."""

from reticent.mpc.arithmetic import concat, stack
from reticent.mpc.cost import Cost, Entry, Total
from reticent.mpc.dealer import Dealer, run_dealer
from reticent.mpc.local import Program, open_session, run_local, run_party
from reticent.mpc.nn import Network
from reticent.mpc.nn_bound import fixed_point_bound
from reticent.mpc.party import ConnectedSession, connect, hash_of, run_dealer_file, run_party_file
from reticent.mpc.party_file import PartyFile, party_files, read_party_file
from reticent.mpc.regression import Coefficients, linear_regression, logistic_regression, within_range
from reticent.mpc.regression_plain import cyclic_batches, plain_linear_regression, plain_logistic_regression
from reticent.mpc.session import Session
from reticent.mpc.tensor import Tensor

__all__ = [
    "Coefficients",
    "ConnectedSession",
    "Cost",
    "Dealer",
    "Entry",
    "Network",
    "PartyFile",
    "Program",
    "Session",
    "Tensor",
    "Total",
    "concat",
    "connect",
    "cyclic_batches",
    "fixed_point_bound",
    "hash_of",
    "linear_regression",
    "logistic_regression",
    "open_session",
    "party_files",
    "plain_linear_regression",
    "plain_logistic_regression",
    "read_party_file",
    "run_dealer",
    "run_dealer_file",
    "run_local",
    "run_party",
    "run_party_file",
    "stack",
    "within_range",
]

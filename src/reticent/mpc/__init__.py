"""Secret-shared computation: several parties compute on numbers that none of them sees.

All parties run one program, a function of a `Session`; a party gives its own inputs and sees its own shares and what is
revealed to it.

    def program(session):
        x = session.input("x", owner=0, shape=(64, 50))
        w = session.input("w", owner=1, shape=(50, 20))
        return (x @ w).relu().reveal(to="all")

    outputs, cost = mpc.run_local(program, inputs=[{"x": x}, {"w": w}, {}], protocol="replicated")

GUARANTEE. Nobody learns anything but what `reveal` shows it, the program, and the shapes. Shares and everything sent is
uniform; masks are used once. What is revealed is a release: it can tell about single records, and no differential
privacy is claimed for it here. Fixed point: results are exact sums and products of codes, truncated to the floor;
functions have stated errors; numbers must stay in range (2^62 after a product, in codes), which nobody can check once
they are shared.

ADVERSARY. Semi-honest: parties follow the protocol and may look at everything they see. "replicated": three parties, of
which one looks and no two pool what they see; no dealer. "additive": two parties or more, of which all but one may pool
what they see; Beaver triples come from a dealer, who computes nothing else (refused otherwise), sees no value and must
not collude with any party. A party that deviates can falsify results and learn more; nothing here detects it.

COST. Returned with every result, for each operation: bytes, rounds, seconds. With 64-bit words and two parties with a
dealer a product of matrices (m, k) (k, n) sends 8 (m k + k n) bytes where each party holds one of them, and about 50 for
each element of the result; a ReLU 75 bytes and 7 rounds; with replicated shares 24 m n, and 91 bytes and 8 rounds.
Operations that do not wait for each other share their rounds.
"""

from reticent.mpc.arithmetic import concat, stack
from reticent.mpc.cost import Cost, Entry, Total
from reticent.mpc.dealer import Dealer, run_dealer
from reticent.mpc.integers import IntegerShares, IntegerTriple, add, multiply, reconstruct, share, triple
from reticent.mpc.local import Program, open_session, run_local, run_party
from reticent.mpc.lookup import one_hot
from reticent.mpc.nn import Network
from reticent.mpc.nn_bound import fixed_point_bound
from reticent.mpc.party import ConnectedSession, connect, hash_of, run_dealer_file, run_party_file
from reticent.mpc.party_file import PartyFile, party_files, read_party_file
from reticent.mpc.regression import Coefficients, linear_regression, logistic_regression, within_range
from reticent.mpc.regression_plain import cyclic_batches, plain_linear_regression, plain_logistic_regression
from reticent.mpc.session import Session
from reticent.mpc.tensor import Tensor
from reticent.mpc.threshold import ThresholdShares

__all__ = [
    "Coefficients",
    "ConnectedSession",
    "Cost",
    "Dealer",
    "Entry",
    "IntegerShares",
    "IntegerTriple",
    "Network",
    "PartyFile",
    "Program",
    "Session",
    "Tensor",
    "ThresholdShares",
    "Total",
    "add",
    "concat",
    "connect",
    "cyclic_batches",
    "fixed_point_bound",
    "hash_of",
    "linear_regression",
    "logistic_regression",
    "multiply",
    "one_hot",
    "open_session",
    "party_files",
    "plain_linear_regression",
    "plain_logistic_regression",
    "read_party_file",
    "reconstruct",
    "run_dealer",
    "run_dealer_file",
    "run_local",
    "run_party",
    "run_party_file",
    "share",
    "stack",
    "triple",
    "within_range",
]

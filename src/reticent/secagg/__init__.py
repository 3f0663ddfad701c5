"""Secure aggregation: the coordinator learns the sum of the sites' vectors and no vector of a site.

Bonawitz et al., CCS 2017: every client hides its vector under one mask for each peer, which cancel in the sum, and one
of its own. Shares among all clients let `threshold` of them remove what does not cancel when others vanish, in any
phase.

Threat model. The server follows the protocol but records everything, and may collude with fewer than `threshold`
clients; those learn nothing beyond the sum over the survivors and what follows from their own vectors. Because keys
are signed by pinned identities, every client enforces the threshold itself and answers each phase once, and the
threshold exceeds half of the clients, a server without colluding clients that lies about keys or survivors obtains one
sum over at least `threshold` clients, or none. Not covered: colluding clients together with a lying server (needs a
signed list of survivors), clients that send wrong vectors (a sum cannot show that), and what the sum itself reveals:
with two survivors each learns the other's vector from the sum; differential privacy is the answer to that.
"""

from reticent.secagg.client import Client
from reticent.secagg.local import sum_of
from reticent.secagg.parameters import Parameters
from reticent.secagg.server import Server, SumResult

__all__ = ["Client", "Parameters", "Server", "SumResult", "sum_of"]

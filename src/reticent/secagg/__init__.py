"""Secure aggregation: the coordinator learns the sum of the sites' vectors and no vector of a site.

Bonawitz et al., CCS 2017: every client hides its vector under one mask for each peer, which cancel in the sum, and one
of its own. Shares among all clients let `threshold` of them remove what does not cancel when others vanish, in any
phase.

GUARANTEE. The server learns the sum over the survivors, at least `threshold` of them, exactly, or nothing. What the sum
itself reveals is not covered: with two survivors each learns the other's vector from it; differential privacy is the
answer to that.

ADVERSARY. The server follows the protocol but records everything, and may collude with fewer than `threshold`
clients; those learn nothing beyond the sum over the survivors and what follows from their own vectors. Because keys
are signed by pinned identities, every client enforces the threshold itself and answers each phase once, and the
threshold exceeds half of the clients, a server without colluding clients that lies about keys or survivors obtains one
sum over at least `threshold` clients, or none. Not covered: colluding clients together with a lying server (needs a
signed list of survivors), and clients that send wrong vectors (a sum cannot show that).

COST. Four exchanges; a ring element for each value, and for each peer some 500 bytes and the time of one key agreement and
one mask: docs/results/secure-sum.md has the figures.
"""

from reticent.secagg.client import Client
from reticent.secagg.local import sum_of
from reticent.secagg.parameters import Parameters
from reticent.secagg.server import Server, SumResult

__all__ = ["Client", "Parameters", "Server", "SumResult", "sum_of"]

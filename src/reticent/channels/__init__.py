"""Channels between computing parties: threads of one process, or processes over mutual TLS.

    ends = channels.threads(["north", "south", "west"])
    end = channels.connect("north", key, parties=public_keys, addresses=places, session="trial-7", facts=settings)
    with end:
        end.send(1, b"...")
        data = end.receive(1)

**Guarantee.** Messages arrive whole, once, in the order sent, from the party named and from nobody else. Over TLS they
are encrypted and authenticated under keys made for this session alone, which the pinned Ed25519 identities certify; a
connection cannot be used in another session or by another process. Parties meet only if they state the same session,
the same list of parties and the same facts (settings, hash of the program). If a party dies, hangs or leaves, every
other one ends within the deadline with an error that names it, wherever it was waiting.

**Adversary.** Whoever controls the network can drop, delay and observe lengths and times; it cannot read, alter, replay,
redirect or downgrade, nor speak as a party, nor stop a meeting by talking nonsense to a listener. A party that holds a
pinned key is trusted to follow this protocol: what it sends malformed is refused and named, but it can accuse another of
having failed, send without end, keep silent until the deadline, or beyond it with a byte of a message now and then.
Threads of one process hide nothing from each other.

**Cost.** One connection for each pair of parties, 9 bytes a message and 22 a TLS record of 16 KiB. Nothing waits for
another thread: about 25 us from send to receive on a loopback, and about 1.3 GB/s and core with encryption. Memory is
what the peers send ahead of the program, which nothing bounds.
"""

from reticent.channels.hello import ANY
from reticent.channels.local import threads
from reticent.channels.meeting import connect
from reticent.channels.port import Channel, Data

__all__ = ["ANY", "Channel", "Data", "connect", "threads"]

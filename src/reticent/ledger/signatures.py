"""Signed grants: the signer's name can be backed by the key that a roster pins for it.

What is signed is the hash of the entry, and with it the whole history that the signer saw. The signature stands beside
the hash and not under it: taking it away leaves a grant by name alone, which `Ledger.verify(roster=...)` refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from reticent.errors import PolicyRefused
from reticent.identity import Roster, SigningKey
from reticent.ledger.entries import Entry
from reticent.ledger.rows import Row

__all__ = ["sign_entry", "signed"]

_DOMAIN = b"reticent ledger signature 1\0"


def sign_entry(entry: Entry, key: SigningKey) -> Entry:
    """Return the entry with the signature of its hash."""
    return replace(entry, signature=key.sign(_DOMAIN + bytes.fromhex(entry.hash)).hex())


def signed(rows: Iterable[Row], roster: Roster) -> Iterator[Row]:
    """Yield rows as long as every grant, and every word that populations are disjoint, has its signer's signature.

    Args:
      rows: In order.
      roster: The keys of those who may sign.

    Raises:
      PolicyRefused: If one has no signature.
      IdentityError: If its signer is not in the roster, or the signature is another's.
    """
    for row in rows:
        entry = row.entry
        if entry.kind in ("grant", "disjoint"):
            try:
                signature = bytes.fromhex(entry.signature)
            except ValueError:
                signature = b""
            if not signature:
                raise PolicyRefused(
                    "grant-not-signed",
                    f"entry {entry.seq} of the ledger ({entry.kind}) names {entry.signer!r} and has no signature",
                    hint="let the signer grant it again with a key, in a ledger that begins anew; or verify by names",
                )
            roster.verify(entry.signer, _DOMAIN + bytes.fromhex(entry.hash), signature)
        yield row

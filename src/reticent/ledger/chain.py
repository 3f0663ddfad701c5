r"""The chain of hashes: each row's hash covers the whole row and the hash before it, so a head stands for all of it.

    hash(0) = SHA-256("reticent ledger\0"       || identity of the ledger)
    hash(n) = SHA-256("reticent ledger entry\0" || canonical text of row n, which holds hash(n - 1))

The canonical text is JSON in ASCII with sorted keys and no spaces, of texts and whole numbers only. A field that is
empty or 0 is left out, so that a later form of the ledger with more fields gives old rows the hashes they have.

Whoever knows one head, from a printed report or another machine, notices every change before it: a changed or missing
row gives another hash, and a forger would have to find a collision of SHA-256. Without a head that is kept elsewhere
the chain finds accidents only, since whoever can write the ledger can compute it anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from reticent.errors import UsageError

__all__ = ["Head", "canonical", "genesis", "link"]

_GENESIS = b"reticent ledger\0"
_ENTRY = b"reticent ledger entry\0"
_NOT_HASHED = ("hash", "signature")
_HASH = re.compile(r"[0-9a-f]{64}")
_IDENTITY = re.compile(r"[0-9a-f]{32}")
_LONGEST_SEQ = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Head:
    """The state of a whole ledger in one line, to be kept where whoever writes the ledger cannot change it.

    Attributes:
      ledger: Identity of the ledger, 32 hexadecimal digits, drawn when it was made.
      seq: Position of its last entry; 0 for a ledger without any.
      hash: Hash of that entry, 64 hexadecimal digits.
    """

    ledger: str
    seq: int
    hash: str

    def to_plain(self) -> dict[str, str | int]:
        """Return the head as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: object) -> Head:
        """Return the head that `to_plain` gave.

        Raises:
          UsageError: If it is none.
        """
        if isinstance(plain, Mapping) and set(plain) == {"ledger", "seq", "hash"}:
            ledger, seq, digest = plain["ledger"], plain["seq"], plain["hash"]
            texts = isinstance(ledger, str) and isinstance(digest, str) and type(seq) is int
            if texts and _IDENTITY.fullmatch(ledger) and _HASH.fullmatch(digest) and 0 <= seq <= _LONGEST_SEQ:
                return cls(ledger, seq, digest)
        raise _no_head()

    @classmethod
    def parse(cls, text: str) -> Head:
        """Return the head in a text: a head alone, what `reticent ledger verify` printed, or a whole export.

        Raises:
          UsageError: If there is none.
        """
        for part in (text, text.strip().rpartition("\n")[2]):
            try:
                plain = json.loads(part)
            except (ValueError, RecursionError):
                continue
            if isinstance(plain, Mapping) and "head" in plain:
                plain = plain["head"]
            return cls.from_plain(plain)
        raise _no_head()


def genesis(ledger: str) -> str:
    """Return the hash that the first entry of the ledger of this identity follows."""
    return hashlib.sha256(_GENESIS + ledger.encode()).hexdigest()


def canonical(values: Mapping[str, str | int]) -> str:
    """Return the text of a row that its hash covers."""
    kept = {name: value for name, value in values.items() if name not in _NOT_HASHED and value not in ("", 0)}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def link(values: Mapping[str, str | int]) -> str:
    """Return the hash of a row; `values` holds its columns, `previous` among them."""
    return hashlib.sha256(_ENTRY + canonical(values).encode("ascii")).hexdigest()


def _no_head() -> UsageError:
    return UsageError(
        "invalid-ledger-head",
        "the text holds no head of a ledger",
        hint="give what `reticent ledger verify --format json` or `reticent ledger export` wrote",
    )

"""The client of a secure sum: each site runs one for each session.

K. Bonawitz et al., "Practical secure aggregation for privacy-preserving machine learning", CCS 2017, with signed keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray

from reticent.errors import DataError, IdentityError, InternalError, PolicyRefused
from reticent.identity import Roster, SigningKey
from reticent.messages import decode, encode
from reticent.randomness import secret
from reticent.rings import SHARE_BYTES, split
from reticent.rings.shamir import parse
from reticent.secagg import masks, wire
from reticent.secagg.parameters import Parameters

__all__ = ["Client"]

_DONE = "nothing more"


class Client:
    """One site in one session: four phases, each once and in order. Any error ends it for good.

    Trusts the pinned roster and at most nobody else: the server sees masked vectors and learns the sum over the
    survivors. What the client enforces whatever the server says: keys carry their owner's signature; at least
    `threshold` clients remain in every phase; of each peer it opens one of the two secrets, once.

    Args:
      parameters: Agreed before the run.
      name: Own name, as pinned.
      key: Own identity.
      roster: Pinned identities of all who may take part (others, such as the coordinator, do no harm).
      session: Names this sum and no other: run, round, attempt and the hash of the model that was broadcast. A client
          that was shown another model has another session, and its mask does not cancel.

    Raises:
      IdentityError: If the roster does not pin `key` for `name`.
    """

    def __init__(self, parameters: Parameters, name: str, key: SigningKey, roster: Roster, session: bytes) -> None:
        if roster.get(name) != key.public:
            raise IdentityError(
                "own-key-not-pinned",
                f"the roster does not pin the key of {name!r} that this site holds",
                hint="compare the site's public key with the roster of the study",
            )
        self._parameters, self._name, self._key, self._roster = parameters, name, key, roster
        self._session = wire.session_context(parameters, session)
        self._next = wire.PHASES[0]
        self._forget()

    def _forget(self) -> None:
        self._advertised = self._context = b""
        self._encryption_secret = self._masking_secret = self._seed = b""
        self._encryption_shared: dict[str, bytes] = {}
        self._pair_keys: dict[str, bytes] = {}
        self._shares: dict[str, tuple[bytes, bytes]] = {}

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        if self._next != name:
            # Answering a phase twice is how both secrets of a peer, or two masks of one key, would come out.
            raise PolicyRefused(
                "phase-out-of-order",
                f"client {self._name!r} was asked for {name}, and answers {self._next}",
                hint="every phase is answered once; repeat a failed sum with a new attempt, which has new keys",
            )
        self._next = _DONE
        try:
            yield
        except BaseException:
            self._forget()
            raise
        self._next = (*wire.PHASES, _DONE)[wire.PHASES.index(name) + 1]

    def advertise(self) -> bytes:
        """Return fresh, signed public keys.

        Run by every client. Reveals to everybody that the client takes part.
        """
        with self._phase("advertise"):
            self._encryption_secret, self._masking_secret = (
                X25519PrivateKey.generate().private_bytes_raw() for _ in range(2)
            )
            encryption, masking = (
                X25519PrivateKey.from_private_bytes(each).public_key().public_bytes_raw()
                for each in (self._encryption_secret, self._masking_secret)
            )
            claim = wire.key_claim(self._session, self._name, encryption, masking)
            self._advertised = encode(wire.PublicKeys(encryption, masking, self._key.sign(claim)))
            return self._advertised

    def share_keys(self, roster_message: bytes) -> bytes:
        """Return shares of the mask seed and of the masking key, each encrypted for one peer.

        Run by every client that advertised. Requires that every key in the message carries its owner's signature.
        Reveals nothing to the server; to a peer one share, which is uniform.

        Raises:
          IdentityError: If a key is unsigned, signed for another session, substituted, used twice, or of low order.
          PolicyRefused: If fewer than threshold clients advertised, or more than the parameters allow.
        """
        with self._phase("share_keys"):
            keys = self._checked_keys(roster_message)
            self._context = wire.roster_context(self._session, roster_message)
            for peer, public in keys.items():
                if peer != self._name:
                    self._agree(peer, public)
            self._seed = secret(32)
            parts = {"shares": len(keys), "threshold": self._parameters.threshold}
            shares = zip(
                split(self._seed, **parts).values(), split(self._masking_secret, **parts).values(), strict=True
            )
            mine = dict(zip(sorted(keys), shares, strict=True))
            # From here on the masking key exists only in shares, and in the pairwise keys derived from it.
            self._encryption_secret = self._masking_secret = b""
            self._shares[self._name] = mine.pop(self._name)
            return encode(
                wire.SealedShares(
                    {
                        peer: masks.seal_shares(
                            self._encryption_shared[peer], self._context, self._name, peer, seed + key
                        )
                        for peer, (seed, key) in mine.items()
                    }
                )
            )

    def _checked_keys(self, roster_message: bytes) -> dict[str, wire.PublicKeys]:
        message = decode(roster_message, wire.KeyRoster, limit=self._parameters.control_limit)
        self._require_threshold(len(message.keys), "advertised keys")
        if len(message.keys) > self._parameters.clients:
            self._reject_key("more clients advertised keys than the parameters allow")
        if message.keys.get(self._name) != self._advertised:
            self._reject_key("this client's own keys are missing or were replaced")
        keys: dict[str, wire.PublicKeys] = {}
        for name, encoded in message.keys.items():
            public = keys[name] = decode(encoded, wire.PublicKeys, limit=self._parameters.control_limit)
            # Without this the server could put its own keys in everybody's place and read all that is sealed.
            claim = wire.key_claim(self._session, name, public.encryption, public.masking)
            self._roster.verify(name, claim, public.signature)
        if len({key for public in keys.values() for key in (public.encryption, public.masking)}) < 2 * len(keys):
            self._reject_key("a key is used twice")
        return keys

    def _agree(self, peer: str, public: wire.PublicKeys) -> None:
        try:
            self._encryption_shared[peer] = masks.agree(self._encryption_secret, public.encryption)
            shared = masks.agree(self._masking_secret, public.masking)
        except ValueError:
            self._reject_key(f"a key of {peer!r} is malformed or of low order")
        self._pair_keys[peer] = masks.pair_key(shared, self._context, self._name, peer)

    def masked_input(self, shares_message: bytes, vector: NDArray[np.floating[Any]]) -> bytes:
        """Return `vector`, encoded, under the own mask and one mask for each peer whose shares arrived.

        Run by every client that shared its keys. Reveals to the server a vector that is uniform in the ring as long as
        the mask of one honest survivor, or the own mask, is unknown to it.

        Args:
          shares_message: What the peers sealed for this client.
          vector: The numbers to be summed, `(length,)`, within the bound: clip before.

        Raises:
          IdentityError: If a share was not sealed by its sender for this client in this session, or is malformed.
          PolicyRefused: If fewer than threshold clients, this one included, shared their keys.
          DataError: If the vector has another shape, is not finite, or exceeds the bound.
        """
        with self._phase("masked_input"):
            message = decode(shares_message, wire.DeliveredShares, limit=self._parameters.control_limit)
            self._require_threshold(len(message.sealed) + 1, "shared keys")
            for peer, sealed in message.sealed.items():
                self._shares[peer] = self._opened(peer, sealed)
            encoding = self._parameters.encoding
            if np.shape(vector) != (self._parameters.length,):
                raise DataError(
                    "vector-shape",
                    f"a vector of shape {np.shape(vector)} was given to a sum of length {self._parameters.length}",
                    hint="flatten the model to the length that the plan states",
                )
            total = encoding.encode(vector).astype(encoding.word)
            masks.add_mask(total, masks.self_key(self._seed, self._context, self._name), negative=False)
            for peer in message.sealed:
                masks.add_pair_mask(total, self._pair_keys[peer], owner=self._name, peer=peer)
            np.bitwise_and(total, 2**encoding.ring_bits - 1, out=total)
            commitment = masks.commit(self._seed, self._context, self._name)
            self._pair_keys, self._encryption_shared, self._seed = {}, {}, b""
            return encode(wire.MaskedInput(encoding.pack(total), commitment))

    def _opened(self, peer: str, sealed: bytes) -> tuple[bytes, bytes]:
        try:
            shared = self._encryption_shared[peer]
            opened = masks.open_shares(shared, self._context, peer, self._name, sealed)
            seed, key = opened[:SHARE_BYTES], opened[SHARE_BYTES:]
            if (parse(seed)[0], parse(key)[0]) != (32, 32):
                raise ValueError
        except (KeyError, InvalidTag, ValueError, IdentityError):
            raise IdentityError(
                "share-rejected",
                f"what {self._name!r} received as the shares of {peer[:128]!r} is not what that client sealed for it",
                hint="messages were mixed up or altered, or the clients were shown different keys; repeat the attempt",
            ) from None
        return seed, key

    def unmask(self, survivors_message: bytes) -> bytes:
        """Return one share for each peer: of the mask seed of a survivor, of the masking key of one that vanished.

        Run by every survivor. Never both of one peer: together they would uncover its vector. Reveals to the server,
        once threshold clients answer, the own masks of survivors and the pairwise masks of the vanished: the sum over
        the survivors, and nothing else.

        Raises:
          PolicyRefused: If there are fewer survivors than threshold, the list repeats a name, lacks this client, or
              names one whose shares it never received.
        """
        with self._phase("unmask"):
            names = decode(survivors_message, wire.Survivors, limit=self._parameters.control_limit).names
            self._require_threshold(len(set(names)), "masked vectors")
            if list(names) != sorted(set(names)) or self._name not in names or not set(names) <= set(self._shares):
                raise PolicyRefused(
                    "survivors-rejected",
                    f"the list of survivors shown to {self._name!r} repeats names, lacks it or names strangers",
                    hint="an honest coordinator sends no such list; do not repeat the round before it is explained",
                )
            seeds = {name: self._shares[name][0] for name in names}
            keys = {name: share for name, (_, share) in self._shares.items() if name not in seeds}
            self._forget()
            return encode(wire.Openings(seeds, keys))

    def _require_threshold(self, found: int, what: str) -> None:
        if found < self._parameters.threshold:
            # A lone survivor's "sum" is its vector.
            raise PolicyRefused(
                "survivors-below-threshold",
                f"client {self._name!r} was shown {what} of {found} clients, threshold {self._parameters.threshold}",
                hint="wait for more sites and repeat the attempt; no client answers below the threshold",
            )

    def _reject_key(self, why: str) -> NoReturn:
        raise IdentityError(
            "key-rejected",
            f"client {self._name!r} rejects the keys it was shown: {why}",
            hint="the coordinator altered keys, or a site's random generator is broken; find out before repeating",
        )

    def __reduce__(self) -> NoReturn:
        raise InternalError(
            "secagg-client-copied",
            "a client of a secure sum was copied or pickled",
            hint="a copy could answer a second time; make a new client for a new attempt",
        )

    def __repr__(self) -> str:
        return f"Client(name={self._name!r}, next={self._next!r})"

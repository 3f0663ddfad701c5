"""The server of a secure sum: run by the coordinator, which learns the sum over the survivors and no vector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray

from reticent.errors import IdentityError, InternalError, QuorumLost
from reticent.identity import Roster
from reticent.messages import decode, encode
from reticent.randomness import secret
from reticent.rings import Interpolation, Words
from reticent.secagg import masks, wire
from reticent.secagg.parameters import Parameters

__all__ = ["Server", "SumResult"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SumResult:
    """The sum, `float64 (length,)`, and whose vectors are in it, in order of their names."""

    vector: NDArray[np.float64]
    contributors: tuple[str, ...]


class Server:
    """Carries the four phases; absent and unusable replies are drop-outs, too few of the rest end the sum.

    A reply counts in its own phase only; what arrives later is not looked at. `rejected` tells whose replies were
    unusable, and why.

    Args:
      parameters: Agreed before the run.
      roster: Pinned identities (public).
      session: The same bytes that the clients were given.
    """

    def __init__(self, parameters: Parameters, roster: Roster, session: bytes) -> None:
        self._parameters, self._roster = parameters, roster
        self._session = wire.session_context(parameters, session)
        self._context = b""
        self._next = wire.PHASES[0]
        self._keys: dict[str, wire.PublicKeys] = {}
        self._shared: tuple[str, ...] = ()
        self._commitments: dict[str, bytes] = {}
        self._total: Words = np.zeros(0, dtype=np.uint64)
        self.rejected: dict[str, str] = {}

    def keys_to_roster(self, replies: Mapping[str, bytes]) -> dict[str, bytes]:
        """Take the replies to `advertise`; return for each client the signed keys of all.

        Raises:
          QuorumLost: If fewer than threshold clients advertised.
        """
        self._enter("advertise")
        found = self._usable(replies, self._roster, self._public_keys)
        uses = Counter(key for public in found.values() for key in (public.encryption, public.masking))
        for name, public in list(found.items()):
            # One key in two names makes every client refuse the whole round: leave out who did that.
            if uses[public.encryption] + uses[public.masking] > 2:
                self.rejected[name] = "a key that another client advertised too"
                del found[name]
        for name in sorted(found)[self._parameters.clients :]:
            self.rejected[name] = "more clients than the parameters allow"
            del found[name]
        self._require_threshold(found, "advertise")
        self._keys = {name: found[name] for name in sorted(found)}
        message = encode(wire.KeyRoster({name: replies[name] for name in self._keys}))
        self._context = wire.roster_context(self._session, message)
        return dict.fromkeys(self._keys, message)

    def _public_keys(self, name: str, reply: bytes) -> wire.PublicKeys:
        public = decode(reply, wire.PublicKeys, limit=self._parameters.control_limit)
        claim = wire.key_claim(self._session, name, public.encryption, public.masking)
        self._roster.verify(name, claim, public.signature)
        try:
            # Every client would refuse the whole round for such a key: leave out who sent it.
            masks.agree(secret(32), public.encryption)
            masks.agree(secret(32), public.masking)
        except ValueError:
            _unusable("a key that is malformed or of low order")
        return public

    def route_shares(self, replies: Mapping[str, bytes]) -> dict[str, bytes]:
        """Take the replies to `share_keys`; return for each client what the others sealed for it.

        Raises:
          QuorumLost: If fewer than threshold clients shared their keys.
        """
        self._enter("share_keys")
        found = self._usable(replies, self._keys, self._sealed_shares)
        self._require_threshold(found, "share_keys")
        self._shared = tuple(sorted(found))
        return {
            name: encode(wire.DeliveredShares({peer: found[peer][name] for peer in self._shared if peer != name}))
            for name in self._shared
        }

    def _sealed_shares(self, name: str, reply: bytes) -> Mapping[str, bytes]:
        sealed = decode(reply, wire.SealedShares, limit=self._parameters.control_limit).sealed
        if sealed.keys() != self._keys.keys() - {name}:
            _unusable("shares for other clients than those that advertised")
        return sealed

    def survivors(self, replies: Mapping[str, bytes]) -> dict[str, bytes]:
        """Take the replies to `masked_input`; return for each client the list of survivors.

        Raises:
          QuorumLost: If fewer than threshold masked vectors arrived in time.
        """
        self._enter("masked_input")
        word = self._parameters.encoding.word
        self._total = np.zeros(self._parameters.length, dtype=word)
        self._commitments = self._usable(replies, self._shared, self._masked)
        self._require_threshold(self._commitments, "masked_input")
        names = tuple(sorted(self._commitments))
        return dict.fromkeys(names, encode(wire.Survivors(names)))

    def _masked(self, _name: str, reply: bytes) -> bytes:
        message = decode(reply, wire.MaskedInput, limit=self._parameters.message_limit)
        words = self._parameters.encoding.unpack(message.words, self._parameters.length)
        self._total += words.astype(self._total.dtype)
        return message.commitment

    def sum(self, replies: Mapping[str, bytes]) -> SumResult:
        """Take the replies to `unmask`; return the sum over the survivors.

        Raises:
          QuorumLost: If fewer than threshold clients opened their shares.
          IdentityError: If the shares restore other secrets than those the clients used: one of them sent a wrong one.
        """
        self._enter("unmask")
        found = self._usable(replies, self._commitments, self._openings)
        self._require_threshold(found, "unmask")
        holder = {name: number for number, name in enumerate(self._keys, start=1)}
        openers = sorted(found)[: self._parameters.threshold]
        points = Interpolation(holder[name] for name in openers)
        for name in self._commitments:
            seed = points.secret({holder[opener]: found[opener].seeds[name] for opener in openers})
            self._remove_own(name, seed)
        for name in set(self._shared) - self._commitments.keys():
            key = points.secret({holder[opener]: found[opener].keys[name] for opener in openers})
            self._remove_pairs(name, key)
        vector = self._parameters.encoding.decode(self._total)
        self._total = np.zeros(0, dtype=np.uint64)
        return SumResult(vector, tuple(sorted(self._commitments)))

    def _openings(self, _name: str, reply: bytes) -> wire.Openings:
        openings = decode(reply, wire.Openings, limit=self._parameters.control_limit)
        vanished = set(self._shared) - self._commitments.keys()
        if openings.seeds.keys() != self._commitments.keys() or openings.keys.keys() != vanished:
            _unusable("shares of other secrets than were asked for")
        return openings

    def _remove_own(self, name: str, seed: bytes) -> None:
        if masks.commit(seed, self._context, name) != self._commitments[name]:
            _mismatch(name)
        masks.add_mask(self._total, masks.self_key(seed, self._context, name), negative=True)

    def _remove_pairs(self, vanished: str, key: bytes) -> None:
        public = X25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw() if len(key) == 32 else b""
        if public != self._keys[vanished].masking:
            _mismatch(vanished)
        for name in self._commitments:
            shared = masks.agree(key, self._keys[name].masking)
            pair = masks.pair_key(shared, self._context, name, vanished)
            masks.add_pair_mask(self._total, pair, owner=name, peer=vanished, remove=True)

    def _enter(self, phase: str) -> None:
        if self._next != phase:
            raise InternalError(
                "server-phase-order",
                f"the server of a secure sum was given replies to {phase}, and waits for {self._next}",
                hint="give it the replies of each phase once, in order; a new attempt takes a new server",
            )
        self._next = (*wire.PHASES, "nothing more")[wire.PHASES.index(phase) + 1]

    def _usable(
        self, replies: Mapping[str, bytes], expected: Collection[str], parse: Callable[[str, bytes], T]
    ) -> dict[str, T]:
        found: dict[str, T] = {}
        for name in sorted(replies):
            try:
                if name not in expected:
                    _unusable("a reply of somebody who was not asked")
                found[name] = parse(name, replies[name])
            except IdentityError as error:
                self.rejected[name] = error.message
        return found

    def _require_threshold(self, found: Collection[str], phase: str) -> None:
        if len(found) < self._parameters.threshold:
            raise QuorumLost(
                "too-few-survivors",
                f"{len(found)} clients answered {phase}, threshold {self._parameters.threshold}",
                hint="repeat the attempt when more sites are reachable, or plan for more drop-outs",
            )


def _unusable(why: str) -> NoReturn:
    raise IdentityError("unusable-reply", why, hint="check that all sites run the same plan and version")


def _mismatch(name: str) -> NoReturn:
    raise IdentityError(
        "reconstruction-failed",
        f"the shares of {name!r} restore another secret than the one it used",
        hint="a client sent a wrong share, by mistake or on purpose; repeat the attempt, and look for who fails again",
    )

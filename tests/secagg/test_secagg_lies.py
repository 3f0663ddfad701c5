"""A server that lies, replays, reorders or sends rubbish: clients refuse, and stay refused."""

from __future__ import annotations

import copy
import pickle
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from reticent.errors import DataError, IdentityError, InternalError, PolicyRefused, QuorumLost, ReticentError
from reticent.identity import Roster, SigningKey
from reticent.messages import decode, encode
from reticent.secagg import Client, Parameters, Server, masks, wire

NAMES = ("ada", "bob", "cyd", "dan")
KEYS = {name: SigningKey.generate() for name in NAMES}
ROSTER = Roster({name: key.public for name, key in KEYS.items()})
P = Parameters(clients=4, length=16, bound=1.0, precision=0.25, dropouts=1)
SESSION = b"session"
VECTOR = np.ones(16)
LIMIT = 100_000


class Cast:
    """Four clients and an honest server, brought up to a phase."""

    def __init__(self, until: str = "advertise", client: type[Client] = Client, session: bytes = SESSION) -> None:
        self.clients = {name: client(P, name, KEYS[name], ROSTER, session) for name in NAMES}
        self.server = Server(P, ROSTER, session)
        steps = wire.PHASES.index(until)
        self.keys = {name: each.advertise() for name, each in self.clients.items()} if steps > 0 else {}
        if steps > 0:
            self.roster = self.server.keys_to_roster(self.keys)["ada"]
        if steps > 1:
            self.shares = {name: each.share_keys(self.roster) for name, each in self.clients.items()}
            self.delivered = self.server.route_shares(self.shares)
        if steps > 2:
            self.masked = {n: c.masked_input(self.delivered[n], VECTOR) for n, c in self.clients.items()}
            self.survivors = self.server.survivors(self.masked)


def refused(action: Any, kind: type[ReticentError] = PolicyRefused) -> str:
    with pytest.raises(kind) as caught:
        action()
    return caught.value.code


def public_keys(
    name: str, *, session: bytes = SESSION, signer: str | None = None, masking: bytes | None = None
) -> bytes:
    """Keys as the enemy makes them; `signer` signs, by default the owner (who then is hostile itself)."""
    encryption = X25519PrivateKey.generate().public_key().public_bytes_raw()
    masking = masking or X25519PrivateKey.generate().public_key().public_bytes_raw()
    claim = wire.key_claim(wire.session_context(P, session), name, encryption, masking)
    return encode(wire.PublicKeys(encryption, masking, KEYS[signer or name].sign(claim)))


def shown(cast: Cast, **changed: bytes | None) -> bytes:
    """The roster message with some clients' keys replaced or left out."""
    keys = cast.keys | changed
    return encode(wire.KeyRoster({name: key for name, key in keys.items() if key is not None}))


# -- keys ---------------------------------------------------------------------------------------------------


def test_man_in_the_middle_keys_are_refused() -> None:
    # The server puts keys of its own in everybody's place; it can sign with any identity but the site's.
    cast = Cast("share_keys")
    code = refused(
        lambda: cast.clients["ada"].share_keys(shown(cast, bob=public_keys("bob", signer="cyd"))), IdentityError
    )
    assert code == "bad-signature"


def test_broken_copy_without_signature_check_lets_the_server_read_shares() -> None:
    class Trusting(Client):
        def _checked_keys(self, roster_message: bytes) -> dict[str, wire.PublicKeys]:
            keys = decode(roster_message, wire.KeyRoster, limit=LIMIT).keys
            return {name: decode(each, wire.PublicKeys, limit=LIMIT) for name, each in keys.items()}

    cast = Cast("share_keys", Trusting)
    with pytest.raises(pytest.fail.Exception):
        refused(
            lambda: cast.clients["ada"].share_keys(shown(cast, bob=public_keys("bob", signer="cyd"))), IdentityError
        )


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (lambda cast: {"bob": public_keys("bob", session=b"earlier session")}, "bad-signature"),
        (lambda cast: {"bob": cast.keys["cyd"]}, "bad-signature"),
        (lambda cast: {"ada": public_keys("ada")}, "key-rejected"),
        (lambda cast: {"ada": None}, "key-rejected"),
        (lambda cast: {"bob": public_keys("bob", masking=_masking(cast, "cyd"))}, "key-rejected"),
        (lambda cast: {"bob": public_keys("bob", masking=_masking(cast, "ada"))}, "key-rejected"),
        (lambda cast: {"bob": public_keys("bob", masking=bytes(32))}, "key-rejected"),
        (lambda cast: {"bob": public_keys("bob", masking=(1).to_bytes(32, "little"))}, "key-rejected"),
        (lambda cast: {"bob": public_keys("bob", masking=(2**255 - 20).to_bytes(32, "little"))}, "key-rejected"),
        (lambda cast: {"bob": public_keys("bob", masking=bytes(31))}, "key-rejected"),
        (lambda cast: {"bob": b"rubbish"}, "malformed-message"),
    ],
    ids=[
        "replayed",
        "swapped",
        "own replaced",
        "own missing",
        "of a peer",
        "own reflected",
        "zero",
        "one",
        "-1",
        "short",
        "rubbish",
    ],
)
def test_other_keys_are_refused(changed: Any, code: str) -> None:
    cast = Cast("share_keys")
    assert refused(lambda: cast.clients["ada"].share_keys(shown(cast, **changed(cast))), IdentityError) == code
    assert refused(lambda: cast.clients["ada"].share_keys(cast.roster)) == "phase-out-of-order"  # no second try


def _masking(cast: Cast, name: str) -> bytes:
    return decode(cast.keys[name], wire.PublicKeys, limit=LIMIT).masking


@pytest.mark.parametrize("field", ["encryption", "masking"])
def test_the_signature_covers_both_keys(field: str) -> None:
    cast = Cast("share_keys")
    genuine = decode(cast.keys["bob"], wire.PublicKeys, limit=LIMIT)
    own = X25519PrivateKey.generate().public_key().public_bytes_raw()
    forged = encode(replace(genuine, **{field: own}))
    message = shown(cast, bob=forged)
    assert refused(lambda: cast.clients["ada"].share_keys(message), IdentityError) == "bad-signature"


def test_more_clients_than_agreed_are_refused() -> None:
    three = Parameters(clients=3, length=16, bound=1.0, precision=0.25, dropouts=0)
    clients = {name: Client(three, name, KEYS[name], ROSTER, SESSION) for name in NAMES}
    keys = {name: client.advertise() for name, client in clients.items()}
    message = encode(wire.KeyRoster(keys))
    assert refused(lambda: clients["ada"].share_keys(message), IdentityError) == "key-rejected"
    server = Server(three, ROSTER, SESSION)
    assert len(server.keys_to_roster(keys)) == 3
    assert set(server.rejected) == {"dan"}


def test_a_stranger_in_the_roster_is_refused() -> None:
    cast = Cast("share_keys")
    message = shown(cast, dan=None, eve=public_keys("eve", signer="dan"))
    assert refused(lambda: cast.clients["ada"].share_keys(message), IdentityError) == "unknown-signer"


def test_an_honest_server_leaves_bad_keys_out_so_that_the_others_go_on() -> None:
    cast = Cast()
    keys = {name: client.advertise() for name, client in cast.clients.items()}
    for bad in (b"", public_keys("bob", masking=bytes(32)), public_keys("bob", signer="cyd"), keys["cyd"]):
        server = Server(P, ROSTER, SESSION)
        assert set(server.keys_to_roster({**keys, "bob": bad, "stranger": keys["ada"]})) == {"ada", "cyd", "dan"}
        assert set(server.rejected) == {"bob", "stranger"}


def test_a_client_whose_key_is_not_pinned() -> None:
    assert refused(lambda: Client(P, "ada", KEYS["bob"], ROSTER, SESSION), IdentityError) == "own-key-not-pinned"


# -- shares -------------------------------------------------------------------------------------------------


def _sealed(cast: Cast, name: str) -> dict[str, bytes]:
    return dict(decode(cast.delivered[name], wire.DeliveredShares, limit=LIMIT).sealed)


@pytest.mark.parametrize(
    "change",
    [
        lambda cast, sealed: sealed | {"bob": sealed["cyd"], "cyd": sealed["bob"]},
        lambda cast, sealed: sealed | {"bob": _sealed(cast, "cyd")["bob"]},
        lambda cast, sealed: sealed | {"bob": sealed["bob"][:-1]},
        lambda cast, sealed: sealed | {"bob": b""},
        lambda cast, sealed: sealed | {"eve": sealed["bob"]},
        lambda cast, sealed: sealed | {"ada": sealed["bob"]},
        lambda cast, sealed: sealed | {"bob": _sealed(Cast("masked_input"), "ada")["bob"]},
    ],
    ids=["swapped", "meant for another", "cut", "empty", "stranger", "own name", "other keys"],
)
def test_other_shares_are_refused(change: Any) -> None:
    cast = Cast("masked_input")
    message = encode(wire.DeliveredShares(change(cast, _sealed(cast, "ada"))))
    assert refused(lambda: cast.clients["ada"].masked_input(message, VECTOR), IdentityError) == "share-rejected"


def test_every_bit_of_a_sealed_share_is_checked() -> None:
    sealed = masks.seal_shares(bytes(32), bytes(32), "ada", "bob", b"shares")
    assert masks.open_shares(bytes(32), bytes(32), "ada", "bob", sealed) == b"shares"
    for bit in range(8 * len(sealed)):
        flipped = (int.from_bytes(sealed) ^ (1 << bit)).to_bytes(len(sealed))
        with pytest.raises(InvalidTag):
            masks.open_shares(bytes(32), bytes(32), "ada", "bob", flipped)
    for other in (("bob", "ada"), ("ada", "cyd")):
        with pytest.raises(InvalidTag):
            masks.open_shares(bytes(32), bytes(32), *other, sealed)


def test_decrypted_shares_are_checked() -> None:
    # A peer that seals something else than two shares of 32-byte secrets.
    cast = Cast("masked_input")
    shared = cast.clients["ada"]._encryption_shared["bob"]
    context = cast.clients["ada"]._context
    for content in (b"", bytes(68), b"\x20" + b"\xff" * 67, b"\x20" + bytes(33) + b"\x10" + bytes(33)):
        cast = cast if content == b"" else Cast("masked_input")
        shared, context = cast.clients["ada"]._encryption_shared["bob"], cast.clients["ada"]._context
        sealed = masks.seal_shares(shared, context, "bob", "ada", content)
        message = encode(wire.DeliveredShares(_sealed(cast, "ada") | {"bob": sealed}))
        assert (
            refused(lambda c=cast, m=message: c.clients["ada"].masked_input(m, VECTOR), IdentityError)
            == "share-rejected"
        )


def test_clients_shown_different_rosters_cannot_read_each_other() -> None:
    cast = Cast("share_keys")
    full, three = shown(cast), shown(cast, dan=None)
    to_bob = decode(cast.clients["ada"].share_keys(full), wire.SealedShares, limit=LIMIT).sealed["bob"]
    others = {name: cast.clients[name].share_keys(three) for name in ("bob", "cyd")}
    from_cyd = decode(others["cyd"], wire.SealedShares, limit=LIMIT).sealed["bob"]
    message = encode(wire.DeliveredShares({"ada": to_bob, "cyd": from_cyd}))
    assert refused(lambda: cast.clients["bob"].masked_input(message, VECTOR), IdentityError) == "share-rejected"


# -- thresholds and survivors -------------------------------------------------------------------------------


def lone_survivor_is_refused(client: type[Client]) -> None:
    cast = Cast("unmask", client)
    assert refused(lambda: cast.clients["ada"].unmask(encode(wire.Survivors(("ada",))))) == "survivors-below-threshold"


def test_every_phase_enforces_the_threshold() -> None:
    lone_survivor_is_refused(Client)
    cast = Cast("share_keys")
    two = shown(cast, cyd=None, dan=None)
    assert refused(lambda: cast.clients["ada"].share_keys(two)) == "survivors-below-threshold"
    cast = Cast("masked_input")
    one = encode(wire.DeliveredShares({"bob": _sealed(cast, "ada")["bob"]}))
    assert refused(lambda: cast.clients["ada"].masked_input(one, VECTOR)) == "survivors-below-threshold"


def test_broken_copy_threshold_not_enforced_by_the_client_is_caught() -> None:
    class Obedient(Client):
        def _require_threshold(self, found: int, what: str) -> None:
            pass

    with pytest.raises(pytest.fail.Exception):
        lone_survivor_is_refused(Obedient)


@pytest.mark.parametrize(
    "names",
    [
        ("ada", "ada", "bob", "cyd"),
        ("bob", "ada", "cyd"),
        ("bob", "cyd", "dan"),
        ("ada", "bob", "eve"),
        ("ada", "bob", "cyd", "dan", "eve"),
    ],
    ids=["repeated", "unordered", "without itself", "stranger", "one stranger more"],
)
def test_lists_of_survivors_that_cannot_be(names: tuple[str, ...]) -> None:
    cast = Cast("unmask")
    assert refused(lambda: cast.clients["ada"].unmask(encode(wire.Survivors(names)))) == "survivors-rejected"
    assert refused(lambda: cast.clients["ada"].unmask(cast.survivors["ada"])) == "phase-out-of-order"


def test_survivors_whose_shares_were_withheld_are_strangers() -> None:
    cast = Cast("masked_input")
    sealed = _sealed(cast, "ada")
    del sealed["dan"]
    cast.clients["ada"].masked_input(encode(wire.DeliveredShares(sealed)), VECTOR)
    code = refused(lambda: cast.clients["ada"].unmask(encode(wire.Survivors(("ada", "bob", "dan")))))
    assert code == "survivors-rejected"


def test_a_client_never_opens_both_secrets_of_a_peer() -> None:
    cast = Cast("unmask")
    opened = decode(
        cast.clients["ada"].unmask(encode(wire.Survivors(("ada", "bob", "cyd")))), wire.Openings, limit=LIMIT
    )
    assert (set(opened.seeds), set(opened.keys)) == ({"ada", "bob", "cyd"}, {"dan"})
    assert refused(lambda: cast.clients["ada"].unmask(cast.survivors["ada"])) == "phase-out-of-order"


def test_different_lists_for_different_clients_uncover_nothing() -> None:
    # With 2t > n no two groups of t clients exist: for dan the server collects 2 + 2 shares, and needs 3 of a kind.
    cast = Cast("unmask")
    with_dan, without = encode(wire.Survivors(NAMES)), encode(wire.Survivors(NAMES[:3]))
    lists = {"ada": without, "bob": without, "cyd": with_dan, "dan": with_dan}
    opened = {n: decode(c.unmask(lists[n]), wire.Openings, limit=LIMIT) for n, c in cast.clients.items()}
    for kind in ("seeds", "keys"):
        assert sum("dan" in getattr(each, kind) for each in opened.values()) < P.threshold


# -- order, repetition, copies ------------------------------------------------------------------------------


def test_phases_are_answered_once_and_in_order() -> None:
    cast = Cast("unmask")
    ada = cast.clients["ada"]
    fresh = Cast().clients["ada"]
    for action in (
        ada.advertise,
        lambda: ada.share_keys(cast.roster),
        lambda: ada.masked_input(cast.delivered["ada"], VECTOR),
        lambda: fresh.share_keys(cast.roster),
        lambda: fresh.masked_input(cast.delivered["ada"], VECTOR),
        lambda: fresh.unmask(cast.survivors["ada"]),
    ):
        assert refused(action) == "phase-out-of-order"
    ada.unmask(cast.survivors["ada"])  # asking out of turn changes nothing
    assert refused(ada.advertise) == "phase-out-of-order"


def test_a_client_is_not_copied_and_forgets_its_secrets() -> None:
    cast = Cast("unmask")
    ada = cast.clients["ada"]
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        assert refused(lambda d=duplicate: d(ada), InternalError) == "secagg-client-copied"
    ada.unmask(cast.survivors["ada"])
    bob = cast.clients["bob"]
    refused(lambda: bob.unmask(encode(wire.Survivors(("bob",)))))
    for client in (ada, bob):
        assert not any(
            getattr(client, name)
            for name in vars(client)
            if name.endswith(("_secret", "_seed", "_shares", "_pair_keys", "_shared"))
        )
    assert "next" in repr(ada)


def test_secrets_are_dropped_as_soon_as_they_are_not_needed() -> None:
    shared = Cast("masked_input").clients["ada"]
    assert shared._encryption_secret == shared._masking_secret == b""
    assert shared._seed
    masked = Cast("unmask").clients["ada"]
    assert masked._seed == b""
    assert not masked._pair_keys
    assert not masked._encryption_shared


def test_vectors_that_do_not_fit() -> None:
    for vector, code in (
        (np.ones(15), "vector-shape"),
        (np.ones((16, 1)), "vector-shape"),
        (np.full(16, np.nan), "encode-not-finite"),
        (np.full(16, 1.01), "encode-over-bound"),
    ):
        cast = Cast("masked_input")
        assert refused(lambda c=cast, v=vector: c.clients["ada"].masked_input(c.delivered["ada"], v), DataError) == code


# -- rubbish ------------------------------------------------------------------------------------------------


def rubbish(message: bytes, generator: random.Random) -> bytes:
    edited = bytearray(message)
    match generator.randrange(3):
        case 0:
            return generator.randbytes(generator.randrange(200))
        case 1:
            edited[generator.randrange(len(edited))] ^= 1 << generator.randrange(8)
        case _:
            del edited[generator.randrange(len(edited)) :]
    return bytes(edited)


def test_rubbish_gives_a_clients_refusal_and_nothing_else() -> None:
    generator = random.Random(8)
    for _ in range(25):
        for phase in wire.PHASES[1:]:
            cast = Cast(phase)
            message = {
                "share_keys": lambda c: c.roster,
                "masked_input": lambda c: c.delivered["ada"],
                "unmask": lambda c: c.survivors["ada"],
            }[phase](cast)
            more = (VECTOR,) if phase == "masked_input" else ()
            with pytest.raises((IdentityError, PolicyRefused)):
                getattr(cast.clients["ada"], phase)(rubbish(message, generator), *more)


def test_rubbish_makes_its_sender_absent_and_the_sum_goes_on() -> None:
    generator = random.Random(9)
    for _ in range(10):
        for phase in range(4):
            cast = Cast("share_keys")
            replies = cast.keys if phase else cast.keys | {"bob": rubbish(cast.keys["bob"], generator)}
            server = Server(P, ROSTER, SESSION)
            rosters = server.keys_to_roster(replies)
            shares = {n: cast.clients[n].share_keys(rosters[n]) for n in rosters}
            if phase == 1:
                shares["bob"] = generator.randbytes(40)
            delivered = server.route_shares(shares)
            masked = {n: cast.clients[n].masked_input(delivered[n], VECTOR) for n in delivered}
            if phase == 2:
                masked["bob"] = masked["bob"][:-1]
            survivors = server.survivors(masked)
            opened = {n: cast.clients[n].unmask(survivors[n]) for n in survivors}
            if phase == 3:
                opened["bob"] = generator.randbytes(40)
            result = server.sum(opened)
            assert (result.vector == len(result.contributors)).all()
            assert ("bob" in result.contributors) == (phase == 3)
            assert set(server.rejected) == {"bob"}


def test_late_and_foreign_replies_count_for_nothing() -> None:
    cast = Cast("share_keys")
    shares = {n: c.share_keys(cast.roster) for n, c in cast.clients.items()}
    delivered = cast.server.route_shares({n: shares[n] for n in NAMES if n != "dan"})
    masked = {n: cast.clients[n].masked_input(delivered[n], VECTOR) for n in delivered}
    survivors = cast.server.survivors({**masked, "dan": masked["ada"]})
    opened = {n: cast.clients[n].unmask(survivors[n]) for n in survivors}
    result = cast.server.sum({**opened, "dan": opened["ada"], "eve": b""})
    assert result.contributors == ("ada", "bob", "cyd")
    assert (result.vector == 3).all()
    assert set(cast.server.rejected) == {"dan", "eve"}


def test_a_wrong_share_fails_loudly_instead_of_a_wrong_sum() -> None:
    cast = Cast("unmask")
    opened = {n: c.unmask(cast.survivors[n]) for n, c in cast.clients.items()}
    openings = decode(opened["ada"], wire.Openings, limit=LIMIT)
    wrong = dict(openings.seeds) | {"bob": openings.seeds["cyd"]}
    with pytest.raises(IdentityError) as caught:
        cast.server.sum({**opened, "ada": encode(wire.Openings(wrong, openings.keys))})
    assert caught.value.code in ("reconstruction-failed", "shares-inconsistent")


def test_a_wrong_share_of_a_vanished_masking_key_fails_loudly() -> None:
    cast = Cast("masked_input")
    masked = {n: c.masked_input(cast.delivered[n], VECTOR) for n, c in cast.clients.items() if n != "dan"}
    survivors = cast.server.survivors(masked)
    opened = {n: cast.clients[n].unmask(survivors[n]) for n in survivors}
    openings = decode(opened["ada"], wire.Openings, limit=LIMIT)
    share = openings.keys["dan"]
    wrong = {"dan": share[:-1] + bytes([share[-1] ^ 1])}
    with pytest.raises(IdentityError) as caught:
        cast.server.sum({**opened, "ada": encode(wire.Openings(openings.seeds, wrong))})
    assert caught.value.code in ("reconstruction-failed", "shares-inconsistent")


def test_incomplete_replies_make_their_sender_absent() -> None:
    cast = Cast("share_keys")
    shares = {n: c.share_keys(cast.roster) for n, c in cast.clients.items()}
    sealed = dict(decode(shares["bob"], wire.SealedShares, limit=LIMIT).sealed)
    del sealed["dan"]
    delivered = cast.server.route_shares({**shares, "bob": encode(wire.SealedShares(sealed))})
    assert set(delivered) == {"ada", "cyd", "dan"}
    cast = Cast("unmask")
    opened = {n: c.unmask(cast.survivors[n]) for n, c in cast.clients.items()}
    openings = decode(opened["ada"], wire.Openings, limit=LIMIT)
    seeds = {n: share for n, share in openings.seeds.items() if n != "dan"}
    result = cast.server.sum({**opened, "ada": encode(wire.Openings(seeds, {}))})
    assert (result.vector == 4).all()
    assert set(cast.server.rejected) == {"ada"}


def test_clients_that_were_shown_another_model_do_not_add_up() -> None:
    # Pasquini et al. 2022: the server shows one site another model. The model's hash is part of the session.
    clients = {n: Client(P, n, KEYS[n], ROSTER, b"model A" if n != "ada" else b"model B") for n in NAMES}
    keys = {n: c.advertise() for n, c in clients.items()}
    message = encode(wire.KeyRoster(keys))
    assert refused(lambda: clients["ada"].share_keys(message), IdentityError) == "bad-signature"
    assert refused(lambda: clients["bob"].share_keys(message), IdentityError) == "bad-signature"


def test_too_few_in_any_phase_is_a_lost_quorum() -> None:
    two = slice(0, 2)
    cast = Cast("share_keys")
    with pytest.raises(QuorumLost, match="2 clients answered advertise, threshold 3"):
        Server(P, ROSTER, SESSION).keys_to_roster(dict(list(cast.keys.items())[two]))
    cast = Cast("masked_input")
    with pytest.raises(InternalError, match="waits for masked_input"):
        cast.server.sum({})
    with pytest.raises(QuorumLost, match="masked_input"):
        cast.server.survivors({})

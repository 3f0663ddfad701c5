"""The wire: whatever is not authentic, or for other keys or parameters, never reaches the lattice library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reticent import he
from reticent.errors import IdentityError, PolicyRefused, ReticentError
from reticent.he import wire
from reticent.identity import Roster, SigningKey
from reticent.messages import decode, encode

KEYS = {name: SigningKey.generate() for name in ("client", "server", "stranger")}
ROSTER = Roster({name: KEYS[name].public for name in ("client", "server")})
PARAMETERS = he.Parameters(4096, (37,), (30,), 40, 30, 16.0, 1e-2)


def seals(session: str = "s1") -> tuple[he.Signed, he.Signed]:
    return (
        he.Signed(KEYS["client"], ROSTER, me="client", peer="server", session=session),
        he.Signed(KEYS["server"], ROSTER, me="server", peer="client", session=session),
    )


def new_context(name: str) -> he.Context:
    if name == "seal":
        pytest.importorskip("tenseal.sealapi")
    backend = he.backend(name, PARAMETERS)
    client = he.ClientKeys.generate(backend)
    return he.Context(backend, client.evaluation(), client)


CONTEXTS: dict[str, he.Context] = {}


@pytest.fixture(params=["seal", "simulator"])
def side(request: pytest.FixtureRequest) -> he.Context:
    if request.param not in CONTEXTS:
        CONTEXTS[request.param] = new_context(request.param)
    return CONTEXTS[request.param]


class Unread:
    """A backend that must not be asked to parse."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        if name.startswith("load_"):
            raise AssertionError("the lattice library was asked to read bytes that should have been refused")
        return getattr(self._real, name)


def unread(side: he.Context) -> he.Context:
    return he.Context(Unread(side.backend), side.evaluation, side.client)  # type: ignore[arg-type]


def refused(code: str, action: Callable[[], object]) -> None:
    with pytest.raises(ReticentError) as caught:
        action()
    assert caught.value.code == code


def test_there_and_back_between_two_pinned_parties(side: he.Context) -> None:
    """Two sides with keys of their own: the server never holds a client key, and computes."""
    at_client, at_server = seals()
    evaluation = side.client.evaluation([1, 2])
    sent = he.dump_evaluation_keys(evaluation, side.backend, at_client)
    there = he.backend(side.backend.name, PARAMETERS)
    server = he.Context(there, he.load_evaluation_keys(sent, at_server, there, rotations=frozenset({1, 2})))
    x = np.array([1.0, -0.25, 0.75, 0.5])
    arrived = server.load(side.dump(side.encrypt(x, bound=1.0), at_client), at_server)
    reply = server.dump((arrived * arrived).sum(), at_server)
    assert np.abs(side.load(reply, at_client).decrypt() - x @ x).max() <= 1e-2
    assert np.abs(side.raw(side.load(server.dump(arrived, at_server), at_client)) - x).max() < 1e-3
    for action in (lambda: server.encrypt([1.0]), arrived.decrypt, lambda: server.dump(arrived)):
        with pytest.raises(PolicyRefused) as caught:
            action()
        assert caught.value.code == "no-secret-key"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_is_refused_unread(side: he.Context, data: st.DataObject) -> None:
    for sealed, opener in _sealed(side):
        position = data.draw(st.integers(0, len(sealed) * 8 - 1))
        broken = bytearray(sealed)
        broken[position // 8] ^= 1 << position % 8
        with pytest.raises(IdentityError):
            unread(side).load(bytes(broken), opener())
        cut = data.draw(st.integers(0, len(sealed) - 1))
        with pytest.raises(IdentityError):
            unread(side).load(sealed[:cut], opener())


_SEALED: dict[str, list[tuple[bytes, Callable[[], Any]]]] = {}


def _sealed(side: he.Context) -> list[tuple[bytes, Callable[[], Any]]]:
    name = side.backend.name
    if name not in _SEALED:
        v = side.encrypt(np.ones(3))
        _SEALED[name] = [
            (side.dump(v), lambda: he.OwnMac(side.client)),
            (side.dump(v, seals()[1]), lambda: seals()[0]),
        ]
    return _SEALED[name]


def test_without_the_seal_a_flipped_bit_decrypts_to_anything() -> None:
    """The broken copy: a seal that checks nothing. SEAL loads the altered bytes and says nothing."""

    class Open:
        def protect(self, body: bytes) -> bytes:
            return body

        def open(self, data: bytes, *, limit: int) -> bytes:
            return data

    side = new_context("seal")
    sealed = side.dump(side.encrypt(np.ones(3)) * 2, Open())
    silent = 0
    for position in range(len(sealed) // 2, len(sealed) // 2 + 4000, 100):
        altered = bytearray(sealed)
        altered[position] ^= 1
        try:
            loaded = side.load(bytes(altered), Open())
        except IdentityError:  # the flip happened to break the compression, or to give a number above its prime
            continue
        silent += np.abs(side.raw(loaded) - 2).max() > 1
    assert silent >= 4
    with pytest.raises(AssertionError):
        unread(side).load(sealed, Open())


def test_other_keys_and_parameters_are_refused_unread(side: he.Context) -> None:
    other = new_context(side.backend.name)
    data = other.dump(other.encrypt(np.ones(3)), seals()[1])
    refused("wrong-key", lambda: unread(side).load(data, seals()[0]))
    narrow = he.backend(side.backend.name, he.Parameters(4096, (38,), (30,), 40, 30, 16.0, 1e-2))
    client = he.ClientKeys.generate(narrow)
    foreign = he.Context(narrow, client.evaluation(), client)
    data = foreign.dump(foreign.encrypt(np.ones(3)), seals()[1])
    refused("foreign-parameters", lambda: unread(side).load(data, seals()[0]))
    keys = he.dump_evaluation_keys(client.evaluation(), narrow, seals()[0])
    refused("foreign-parameters", lambda: he.load_evaluation_keys(keys, seals()[1], Unread(side.backend)))  # type: ignore[arg-type]
    refused("unauthentic-ciphertext", lambda: unread(side).load(other.dump(other.encrypt([1.0]))))
    refused("mixed-contexts", lambda: side.decrypt(other.encrypt([1.0])))
    refused("mixed-contexts", lambda: he.Context(side.backend, side.evaluation, other.client))


def test_evaluation_keys_prove_their_own_fingerprint(side: he.Context) -> None:
    """Keys of one pair under the name of another, and keys for rotations that nobody asked for, are refused unread."""
    keys = side.client.evaluation([1])
    parts = side.backend.dump_evaluation(keys.handle)
    blind: Any = Unread(side.backend)

    def load(key: bytes, parts: dict[str, bytes], rotations: frozenset[int] | None = None) -> object:
        body = encode(wire.EvaluationKeysMessage(PARAMETERS.fingerprint, key, side.backend.name, parts))
        return he.load_evaluation_keys(seals()[0].protect(body), seals()[1], blind, rotations=rotations)

    other = new_context(side.backend.name).client.fingerprint
    refused("wrong-key", lambda: load(other, parts))
    refused("unauthentic-ciphertext", lambda: load(keys.fingerprint, parts, frozenset({1, 2})))
    refused("unauthentic-ciphertext", lambda: load(keys.fingerprint, {"zero": parts["zero"]}))
    refused("malformed-lattice-object", lambda: load(keys.fingerprint, {**parts, "rotate/5000": b""}))
    refused("malformed-lattice-object", lambda: load(keys.fingerprint, {**parts, "secret": b""}))


def test_replay_redirection_and_strangers_are_refused(side: he.Context) -> None:
    at_client, at_server = seals()
    v = side.encrypt(np.ones(3))
    first, second = side.dump(v, at_client), side.dump(v, at_client)
    blind = unread(side)
    refused("unauthentic-ciphertext", lambda: blind.load(second, at_server))
    side.load(first, at_server)
    refused("unauthentic-ciphertext", lambda: blind.load(first, at_server))
    side.load(second, at_server)
    refused("unauthentic-ciphertext", lambda: blind.load(first, seals("s2")[1]))
    refused("wrong-recipient", lambda: blind.load(first, seals()[0]))
    stranger = he.Signed(KEYS["stranger"], ROSTER, me="client", peer="server", session="s1")
    refused("bad-signature", lambda: blind.load(side.dump(v, stranger), seals()[1]))


def test_a_message_for_another_purpose_or_too_large_is_refused(side: he.Context) -> None:
    data = side.dump(side.encrypt(np.ones(3)))
    mac, key = he.OwnMac(side.client), side.client.fingerprint
    blind: Any = Unread(side.backend)
    refused("unauthentic-ciphertext", lambda: he.load_ciphertexts(data, mac, blind, key, label="rows of a program"))
    long = side.encrypt(np.ones(PARAMETERS.slots * 3))
    refused("unauthentic-ciphertext", lambda: unread(side).load(side.dump(long), most=2))
    assert len(side.load(side.dump(long), most=3)) == PARAMETERS.slots * 3
    refused("unauthentic-ciphertext", lambda: unread(side).load(bytes(wire.ciphertext_limit(PARAMETERS, 65) + 33)))


def test_an_authentic_but_hostile_sender_meets_the_checks(side: he.Context) -> None:
    """Every field of a well-sealed message changed to something else: refused by a code, never a crash."""
    mac = he.OwnMac(side.client)
    data = side.dump(side.encrypt(np.ones(3)))
    message = decode(mac.open(data, limit=len(data)), he.Ciphertexts, limit=len(data))
    fields = {name: getattr(message, name) for name in he.Ciphertexts.__dataclass_fields__}
    facts = dict(message.facts)
    lies: list[tuple[str, object]] = [
        ("parameters", b""),
        ("key", b"x" * 32),
        ("backend", "other"),
        ("label", "x" * 1000),
        ("level", -1),
        ("level", 2**40),
        ("level", 0),
        ("scale", 0.0),
        ("scale", float("nan")),
        ("scale", message.scale * 2),
        ("parts", ()),
        ("parts", message.parts * 2),
        ("parts", (b"",)),
        ("parts", (message.parts[0][:-1],)),
        ("parts", (message.parts[0] + bytes(1 << 20),)),
        ("facts", {}),
    ]
    changes = [("length", v) for v in (0.0, -1.0, 2.5, 5000.0, 1e300, float("inf"), float("nan"))]
    changes += [
        ("clean", 2.0),
        ("low", 99.0),
        ("high", 1e30),
        ("spread", -1.0),
        ("common", float("inf")),
        ("more", 1.0),
    ]
    for name, value in lies + [("facts", {**facts, fact: value}) for fact, value in changes]:
        lie = mac.protect(encode(he.Ciphertexts(**{**fields, name: value})))
        with pytest.raises(IdentityError):
            side.load(lie)
    assert len(side.load(mac.protect(encode(he.Ciphertexts(**fields))))) == 3


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=4))
def test_the_parser_itself_survives_edits_by_an_authentic_sender(edits: list[tuple[int, int]]) -> None:
    """Past the seal: SEAL's own reader either refuses or returns an object that can be used; nothing else is raised."""
    if "seal" not in CONTEXTS:
        CONTEXTS["seal"] = new_context("seal")
    side = CONTEXTS["seal"]
    v = side.encrypt(np.ones(3))
    raw = bytearray(v.fresh[0])
    for position, value in edits:
        raw[position % (200 if position % 2 else len(raw))] = value
    try:
        loaded = side.backend.load_cipher(bytes(raw), level=1, scale=PARAMETERS.scale(1))
    except IdentityError:
        return
    product = side.backend.rescale(side.backend.mul_plain(loaded, side.backend.encode(1.0, level=1)))
    assert side.backend.decrypt(product, side.client.handle).shape == (PARAMETERS.slots,)

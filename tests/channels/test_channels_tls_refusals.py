"""Who is not let in: wrong keys, strangers, old TLS, other sessions, other programs. Each with its code."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from reticent.channels import certificates, meeting
from reticent.errors import IdentityError, QuorumLost, ReticentError, UsageError
from reticent.identity import SigningKey

Cast = Callable[..., Any]


def codes(found: dict[str, Any]) -> dict[str, str]:
    return {name: error.code if isinstance(error, ReticentError) else repr(error) for name, error in found.items()}


def test_three_parties_meet(cast: Cast) -> None:
    found = cast("a", "b", "c").play(lambda channel: (channel.party, channel.parties, channel.names))
    assert found == {name: (party, 3, ("a", "b", "c")) for party, name in enumerate("abc")}


def test_the_last_party_needs_no_address(cast: Cast) -> None:
    parties = cast("a", "b")
    del parties.addresses["b"]
    assert parties.play(lambda channel: channel.party) == {"a": 0, "b": 1}
    del parties.addresses["a"]
    assert codes(parties.play(lambda channel: channel.party)) == {"a": "no-address", "b": "no-address"}


def test_parties_started_one_after_the_other_meet(cast: Cast) -> None:
    """Those who dial try again until the others are there."""
    parties = cast("a", "b")

    def late(channel: Any) -> int:
        return int(channel.party)

    found: dict[str, Any] = {}
    dialler = threading.Thread(target=lambda: found.update(b=late(closing(parties.connect("b")))))
    dialler.start()
    time.sleep(0.5)
    found["a"] = late(closing(parties.connect("a")))
    dialler.join(timeout=10.0)
    assert found == {"a": 0, "b": 1}


def closing(channel: Any) -> Any:
    channel.close()
    return channel


def test_a_party_that_does_not_come_is_named(cast: Cast) -> None:
    parties = cast("a", "b", "c", deadline=0.6)
    with pytest.raises(QuorumLost, match="'b', 'c'") as caught:
        parties.connect("a")
    assert caught.value.code == "party-missing"


def test_a_party_with_another_key_is_refused(cast: Cast) -> None:
    """The dialler with a key that nobody pinned is told so, and the listener names it at its deadline."""
    parties = cast("a", "b", deadline=1.5)
    imposter = SigningKey.generate()
    pins = {name: key.public for name, key in parties.keys.items()} | {"b": imposter.public}
    found = parties.play(lambda channel: channel.party, b={"key": imposter, "parties": pins})
    assert codes(found) == {"a": "party-missing", "b": "own-certificate-refused"}
    assert "'b'" in found["a"].message
    assert "no certificate of an identity that is pinned" in found["a"].message


def test_a_listener_with_another_key_is_refused(cast: Cast) -> None:
    """Nothing is said to it: the dialler sends its hello only after it has checked the certificate."""
    parties = cast("a", "b", deadline=1.5)
    imposter = SigningKey.generate()
    pins = {name: key.public for name, key in parties.keys.items()} | {"a": imposter.public}
    found = parties.play(lambda channel: channel.party, a={"key": imposter, "parties": pins})
    assert codes(found) == {"a": "party-missing", "b": "certificate-refused"}


def test_a_pinned_party_cannot_take_the_place_of_another(cast: Cast) -> None:
    """b listens in the place of a, with its own good key."""
    parties = cast("a", "b", "c", deadline=1.5)
    pins = {name: key.public for name, key in parties.keys.items()}
    swapped = {"a": pins["b"], "b": pins["a"], "c": pins["c"]}
    parties.keys["a"], key = parties.keys["b"], parties.keys["a"]
    found: dict[str, Any] = {}

    def party(name: str, **changed: Any) -> None:
        try:
            found[name] = parties.connect(name, **changed).abort()
        except ReticentError as error:
            found[name] = error

    wrong = threading.Thread(target=party, args=("a",), kwargs={"parties": swapped})
    wrong.start()
    parties.keys["b"] = key
    party("c", parties=pins)
    wrong.join(timeout=10.0)
    assert found["c"].code == "certificate-refused"


def test_the_own_key_must_be_the_pinned_one(cast: Cast) -> None:
    parties = cast("a", "b")
    with pytest.raises(IdentityError) as caught:
        parties.connect("a", key=SigningKey.generate())
    assert caught.value.code == "own-key-not-pinned"
    with pytest.raises(UsageError, match="none of the parties d, e"):
        parties.connect("a", parties={"d": parties.keys["a"].public, "e": parties.keys["b"].public})


def test_another_session_is_refused(cast: Cast) -> None:
    parties = cast("a", "b")
    found = parties.play(lambda channel: channel.party, b={"session": "session 2"})
    assert set(codes(found).values()) <= {"other-session", "party-lost"}
    assert "other-session" in codes(found).values()


def test_a_certificate_of_another_session_is_refused(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who has a connection key of an old session, and claims to be in this one."""
    parties = cast("a", "b", deadline=2.0)
    true = certificates.client_context
    monkeypatch.setattr(meeting, "client_context", lambda key, session, pinned: true(key, "old", pinned))
    found = parties.play(lambda channel: channel.party)
    assert found["a"].code == "other-session"


def test_without_the_session_in_the_certificate_the_replay_works(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copy: the same attack when the check is gone, so the test above tests it."""
    parties = cast("a", "b", deadline=2.0)
    true = certificates.client_context
    monkeypatch.setattr(meeting, "client_context", lambda key, session, pinned: true(key, "old", pinned))
    monkeypatch.setattr("reticent.channels.hello.session_of", lambda certificate, session: True)
    assert parties.play(lambda channel: channel.party) == {"a": 0, "b": 1}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"facts": {"program": "q"}}, "program (p | q)"),
        ({"facts": {"program": "p", "fraction_bits": "20"}}, "fraction_bits ((none) | 20)"),
    ],
    ids=["program", "setting"],
)
def test_other_facts_are_refused_and_named(cast: Cast, changed: dict[str, Any], said: str) -> None:
    start = time.monotonic()
    found = cast("a", "b", "c", deadline=8.0).play(lambda channel: channel.party, c=changed)
    # At once for those who had met one of the others; a party that had met nobody yet cannot be told, and waits.
    assert time.monotonic() - start < 12.0
    assert "facts-differ" in codes(found).values()
    assert set(codes(found).values()) <= {"facts-differ", "party-lost", "party-missing"}
    assert any(said in error.message for error in found.values() if error.code == "facts-differ")


def relay(address: tuple[str, int], delay: float) -> tuple[str, int]:
    """Return an address whose one caller is passed on to `address`, `delay` seconds late."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with listener, listener.accept()[0] as caller:
            time.sleep(delay)
            with contextlib.suppress(OSError), socket.create_connection(address) as called:
                back = threading.Thread(target=pump, args=(called, caller))
                back.start()
                pump(caller, called)
                back.join()

    threading.Thread(target=serve, daemon=True).start()
    return ("127.0.0.1", int(listener.getsockname()[1]))


def twice(parties: Any) -> dict[str, str]:
    """Start c twice, so that a meets one of them and b the other, and each reaches both; return what each came to."""
    found: dict[str, str] = {}

    def party(slot: str, name: str, **changed: Any) -> None:
        try:
            channel = parties.connect(name, **changed)
            found[slot] = "met"
            channel.abort()
        except ReticentError as error:
            found[slot] = error.code

    straight = parties.addresses
    late = {name: relay(straight[name], 1.0) for name in ("a", "b")}
    doubles = {"c1": {**straight, "b": late["b"]}, "c2": {**straight, "a": late["a"]}}
    running = [threading.Thread(target=party, args=(name, name)) for name in ("a", "b")]
    running += [
        threading.Thread(target=party, args=(slot, "c"), kwargs={"addresses": addresses})
        for slot, addresses in doubles.items()
    ]
    for one in running:
        one.start()
    for one in running:
        one.join(timeout=20.0)
        assert not one.is_alive()
    return found


def test_a_process_started_twice_is_refused(cast: Cast) -> None:
    """a is connected with one c and b with another: no computation of two halves."""
    found = twice(cast("a", "b", "c", deadline=4.0))
    assert "met" not in found.values()
    assert "different-meeting" in {found["a"], found["b"]}


def test_without_the_name_of_the_meeting_two_halves_meet(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copy of the above: the check is gone."""
    monkeypatch.setattr(meeting, "check_meeting_name", lambda told, own, name: None)
    found = twice(cast("a", "b", "c", deadline=4.0))
    assert "met" in {found["a"], found["b"]}  # and whoever is second sees the first one's end, in this test


# What follows speaks to a listening party without being one.


@pytest.fixture
def listening(cast: Cast) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Party a waits for b; afterwards the true b comes and must still be let in."""
    parties = cast("a", "b", deadline=8.0)
    found: dict[str, Any] = {}

    def wait() -> None:
        try:
            channel = parties.connect("a")
            found["a"] = bytes(channel.receive(1))
            channel.close()
        except ReticentError as error:
            found["a"] = error

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.3)
    yield parties, found
    with parties.connect("b") as channel:
        channel.send(0, b"here")
    waiting.join(timeout=15.0)
    assert found["a"] == b"here"


def call(parties: Any) -> socket.socket:
    return socket.create_connection(parties.addresses["a"], timeout=3.0)


def test_noise_on_the_port_does_not_stop_the_meeting(listening: Any) -> None:
    """Port scanners, web browsers, and callers that say nothing while another comes."""
    parties, _ = listening
    for words in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + bytes(200)):
        with call(parties) as scanner:
            scanner.sendall(words)
    call(parties).close()


def test_silent_callers_do_not_stop_the_meeting(cast: Cast) -> None:
    """More of them than are looked at at once, and none hangs up: the party that comes after them is heard at once."""
    parties = cast("a", "b", deadline=8.0)
    callers: list[socket.socket] = []

    def crowd() -> None:
        while len(callers) < 3 * meeting._STRANGERS:
            with contextlib.suppress(ConnectionRefusedError):
                callers.append(call(parties))

    first = threading.Thread(target=crowd)
    first.start()
    found: dict[str, Any] = {}
    listener = threading.Thread(target=lambda: found.update(a=closing(parties.connect("a")).party))
    listener.start()
    first.join(timeout=10.0)
    start = time.monotonic()
    found["b"] = closing(parties.connect("b")).party
    listener.join(timeout=10.0)
    for caller in callers:
        caller.close()
    assert (found, len(callers)) == ({"a": 0, "b": 1}, 3 * meeting._STRANGERS)
    assert time.monotonic() - start < 4.0


def stranger(key: SigningKey | None, pinned: bytes, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = certificates.client_context(key or SigningKey.generate(), "session 1", pinned)
    if key is None:
        fresh = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        fresh.check_hostname, fresh.verify_mode = False, ssl.CERT_NONE
        context = fresh
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = version
    return context


def heard(parties: Any, context: ssl.SSLContext) -> bytes:
    """Return the first bytes that the listener says after the handshake."""
    with call(parties) as raw, contextlib.suppress(ssl.SSLError, ConnectionError), context.wrap_socket(raw) as sock:
        return sock.recv(1)
    return b""


@pytest.mark.parametrize("who", ["stranger", "nobody", "pinned"])
def test_an_older_protocol_or_no_certificate_gets_nothing(listening: Any, who: str) -> None:
    """TLS 1.2 is refused even to a pinned party, TLS 1.3 to anybody who is not pinned; no byte is said to them."""
    parties, _ = listening
    keys = {"stranger": SigningKey.generate(), "nobody": None, "pinned": parties.keys["b"]}
    version = ssl.TLSVersion.TLSv1_2 if who == "pinned" else ssl.TLSVersion.TLSv1_3
    context = stranger(keys[who], parties.keys["a"].public, version)
    assert heard(parties, context) == b""


def test_a_downgraded_listener_is_refused(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that speaks TLS 1.2 only: the dialler says so."""
    parties = cast("a", "b", deadline=1.5)
    true = certificates.server_context

    def old(key: SigningKey, session: str, pinned: Any) -> ssl.SSLContext:
        context = true(key, session, pinned)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    monkeypatch.setattr(meeting, "server_context", old)
    found = parties.play(lambda channel: channel.party)
    assert codes(found) == {"a": "party-missing", "b": "tls-too-old"}
    assert "TLS 1.3" in found["a"].message


def test_the_version_is_checked_by_this_package(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copy: contexts that allow TLS 1.2 meet over it, so that the tests above test our setting."""
    parties = cast("a", "b", deadline=3.0)
    spoken = []

    def loosened(make: Callable[..., ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
        def context(*given: Any) -> ssl.SSLContext:
            found = make(*given)
            found.minimum_version = found.maximum_version = ssl.TLSVersion.TLSv1_2
            return found

        return context

    monkeypatch.setattr(meeting, "server_context", loosened(certificates.server_context))
    monkeypatch.setattr(meeting, "client_context", loosened(certificates.client_context))
    found = parties.play(lambda channel: spoken.append(channel._links[1 - channel.party].socket.version()))
    assert found == {"a": None, "b": None}
    assert spoken == ["TLSv1.2", "TLSv1.2"]


def test_the_own_address_must_be_free(cast: Cast) -> None:
    parties = cast("a", "b")
    with socket.create_server(parties.addresses["a"]), pytest.raises(ReticentError) as caught:
        parties.connect("a")
    assert caught.value.code == "address-unusable"
    assert str(parties.addresses["a"][1]) in caught.value.message


def test_the_identity_key_stays_out_of_files(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the TLS library reads is a key of this session, in a folder that others cannot enter, gone afterwards."""
    seen: list[bytes] = []
    true = ssl.SSLContext.load_cert_chain

    def watched(self: ssl.SSLContext, file: Any) -> None:
        assert file.stat().st_mode & 0o077 == 0
        assert file.parent.stat().st_mode & 0o077 == 0
        seen.append(file.read_bytes())
        seen.append(str(file).encode())
        true(self, file)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
    key = SigningKey.generate()
    certificates.server_context(key, "session", [SigningKey.generate().public])
    loaded = serialization.load_pem_private_key(seen[0], password=None)
    assert loaded.public_key().public_bytes_raw() != key.public  # type: ignore[union-attr]
    assert not pathlib.Path(seen[1].decode()).exists()

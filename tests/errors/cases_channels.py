"""How each error code of the channels is raised."""

from __future__ import annotations

import pathlib
import socket
import ssl
import threading
from collections.abc import Callable

from reticent import channels
from reticent.channels import certificates, frames, hello, refusals
from reticent.identity import SigningKey


def _left(folder: pathlib.Path) -> object:
    here, there = channels.threads(["here", "there"])
    there.close()
    return here.receive(1)


def _diverged(folder: pathlib.Path) -> object:
    here, there = channels.threads(["here", "there"], deadline=0.5)
    answered = threading.Event()

    def wait_for_ever() -> None:
        with there:
            try:
                there.receive(0)
            except Exception:
                answered.wait(60)  # one that has found out first must not end before the other has found out, too

    other = threading.Thread(target=wait_for_ever)
    other.start()
    try:
        return here.receive(1)
    finally:
        answered.set()
        here.close()
        other.join()


KEYS = {name: SigningKey.generate() for name in ("here", "there")}
HERE = hello.Hello("session", 0, 1, ("here", "there"), {"program": "p"}, bytes(32))


def _connect(me: str = "here", port: int | None = 0, deadline: float = 0.3) -> object:
    addresses = {} if port is None else {"here": ("127.0.0.1", port)}
    pins = {name: key.public for name, key in KEYS.items()}
    return channels.connect(
        me, KEYS["here"], parties=pins, addresses=addresses, session="session", facts={}, deadline=deadline
    )


def _occupied(folder: pathlib.Path) -> object:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return _connect(port=taken.getsockname()[1])


def _frame(kind: int, length: int) -> object:
    reader = frames.FrameReader("there", limit=100)
    told = bytes([kind]) + length.to_bytes(8, "little")
    reader.space()[: len(told)] = told
    return reader.take(len(told))


def _hello(*, session: str = "session", sender: int = 1, program: str = "p") -> object:
    theirs = hello.Hello(session, sender, 0, HERE.names, {"program": program}, bytes(32))
    key, own = KEYS["there"], HERE.session
    shown = ssl.PEM_cert_to_DER_cert(
        certificates._certificate(key, own).decode().partition("-----END PRIVATE KEY-----\n")[2]
    )
    return hello.check_hello(hello.encode(theirs), HERE, shown)


def _tls(error: ssl.SSLError, reason: str) -> object:
    error.reason = reason
    refusal = refusals.tls_refusal(error, "party 'there'")
    assert refusal
    raise refusal


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "address-unusable": _occupied,
    "certificate-refused": lambda folder: _tls(ssl.SSLCertVerificationError(), "CERTIFICATE_VERIFY_FAILED"),
    "different-meeting": lambda folder: hello.check_meeting_name(bytes(32), b"x" * 32, "there"),
    "facts-differ": lambda folder: _hello(program="q"),
    "frame-too-long": lambda folder: _frame(1, 101),
    "invalid-deadline": lambda folder: channels.threads(["here", "there"], deadline=0.0),
    "invalid-parties": lambda folder: channels.threads(["alone"]),
    "malformed-frame": lambda folder: _frame(99, 0),
    "no-address": lambda folder: _connect(port=None),
    "no-such-party": lambda folder: channels.threads(["here", "there"])[0].send(0, b""),
    "not-a-party": lambda folder: _connect(me="nobody"),
    "other-party": lambda folder: _hello(sender=2),
    "other-session": lambda folder: _hello(session="another"),
    "own-certificate-refused": lambda folder: _tls(ssl.SSLError(), "TLSV1_ALERT_UNKNOWN_CA"),
    "party-lost": _left,
    "party-missing": lambda folder: _connect(),
    "programs-diverged": _diverged,
    "tls-failed": lambda folder: _tls(ssl.SSLError(), "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"),
    "tls-too-old": lambda folder: _tls(ssl.SSLError(), "UNSUPPORTED_PROTOCOL"),
}

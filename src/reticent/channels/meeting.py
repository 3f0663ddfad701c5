"""How the parties of a session find each other: everybody dials the parties of lower number, until the deadline.

What comes from a peer that has not proved a pinned identity can only cost a connection: it is closed, noted, and the
listener goes on. What an authenticated peer gets wrong (another session, another program) ends the meeting at once.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from reticent.channels.certificates import client_context, server_context, signed_by
from reticent.channels.frames import Kind, abort_body, malformed, read_abort
from reticent.channels.hello import NONCE_BYTES, Hello, check_hello, check_meeting_name, meeting_of
from reticent.channels.link import Link
from reticent.channels.local import check_meeting
from reticent.channels.port import Channel, Failure
from reticent.channels.refusals import certificate_refused, tls_refusal
from reticent.channels.tls import TlsChannel
from reticent.errors import EnvironmentFault, IdentityError, QuorumLost, ReticentError, UsageError
from reticent.identity import SigningKey
from reticent.messages import encode
from reticent.randomness import secret

__all__ = ["connect"]

_HANDSHAKE = 10.0
_STRANGERS = 32
"""Most callers at once that have not proved who they are, and most notes that are kept."""
_RETRY = 0.05
_LOOK = 0.2
MESSAGE_BYTES = 1 << 31
_Report = tuple[Link, Hello] | ReticentError


def connect(
    me: str,
    key: SigningKey,
    *,
    parties: Mapping[str, bytes],
    addresses: Mapping[str, tuple[str, int]],
    session: str,
    facts: Mapping[str, str],
    deadline: float = 30.0,
    limit: int = MESSAGE_BYTES,
) -> Channel:
    """Return the channel of party `me` over mutual TLS 1.3, once all parties are connected and agree.

    Args:
      me: Own name.
      key: Own identity.
      parties: Public key of each party, by name; their order numbers the parties and must be the same everywhere.
      addresses: Host and port of each party, by name; the last party listens to nobody and needs none.
      session: Name of the session; connections of another session are refused.
      facts: Public settings and the hash of the program; connected are only parties whose facts are equal, or `ANY`.
      deadline: Seconds to wait for the parties to come; afterwards, seconds within which every party ends when another
        dies or says nothing, computing included.
      limit: Most bytes of one message.

    Raises:
      IdentityError: If a party, or what speaks in its place, is not what was pinned, or this one is not accepted.
      QuorumLost: If a party does not come or fails; the error names it.
      UsageError: If the parties or their facts differ, or an argument makes no sense.
      EnvironmentFault: If the own address cannot be used.
    """
    check_meeting(tuple(parties), deadline)
    meeting = _Meeting(
        me,
        key,
        parties=parties,
        addresses=addresses,
        session=session,
        facts=facts,
        deadline=deadline,
        limit=limit,
    )
    return meeting.hold()


class _Meeting:
    """One party's part in the meeting; connections are made by threads that report to `self._reports`."""

    def __init__(
        self,
        me: str,
        key: SigningKey,
        *,
        parties: Mapping[str, bytes],
        addresses: Mapping[str, tuple[str, int]],
        session: str,
        facts: Mapping[str, str],
        deadline: float,
        limit: int,
    ) -> None:
        self._names = tuple(parties)
        self._pinned = [bytes(public) for public in parties.values()]
        self._party = _own_number(me, key, parties)
        self._key = key
        # Of the own address, if anybody dials it, and of those that are dialled.
        listeners = self._names[: min(self._party + 1, len(self._names) - 1)]
        self._addresses = [_address(addresses, name) for name in listeners]
        self._deadline = deadline
        self._until = time.monotonic() + deadline
        self._limit = limit
        nonce = secret(NONCE_BYTES)
        self._own = Hello(session, self._party, self._party, self._names, dict(facts), nonce)
        self._reports: queue.SimpleQueue[_Report] = queue.SimpleQueue()
        self._over = threading.Event()
        self._strangers: deque[socket.socket] = deque()
        self._door = threading.Lock()
        self._notes: list[str] = []

    def hold(self) -> Channel:
        """Return the channel once everybody is connected, agrees, and is in the same meeting."""
        links: dict[int, Link] = {}
        listener = self._listen()
        try:
            for peer in range(self._party):
                self._start(self._dial, peer)
            hellos = self._gather(links)
            self._confirm(links, hellos)
        except BaseException:
            _part(links, self._party)
            raise
        finally:
            self._over.set()
            self._discard_reports()
            if listener:
                listener.close()
        return TlsChannel(self._names, self._party, links, self._deadline)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def _left(self) -> float:
        return max(0.01, self._until - time.monotonic())

    def _listen(self) -> socket.socket | None:
        if self._party == len(self._names) - 1:
            return None
        host, port = self._addresses[self._party]
        try:
            listener = socket.create_server((host, port), family=_family(host), backlog=_STRANGERS)
        except OSError as error:
            raise EnvironmentFault(
                "address-unusable",
                f"address {host}:{port} of party {self._names[self._party]!r}: {error.strerror or error}",
                hint="choose an address of this machine and a port that is free; the others must be told the same",
            ) from error
        listener.settimeout(0.1)
        context = server_context(self._key, self._own.session, self._pinned[self._party + 1 :])
        self._start(self._answer_all, listener, context)
        return listener

    def _answer_all(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        while not self._over.is_set():
            try:
                raw, address = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self._start(self._answer, raw, context, f"whoever called from {address[0]}")

    def _answer(self, raw: socket.socket, context: ssl.SSLContext, who: str) -> None:
        try:
            sock = self._secured(raw, context, who, dialled=None)
            self._greet(sock, self._identify(sock, who))
        except (IdentityError, OSError, EOFError) as error:
            raw.close()
            if len(self._notes) < _STRANGERS:
                self._notes.append(error.message if isinstance(error, IdentityError) else f"{who} hung up")

    def _dial(self, peer: int) -> None:
        host, port = self._addresses[peer]
        who = f"the computer at {host}:{port} in the place of party {self._names[peer]!r}"
        context = client_context(self._key, self._own.session, self._pinned[peer])
        while not self._over.is_set():
            try:
                raw = socket.create_connection((host, port), timeout=min(_HANDSHAKE, self._left()))
                sock = self._secured(raw, context, who, dialled=peer)
                self._greet(sock, peer)
                return
            except ReticentError as error:
                self._report(error)
                return
            except (OSError, EOFError):
                # Not there yet, or just going away: parties are not started at the same moment.
                self._over.wait(_RETRY)

    def _secured(self, raw: socket.socket, context: ssl.SSLContext, who: str, dialled: int | None) -> ssl.SSLSocket:
        raw.settimeout(min(_HANDSHAKE, self._left()))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock = context.wrap_socket(raw, server_side=dialled is None, do_handshake_on_connect=False)
        try:
            with self._at_the_door(sock) if dialled is None else contextlib.nullcontext():
                sock.do_handshake()
            if dialled is not None and not signed_by(sock.getpeercert(binary_form=True) or b"", self._pinned[dialled]):
                raise certificate_refused(who)
        except ssl.SSLError as error:
            sock.close()
            raise tls_refusal(error, who) or EOFError from error
        except BaseException:
            sock.close()
            raise
        return sock

    @contextlib.contextmanager
    def _at_the_door(self, sock: ssl.SSLSocket) -> Iterator[None]:
        """Hold one of the places of callers that have not proved who they are; if all are taken, the oldest gives way.

        A party proves it within milliseconds. If callers were kept waiting instead, a few dozen that say nothing would
        keep every party out.
        """
        with self._door:
            if len(self._strangers) == _STRANGERS:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._strangers.popleft(), socket.SHUT_RDWR)
            self._strangers.append(sock)
        try:
            yield
        finally:
            with self._door, contextlib.suppress(ValueError):
                self._strangers.remove(sock)

    def _identify(self, sock: ssl.SSLSocket, who: str) -> int:
        shown = sock.getpeercert(binary_form=True)
        for party in range(self._party + 1, len(self._names)):
            if shown and signed_by(shown, self._pinned[party]):
                return party
        sock.close()
        raise certificate_refused(who)

    def _greet(self, sock: ssl.SSLSocket, peer: int) -> None:
        """Exchange hellos with the party that has proved to be `peer`, and report the connection or what is wrong."""
        link = Link(sock, peer, self._names[peer], self._limit)
        own = replace(self._own, recipient=peer)
        try:
            link.put(Kind.HELLO, encode(own))
            shown = sock.getpeercert(binary_form=True) or b""
            self._report((link, check_hello(bytes(_next(link, Kind.HELLO, self._names)), own, shown)))
        except ReticentError as error:
            self._report(error)
            _linger(sock)
        except (OSError, EOFError) as error:
            sock.close()
            # With TLS 1.3 the dialler learns only now that its own certificate was refused.
            refusal = tls_refusal(error, f"party {self._names[peer]!r}") if isinstance(error, ssl.SSLError) else None
            if refusal is None:
                raise
            self._report(refusal)

    def _report(self, report: _Report) -> None:
        self._reports.put(report)
        if self._over.is_set():
            self._discard_reports()

    def _discard_reports(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                if isinstance(report := self._reports.get_nowait(), tuple):
                    report[0].socket.close()

    def _gather(self, links: dict[int, Link]) -> dict[int, Hello]:
        hellos = {self._party: self._own}
        while len(hellos) < len(self._names):
            try:
                report = self._reports.get(timeout=min(_LOOK, self._left()))
            except queue.Empty:
                self._look_after(links)
                if time.monotonic() < self._until:
                    continue
                report = self._missing(hellos)
            if isinstance(report, ReticentError):
                raise report
            link, hello = report
            if link.peer in links:
                link.socket.close()
                self._notes.append(f"party {self._names[link.peer]!r} called twice")
                continue
            links[link.peer], hellos[link.peer] = link, hello
        return hellos

    def _look_after(self, links: Mapping[int, Link]) -> None:
        """Raise if a party that was here has left: then it is in vain to wait for the others."""
        for link in links.values():
            link.socket.settimeout(0.0)
            link.read()
            if link.closed or (link.control and link.control[0][0] == Kind.ABORT):
                with contextlib.suppress(EOFError, OSError):
                    _next(link, Kind.CONFIRM, self._names)
                raise Failure(link.peer, "left while the parties met").error(self._names)

    def _missing(self, hellos: Mapping[int, Hello]) -> QuorumLost:
        missing = [name for party, name in enumerate(self._names) if party not in hellos]
        notes = f"; refused meanwhile: {'; '.join(dict.fromkeys(self._notes))}" if self._notes else ""
        return QuorumLost(
            "party-missing",
            f"not connected within {self._deadline:g} s: {', '.join(map(repr, missing))}{notes}",
            hint="start all parties within the deadline; check addresses, firewalls and pinned keys of those named",
        )

    def _confirm(self, links: Mapping[int, Link], hellos: Mapping[int, Hello]) -> None:
        meeting = meeting_of(self._own, {party: hello.nonce for party, hello in hellos.items()})
        for link in links.values():
            link.put(Kind.CONFIRM, meeting)
        for link in links.values():
            link.socket.settimeout(self._left())
            try:
                told = _next(link, Kind.CONFIRM, self._names)
            except (OSError, EOFError) as error:
                raise Failure(link.peer, "was lost while the parties met").error(self._names) from error
            check_meeting_name(bytes(told), meeting, self._names[link.peer])


def _own_number(me: str, key: SigningKey, parties: Mapping[str, bytes]) -> int:
    if me not in parties:
        raise UsageError(
            "not-a-party", f"{me!r} is none of the parties {', '.join(parties)}", hint="give one of these names"
        )
    if parties[me] != key.public:
        raise IdentityError(
            "own-key-not-pinned",
            f"the parties pin another public key for {me!r} than that of the key given",
            hint="load the key that was made for this party, or have its public key pinned at all parties",
        )
    return list(parties).index(me)


def _address(addresses: Mapping[str, tuple[str, int]], name: str) -> tuple[str, int]:
    if name not in addresses:
        raise UsageError(
            "no-address",
            f"no address of party {name!r}",
            hint="give host and port of every party but the last: the others dial it there",
        )
    return addresses[name]


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _next(link: Link, wanted: Kind, names: tuple[str, ...]) -> memoryview:
    """Return the body of the next frame, waiting as long as the socket's timeout allows."""
    while not link.control:
        if not link.receive_some():
            raise EOFError
        if link.data and not link.control:
            raise malformed(names[link.peer], "data before the parties had met")
    kind, body = link.control.popleft()
    if kind == Kind.ABORT:
        failed = read_abort(body, names[link.peer], len(names))
        raise Failure(failed, f"failed while the parties met, as {names[link.peer]!r} reports").error(names)
    if kind != wanted:
        raise malformed(names[link.peer], f"a frame of kind {kind.name.lower()} instead of {wanted.name.lower()}")
    return body


def _part(links: Mapping[int, Link], failed: int) -> None:
    """Say to those already connected that there will be no meeting."""
    for link in links.values():
        with contextlib.suppress(OSError):
            link.put(Kind.ABORT, abort_body(failed))
            _linger(link.socket)


def _linger(sock: ssl.SSLSocket) -> None:
    """Close `sock` so that the peer can still read what was sent."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_WR)
        sock.settimeout(0.5)
        while sock.recv(4096):
            pass
    sock.close()

"""Encrypted prediction between two processes: the roles of client and server, pure, and the loop over a channel.

    client -> server    Order (how many rows)          server -> client    ClientSpec
    client -> server    evaluation keys, once          server -> client    Accepted
    client -> server    rows, some ciphertexts a time  server -> client    results

Every message is sealed (`he.wire.Signed` with pinned identities) and opened, compared with what is expected, and only
then parsed by the lattice library.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.channels import Channel
from reticent.errors import IdentityError, InternalError, PolicyRefused
from reticent.he.client import ClientSpec, PredictionKeys, keygen
from reticent.he.keys import EvaluationKeys
from reticent.he.program import Program
from reticent.he.wire import (
    Ciphertexts,
    Seal,
    ciphertext_limit,
    dump_ciphertexts,
    dump_evaluation_keys,
    load_ciphertexts,
    load_evaluation_keys,
)
from reticent.messages import decode, encode, record

__all__ = ["Prediction", "PredictionClient", "PredictionServer", "predict_remote", "serve"]

Array = NDArray[np.float64]
_CHUNK = 8  # ciphertexts in one message
_CONTROL = 1024
_SPEC_LIMIT = 1 << 24


@record("he.order", version=1)
@dataclass(frozen=True)
class Order:
    """What the client wants: predictions for `rows` rows."""

    rows: int


@record("he.accepted", version=1)
@dataclass(frozen=True)
class Accepted:
    """The server has the evaluation keys with this fingerprint."""

    key: bytes


class PredictionServer:
    """Answers one client.

    Run by the model's owner. Requires: a seal shared with the client alone. Reveals to the client: shapes, ring and
    packing of the program, and the results. Holds the weights and no secret key.

    Args:
      program: The model.
      seal: Authenticates the client.
      most_rows: Most rows in one session: every result tells something of the model.
      backend: `"seal"`, or `"simulator"` in rehearsals.
    """

    def __init__(self, program: Program, seal: Seal, *, most_rows: int = 10_000, backend: str = "seal") -> None:
        self._program = program
        self._seal = seal
        self._most_rows = most_rows
        self._backend, self._circuit = program.circuit(backend)
        self._keys: EvaluationKeys | None = None
        self._ordered: int | None = None
        self._answered = 0

    @property
    def finished(self) -> bool:
        """Whether everything that was ordered has been answered."""
        return self._ordered is not None and self._answered >= self._ordered

    @property
    def rows(self) -> int:
        """Rows answered so far."""
        return self._answered

    def answer(self, data: bytes) -> bytes:
        """Return the reply to the client's next message.

        Raises:
          IdentityError: If the message is not the client's, or not what is expected next.
          PolicyRefused: If more rows are wanted than one session may have.
        """
        if self._ordered is None:
            return self._accept_order(data)
        if self._keys is None:
            steps = frozenset(self._program.client_spec().steps)
            self._keys = load_evaluation_keys(data, self._seal, self._backend, rotations=steps)
            return self._seal.protect(encode(Accepted(self._keys.fingerprint)))
        return self._predict(data, self._keys)

    def _accept_order(self, data: bytes) -> bytes:
        wanted = decode(self._seal.open(data, limit=_CONTROL), Order, limit=_CONTROL).rows
        if not 0 < wanted <= self._most_rows:
            raise PolicyRefused(
                "he-too-many-rows",
                f"predictions for {wanted} rows were ordered; one session may have {self._most_rows}",
                hint="ask for fewer rows, or have the owner of the model raise most_rows: many results rebuild a model",
            )
        self._ordered = wanted
        return self._seal.protect(encode(self._program.client_spec()))

    def _predict(self, data: bytes, keys: EvaluationKeys) -> bytes:
        program, ring = self._program, self._program.parameters
        label = program.client_spec().label("rows")
        message, ciphers = load_ciphertexts(data, self._seal, self._backend, keys.fingerprint, label=label, most=_CHUNK)
        rows = message.facts.get("rows", 0.0)
        expected = min(_CHUNK * program.rows, (self._ordered or 0) - self._answered)
        if rows != expected or message.level != ring.depth or len(ciphers) != -(-expected // program.rows):
            raise IdentityError(
                "he-foreign-rows",
                f"{len(ciphers)} ciphertexts with {rows:g} rows, where {expected} rows at level {ring.depth} are awaited",
                hint="client and server must run the same version; otherwise treat the sender as hostile",
            )
        results = [self._circuit.run(cipher, keys.handle) for cipher in ciphers]
        parts = tuple(self._backend.dump_cipher(result) for result in results)
        self._answered += expected
        return dump_ciphertexts(program.reply(message, parts), self._seal)


class PredictionClient:
    """Has `x` predicted without showing it.

    Run by the owner of the rows. Requires: a seal shared with the server alone. Reveals to the server: the number of
    rows. Makes its keys when it has seen the program's description, and keeps the secret one.

    Args:
      x: Rows `(n, *input_shape)`.
      seal: Authenticates the server.
      backend: `"seal"`, or `"simulator"` in rehearsals.
    """

    def __init__(self, x: Any, seal: Seal, *, backend: str = "seal") -> None:
        self._x = np.asarray(x.detach().cpu().numpy() if hasattr(x, "detach") else x, dtype=np.float64)
        self._seal = seal
        self._backend_name = backend
        self._keys: PredictionKeys | None = None
        self._accepted = False
        self._sent = 0
        self._results: list[Array] = []
        self.evaluation_key_bytes = 0

    @property
    def spec(self) -> ClientSpec:
        """The program's description, once it has arrived."""
        if self._keys is None:
            raise InternalError(
                "he-no-spec", "the description was read before it arrived", hint="run the exchange first"
            )
        return self._keys.spec

    @property
    def values(self) -> Array:
        """The results received so far, `(n, *output_shape)`."""
        return np.concatenate(self._results)

    def start(self) -> bytes:
        """Return the first message."""
        return self._seal.protect(encode(Order(len(self._x))))

    def answer(self, data: bytes) -> bytes | None:
        """Return the message after the server's `data`, or None when all results are here.

        Raises:
          IdentityError: If the message is not the server's, or not what is expected next.
          DataError: If the rows do not fit the program.
        """
        if self._keys is None:
            return self._make_keys(data)
        if not self._accepted:
            told = decode(self._seal.open(data, limit=_CONTROL), Accepted, limit=_CONTROL)
            if told.key != self._keys.evaluation.fingerprint:
                raise IdentityError("wrong-key", "the server accepted other keys than were sent", hint="start anew")
            self._accepted = True
        else:
            self._take(data, self._keys)
        return self._next(self._keys)

    def _make_keys(self, data: bytes) -> bytes:
        spec = decode(self._seal.open(data, limit=_SPEC_LIMIT), ClientSpec, limit=_SPEC_LIMIT)
        self._keys = keygen(spec, backend=self._backend_name)
        self._keys.check(self._x)  # before keys travel for rows that do not fit
        message = dump_evaluation_keys(self._keys.evaluation, self._keys.client.backend, self._seal)
        self.evaluation_key_bytes = len(message)
        return message

    def _take(self, data: bytes, keys: PredictionKeys) -> None:
        limit = ciphertext_limit(keys.spec.ring, _CHUNK)
        reply = decode(self._seal.open(data, limit=limit), Ciphertexts, limit=limit)
        awaited = self._sent - sum(map(len, self._results))
        if reply.facts.get("rows") != awaited:
            raise IdentityError(
                "he-foreign-reply",
                f"a reply that is not one of {awaited} results",
                hint="client and server must run the same version; otherwise treat the sender as hostile",
            )
        self._results.append(keys.decrypt(reply))

    def _next(self, keys: PredictionKeys) -> bytes | None:
        rows = self._x[self._sent : self._sent + _CHUNK * keys.spec.rows]
        if not len(rows):
            return None
        self._sent += len(rows)
        return dump_ciphertexts(keys.encrypt(rows), self._seal)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What came of it.

    Attributes:
      values: Results `(n, *output_shape)`, the model's final softmax or sigmoid included.
      precision: Largest error of the numbers before that.
      bytes_up: Bytes sent by the client, evaluation keys included.
      bytes_down: Bytes sent by the server.
      evaluation_key_bytes: Bytes of the evaluation keys: sent once, whatever the number of rows.
      seconds: Seconds of each phase at the client: "description", "keys" (made, sent, accepted), "rows".
      spec: The description that the server gave: ring, packing, bounds.
    """

    values: Array
    precision: float
    bytes_up: int
    bytes_down: int
    evaluation_key_bytes: int
    spec: ClientSpec
    seconds: dict[str, float] = field(default_factory=dict)


def serve(
    program: Program, channel: Channel, seal: Seal, *, most_rows: int = 10_000, backend: str = "seal", client: int = 1
) -> int:
    """Serve one client over a channel until its order is done; returns the number of rows answered.

    Run by the model's owner. If anything is refused, the channel is aborted, so that the client does not wait.

    Args:
      program: The model.
      channel: To the client.
      seal: `Signed`, with the identities of both.
      most_rows: Most rows in this session.
      backend: `"seal"` or, in rehearsals, `"simulator"`.
      client: The client's number in the channel.
    """
    server = PredictionServer(program, seal, most_rows=most_rows, backend=backend)
    with channel:
        while not server.finished:
            channel.send(client, server.answer(bytes(channel.receive(client))))
    return server.rows


def predict_remote(x: Any, channel: Channel, seal: Seal, *, backend: str = "seal", server: int = 0) -> Prediction:
    """Have rows predicted by the server at the other end of a channel.

    Run by the owner of the rows: fetches the description, makes keys, sends the evaluation keys once, sends rows
    encrypted, decrypts. Reveals to the server: the number of rows.

    Args:
      x: Rows `(n, *input_shape)`.
      channel: To the server.
      seal: `Signed`, with the identities of both.
      backend: `"seal"` or, in rehearsals, `"simulator"`.
      server: The server's number in the channel.
    """
    client = PredictionClient(x, seal, backend=backend)
    received, clock, marks = 0, time.perf_counter(), list[float]()
    with channel:
        message: bytes | None = client.start()
        while message is not None:
            channel.send(server, message)
            data = bytes(channel.receive(server))
            received += len(data)
            marks.append(time.perf_counter() - clock)
            message = client.answer(data)
        end = time.perf_counter() - clock
        sent = channel.bytes_sent
    seconds = {"description": marks[0], "keys": marks[1] - marks[0], "rows": end - marks[1]}
    return Prediction(
        client.values, client.spec.precision, sent, received, client.evaluation_key_bytes, client.spec, seconds
    )

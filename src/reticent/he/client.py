"""The client of an encrypted prediction: what it is told of the program, its keys, and what it does with the reply.

A `ClientSpec` holds the ring, the packing and the bounds; no weight. The client makes its own keys for it, sends the
evaluation keys once, and sends its rows encrypted under a key that it alone holds.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import DataError, IdentityError, UsageError
from reticent.he.context import backend as open_backend
from reticent.he.keys import ClientKeys, EvaluationKeys
from reticent.he.packing import Packing
from reticent.he.parameters import Parameters
from reticent.he.wire import Ciphertexts
from reticent.messages import decode, encode, record

__all__ = ["ClientSpec", "PredictionKeys", "keygen"]

Array = NDArray[np.float64]
_MOST_STEPS = 1024
_PARAMETERS_LIMIT = 4096


@record("he.client-spec", version=1)
@dataclass(frozen=True, eq=False)
class ClientSpec:
    """What the client needs, and all it learns of the model beside its results.

    Attributes:
      parameters: The ring, as an encoded `Parameters`.
      rows: Samples in one ciphertext.
      places: Feature at each place of a row's period in the input (see `Packing`).
      low, high: Bounds of each input number, shape `(features,)`.
      input_shape: Shape of one sample.
      output_shape: Shape of one result.
      precision: Results are multiples of it, off by at most it.
      finish: What the client applies to the result: "", "sigmoid", "softmax", "log-softmax" or "tanh".
      axis: Axis of a softmax, of one result.
      steps: Rotations that the program needs keys for.
    """

    parameters: bytes
    rows: int
    places: NDArray[np.int64]
    low: Array
    high: Array
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    precision: float
    finish: str
    axis: int
    steps: tuple[int, ...]

    def __post_init__(self) -> None:
        features, outputs = math.prod(self.input_shape), math.prod(self.output_shape)
        ring, slots = self.ring, self.ring.slots
        sound = (
            self.low.shape == self.high.shape == (features,)
            and bool((self.low <= self.high).all())
            and self.places.ndim == 1
            and set(np.unique(self.places)) - {-1} == set(range(features))
            and 0 < outputs <= slots // max(self.rows, 1)
            and len(self.steps) <= _MOST_STEPS
            and all(0 < step < slots for step in self.steps)
            and self.precision == ring.precision
            and self.finish in ("", "sigmoid", "softmax", "log-softmax", "tanh")
        )
        if not sound:
            raise UsageError(
                "he-client-spec",
                f"a program of {features} inputs and {outputs} outputs whose description contradicts itself",
                hint="take the description from Program.client_spec() of the same version",
            )
        _ = self.before, self.after  # refuse packings that cannot be

    @property
    def ring(self) -> Parameters:
        """The parameters; decoding refuses any outside the security table."""
        return decode(self.parameters, Parameters, limit=_PARAMETERS_LIMIT)

    @property
    def before(self) -> Packing:
        """How rows lie in the ciphertexts that the client sends."""
        return Packing(self.ring.slots, self.rows, self.places)

    @property
    def after(self) -> Packing:
        """How results lie in those that come back."""
        return Packing.repeated(self.ring.slots, math.prod(self.output_shape), rows=self.rows)

    def fingerprint(self) -> str:
        """Return 64 hexadecimal digits; they label every ciphertext, so that none is used with another program."""
        return hashlib.sha256(b"reticent he program 1\0" + encode(self)).hexdigest()

    def label(self, what: str) -> str:
        """Return the label of ciphertexts: `what` is "rows" or "results"."""
        return f"{what} of {self.fingerprint()}"


def keygen(spec: ClientSpec, *, backend: str = "seal") -> PredictionKeys:
    """Return fresh keys for a program. Run by the client; reveals nothing to anybody.

    Args:
      spec: From the server.
      backend: `"seal"`; `"simulator"` encrypts nothing and is for rehearsals only.
    """
    client = ClientKeys.generate(open_backend(backend, spec.ring))
    return PredictionKeys(spec, client, client.evaluation(spec.steps))


class PredictionKeys:
    """The client's keys for one program.

    Args:
      spec: Of the program.
      client: The secret half; it never leaves.
      evaluation: What the server needs to compute; it decrypts nothing.

    Attributes:
      decrypted: Rows decrypted so far: each tells the client something of the model.
    """

    def __init__(self, spec: ClientSpec, client: ClientKeys, evaluation: EvaluationKeys) -> None:
        self.spec = spec
        self.client = client
        self.evaluation = evaluation
        self.decrypted = 0

    def encrypt(self, x: Any) -> Ciphertexts:
        """Return samples encrypted, as many in each ciphertext as the program takes.

        Run by the client. Reveals to the server: the number of rows.

        Args:
          x: Array or tensor: `(n, *input_shape)`, or one sample `input_shape`.

        Raises:
          DataError: If the shape is another, or a number is missing or outside the declared bounds.
        """
        spec = self.spec
        rows = self.check(x)
        ring, packing, backend = spec.ring, spec.before, self.client.backend
        parts = [
            backend.encrypt_seeded(
                backend.encode(packing.pack(rows[start : start + spec.rows]), level=ring.depth), self.client.handle
            )
            for start in range(0, len(rows), spec.rows)
        ]
        return self._message("rows", ring.depth, parts, len(rows))

    def _message(self, what: str, level: int, parts: Sequence[bytes], rows: int) -> Ciphertexts:
        ring = self.spec.ring
        name = self.client.backend.name
        return Ciphertexts(
            ring.fingerprint,
            self.client.fingerprint,
            name,
            self.spec.label(what),
            level,
            ring.scale(level),
            {"rows": float(rows)},
            tuple(parts),
        )

    def check(self, x: Any) -> Array:
        """Return samples as float64 `(n, features)`; raises what `encrypt` raises."""
        spec = self.spec
        array = np.asarray(x.detach().cpu().numpy() if hasattr(x, "detach") else x, dtype=np.float64)
        array = array[None] if array.shape == spec.input_shape else array
        if array.shape[1:] != spec.input_shape or not len(array):
            raise DataError(
                "he-input-shape",
                f"samples of shape {array.shape} for a program that takes (n, {', '.join(map(str, spec.input_shape))})",
                hint="give a batch of at least one sample, or one sample",
            )
        rows = array.reshape(len(array), -1)
        outside = int((~((rows >= spec.low) & (rows <= spec.high))).any(axis=1).sum())
        if outside:
            # Beyond the bounds the result could wrap around without a sign; the count is the client's own to know.
            raise DataError(
                "he-out-of-bounds",
                f"{outside} of {len(rows)} rows hold a number outside the program's input bounds, or a missing one",
                hint="standardise the input as for training, clip it to the bounds, or have the program compiled with "
                "wider ones",
            )
        return rows

    def decrypt(self, reply: Ciphertexts, *, finish: bool = True) -> Array:
        """Return the results `(n, *output_shape)`, rounded to the program's precision, and count them.

        Run by the client; reveals nothing to the server. What the reply tells the client beyond the results (the last
        digits of its errors depend on the model) is rounded away, not proven away.

        Args:
          reply: What `Program.evaluate` returned.
          finish: Apply what the model ends with (a softmax, say); False: the numbers before it.

        Raises:
          IdentityError: If the reply belongs to other keys or another program, or holds no result of it.
        """
        spec, ring = self.spec, self.spec.ring
        expected = (ring.fingerprint, self.client.fingerprint, self.client.backend.name, spec.label("results"))
        rows = int(reply.facts.get("rows", 0))
        if (reply.parameters, reply.key, reply.backend, reply.label) != expected:
            raise IdentityError(
                "he-foreign-reply",
                "a reply to other keys, or of another program than the one these keys were made for",
                hint="decrypt replies with the keys that encrypted the rows; make new keys for a new program",
            )
        if len(reply.parts) != -(-rows // spec.rows) or reply.level != 0 or rows < 1:
            raise _implausible(f"{len(reply.parts)} ciphertexts at level {reply.level} for {rows} rows")
        backend, packing = self.client.backend, spec.after
        found = []
        for number, part in enumerate(reply.parts):
            slots = backend.decrypt(backend.load_cipher(part, level=0, scale=ring.scale(0)), self.client.handle)
            count = min(spec.rows, rows - number * spec.rows)
            found.append(_agreed(slots, packing, count, spec.precision))
        self.decrypted += rows
        values = np.rint(np.concatenate(found) / spec.precision) * spec.precision
        values = values.reshape(rows, *spec.output_shape)
        return _finished(values, spec) if finish else values


def _agreed(slots: Array, packing: Packing, count: int, precision: float) -> Array:
    """Return the results of `count` rows: the mean of their copies in the slots, which garbage would not have."""
    copies = slots.reshape(-1, packing.period, packing.rows)[:, : packing.width, :count]
    if not np.ptp(copies, axis=0).max() <= 2 * precision:
        raise _implausible("copies of one result that differ")
    mean: Array = copies.mean(axis=0)
    return mean.T


def _implausible(what: str) -> IdentityError:
    return IdentityError(
        "he-implausible-reply",
        f"a reply holds {what}: it is not what the program computes",
        hint="ask again; if it happens again, the server computes something else or runs another version",
    )


def _finished(x: Array, spec: ClientSpec) -> Array:
    """Apply what the model ends with."""
    if spec.finish == "sigmoid":
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))
    if spec.finish == "tanh":
        return np.tanh(x)
    if not spec.finish:
        return x
    shifted = x - x.max(axis=spec.axis + 1, keepdims=True)
    logarithms: Array = shifted - np.log(np.exp(shifted).sum(axis=spec.axis + 1, keepdims=True))
    return logarithms if spec.finish == "log-softmax" else np.exp(logarithms)

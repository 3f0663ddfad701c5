"""The way in: a context makes the parameters and the keys, encrypts, and decrypts what comes back."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import DataError, PolicyRefused, UsageError
from reticent.he.derive import derive
from reticent.he.estimate import Estimate, Estimator
from reticent.he.keys import ClientKeys, EvaluationKeys
from reticent.he.layout import Layout
from reticent.he.parameters import Parameters
from reticent.he.port import Backend
from reticent.he.vector import Vector
from reticent.he.wire import Ciphertexts, OwnMac, Seal, backend_parts, dump_ciphertexts, load_ciphertexts, refuse

__all__ = ["Context", "backend", "context", "open_context"]

_LABEL = "vector"
_LONGEST = 2**40
_FACTS = {"clean", "common", "gaussian", "high", "length", "low", "spread"}


def backend(name: str, parameters: Parameters) -> Backend:
    """Return the backend `"seal"` (real encryption, extra `he`) or `"simulator"` (none at all, for rehearsals)."""
    if name == "seal":
        from reticent.he.seal import SealBackend

        return SealBackend(parameters)
    if name == "simulator":
        from reticent.he.simulator import SimulatorBackend

        return SimulatorBackend(parameters)
    raise UsageError("unknown-backend", f"backend {name!r}", hint="use 'seal' or 'simulator'")


def context(*, depth: int, bound: float, precision: float, backend: str = "seal", degree: int | None = None) -> Context:
    """Return a context with fresh keys: `he.context(depth=2, bound=100.0, precision=1e-4)`.

    Args:
      depth: Products in sequence. Whole numbers as factors, sums and rotations cost nothing.
      bound: Largest absolute value that will be encrypted. Products of `depth + 1` such values are sure to fit.
      precision: Largest absolute error of a decrypted result: of products of `depth + 1` values at the bound, and of
        everything that announces no larger error.
      backend: `"seal"`, or `"simulator"` which encrypts nothing.
      degree: Ring degree; default: the smallest of 128-bit security that fits.

    Raises:
      UsageError: `no-parameters` if no ring holds this; `insecure-parameters`.
      EnvironmentFault: `he-library-missing` if the extra `he` is not installed.
    """
    chosen = _make(backend, derive(depth=depth, bound=bound, precision=precision, degree=degree))
    client = ClientKeys.generate(chosen)
    return Context(chosen, client.evaluation(), client)


_make = backend


class Context:
    """One key pair and what can be done with it. Without client keys: the evaluator's side, which reads nothing.

    Args:
      backend: With the parameters.
      evaluation: Keys to compute with.
      client: Keys to encrypt and decrypt with; None at the evaluator.

    Attributes:
      decryptions: Numbers of vectors decrypted so far.
    """

    def __init__(self, backend: Backend, evaluation: EvaluationKeys, client: ClientKeys | None = None) -> None:
        if client is not None and client.fingerprint != evaluation.fingerprint:
            raise UsageError(
                "mixed-contexts", "client keys and evaluation keys of different pairs", hint="use keys made together"
            )
        self.backend = backend
        self.evaluation = evaluation
        self.estimator = Estimator(backend.parameters)
        self.decryptions = 0
        self._client = client

    @property
    def parameters(self) -> Parameters:
        """Of the scheme."""
        return self.backend.parameters

    @property
    def client(self) -> ClientKeys:
        """The client keys.

        Raises:
          PolicyRefused: `no-secret-key` at the evaluator.
        """
        if self._client is None:
            raise PolicyRefused(
                "no-secret-key",
                "the evaluator's side of a context holds no secret key: it can compute, not encrypt or decrypt",
                hint="send the result to the client, and decrypt there",
            )
        return self._client

    def evaluator(self) -> Context:
        """Return the side that computes: the same evaluation keys and nothing that decrypts."""
        return Context(self.backend, self.evaluation)

    def encrypt(self, values: Any, *, bound: float | None = None) -> Vector:
        """Return an encrypted vector.

        Run by: the client. Reveals: the length and the declared bound, to whoever holds the vector.

        Args:
          values: A number, or numbers in one dimension.
          bound: Largest absolute value, declared in public; default: the bound of the context. A smaller one gives
            smaller announced ranges and errors.

        Raises:
          DataError: `he-over-bound` if a value is larger, `operand-not-finite` if one is no number.
        """
        client = self.client
        numbers = np.atleast_1d(np.asarray(values, dtype=np.float64))
        bound = self.parameters.bound if bound is None else float(bound)
        if numbers.ndim != 1 or not numbers.size:
            raise DataError(
                "operand-shape", f"values of shape {numbers.shape} to encrypt", hint="encrypt one dimension at a time"
            )
        if not np.isfinite(numbers).all():
            raise DataError(
                "operand-not-finite", "values to encrypt that are not finite", hint="replace missing values first"
            )
        if not 0 < bound <= self.parameters.bound or np.abs(numbers).max() > bound:
            raise DataError(
                "he-over-bound",
                f"values to encrypt exceed the bound {bound:g}, or it exceeds that of the context, "
                f"{self.parameters.bound:g}",
                hint="clip or scale the values, or make the context with a larger bound",
            )
        layout = Layout(len(numbers), self.parameters.slots)
        top = self.parameters.depth
        scale = self.parameters.scale(top)
        fresh = tuple(
            self.backend.encrypt_seeded(self.backend.encode(part, level=top), client.handle)
            for part in layout.place(numbers)
        )
        ciphers = [self.backend.load_cipher(part, level=top, scale=scale) for part in fresh]
        return Vector(self, ciphers, layout, self.estimator.fresh(bound), fresh=fresh)

    def decrypt(self, vector: Vector, *, precision: float | None = None) -> NDArray[np.float64]:
        """Return the numbers of a vector, rounded to multiples of the precision.

        Run by: the client. The digits below the precision hold the noise of the scheme, from which who sees both the
        ciphertext and its decryption can compute the secret key (Li and Micciancio, EUROCRYPT 2021). Rounding keeps
        most of it back but proves nothing: do not hand results back to the evaluator, and count what is given away
        (`decryptions`).

        Args:
          vector: Under this key pair.
          precision: Multiple to round to; default: the precision of the context.

        Raises:
          PolicyRefused: `no-secret-key` at the evaluator.
          UsageError: `precision-exceeded` if the announced error is more than half of the precision.
        """
        client = self.client
        if vector.context.evaluation.fingerprint != client.fingerprint:
            raise UsageError(
                "mixed-contexts", "a vector under another key pair", hint="decrypt it where it was encrypted"
            )
        grid = self.parameters.precision if precision is None else float(precision)
        if not vector.error <= grid / 2:
            raise UsageError(
                "precision-exceeded",
                f"the announced error {vector.error:.2g} of the result is more than half of the precision {grid:g}",
                hint=f"accept it: decrypt(precision={10.0 ** math.ceil(math.log10(2 * vector.error)):g}); or make the "
                "context with a larger bound or a finer precision, or declare smaller bounds when encrypting",
            )
        self.decryptions += 1
        return np.rint(self.raw(vector) / grid) * grid

    def raw(self, vector: Vector) -> NDArray[np.float64]:
        """Return the numbers with the noise of the scheme: for the client's eyes, and for measuring the error."""
        return vector.layout.read([self.backend.decrypt(c, self.client.handle) for c in vector.ciphers])

    def ensure_rotations(self, steps: Iterable[int]) -> None:
        """Make missing rotation keys, where the client keys are; at the evaluator the backend refuses what is missing."""
        missing = set(steps) - self.evaluation.steps - {0}
        if missing and self._client is not None:
            self.evaluation = self._client.extend(self.evaluation, sorted(missing))

    # bytes -----------------------------------------------------------------------------------------------------------
    def dump(self, vector: Vector, seal: Seal | None = None) -> bytes:
        """Return a vector as sealed bytes; fresh ones take half the size.

        Args:
          vector: Under this key pair.
          seal: Default: the client's own MAC, for vectors that come back here.
        """
        estimate, layout = vector.estimate, vector.layout
        facts = {
            "clean": float(layout.clean),
            "common": estimate.common,
            "gaussian": estimate.gaussian,
            "high": estimate.high,
            "length": float(layout.length),
            "low": estimate.low,
            "spread": estimate.spread,
        }
        parts = vector.fresh or backend_parts(self.backend, vector.ciphers)
        message = Ciphertexts(
            self.parameters.fingerprint,
            self.evaluation.fingerprint,
            self.backend.name,
            _LABEL,
            vector.level,
            self.parameters.scale(vector.level),
            facts,
            parts,
        )
        return dump_ciphertexts(message, seal or OwnMac(self.client))

    def load(self, data: bytes, seal: Seal | None = None, *, most: int = 64) -> Vector:
        """Return the vector in bytes that `dump` wrote, checked before the lattice library reads them.

        Args:
          data: From anywhere.
          seal: As in `dump`.
          most: Most ciphertexts of one vector.

        Raises:
          IdentityError: If the bytes are not authentic, or for other keys or parameters.
        """
        message, ciphers = load_ciphertexts(
            data, seal or OwnMac(self.client), self.backend, self.evaluation.fingerprint, label=_LABEL, most=most
        )
        layout, estimate = _facts(message, self.parameters)
        return Vector(self, ciphers, layout, estimate)

    def save_keys(self, path: Path | str) -> None:
        """Write the client keys to a new file of mode 0600; `open_context` reads them."""
        self.client.save(path)


def open_context(path: Path | str) -> Context:
    """Return the context whose client keys `save_keys` wrote."""
    client = ClientKeys.load(path, backend)
    return Context(client.backend, client.evaluation(), client)


def _facts(message: Ciphertexts, parameters: Parameters) -> tuple[Layout, Estimate]:
    facts = message.facts
    if set(facts) != _FACTS:
        refuse("a vector without layout and range")
    length, clean = facts["length"], facts["clean"]
    estimate = Estimate(facts["low"], facts["high"], facts["gaussian"], facts["spread"], facts["common"])
    if not (length.is_integer() and 1 <= length <= _LONGEST and clean in {0.0, 1.0}):
        refuse("a vector without layout")
    layout = Layout(int(length), parameters.slots, bool(clean))
    if not (
        layout.chunks == len(message.parts)
        and message.scale == parameters.scale(message.level)
        and estimate.low <= estimate.high
        and min(estimate.gaussian, estimate.spread, estimate.common) >= 0
        and estimate.magnitude <= parameters.capacity(message.level)
    ):
        refuse("a vector whose layout, scale or range does not fit its ciphertexts")
    return layout, estimate

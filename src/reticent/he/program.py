"""A torch module as a program on encrypted rows: everything is decided, checked and rehearsed before a key is made."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reticent import lowering
from reticent.errors import IdentityError, UsageError
from reticent.he.circuit import Circuit
from reticent.he.client import ClientSpec
from reticent.he.context import backend as open_backend
from reticent.he.explain import explain
from reticent.he.keys import EvaluationKeys
from reticent.he.parameters import Parameters
from reticent.he.planning import Plan, plan
from reticent.he.port import Backend, Cipher, Evaluation
from reticent.he.stages import stages_of
from reticent.he.wire import Ciphertexts
from reticent.messages import encode

if TYPE_CHECKING:
    import torch

__all__ = ["Program", "compile"]

Array = NDArray[np.float64]
_PROBES = 32


def compile(  # noqa: A001  (he.compile is what it does; the module is imported by name)
    module: torch.nn.Module | lowering.Program,
    *,
    input_bounds: tuple[Any, Any] = (-3, 3),
    precision: float = 1e-3,
    input_shape: tuple[int, ...] | None = None,
    rows: int | None = None,
) -> Program:
    """Return the program of a model made of linear layers and squares or polynomials. Run by the model's owner.

    Ring, primes, levels, packing and rotations are derived. No input within the bounds can exceed what a ciphertext
    holds: ranges are intervals over all of them, and the program is rehearsed in the simulator, which refuses overflow.

    Args:
      module: The model, used in evaluation mode, or one already lowered.
      input_bounds: Smallest and largest value of the input: two numbers, or two arrays of one sample's shape.
      precision: Results are multiples of it, and off by at most it.
      input_shape: Shape of one sample; may be left out if the first layer is linear.
      rows: Samples in one ciphertext, a power of two: 1 gives the shortest time for one sample. Default: as many as fit.

    Raises:
      UsageError: If a layer cannot be evaluated encrypted, or no ring holds depth, ranges and precision: the error names
        the layer or the number at fault.
    """
    program = module if isinstance(module, lowering.Program) else _lowered(module, input_shape)
    low, high = _bounds(input_bounds, program.input_shape)
    if not 0 < precision < np.inf:
        raise UsageError("he-precision", f"precision is {precision}", hint="give the largest error that is acceptable")
    if rows is not None and (rows < 1 or rows & (rows - 1)):
        raise UsageError("he-packing", f"rows is {rows}", hint="give a power of two, or nothing for as many as fit")
    return Program(plan(stages_of(program), low, high, precision=float(precision), rows=rows))


def _lowered(module: Any, input_shape: tuple[int, ...] | None) -> lowering.Program:
    import torch

    if input_shape is None:
        leaves = [child for child in module.modules() if next(child.children(), None) is None]
        first = next((child for child in leaves if next(child.parameters(recurse=False), None) is not None), None)
        if not isinstance(first, torch.nn.Linear):
            raise UsageError(
                "he-input-shape-missing",
                f"the shape of a sample does not follow from {type(module).__name__}, which begins with no linear layer",
                hint="give it: he.compile(module, input_shape=(1, 28, 28), ...)",
            )
        input_shape = (first.in_features,)
    return lowering.lower(module, torch.zeros(2, *input_shape))


def _bounds(given: tuple[Any, Any], shape: tuple[int, ...]) -> tuple[Array, Array]:
    try:
        low, high = (np.broadcast_to(np.asarray(end, dtype=np.float64), shape).reshape(-1) for end in given)
    except (ValueError, TypeError):
        low = high = np.array([np.nan])
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all() and (low < high).any()):
        raise UsageError(
            "he-input-bounds",
            f"input_bounds do not give a smallest and a largest value for samples of shape {shape}",
            hint="give two finite numbers, (-3, 3), or two arrays of the shape of one sample, the smaller one first",
        )
    return low.copy(), high.copy()


class Program:
    """A compiled model at the server.

    It holds the weights and never a secret key. `client_spec()` is what a client needs; `evaluate` computes on what the
    client sends. The result is that of the polynomial model, `run`, within the precision.

    Attributes:
      plan: What was decided.
      expected_error: Largest error of the rehearsal in the simulator, before rounding.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._circuits: dict[str, tuple[Backend, Circuit]] = {}
        self._adopted: weakref.WeakKeyDictionary[EvaluationKeys, tuple[str, Evaluation]] = weakref.WeakKeyDictionary()
        self._spec = _spec_of(plan)
        self.expected_error = self._rehearse()

    @property
    def parameters(self) -> Parameters:
        """The ring."""
        return self.plan.parameters

    @property
    def rows(self) -> int:
        """Samples in one ciphertext."""
        return self.plan.before.rows

    def client_spec(self) -> ClientSpec:
        """Return what the client needs. Reveals the ring, the packing, bounds and shapes; no weight."""
        return self._spec

    def explain(self) -> str:
        """Return in words what is sent, who sees what, the parameters, the errors and the sizes."""
        return explain(self.plan, self._spec, self.expected_error)

    def evaluate(self, rows: Ciphertexts, keys: EvaluationKeys) -> Ciphertexts:
        """Return the encrypted results. Run by the server; reveals nothing to it but the number of rows.

        Raises:
          IdentityError: If rows or keys are for other parameters, another program or another key pair.
        """
        backend, circuit = self.circuit(rows.backend)
        ring = self.parameters
        if rows.key != keys.fingerprint:
            raise IdentityError(
                "wrong-key",
                "rows under another key pair than the evaluation keys at hand",
                hint="use ciphertexts and evaluation keys that were made together",
            )
        if rows.parameters != ring.fingerprint or keys.parameters != ring:
            raise IdentityError(
                "foreign-parameters",
                "rows or evaluation keys for other parameters than this program's",
                hint="make the keys with he.keygen(program.client_spec())",
            )
        if rows.label != self._spec.label("rows"):
            raise IdentityError(
                "he-foreign-rows",
                "ciphertexts that were not encrypted as rows of this program",
                hint="encrypt with keys made from this program's client_spec()",
            )
        evaluation = self._adopt(backend, keys)
        top = ring.scale(ring.depth)
        results = (
            circuit.run(backend.load_cipher(part, level=ring.depth, scale=top), evaluation) for part in rows.parts
        )
        return self.reply(rows, tuple(backend.dump_cipher(result) for result in results))

    def reply(self, rows: Ciphertexts, parts: tuple[bytes, ...]) -> Ciphertexts:
        """Return the message of results `parts` to the message `rows`."""
        scale, label = self.parameters.scale(0), self._spec.label("results")
        return Ciphertexts(rows.parameters, rows.key, rows.backend, label, 0, scale, rows.facts, parts)

    def circuit(self, backend: str = "seal") -> tuple[Backend, Circuit]:
        """Return backend and circuit, the weights encoded; made at the first call."""
        if backend not in self._circuits:
            opened = open_backend(backend, self.parameters)
            self._circuits[backend] = (opened, Circuit(self.plan, opened))
        return self._circuits[backend]

    def _adopt(self, backend: Backend, keys: EvaluationKeys) -> Evaluation:
        # Handles belong to the backend object that made them: those of a client in this process are loaded once more.
        known = self._adopted.get(keys)
        if known is None or known[0] != backend.name:
            known = (backend.name, backend.load_evaluation(backend.dump_evaluation(keys.handle)))
            self._adopted[keys] = known
        return known[1]

    def run(self, x: Any) -> Array:
        """Return what the reply should hold, in float64 and in clear: `(n, *output_shape)`, before any softmax."""
        array = np.asarray(x.detach().cpu().numpy() if hasattr(x, "detach") else x, dtype=np.float64)
        array = array[None] if array.shape == self._spec.input_shape else array
        return self.plan.stages.run(array).reshape(len(array), *self._spec.output_shape)

    def simulate(self, x: Any, *, finish: bool = True) -> Array:
        """Return what a client would decrypt, by the simulator: the levels, scales and errors of CKKS, no encryption."""
        from reticent.he.client import keygen

        keys = keygen(self._spec, backend="simulator")
        return keys.decrypt(self.evaluate(keys.encrypt(x), keys.evaluation), finish=finish)

    def _rehearse(self) -> float:
        """Run rows at the corners and inside of the bounds through the simulator, and return the largest error."""
        backend, circuit = self.circuit("simulator")
        secret, evaluation = backend.keygen(sorted(self.plan.steps))
        chance = np.random.default_rng(0)  # public probes of a public box: nothing is hidden or drawn for privacy
        low, high = self._spec.low, self._spec.high
        inside = chance.uniform(low, high, (_PROBES, len(low)))
        corners = np.where(chance.random((_PROBES, len(low))) < 0.5, low, high)
        probes = np.concatenate([low[None], high[None], inside, corners])[: max(self.rows, 4)]
        largest = 0.0
        for start in range(0, len(probes), self.rows):
            rows = probes[start : start + self.rows]
            packed = backend.encode(self.plan.before.pack(rows), level=self.parameters.depth)
            result: Cipher = circuit.run(backend.encrypt(packed, secret), evaluation)
            found = self.plan.after.unpack(backend.decrypt(result, secret), len(rows))
            largest = max(largest, float(np.abs(found - self.plan.stages.run(rows)).max()))
        del self._circuits["simulator"]
        return largest


def _spec_of(plan: Plan) -> ClientSpec:
    stages = plan.stages
    return ClientSpec(
        parameters=encode(plan.parameters),
        rows=plan.before.rows,
        places=plan.before.feature_of,
        low=plan.ranges[0].low,
        high=plan.ranges[0].high,
        input_shape=stages.input_shape,
        output_shape=stages.output_shape,
        precision=plan.parameters.precision,
        finish=stages.finish,
        axis=stages.axis,
        steps=tuple(sorted(plan.steps)),
    )

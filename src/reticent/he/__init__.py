"""Homomorphic encryption: one party computes on numbers that another encrypted, and cannot read them.

    context = he.context(depth=2, bound=100.0, precision=1e-4)
    v = context.encrypt(values)
    (v * 2 + 1).decrypt()

CKKS (Cheon, Kim, Kim, Song, 2017) through SEAL (extra `he`: `pip install 'reticent[he]'`), below it one port and a
simulator that encrypts nothing; above it vectors with +, -, *, `dot`, `sum` and `@`, and `compile` for whole models.

GUARANTEE. Who holds only evaluation keys and ciphertexts learns nothing of the encrypted numbers but their count and
their declared bounds: 128 bits of security under RLWE, by the table of the Homomorphic Encryption Standard, which no
parameters of this package can leave. A result is within its announced error of the exact one, or it is refused before it
is computed: too large a number, too deep a product, padding read as data cannot pass silently. Keys that decrypt are a
type of their own, which cannot be encoded. Not guaranteed: that the evaluator computed what it should (nothing here
proves a computation), and what the results themselves reveal.

ADVERSARY. The evaluator follows the program and remembers everything (semi-honest). The carrier may be hostile: what
travels is authenticated and compared with the fingerprints of parameters and key pair before the lattice library parses
one byte. Decrypted results must not go back to the evaluator, or to anybody who sees the ciphertexts: their last digits
are the scheme's noise, which gives away the key (Li and Micciancio, 2021). `decrypt` rounds them away and counts; that
hinders the attack and does not prove it impossible.

COST. At ring degree 8192 (4096 numbers at once) an upload of 160 to 210 kB for each fresh ciphertext, 0.7 MB of
evaluation keys for each rotation, 2 to 4 ms for a product or rotation: 1000 to 10,000 times the time of plain
arithmetic if all slots are used. Depth decides: a deeper program needs a larger ring, and each doubling costs five times
more. For inference with few layers and small widths, not for training.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from reticent.he.context import Context, backend, context, open_context
from reticent.he.derive import derive
from reticent.he.keys import ClientKeys, EvaluationKeys
from reticent.he.parameters import SECURITY_BITS, Parameters
from reticent.he.port import Backend
from reticent.he.vector import Vector
from reticent.he.wire import (
    Ciphertexts,
    OwnMac,
    Seal,
    Signed,
    dump_ciphertexts,
    dump_evaluation_keys,
    load_ciphertexts,
    load_evaluation_keys,
)

if TYPE_CHECKING:
    from reticent.he.client import ClientSpec, PredictionKeys, keygen
    from reticent.he.explain import NOT_HIDDEN
    from reticent.he.processes import predict_in_processes
    from reticent.he.program import Program, compile  # noqa: A004  (he.compile is the public name)
    from reticent.he.service import Prediction, PredictionClient, PredictionServer, predict_remote, serve

__all__ = [
    "NOT_HIDDEN",
    "SECURITY_BITS",
    "Backend",
    "Ciphertexts",
    "ClientKeys",
    "ClientSpec",
    "Context",
    "EvaluationKeys",
    "OwnMac",
    "Parameters",
    "Prediction",
    "PredictionClient",
    "PredictionKeys",
    "PredictionServer",
    "Program",
    "Seal",
    "Signed",
    "Vector",
    "backend",
    "compile",
    "context",
    "derive",
    "dump_ciphertexts",
    "dump_evaluation_keys",
    "keygen",
    "load_ciphertexts",
    "load_evaluation_keys",
    "open_context",
    "predict_in_processes",
    "predict_remote",
    "serve",
]

# The compiler reads torch modules: loaded when it is asked for, so that importing this package loads no torch.
_LATER = {
    "NOT_HIDDEN": "explain",
    "ClientSpec": "client",
    "Prediction": "service",
    "PredictionClient": "service",
    "PredictionKeys": "client",
    "PredictionServer": "service",
    "Program": "program",
    "compile": "program",
    "keygen": "client",
    "predict_in_processes": "processes",
    "predict_remote": "service",
    "serve": "service",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = value
    return value

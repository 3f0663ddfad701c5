"""Encrypted prediction on one machine: the server in a process of its own, which alone holds the model."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from reticent.channels import connect
from reticent.errors import EnvironmentFault, ReticentError
from reticent.he.service import Prediction, predict_remote
from reticent.he.wire import Signed
from reticent.identity import Roster, SigningKey
from reticent.randomness import secret

__all__ = ["predict_in_processes"]


def predict_in_processes(
    x: Any,
    factory: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    deadline: float = 120.0,
    backend: str = "seal",
) -> Prediction:
    """Have rows predicted by a server process that this call starts and ends.

    The server process makes the program, by name: the model is never loaded here. Both sides speak mutual TLS on the
    loopback address with identities made for this call, as two machines would with theirs.

    Args:
      x: Rows `(n, *input_shape)`.
      factory: `"module:function"` that returns a `Program`; called in the server process.
      arguments: Its keyword arguments; values that JSON can hold.
      deadline: Seconds for either side to wait for the other.
      backend: `"seal"` or, in rehearsals, `"simulator"`.

    Raises:
      EnvironmentFault: If the server process ends before it is ready; whatever else it refuses is raised here.
    """
    key, session, port = SigningKey.generate(), secret(16).hex(), _free_port()
    order = {
        "factory": factory,
        "arguments": dict(arguments or {}),
        "path": sys.path,
        "client": key.public.hex(),
        "port": port,
        "session": session,
        "deadline": deadline,
        "backend": backend,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "reticent.he.server_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"OMP_NUM_THREADS": "1", **os.environ},
    )
    try:
        parties = {"server": bytes.fromhex(_ready(process, order)), "client": key.public}
        channel = connect(
            "client",
            key,
            parties=parties,
            addresses={"server": ("127.0.0.1", port)},
            session=session,
            facts={"protocol": "reticent he 1"},
            deadline=deadline,
        )
        seal = Signed(key, Roster(parties), me="client", peer="server", session=session)
        return predict_remote(x, channel, seal, backend=backend)
    finally:
        _end(process)


def _ready(process: subprocess.Popen[bytes], order: Mapping[str, Any]) -> str:
    """Hand the order over and return the server's public key, in hexadecimal digits."""
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.close()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = b""
    if not line:
        raise EnvironmentFault(
            "he-server-process",
            f"the server process ended with status {process.wait()} before it was ready",
            hint="read what it wrote above; run the factory in a Python of its own to see it fail",
        )
    told = json.loads(line)
    if "error" in told:
        _raise(told["error"])
    return str(told["public"])


def _raise(told: Mapping[str, str]) -> None:
    """Raise the error that the server process met, as what it was."""
    kinds = {kind.__name__: kind for kind in ReticentError.__subclasses__()}
    kind = kinds.get(told["kind"], ReticentError)
    raise kind(told["code"], told["message"], hint=told["hint"])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdout is not None:
        process.stdout.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

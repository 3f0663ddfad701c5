"""The server process of `predict_in_processes`: makes the program, says its public key, answers one client, ends."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import IO, Any

from reticent.channels import connect
from reticent.errors import ReticentError, UsageError
from reticent.he.program import Program
from reticent.he.service import serve
from reticent.he.wire import Signed
from reticent.identity import Roster, SigningKey

__all__: list[str] = []


def main() -> int:
    """Take the order from standard input and serve it."""
    # Whatever the factory prints goes to standard error: standard output belongs to the parent.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    order = json.loads(sys.stdin.readline())
    sys.path[:] = order["path"]
    key = SigningKey.generate()
    try:
        program = _make(order["factory"], order["arguments"])
        program.circuit(order["backend"])
    except ReticentError as error:
        parts = {"kind": type(error).__name__, "code": error.code, "message": error.message, "hint": error.hint}
        _tell(replies, {"error": parts})
        return error.exit_status
    _tell(replies, {"public": key.public.hex()})
    return _serve(program, key, order)


def _make(name: str, arguments: dict[str, Any]) -> Program:
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            "he-no-factory",
            f"factory {name!r} cannot be imported in the server process: {error}",
            hint="name a function of an importable module: 'package.module:function'",
        ) from error
    program = found(**arguments)
    if not isinstance(program, Program):
        raise UsageError(
            "he-no-factory",
            f"factory {name!r} returned a {type(program).__name__}",
            hint="return what he.compile returns",
        )
    return program


def _serve(program: Program, key: SigningKey, order: dict[str, Any]) -> int:
    parties = {"server": key.public, "client": bytes.fromhex(order["client"])}
    try:
        channel = connect(
            "server",
            key,
            parties=parties,
            addresses={"server": ("127.0.0.1", order["port"])},
            session=order["session"],
            facts={"protocol": "reticent he 1"},
            deadline=order["deadline"],
        )
        seal = Signed(key, Roster(parties), me="server", peer="client", session=order["session"])
        serve(program, channel, seal, backend=order["backend"])
    except ReticentError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    return 0


def _tell(stream: IO[str], content: dict[str, Any]) -> None:
    stream.write(json.dumps(content) + "\n")
    stream.flush()


if __name__ == "__main__":
    raise SystemExit(main())

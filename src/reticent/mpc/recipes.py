"""The recipes by name: all that a dealer can be asked for, and the checks of what it is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from reticent.errors import IdentityError
from reticent.mpc.beaver import deal_triple
from reticent.mpc.lookup import deal_one_hot
from reticent.mpc.material import Source
from reticent.mpc.products import PRODUCTS
from reticent.mpc.sign import deal_sign
from reticent.mpc.truncation import deal_truncation

__all__ = ["RECIPES", "deal", "decode_request", "encode_request"]

Arguments = dict[str, Any]

RECIPES: dict[str, Callable[..., Any]] = {
    "triple": deal_triple,
    "truncation": deal_truncation,
    "sign": deal_sign,
    "one-hot": deal_one_hot,
}

_MAX_WORDS = 1 << 32
_MAX_REQUEST = 4096
_INTEGERS = {"count": _MAX_WORDS, "bits": 62, "payloads": 64, "size": 256, "left_holder": 255, "right_holder": 255}


def encode_request(operation: tuple[int, ...], name: str, recipe: str, arguments: Arguments) -> bytes:
    """Return the request for one piece of material, as the dealer reads it."""
    body = {"operation": operation, "name": name, "recipe": recipe, "arguments": arguments}
    return json.dumps(body, separators=(",", ":")).encode()


def decode_request(data: bytes) -> tuple[tuple[int, ...], str, str, Arguments]:
    """Return operation, its name, recipe and arguments.

    Raises:
      IdentityError: If it is not the form that `encode_request` writes, or asks for what no recipe gives.
    """
    try:
        if len(data) > _MAX_REQUEST:
            raise ValueError
        body = json.loads(data)
        operation = tuple(int(part) for part in body["operation"])
        name, recipe, arguments = str(body["name"]), body["recipe"], body["arguments"]
        if recipe not in RECIPES or not all(_allowed(key, value) for key, value in arguments.items()):
            raise ValueError
        if recipe == "triple":
            arguments = {**arguments, "left": tuple(arguments["left"]), "right": tuple(arguments["right"])}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise malformed(data) from error
    return operation, name, recipe, arguments


def deal(source: Source, recipe: str, arguments: Arguments, request: bytes) -> None:
    """Deal what `request` asks for.

    Raises:
      IdentityError: If the recipe cannot be made of these arguments: some are missing, or their sizes do not fit.
    """
    try:
        RECIPES[recipe](source, **arguments)
    except (ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise malformed(request) from error


def malformed(data: bytes) -> IdentityError:
    """Return the error for a request that the dealer cannot answer."""
    return IdentityError(
        "malformed-request",
        f"a request of {len(data)} bytes asks the dealer for nothing it deals",
        hint="check that parties and dealer run the same version; otherwise treat the sender as hostile",
    )


def _allowed(key: str, value: object) -> bool:
    if key in {"left", "right"}:
        return isinstance(value, list) and len(value) <= 8 and all(_size(part, _MAX_WORDS) for part in value)
    if key in {"left_holder", "right_holder"}:
        return value is None or _size(value, 255)
    if key in {"exact", "keep"}:
        return isinstance(value, bool)
    if key == "kind":
        return isinstance(value, str) and PRODUCTS[value] is not None  # KeyError for a product that is none
    return key in _INTEGERS and _size(value, _INTEGERS[key])


def _size(value: object, largest: int) -> bool:
    return type(value) is int and 0 <= value <= largest

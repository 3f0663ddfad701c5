"""State of which there must be one copy only, and exact sums of numbers that people wrote."""

from __future__ import annotations

import json
import math
import os
import threading
from fractions import Fraction
from typing import Any, ClassVar, Literal, NoReturn
from weakref import WeakValueDictionary

from reticent.errors import PolicyRefused, UsageError
from reticent.randomness import secret

__all__ = ["OneHolder", "down", "exact", "loaded", "unreadable"]


class OneHolder:
    """State that exists once: not copied, not pickled, not carried into a forked process, guarded by a lock."""

    _alive: ClassVar[WeakValueDictionary[str, OneHolder]] = WeakValueDictionary()
    _registering: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, name: str | None = None) -> None:
        self._name = secret(16).hex() if name is None else name
        self._lock = threading.Lock()
        self._process = os.getpid()
        with self._registering:  # two threads must not both find that nobody has the name
            first = self._alive.setdefault(self._name, self)
        if first is not self:
            raise _copied("was read from its saved state while the original is alive in this process")

    def require_own_process(self) -> None:
        """Refuse to go on in a forked process, where the same budget exists a second time."""
        if os.getpid() != self._process:
            raise _copied("was carried into a forked process")

    def __copy__(self) -> NoReturn:
        raise _copied("was about to be copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise _copied("was about to be copied")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise _copied("was about to be pickled")


def _copied(how: str) -> PolicyRefused:
    return PolicyRefused(
        "budget-copied",
        f"a privacy budget or grant {how}: what is left would be spent twice",
        hint="hand over the object itself, or share a budget among processes with reticent.ledger",
    )


def exact(value: Any, name: Literal["epsilon", "delta"]) -> Fraction:
    """Return the number that was written: 0.1 is a tenth, so that ten of them are 1 and nothing vanishes in a sum."""
    try:
        number = Fraction(value) if isinstance(value, int | Fraction) else Fraction(repr(float(value)))
    except (OverflowError, TypeError, ValueError) as error:  # NaN and infinities have no fraction
        raise _wrong(value, name) from error
    if number < 0 or (name == "delta" and number >= 1):
        raise _wrong(value, name)
    return number


def _wrong(value: object, name: Literal["epsilon", "delta"]) -> UsageError:
    if name == "epsilon":
        return UsageError("invalid-epsilon", f"epsilon is {value}", hint="give a finite number, 0 or larger")
    return UsageError("invalid-delta", f"delta is {value}", hint="give a number from 0 to below 1")


def down(value: Fraction) -> float:
    """Return the largest float that, read by `exact`, is not above `value`."""
    near = float(value)
    return near if exact(near, "epsilon") <= value else math.nextafter(near, 0.0)


def loaded(text: str, kind: str) -> dict[str, Any]:
    """Return the saved state of this kind, or refuse the text."""
    try:
        plain = json.loads(text)
    except ValueError as error:
        raise unreadable(text) from error
    if not isinstance(plain, dict) or plain.get("kind") != kind:
        raise unreadable(text)
    return plain


def unreadable(text: str) -> UsageError:
    """Return the refusal of a text that `to_json` did not write."""
    return UsageError(
        "invalid-saved-budget",
        f"not the saved state of a budget: {text[:60]!r}",
        hint="use the text that to_json returned, unchanged",
    )

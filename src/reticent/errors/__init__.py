"""One tree of errors: every error carries a code, the name and value at fault, and the fix.

    ReticentError
      UsageError        exit 2   the command, the study file or an argument is wrong
      PolicyRefused     exit 3   what was asked would break a promise of privacy, or no budget was granted for it
        PrivacyBudgetExhausted   a budget in memory is used up
      IdentityError     exit 4   a message, a key or a sender is not what was pinned
      QuorumLost        exit 5   too few sites answered in time
      DataError         exit 6   a site's data do not fit the contract
      EnvironmentFault  exit 6   this machine: a file, a disk, a lock, a missing extra
      InternalError     exit 70  our bug

An error text never contains a record, a key, a mask or a share. `reticent help CODE` explains each code; the
explanations stand in `reticent.errors.explanations`, one file for each package that raises them.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "DataError",
    "EnvironmentFault",
    "IdentityError",
    "InternalError",
    "PolicyRefused",
    "PrivacyBudgetExhausted",
    "QuorumLost",
    "ReticentError",
    "UsageError",
]


class ReticentError(Exception):
    """Base of all errors raised on purpose.

    Args:
      code: Stable name of this kind of error, lower-case words joined by hyphens; `reticent help CODE` explains it.
      message: What is wrong, with the offending name and value.
      hint: What to do about it.
    """

    exit_status: ClassVar[int] = 70

    def __init__(self, code: str, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  fix: {self.hint}\n  [{self.code}]"

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not survive a process boundary by default.
        return (_rebuild, (type(self), self.code, self.message, self.hint))


def _rebuild(kind: type[ReticentError], code: str, message: str, hint: str) -> ReticentError:
    return kind(code, message, hint=hint)


class UsageError(ReticentError):
    """The command, the study file or an argument is wrong; nothing was changed."""

    exit_status = 2


class PolicyRefused(ReticentError):
    """What was asked would break a promise of privacy, or its budget was not granted."""

    exit_status = 3


class PrivacyBudgetExhausted(PolicyRefused):
    """What was asked for does not fit into a budget in memory; nothing was charged, nothing may be released."""


class IdentityError(ReticentError):
    """A message, a key or a sender is not what was pinned."""

    exit_status = 4


class QuorumLost(ReticentError):
    """Too few sites answered before the deadline."""

    exit_status = 5


class DataError(ReticentError):
    """A site's data do not fit the contract of the study."""

    exit_status = 6


class EnvironmentFault(ReticentError):
    """This machine cannot do what was asked: a file, a disk, a lock, a missing extra."""

    exit_status = 6


class InternalError(ReticentError):
    """A state that the code holds to be impossible: please report it."""

    exit_status = 70

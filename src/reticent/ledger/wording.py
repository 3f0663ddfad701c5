"""Names that a ledger accepts, and the refusals that tell a person which command would allow what was asked."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable

from reticent.errors import PolicyRefused, UsageError
from reticent.ledger.amounts import Amount
from reticent.ledger.entries import Balance, Standing

__all__ = ["budget_exhausted", "check_population", "check_signer", "check_text", "grant_command", "no_grant"]

_SIGNER = "YOUR NAME"
"""What the commands in refusals have as signer: it is refused, so that nobody signs by pasting."""

_POPULATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,99}")
_LONGEST = 500


def check_population(name: str) -> None:
    """Refuse names that could be mistaken for another or for an option of the command line.

    Raises:
      UsageError: Unless it is 1 to 100 ASCII letters, digits and . _ : @ / + -, beginning with a letter or digit.
    """
    if not isinstance(name, str) or not _POPULATION.fullmatch(name):
        raise UsageError(
            "invalid-population",
            f"population is {str(name)[:120]!r}",
            hint="use 1 to 100 of the characters a-z A-Z 0-9 . _ : @ / + - and begin with a letter or digit",
        )


def check_text(name: str, value: str) -> None:
    """Refuse what cannot be printed on one line of a report.

    Raises:
      UsageError: If `value` is empty, longer than 500 characters or not printable.
    """
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST or not value.isprintable():
        raise UsageError(
            "invalid-ledger-text",
            f"{name} is {str(value)[:60]!r}",
            hint=f"give one line of printable text, at most {_LONGEST} characters",
        )


def check_signer(name: str) -> None:
    """Refuse a grant that nobody answers for.

    Raises:
      UsageError: If `name` is no name, or the placeholder of a command that was pasted as it stood.
    """
    check_text("signer", name)
    if name.strip().upper() == _SIGNER:
        raise UsageError(
            "signer-missing",
            f"signer is {name!r}",
            hint="put the name of the person who answers for these people in its place: --signer 'Dr. Ada Byron'",
        )


def grant_command(*, url: str, population: str, amount: Amount, unit: str, relation: str, purpose: str) -> str:
    """Return the command that grants `amount`, ready for a shell but for the name of the signer."""
    words = ["reticent", "ledger", "grant", population, "--epsilon", amount.epsilon_text()]
    words += ["--delta", amount.delta_text(), "--unit", unit, "--relation", relation]
    words += ["--reason", f"for {purpose}", "--ledger", url, "--signer", _SIGNER]
    return shlex.join(words)


def no_grant(population: str, *, known: Iterable[str], cost: Amount, command: str) -> PolicyRefused:
    """Return the refusal for a population that nothing was granted to."""
    near = difflib.get_close_matches(population, list(known), n=1)
    meant = f" (a budget exists for {near[0]!r})" if near else ""
    return PolicyRefused(
        "no-grant",
        f"population {population!r} has no budget{meant}; this plan needs epsilon {cost.epsilon_text()} "
        f"and delta {cost.delta_text()}",
        hint=f"whoever answers for these people can allow it: {command}",
    )


def budget_exhausted(standing: Standing, *, cost: Amount, command: str) -> PolicyRefused:
    """Return the refusal for a plan that does not fit into what is left."""
    balance = Balance.of(standing)
    if standing.filter == "sum":
        needs = f"this plan needs epsilon {cost.epsilon_text()} and delta {cost.delta_text()}"
        left = f"epsilon {balance.left_epsilon:.9g} and delta {balance.left_delta:.9g} are left"
    else:
        needs = f"this plan would raise the epsilon of all plans together by {cost.epsilon_text()} (Renyi filter)"
        left = f"{balance.left_epsilon:.9g} is left"
    return PolicyRefused(
        "budget-exhausted",
        f"population {standing.population!r}: {needs}, but {left} (granted {balance.granted_epsilon:.9g}, "
        f"spent {balance.spent_epsilon:.9g}, reserved {balance.reserved_epsilon:.9g})",
        hint=f"plan for less, or have the rest allowed: {command}",
    )

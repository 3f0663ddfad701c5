"""ledger grant, ledger show."""

from __future__ import annotations

from typing import cast

from reticent.cli.output import Format, emit, say
from reticent.dp import Relation, Unit
from reticent.ledger import Balance, Ledger

__all__ = ["grant", "show"]


def grant(
    populations: list[str],
    epsilon: float,
    delta: float,
    unit: str,
    relation: str,
    reason: str,
    signer: str,
    url: str,
) -> None:
    """Add a grant for each population; a wrong value is refused before anything is written."""
    book = Ledger(url)
    for population in dict.fromkeys(populations):
        book.grant(
            population,
            epsilon=epsilon,
            delta=delta,
            unit=cast("Unit", unit),
            relation=cast("Relation", relation),
            reason=reason,
            signer=signer,
        )
        say(_line(population, book.balance(population)))


def show(populations: list[str], url: str, chosen: Format) -> None:
    """Print balances and entries."""
    book = Ledger(url)
    names = populations or list(book.populations())
    lines, data = [], {}
    for name in names:
        balance, entries = book.balance(name), book.entries(name)
        lines.append(_line(name, balance))
        lines += [
            f"    {entry.time}  {entry.kind:8} {_amount(entry)}  {entry.purpose or entry.reason}" for entry in entries
        ]
        data[name] = {"balance": vars_of(balance), "entries": [vars_of(entry) for entry in entries]}
    emit(chosen, text="\n".join(lines) or "no population has a grant yet", data=data)


def vars_of(value: object) -> dict[str, object]:
    """Return the fields of a frozen value, as JSON can hold them."""
    import dataclasses

    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}  # type: ignore[arg-type]


def _amount(entry: object) -> str:
    epsilon, delta = getattr(entry, "epsilon", None), getattr(entry, "delta", None)
    return "" if epsilon is None else f"epsilon {epsilon:.4f}, delta {delta:g}"


def _line(population: str, balance: Balance) -> str:
    return (
        f"{population}: granted epsilon {balance.granted_epsilon:.4f}, spent {balance.spent_epsilon:.4f}, "
        f"reserved {balance.reserved_epsilon:.4f}, left {balance.left_epsilon:.4f} "
        f"(delta granted {balance.granted_delta:g}, left {balance.left_delta:g})"
    )

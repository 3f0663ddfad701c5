"""ledger grant, ledger show."""

from __future__ import annotations

import dataclasses
import json
from typing import cast

from reticent.cli.output import Format, emit, say
from reticent.dp import Relation, Unit, events
from reticent.ledger import Balance, Entry, Ledger

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
        data[name] = {"balance": _plain(balance), "entries": [_plain(entry) for entry in entries]}
    emit(chosen, text="\n".join(lines) or "no population has a grant yet", data=data)


def _plain(value: Balance | Entry) -> dict[str, object]:
    """Return a balance or an entry as JSON can hold it: amounts as epsilon and delta, events as in the ledger."""
    found = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Entry):
        del found["amount"]
        found |= {"epsilon": value.epsilon, "delta": value.delta}
        found["events"] = [json.loads(events.to_json(event)) for event in value.events]
    return found


def _amount(entry: Entry) -> str:
    """Return what an entry moves: an amount, or for a later commit of a paid plan the number of draws."""
    if entry.kind == "commit":
        draws = sum(events.flatten(entry.events).values())
        return f"{draws} draws of {entry.commit_key}" + (f", epsilon {entry.epsilon:.4f}" if entry.epsilon else "")
    return f"epsilon {entry.epsilon:.4f}, delta {entry.delta:g}"


def _line(population: str, balance: Balance) -> str:
    return (
        f"{population}: granted epsilon {balance.granted_epsilon:.4f}, spent {balance.spent_epsilon:.4f}, "
        f"reserved {balance.reserved_epsilon:.4f}, left {balance.left_epsilon:.4f} "
        f"(delta granted {balance.granted_delta:g}, left {balance.left_delta:g})"
    )

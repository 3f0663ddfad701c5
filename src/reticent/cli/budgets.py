"""ledger grant, disjoint, show, export, restore, verify."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import cast

from reticent.cli.output import Format, emit, say
from reticent.dp import Relation, Unit, events
from reticent.errors import EnvironmentFault
from reticent.ledger import Balance, Entry, Head, Ledger, Total, verify_export

__all__ = ["disjoint", "export", "grant", "restore", "show", "verify"]


def grant(
    populations: list[str],
    epsilon: float,
    delta: float,
    unit: str,
    relation: str,
    reason: str,
    signer: str,
    filter_: str | None,
    url: str,
    chosen: Format,
) -> None:
    """Add a grant for each population; a wrong value is refused before anything is written."""
    book = Ledger(url)
    data = {}
    for population in dict.fromkeys(populations):
        book.grant(
            population,
            epsilon=epsilon,
            delta=delta,
            unit=cast("Unit", unit),
            relation=cast("Relation", relation),
            reason=reason,
            signer=signer,
            filter=cast("None", filter_),
        )
        balance = book.balance(population)
        say(_line(population, balance))
        data[population] = _plain(balance)
    if chosen is Format.json:
        emit(chosen, text="", data=data)


def disjoint(populations: list[str], reason: str, signer: str, url: str) -> None:
    """Record that populations are disjoint, and say what that makes of their budgets."""
    book = Ledger(url)
    book.declare_disjoint(populations, reason=reason, signer=signer)
    say(_total_line(book.total(populations)))


def show(populations: list[str], url: str, chosen: Format) -> None:
    """Print balances and entries; of several populations that are named, also what they are together."""
    book = Ledger(url)
    names = list(dict.fromkeys(populations)) or list(book.populations())
    lines, data = [], {}
    for name in names:
        balance, entries = book.balance(name), book.entries(name)
        lines.append(_line(name, balance))
        lines += [
            f"    {entry.time}  {entry.kind:8} {_amount(entry)}  {entry.purpose or entry.reason}" for entry in entries
        ]
        data[name] = {"balance": _plain(balance), "entries": [_plain(entry) for entry in entries]}
    if len(populations) > 1:
        lines.append(_total_line(book.total(names)))
    emit(chosen, text="\n".join(lines) or "no population has a grant yet", data=data)


def export(path: Path, url: str, chosen: Format) -> None:
    """Write the whole ledger to a file that can be checked without it."""
    head = Ledger(url).export(path)
    text = f"wrote {head.seq} entries to {path}; the last has the hash {head.hash}"
    emit(chosen, text=text, data={"path": str(path), "entries": head.seq, "head": head.to_plain()})


def restore(path: Path, url: str, chosen: Format) -> None:
    """Fill an empty ledger with an export."""
    head = Ledger(url).restore(path)
    text = f"restored {head.seq} entries; the last has the hash {head.hash}"
    emit(chosen, text=text, data={"entries": head.seq, "head": head.to_plain()})


def verify(url: str, exported: Path | None, head_file: Path | None, chosen: Format) -> None:
    """Check a ledger, or an export, and that it still contains a head that was kept; a failure is an error."""
    kept = None if head_file is None else Head.parse(_text(head_file))
    if exported is not None:
        head: Head | None = verify_export(exported, head=kept)
        entries, what = 0 if head is None else head.seq, str(exported)
    else:
        book = Ledger(url)
        entries, head, what = book.verify(head=kept), book.head(), "the ledger"
    text = f"{what} holds {entries} entries, each follows from those before it"
    if kept is not None:
        text += f"; it contains the head {kept.seq} that was given"
    if head is not None:
        text += f"\nhead: {head.seq} {head.hash}"
    emit(chosen, text=text, data={"entries": entries, "head": None if head is None else head.to_plain()})


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise EnvironmentFault(
            "head-unreadable", f"{path} cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error


def _plain(value: Balance | Entry) -> dict[str, object]:
    """Return a balance or an entry as JSON can hold it: amounts as epsilon and delta, events as in the ledger."""
    found = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Entry):
        del found["amount"], found["curve"]
        found |= {"epsilon": value.epsilon, "delta": value.delta}
        found["events"] = [json.loads(events.to_json(event)) for event in value.events]
    return found


def _amount(entry: Entry) -> str:
    """Return what an entry moves: an amount, or for a later commit of a paid plan the number of draws."""
    if entry.kind == "commit":
        draws = sum(events.flatten(entry.events).values())
        return f"{draws} draws of {entry.commit_key}" + (f", epsilon {entry.epsilon:.4f}" if entry.epsilon else "")
    signer = f", signed {entry.signer}" if entry.signer else ""
    return f"epsilon {entry.epsilon:.4f}, delta {entry.delta:g}{signer}"


def _line(population: str, balance: Balance) -> str:
    rule = "" if balance.filter == "sum" else f", Renyi filter: a {balance.left_rho:.3g}-zCDP plan still fits"
    return (
        f"{population}: granted epsilon {balance.granted_epsilon:.4f}, spent {balance.spent_epsilon:.4f}, "
        f"reserved {balance.reserved_epsilon:.4f}, left {balance.left_epsilon:.4f} "
        f"(delta granted {balance.granted_delta:g}, left {balance.left_delta:g}{rule})"
    )


def _total_line(total: Total) -> str:
    groups = " + ".join("max(" + ", ".join(group) + ")" if len(group) > 1 else group[0] for group in total.groups)
    taken = ", ".join(map(str, total.assumptions))
    words = f", on the word of entry {taken}" if taken else ": nobody vouched that any two are disjoint"
    if len(total.groups) == 1 and not taken:
        words = ""
    return (
        f"together: granted epsilon {total.granted_epsilon:.4f}, delta {total.granted_delta:g}, spent or reserved "
        f"{total.held_epsilon:.4f} = {groups}{words}"
    )

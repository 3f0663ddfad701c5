"""The tables: one row for each event, appended and never changed.

Each row carries the amount it moves and the population's totals after it (a bank statement), so that a balance is one
look at the last row, and a wrong row shows when the rows are added up again (`Ledger.verify`). The layout is meant to
last: `seq` has no gaps, so a chain of hashes can be laid beside it; the events are stored as descriptions, so another
filter can price them anew; `filter` names the rule under which the totals are to be read, and only "sum" binds them.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    event,
    text,
)

__all__ = ["SCHEMA_VERSION", "entries", "metadata", "schema"]

SCHEMA_VERSION = 1

metadata = MetaData()

schema = Table("reticent_ledger", metadata, Column("version", Integer, nullable=False))

_TOTALS = ("granted", "reserved", "spent")

entries = Table(
    "reticent_entries",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("time", String(40), nullable=False),
    Column("population", String(100), nullable=False),
    Column("unit", String(16), nullable=False),
    Column("relation", String(32), nullable=False),
    Column("filter", String(16), nullable=False),
    Column("key", Text, nullable=False),
    Column("commit_key", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("plan_hash", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("signer", Text, nullable=False),
    Column("nano_epsilon", BigInteger, nullable=False),
    Column("atto_delta", BigInteger, nullable=False),
    *(
        Column(f"{total}_{step}", BigInteger, nullable=False)
        for total in _TOTALS
        for step in ("nano_epsilon", "atto_delta")
    ),
    CheckConstraint("kind in ('grant', 'reserve', 'commit', 'void')", name="known_kind"),
    CheckConstraint(
        "nano_epsilon >= 0 and atto_delta >= 0 and reserved_nano_epsilon >= 0 and reserved_atto_delta >= 0",
        name="no_negative_amount",
    ),
    # The second line of defence: even a program that forgets to check cannot store an overspent budget.
    CheckConstraint(
        "filter <> 'sum' or (reserved_nano_epsilon + spent_nano_epsilon <= granted_nano_epsilon"
        " and reserved_atto_delta + spent_atto_delta <= granted_atto_delta)",
        name="within_the_grant",
    ),
    Index("reticent_entries_of_population", "population", "seq"),
    Index("reticent_entries_of_key", "key", "kind"),
)

for _kind, _columns in (("reserve", ("key",)), ("commit", ("key", "commit_key")), ("void", ("key",))):
    _where = text(f"kind = '{_kind}'")
    Index(
        f"reticent_one_{_kind}",
        *(entries.c[name] for name in _columns),
        unique=True,
        sqlite_where=_where,
        postgresql_where=_where,
    )

for _change in ("update", "delete"):
    # Against accidents, not against whoever owns the file.
    event.listen(
        entries,
        "after_create",
        DDL(  # type: ignore[no-untyped-call]
            f"create trigger reticent_no_{_change} before {_change} on reticent_entries "
            "begin select raise(abort, 'the ledger is append-only'); end"
        ).execute_if(dialect="sqlite"),
    )

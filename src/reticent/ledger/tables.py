"""The tables: one row for each event, appended and never changed.

Each row carries the amount it moves and the population's totals after it (a bank statement), so that a balance is one
look at the last row that moved something, and a wrong row shows when the rows are added up again (`Ledger.verify`).
Each row also carries the hash of the row before it and its own (`chain`). Amounts are whole numbers; Renyi curves are
texts (`filters`). This is form 2; `migrations` brings older ones here.
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
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    event,
    text,
)

__all__ = ["MIGRATIONS_TABLE", "MOVES", "SCHEMA_VERSION", "entries", "metadata", "migrations", "schema"]

SCHEMA_VERSION = 2
MIGRATIONS_TABLE = "reticent_migrations"

MOVES = text("(nano_epsilon > 0 or atto_delta > 0)")
"""True of the rows after which totals differ; spelled once, so that queries use the index."""

metadata = MetaData()

schema = Table(
    "reticent_ledger",
    metadata,
    Column("version", Integer, nullable=False),
    Column("ledger", String(32), nullable=False),
)

migrations = Table(
    MIGRATIONS_TABLE,
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{MIGRATIONS_TABLE}_pkc"),  # as Alembic makes it
)

_TOTALS = ("granted", "reserved", "spent")
_TEXTS = (
    *("key", "commit_key", "dataset", "purpose", "plan_hash", "events", "reason", "signer", "members"),
    *("curve", "held_curve", "spent_curve"),
)

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
    Column("favoured", Integer, nullable=False),
    *(Column(name, Text, nullable=False) for name in _TEXTS),
    Column("nano_epsilon", BigInteger, nullable=False),
    Column("atto_delta", BigInteger, nullable=False),
    *(
        Column(f"{total}_{step}", BigInteger, nullable=False)
        for total in _TOTALS
        for step in ("nano_epsilon", "atto_delta")
    ),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("signature", String(128), nullable=False),
    CheckConstraint("kind in ('grant', 'reserve', 'commit', 'void', 'disjoint')", name="known_kind"),
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
    # And a program that forgets the lock cannot lay two rows after one.
    Index("reticent_one_successor", "previous", unique=True),
    Index("reticent_entries_of_key", "key", "kind"),
)

Index(
    "reticent_entries_that_move",
    entries.c.population,
    entries.c.seq,
    sqlite_where=MOVES,
    postgresql_where=MOVES,
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


def _after_create(statement: str, dialect: str) -> None:
    # Against accidents, not against whoever owns the database.
    event.listen(entries, "after_create", DDL(statement).execute_if(dialect=dialect))  # type: ignore[no-untyped-call]


for _change in ("update", "delete"):
    _after_create(
        f"create trigger reticent_no_{_change} before {_change} on reticent_entries "
        "begin select raise(abort, 'the ledger is append-only'); end",
        "sqlite",
    )

_after_create(
    "create function reticent_append_only() returns trigger language plpgsql as "
    "$$ begin raise exception 'the ledger is append-only'; end $$",
    "postgresql",
)
_after_create(
    "create trigger reticent_no_change before update or delete or truncate on reticent_entries "
    "for each statement execute function reticent_append_only()",
    "postgresql",
)

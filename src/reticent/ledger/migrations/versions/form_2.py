"""Form 2: an identity, a chain of hashes, filters, signatures, disjoint populations. Every entry of form 1 is kept.

The tables are written out as they are in form 2: what later forms change must not change this step.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from reticent.ledger.chain import genesis, link
from reticent.randomness import secret

revision = "2"
down_revision = "1"

_OLD = "reticent_entries_1"
_ADDED = {
    "favoured": 0,
    "members": "",
    "curve": "",
    "held_curve": "",
    "spent_curve": "",
    "signature": "",
}
_MOVES = "(nano_epsilon > 0 or atto_delta > 0)"


def upgrade() -> None:
    """Copy the entries in order into new tables, each with the hash of the one before it."""
    connection = op.get_bind()
    ledger = secret(16).hex()
    for change in ("update", "delete"):
        op.execute(f"drop trigger if exists reticent_no_{change}")
    for index in ("entries_of_population", "entries_of_key", "one_reserve", "one_commit", "one_void"):
        op.execute(f"drop index if exists reticent_{index}")
    op.rename_table("reticent_entries", _OLD)
    entries = _new_table()
    previous = genesis(ledger)
    for old in connection.execute(sa.text(f"select * from {_OLD} order by seq")).mappings():  # noqa: S608
        values = {**old, **_ADDED, "previous": previous}
        previous = values["hash"] = link(values)
        connection.execute(sa.insert(entries).values(values))
    op.drop_table(_OLD)
    op.drop_table("reticent_ledger")
    form = op.create_table(
        "reticent_ledger",
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("ledger", sa.String(32), nullable=False),
    )
    connection.execute(sa.insert(form).values(version=2, ledger=ledger))


def _new_table() -> sa.Table:
    texts = ("key", "commit_key", "dataset", "purpose", "plan_hash", "events", "reason", "signer", "members")
    totals = [
        f"{total}_{step}" for total in ("granted", "reserved", "spent") for step in ("nano_epsilon", "atto_delta")
    ]
    entries = op.create_table(
        "reticent_entries",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("time", sa.String(40), nullable=False),
        sa.Column("population", sa.String(100), nullable=False),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("relation", sa.String(32), nullable=False),
        sa.Column("filter", sa.String(16), nullable=False),
        sa.Column("favoured", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in (*texts, "curve", "held_curve", "spent_curve")),
        sa.Column("nano_epsilon", sa.BigInteger, nullable=False),
        sa.Column("atto_delta", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in totals),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("signature", sa.String(128), nullable=False),
        sa.CheckConstraint("kind in ('grant', 'reserve', 'commit', 'void', 'disjoint')", name="known_kind"),
        sa.CheckConstraint(
            "nano_epsilon >= 0 and atto_delta >= 0 and reserved_nano_epsilon >= 0 and reserved_atto_delta >= 0",
            name="no_negative_amount",
        ),
        sa.CheckConstraint(
            "filter <> 'sum' or (reserved_nano_epsilon + spent_nano_epsilon <= granted_nano_epsilon"
            " and reserved_atto_delta + spent_atto_delta <= granted_atto_delta)",
            name="within_the_grant",
        ),
    )
    op.create_index("reticent_entries_of_key", "reticent_entries", ["key", "kind"])
    op.create_index("reticent_one_successor", "reticent_entries", ["previous"], unique=True)
    op.create_index(
        "reticent_entries_that_move", "reticent_entries", ["population", "seq"], sqlite_where=sa.text(_MOVES)
    )
    for kind, columns in (("reserve", ["key"]), ("commit", ["key", "commit_key"]), ("void", ["key"])):
        where = sa.text(f"kind = '{kind}'")
        op.create_index(f"reticent_one_{kind}", "reticent_entries", columns, unique=True, sqlite_where=where)
    for change in ("update", "delete"):
        op.execute(
            f"create trigger reticent_no_{change} before {change} on reticent_entries "
            "begin select raise(abort, 'the ledger is append-only'); end"
        )
    return entries

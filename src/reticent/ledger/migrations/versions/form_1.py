"""Form 1: rows with amounts and totals, added up only. Written by version 0.1.0, in SQLite files alone."""

revision = "1"
down_revision = None


def upgrade() -> None:
    """Do nothing: ledgers of form 1 exist, and none is made any more."""

"""Migrations of a ledger's tables from one form to the next (Alembic); `reticent.ledger.form` runs them."""

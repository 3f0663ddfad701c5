"""How Alembic runs here: on a connection that is given, inside the transaction that its owner has begun."""

from alembic import context

from reticent.ledger.tables import MIGRATIONS_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=MIGRATIONS_TABLE,
)
context.run_migrations()

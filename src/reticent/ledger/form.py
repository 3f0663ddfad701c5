"""The form of a ledger's tables: made by the first grant, brought up to date when opened, refused where newer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, insert, inspect, select

from reticent.errors import EnvironmentFault
from reticent.ledger.faults import damaged
from reticent.ledger.tables import MIGRATIONS_TABLE, SCHEMA_VERSION, metadata, migrations, schema
from reticent.randomness import secret

__all__ = ["Form", "create_tables", "form_of", "identity_of", "migrate"]


@dataclass(frozen=True, slots=True)
class Form:
    """What a database holds.

    Attributes:
      version: Of the ledger's form; None where there is no ledger.
      foreign: Whether there are tables of another program.
    """

    version: int | None
    foreign: bool

    @property
    def old(self) -> bool:
        """Whether the form is older than this program's."""
        return self.version is not None and self.version < SCHEMA_VERSION


def form_of(connection: Connection, shown: str) -> Form:
    """Return the form of the tables in a database.

    Raises:
      EnvironmentFault: If they are newer than this program, or their version cannot be read.
    """
    inspector = inspect(connection)
    if not inspector.has_table(schema.name):
        return Form(None, foreign=bool(inspector.get_table_names()))
    versions = connection.scalars(select(schema.c.version)).all()
    if len(versions) != 1 or type(versions[0]) is not int or versions[0] < 1:
        raise damaged(f"{shown} does not say which version of the ledger's form it has")
    if versions[0] > SCHEMA_VERSION:
        raise EnvironmentFault(
            "ledger-version",
            f"{shown} has version {versions[0]} of the ledger's form, this program knows {SCHEMA_VERSION}",
            hint="use the version of reticent that wrote it, or a newer one",
        )
    return Form(versions[0], foreign=False)


def identity_of(connection: Connection, shown: str) -> str:
    """Return the identity of a ledger of the present form."""
    ledger = cast("Any", connection.scalar(select(schema.c.ledger)))
    if not isinstance(ledger, str):
        raise damaged(f"{shown} does not say which ledger it is")
    return ledger


def create_tables(connection: Connection, ledger: str | None = None) -> None:
    """Make the tables of a ledger, a new one or that of a known identity."""
    metadata.create_all(connection, checkfirst=False)
    identity = secret(16).hex() if ledger is None else ledger
    connection.execute(insert(schema).values(version=SCHEMA_VERSION, ledger=identity))
    connection.execute(insert(migrations).values(version_num=str(SCHEMA_VERSION)))


def migrate(connection: Connection) -> None:
    """Bring older tables to the present form, within the transaction of `connection`; every entry is kept."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    if not inspect(connection).has_table(MIGRATIONS_TABLE):
        command.stamp(config, "1")  # form 1 was written before there were migrations
    command.upgrade(config, "head")

"""A ledger in a PostgreSQL database, for programs on several machines that share a budget.

Concurrency. A writer first takes one advisory lock, which the server gives back when the transaction has ended, however
it ended. The isolation is READ COMMITTED, so every statement after the lock sees all that earlier holders committed
(under SERIALIZABLE the snapshot would be as old as the statement that waited for the lock). There is one lock and it is
taken first: no deadlock, nothing to retry. A program that forgets the lock fails on `reticent_one_successor`: two rows
cannot follow the same hash.

Durability. A commit returns when the server has flushed it (`synchronous_commit`, which is switched on where the server
has it off). If the connection is lost during a commit its outcome is unknown: a reservation is found again under its
key, and a commit that nobody was told of is spent and never drawn.
"""

from __future__ import annotations

import hashlib
import importlib.util

from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from reticent.errors import EnvironmentFault, InternalError, ReticentError
from reticent.ledger.address import ServerAddress
from reticent.ledger.faults import damaged
from reticent.ledger.journal import Journal

__all__ = ["PostgresJournal"]

_LOCK = int.from_bytes(hashlib.sha256(b"reticent ledger lock").digest()[:8], "big", signed=True)
_WRITE = f"SELECT pg_advisory_xact_lock({_LOCK})"
_ISOLATION = "READ COMMITTED"
_FLUSH = "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"

_BUSY = ("55P03", "57014", "40001", "40P01")
_NO_SPACE = ("53", "58")
_REFUSED = ("28", "3D", "42501", "25006")
_UNREACHABLE = ("08", "57P")


class PostgresJournal(Journal):
    """A ledger's tables in one schema of a PostgreSQL database.

    Args:
      address: Where it is, and as whom.
      wait: Seconds to wait for a connection, and for another process that is writing.

    Raises:
      EnvironmentFault: If the driver is not installed.
    """

    def __init__(self, address: ServerAddress, *, wait: float) -> None:
        self._address = address
        if importlib.util.find_spec("psycopg") is None:
            raise EnvironmentFault(
                "ledger-driver-missing",
                f"the ledger {address.shown} is a PostgreSQL database, and the package psycopg is not installed here",
                hint="pip install 'reticent[postgres]'",
            )
        import psycopg

        self.driver_error = psycopg.Error
        super().__init__(address.shown, address.url, wait=wait)

    def _make_engine(self) -> Engine:
        place = self._address
        url = URL.create(
            "postgresql+psycopg",
            username=place.user or None,
            password=place.password or None,
            host=place.host or None,
            port=place.port,
            database=place.database or None,
            query=dict(place.options),
        )
        # No pool: no connection survives a fork. Parameters never enter an error's text: they hold purposes and names.
        seconds = max(2, round(self._wait))
        return create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args={"connect_timeout": seconds})

    def _begin_reading(self, connection: Connection) -> None:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))

    def _begin_writing(self, connection: Connection) -> None:
        connection.execute(text(f"SET TRANSACTION ISOLATION LEVEL {_ISOLATION} READ WRITE"))
        connection.execute(text(f"SET LOCAL lock_timeout = {max(1, round(self._wait * 1000))}"))
        connection.execute(text(_FLUSH))
        connection.execute(text(_WRITE))

    def _check_foreign(self, foreign: bool) -> None:  # noqa: FBT001
        """Accept tables of other programs: a database of a server holds many."""

    def _fault(self, error: BaseException | None) -> ReticentError:
        state = getattr(error, "sqlstate", None)
        said = self._said(error)
        if state is None or state.startswith(_UNREACHABLE) or state.startswith(_REFUSED):
            return EnvironmentFault(
                "ledger-unreachable",
                f"the ledger {self.shown} cannot be used: {said}",
                hint="check the server, the address and the rights of its user (docs/ledger.md), then start again: a "
                "reservation that was written is found under its key",
            )
        if state in _BUSY:
            return EnvironmentFault(
                "ledger-busy",
                f"another process has held the ledger {self.shown} for {self._wait:g} seconds",
                hint="end the program that holds it (the view pg_stat_activity names it), then start again; nothing "
                "was written",
            )
        if state.startswith(_NO_SPACE):
            return EnvironmentFault(
                "ledger-disk",
                f"the server of the ledger {self.shown} could not write: {said}",
                hint="let its administrator look, then start again; nothing was released",
            )
        if state.startswith(("XX", "42")):
            return damaged(f"the ledger {self.shown} is damaged, or its tables are not a ledger's: {said}")
        return InternalError(
            "ledger-invariant",
            f"the ledger {self.shown} refused a row that passed its checks: {said}",
            hint="nothing was written; if `Ledger(...).verify()` finds no damage, please report this",
        )

    def _said(self, error: BaseException | None) -> str:
        """Return the first line of what the driver said, which may quote what it was given, without the password."""
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return self._address.without_password(lines[0])[:300]

"""The file of a ledger: transactions that check and append in one step, and what can go wrong with a file.

Durability. `synchronous=EXTRA` syncs the data and, after the roll-back journal is unlinked, the directory: once a
commit has returned, neither `kill -9` nor a power cut takes it back. The journal is the classic one (DELETE) and not a
write-ahead log: between transactions the one file is the whole truth, so a copy of it never lacks the last charges.

Concurrency. `BEGIN IMMEDIATE` takes the write lock *before* the check reads, so no other process can append between a
check and its append. Others wait, up to `wait` seconds. SQLite's locks need a local file system.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, create_engine, insert, inspect, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from reticent.errors import EnvironmentFault, InternalError, ReticentError, UsageError
from reticent.ledger.pages import Pages
from reticent.ledger.tables import SCHEMA_VERSION, metadata, schema

__all__ = ["Journal"]

_PREFIX = "sqlite:///"
_WRITE = "BEGIN IMMEDIATE"
_RESTORE = "restore it from a backup that is not older than the last release; an older one would forget what was spent"


class Journal:
    """A ledger's SQLite file. It is created by the first grant, not by being looked at.

    Args:
      url: `sqlite:///relative.db` or `sqlite:////absolute.db`.
      wait: Seconds to wait for another process that is writing.
    """

    def __init__(self, url: str, *, wait: float) -> None:
        location = url.removeprefix(_PREFIX)
        if not url.startswith(_PREFIX) or not location or location.startswith((":memory:", "file:")) or "?" in location:
            # The URL is not repeated: one of another kind may carry a password.
            raise UsageError(
                "invalid-ledger-url",
                f"the ledger's address (scheme {url.partition(':')[0][:20]!r}) does not name a SQLite file",
                hint="use sqlite:///budget.db for a file here, or sqlite:////srv/budget.db for an absolute path",
            )
        self.url = url
        self.path = Path(location).absolute()
        self._wait = wait
        self._was_there = False
        # No pool: no connection survives a fork, and none keeps a deleted file alive.
        self._engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)

    @contextmanager
    def reading(self) -> Iterator[Pages | None]:
        """Open a consistent view; None where nothing was ever granted."""
        with self._transaction("BEGIN") as connection:
            yield self._pages(connection, create=False)

    @contextmanager
    def writing(self, *, create: bool = False) -> Iterator[Pages | None]:
        """Open the one transaction in which a check and its append belong; durable once the block is left.

        Yields None, where nothing was ever granted and `create` is False.
        """
        if create and not self._was_there and not self.path.exists():
            self._touch()
        with self._transaction(_WRITE) as connection:
            yield self._pages(connection, create=create)
            if connection is not None:
                connection.commit()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection | None]:
        if not self.path.exists() and not self._was_there:
            yield None
            return
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql(begin)
                yield connection
        except DBAPIError as error:
            raise self._fault(error.orig) from error
        except sqlite3.Error as error:
            raise self._fault(error) from error
        except (SQLAlchemyError, UnicodeDecodeError) as error:
            # Texts that are no UTF-8, or two rows where an index allows one: only a damaged file has them.
            raise self._damaged(type(error).__name__) from error

    def _connect(self) -> sqlite3.Connection:
        # mode=rw: a file that was deleted meanwhile must not come back empty, with a fresh budget.
        address = f"file:{quote(str(self.path))}?mode=rw"
        connection = sqlite3.connect(address, uri=True, timeout=self._wait, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=EXTRA")
            connection.execute("PRAGMA fullfsync=ON")
            connection.execute("PRAGMA trusted_schema=OFF")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _touch(self) -> None:
        try:
            self.path.touch(mode=0o600)
        except OSError as error:
            raise EnvironmentFault(
                "ledger-unreachable",
                f"the ledger {self.path} cannot be created: {error.strerror}",
                hint="name a file in a directory that exists and that you may write to",
            ) from error

    def _pages(self, connection: Connection | None, *, create: bool) -> Pages | None:
        if connection is None:
            return None
        inspector = inspect(connection)
        if inspector.has_table(schema.name):
            self._check_version(connection)
        elif inspector.get_table_names():
            raise EnvironmentFault(
                "not-a-ledger",
                f"{self.path} is a database of another program",
                hint="name the ledger's own file, or one that does not exist yet",
            )
        elif self._was_there:
            raise self.vanished()
        elif create:
            metadata.create_all(connection, checkfirst=False)
            connection.execute(insert(schema).values(version=SCHEMA_VERSION))
        else:
            return None
        self._was_there = True
        return Pages(connection)

    def _check_version(self, connection: Connection) -> None:
        version = connection.scalar(select(schema.c.version))
        if version != SCHEMA_VERSION:
            raise EnvironmentFault(
                "ledger-version",
                f"{self.path} has version {version} of the ledger's form, this program knows {SCHEMA_VERSION}",
                hint="use the version of reticent that wrote it, or a newer one",
            )

    def vanished(self) -> EnvironmentFault:
        """Return the fault of a ledger that this process has seen and that is gone."""
        return EnvironmentFault(
            "ledger-vanished",
            f"the ledger {self.path} was there and is gone or empty now",
            hint=_RESTORE,
        )

    def _damaged(self, problem: str) -> EnvironmentFault:
        return EnvironmentFault("ledger-damaged", f"{self.path} is damaged or no SQLite file: {problem}", hint=_RESTORE)

    def _fault(self, error: BaseException | None) -> ReticentError:
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return EnvironmentFault(
                    "ledger-busy",
                    f"another process has held the ledger {self.path} for {self._wait:g} seconds",
                    hint="end the program that holds it (`fuser` names it), then start again; nothing was written",
                )
            case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
                return EnvironmentFault(
                    "ledger-disk",
                    f"the ledger {self.path} could not be written: {error}",
                    hint="free some space or check the disk, then start again; nothing was released",
                )
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_ERROR | sqlite3.SQLITE_FORMAT:
                return self._damaged(str(error))
            case sqlite3.SQLITE_CANTOPEN if self._was_there and not self.path.exists():
                return self.vanished()
            case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
                return EnvironmentFault(
                    "ledger-unreachable",
                    f"the ledger {self.path} cannot be opened for writing: {error}",
                    hint="name a file in a directory that exists and that you may write to",
                )
        return InternalError(
            "ledger-invariant",
            f"the ledger {self.path} refused a row that passed its checks: {error}",
            hint="nothing was written; if `Ledger(...).verify()` finds no damage, please report this",
        )

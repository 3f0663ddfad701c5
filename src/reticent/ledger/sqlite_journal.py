"""A ledger in a SQLite file.

Durability. `synchronous=EXTRA` syncs the data and, after the roll-back journal is unlinked, the directory: once a
commit has returned, neither `kill -9` nor a power cut takes it back. The journal is the classic one (DELETE) and not a
write-ahead log: between transactions the one file is the whole truth, so a copy of it never lacks the last charges.

Concurrency. `BEGIN IMMEDIATE` takes the write lock *before* the check reads, so no other process can append between a
check and its append. Others wait, up to `wait` seconds. SQLite's locks need a local file system.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from reticent.errors import EnvironmentFault, InternalError, ReticentError
from reticent.ledger.address import FileAddress
from reticent.ledger.faults import damaged
from reticent.ledger.journal import Journal

__all__ = ["SqliteJournal"]

_READ = "BEGIN"
_WRITE = "BEGIN IMMEDIATE"


class SqliteJournal(Journal):
    """A ledger's SQLite file.

    Args:
      address: Where it is.
      wait: Seconds to wait for another process that is writing.
    """

    driver_error = sqlite3.Error

    def __init__(self, address: FileAddress, *, wait: float) -> None:
        self.path: Path = address.path
        super().__init__(address.shown, address.url, wait=wait)

    def _make_engine(self) -> Engine:
        # No pool: no connection survives a fork, and none keeps a deleted file alive.
        return create_engine("sqlite://", creator=self._connect, poolclass=NullPool)

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

    def _is_absent(self) -> bool:
        return self._seen is None and not self.path.exists()

    def _make_room(self) -> None:
        if self.path.exists():
            return
        try:
            self.path.touch(mode=0o600)
        except OSError as error:
            raise EnvironmentFault(
                "ledger-unreachable",
                f"the ledger {self.path} cannot be created: {error.strerror}",
                hint="name a file in a directory that exists and that you may write to",
            ) from error

    def _begin_reading(self, connection: Connection) -> None:
        connection.exec_driver_sql(_READ)

    def _begin_writing(self, connection: Connection) -> None:
        connection.exec_driver_sql(_WRITE)

    def check_storage(self) -> None:
        """Let SQLite check every page and every index of the file.

        Raises:
          EnvironmentFault: If one is damaged: an index that lacks an entry would hide it from a balance.
        """
        with self._transaction() as connection:
            if connection is not None:
                found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
                if found != "ok":
                    raise damaged(f"{self.path} is damaged: {str(found).splitlines()[-1][:200]}")

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
                return damaged(f"{self.path} is damaged or no SQLite file: {error}")
            case sqlite3.SQLITE_CANTOPEN if self._seen is not None and not self.path.exists():
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

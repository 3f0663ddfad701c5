"""Transactions that check and append in one step: what the two databases have in common.

A journal remembers the last head that it saw, and finds it again at the beginning of each transaction: a database that
was rolled back, exchanged or emptied while this program runs is refused at once. Against roll-backs between programs
stands a head that was exported (`Ledger.head`, `Ledger.verify`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from reticent.errors import EnvironmentFault, ReticentError
from reticent.ledger import faults
from reticent.ledger.address import FileAddress, ServerAddress, parse_address
from reticent.ledger.chain import Head
from reticent.ledger.form import create_tables, form_of, identity_of, migrate
from reticent.ledger.pages import Pages

__all__ = ["Journal", "open_journal"]


class Journal(ABC):
    """The database of a ledger. Its tables are made by the first grant, not by being looked at.

    Args:
      shown: How messages name the database.
      url: Its address, without a password.
      wait: Seconds to wait for another process that is writing.
    """

    driver_error: type[Exception]
    """What the driver raises when it is not SQLAlchemy that called it."""

    def __init__(self, shown: str, url: str, *, wait: float) -> None:
        self.shown = shown
        self.url = url
        self._wait = wait
        self._seen: Head | None = None
        self._engine = self._make_engine()

    @contextmanager
    def reading(self) -> Iterator[Pages | None]:
        """Open a consistent view; None where nothing was ever granted."""
        seen = self._seen
        with self._transaction() as connection:
            pages = None
            if connection is not None:
                if seen is None:
                    self._bring_up_to_date(connection)
                self._begin_reading(connection)
                pages = self._pages(connection, seen, create=False)
            try:
                yield pages
            finally:
                if pages is not None:
                    pages.close()

    @contextmanager
    def writing(self, *, create: bool = False, ledger: str | None = None) -> Iterator[Pages | None]:
        """Open the one transaction in which a check and its append belong; durable once the block is left.

        Yields None, where nothing was ever granted and `create` is False.

        Args:
          create: Make the ledger if there is none.
          ledger: The identity that a new one takes, if it is the copy of another.
        """
        seen = self._seen
        if create and seen is None:
            self._make_room()
        with self._transaction() as connection:
            pages = None
            if connection is not None:
                if seen is None:
                    self._bring_up_to_date(connection)
                self._begin_writing(connection)
                pages = self._pages(connection, seen, create=create, ledger=ledger)
            try:
                yield pages
            finally:
                if pages is not None:
                    pages.close()
            if connection is not None:
                # Read before the commit: an error after it would deny what is durable.
                head = pages.head() if pages is not None else None
                connection.commit()
                self._remember(head)

    @contextmanager
    def _transaction(self) -> Iterator[Connection | None]:
        if self._is_absent():
            yield None
            return
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise self._fault(error.orig) from error.orig
        except self.driver_error as error:
            raise self._fault(error) from error
        except (SQLAlchemyError, UnicodeDecodeError) as error:
            # Texts that are no UTF-8, or two rows where an index allows one: only a damaged file has them.
            raise faults.damaged(f"{self.shown} is damaged: {type(error).__name__}") from error

    def _bring_up_to_date(self, connection: Connection) -> None:
        """Migrate an older form, in a transaction of its own."""
        self._begin_reading(connection)
        old = form_of(connection, self.shown).old
        connection.rollback()
        if not old:
            return
        self._begin_writing(connection)
        if form_of(connection, self.shown).old:  # another process may have done it meanwhile
            migrate(connection)
        connection.commit()

    def _pages(
        self, connection: Connection, seen: Head | None, *, create: bool, ledger: str | None = None
    ) -> Pages | None:
        form = form_of(connection, self.shown)
        if form.version is None:
            if seen is not None:
                raise faults.vanished(self.shown)
            self._check_foreign(form.foreign)
            if not create:
                return None
            create_tables(connection, ledger)
            return Pages(connection, identity_of(connection, self.shown))  # not to be remembered before the commit
        pages = Pages(connection, identity_of(connection, self.shown))
        if seen is not None and not pages.contains(seen):
            raise faults.rolled_back(self.shown, f"does not hold entry {seen.seq} any more, which it held before")
        self._remember(pages.head())
        return pages

    def _remember(self, head: Head | None) -> None:
        if head is not None and (self._seen is None or head.seq >= self._seen.seq):
            self._seen = head

    def _check_foreign(self, foreign: bool) -> None:  # noqa: FBT001
        if foreign:
            raise EnvironmentFault(
                "not-a-ledger",
                f"{self.shown} is a database of another program",
                hint="name the ledger's own file, or one that does not exist yet",
            )

    def vanished(self) -> EnvironmentFault:
        """Return the fault of a ledger that this process has seen and that is gone."""
        return faults.vanished(self.shown)

    def check_storage(self) -> None:  # noqa: B027
        """Let the database check what it can check of itself; `Ledger.verify` begins with it."""

    def _make_room(self) -> None:  # noqa: B027
        """Make what must exist before a database can be opened."""

    def _is_absent(self) -> bool:
        """Return whether there is nothing to open, and never was."""
        return False

    @abstractmethod
    def _make_engine(self) -> Engine: ...

    @abstractmethod
    def _begin_reading(self, connection: Connection) -> None:
        """Begin a transaction that sees one state throughout."""

    @abstractmethod
    def _begin_writing(self, connection: Connection) -> None:
        """Begin a transaction that sees the last state, and keeps every other writer out until it ends."""

    @abstractmethod
    def _fault(self, error: BaseException | None) -> ReticentError:
        """Return what an error of the driver means."""


def open_journal(url: str, *, wait: float) -> Journal:
    """Return the journal of the ledger at `url`; nothing is opened yet.

    Raises:
      UsageError: If `url` names no ledger.
      EnvironmentFault: If the driver of its database is not installed.
    """
    address = parse_address(url)
    if isinstance(address, FileAddress):
        from reticent.ledger.sqlite_journal import SqliteJournal

        return SqliteJournal(address, wait=wait)
    assert isinstance(address, ServerAddress)  # noqa: S101 - for the type checker
    from reticent.ledger.postgres_journal import PostgresJournal

    return PostgresJournal(address, wait=wait)

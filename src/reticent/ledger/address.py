"""Where a ledger is: a SQLite file, or a PostgreSQL database. A password in an address is used and never repeated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from reticent.errors import UsageError

__all__ = ["FileAddress", "ServerAddress", "parse_address"]

_SQLITE = "sqlite:///"
_SERVER_SCHEMES = ("postgresql", "postgresql+psycopg")
_SERVER_OPTIONS = (
    *("host", "port", "application_name", "target_session_attrs", "passfile"),
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "channel_binding", "gssencmode"),
)
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class FileAddress:
    """A SQLite file.

    Attributes:
      url: As it was written.
      path: Absolute.
    """

    url: str
    path: Path

    @property
    def shown(self) -> str:
        """How messages name it."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A database of a PostgreSQL server.

    Attributes:
      url: Without its password, as messages and commands show it.
      user: May be empty: the driver then asks its environment.
      password: May be empty: the driver then asks `PGPASSWORD` and `~/.pgpass`.
      host: A name, or empty for a socket of this machine.
      port: None for the driver's own choice.
      database: May be empty.
      options: Further options of the driver, such as `sslmode`.
    """

    url: str
    user: str
    password: str
    host: str
    port: int | None
    database: str
    options: tuple[tuple[str, str], ...]

    @property
    def shown(self) -> str:
        """How messages name it."""
        return self.url

    def __repr__(self) -> str:
        return f"ServerAddress({self.url!r})"

    def without_password(self, text: str) -> str:
        """Return `text` with every occurrence of the password covered."""
        for secret in {self.password, quote(self.password, safe="")} - {""}:
            text = text.replace(secret, "***")
        return text


def parse_address(url: str) -> FileAddress | ServerAddress:
    """Return what `url` names.

    Args:
      url: `sqlite:///relative.db`, `sqlite:////absolute.db`, or `postgresql://user@host:port/database?sslmode=...`
        (`postgresql+psycopg://` is the same).

    Raises:
      UsageError: If it names neither. The text is not repeated: it may carry a password.
    """
    scheme = url.partition(":")[0] if isinstance(url, str) else type(url).__name__
    if isinstance(url, str) and url.startswith(_SQLITE):
        location = url.removeprefix(_SQLITE)
        if location and not location.startswith((":memory:", "file:")) and "?" not in location and "\0" not in location:
            return FileAddress(url, Path(location).absolute())
    elif scheme in _SERVER_SCHEMES and url.startswith(f"{scheme}://") and url.isprintable():
        return _server(url)
    raise _invalid(f"the ledger's address (scheme {scheme[:20]!r}) names neither a SQLite file nor a PostgreSQL server")


def _server(url: str) -> ServerAddress:
    try:
        parts = urlsplit(url)
        port = parts.port
        options = tuple(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        host = parts.hostname or ""
    except ValueError:
        # `from None`: the text of the first error quotes the address.
        raise _invalid("the ledger's address is no well-formed PostgreSQL address") from None
    unknown = [name[:30] for name, _ in options if name not in _SERVER_OPTIONS]
    if unknown:
        raise _invalid(f"the ledger's address has the option {unknown[0]!r}, which a ledger does not take")
    user, database = unquote(parts.username or ""), unquote(parts.path.removeprefix("/"))
    if parts.fragment or any(len(text) > _LONGEST_NAME or "\0" in text for text in (user, host, database)):
        raise _invalid("the ledger's address is no well-formed PostgreSQL address")
    at = f"{quote(user, safe='')}@" if user else ""
    place = f"[{host}]" if ":" in host else host
    place += f":{port}" if port is not None else ""
    shown = f"postgresql://{at}{place}/{quote(database, safe='')}" + (f"?{urlencode(options)}" if options else "")
    return ServerAddress(shown, user, unquote(parts.password or ""), host, port, database, options)


def _invalid(message: str) -> UsageError:
    return UsageError(
        "invalid-ledger-url",
        message,
        hint="use sqlite:///budget.db for a file here, sqlite:////srv/budget.db for an absolute path, or "
        "postgresql://user@host/database; passwords belong in ~/.pgpass",
    )

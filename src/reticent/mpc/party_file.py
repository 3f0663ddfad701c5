"""The party file: who computes together, where, under which settings; the same for all but `me` and `key`.

session = "trial-7"             a name for this computation, the same at all parties
protocol = "replicated"         or "additive", with a dealer
me = "north"                    who starts this process
key = "north.key"               its identity; relative to this file
deadline = 30                   seconds

[settings]
fraction_bits = 16

[parties.north]                 in the order that numbers them, the same at all parties
address = "10.0.0.1:7001"
public_key = "9f86..."

[dealer]                        of protocol "additive" only; nobody dials it
name = "dealer"
public_key = "60a1..."
"""

from __future__ import annotations

import socket
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from reticent.errors import EnvironmentFault, ReticentError, UsageError
from reticent.identity import Roster, SigningKey
from reticent.randomness import secret

__all__ = ["PartyFile", "party_files", "read_party_file"]

_Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\w.-]+$")]
_PublicKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PartyEntry(_Model):
    """A computing party.

    Attributes:
      address: "host:port" (an IPv6 host in brackets), where the others dial it.
      public_key: Of its identity, 64 hexadecimal digits.
    """

    address: str
    public_key: _PublicKey

    @field_validator("address")
    @classmethod
    def _host_and_port(cls, address: str) -> str:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError('write "host:port", such as "10.0.0.1:7001"')
        return address

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


class DealerEntry(_Model):
    """Who deals triples: a participant that computes nothing and colludes with no party.

    Attributes:
      name: Its name.
      public_key: Of its identity, 64 hexadecimal digits.
    """

    name: _Name
    public_key: _PublicKey


class Settings(_Model):
    """What all parties must agree on.

    Attributes:
      fraction_bits: Bits after the point.
      truncation: "exact", or "probabilistic" in fewer rounds.
    """

    fraction_bits: Annotated[int, Field(ge=1, le=30)] = 16
    truncation: Literal["exact", "probabilistic"] = "exact"


class PartyFile(_Model):
    """What one participant's process is started with; see the head of this module."""

    session: Annotated[str, Field(min_length=1, max_length=200)]
    protocol: Literal["replicated", "additive"]
    me: _Name
    key: Annotated[str, Field(min_length=1)]
    deadline: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = 30.0
    settings: Settings = Settings()
    parties: dict[_Name, PartyEntry]
    dealer: DealerEntry | None = None

    @property
    def public_keys(self) -> dict[str, bytes]:
        """Public key of each participant, by name, in the order that numbers them; a dealer is the last."""
        entries: dict[str, PartyEntry | DealerEntry] = {**self.parties}
        if self.dealer:
            entries[self.dealer.name] = self.dealer
        return {name: bytes.fromhex(entry.public_key) for name, entry in entries.items()}

    @property
    def is_dealer(self) -> bool:
        """Whether this file starts the dealer."""
        return self.dealer is not None and self.me == self.dealer.name


def read_party_file(path: str | Path) -> PartyFile:
    """Return the party file at `path`, with the path of the key made absolute.

    Raises:
      EnvironmentFault: If the file cannot be read.
      UsageError: If it is no TOML, or holds unknown, missing or wrong values; the error says in which key.
      IdentityError: If a public key is not safe, or two participants share one.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8"))
        file = PartyFile.model_validate(table)
    except OSError as error:
        raise EnvironmentFault(
            "party-file-unreadable", f"party file {path}: {error.strerror}", hint="give the path of a readable file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _invalid(path, "", str(error)) from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise _invalid(path, ".".join(map(str, first["loc"])), first["msg"]) from None
    _check(file, path)
    return file.model_copy(update={"key": str(path.resolve().parent / file.key)})


def _check(file: PartyFile, path: Path) -> None:
    """Refuse what no single key is to blame for."""
    if file.dealer and file.dealer.name in file.parties:
        raise _invalid(path, "dealer.name", f"{file.dealer.name!r} computes; whoever deals must not see shares")
    if file.protocol == "additive" and (not file.dealer or len(file.parties) < 2):
        raise _invalid(path, "dealer", "protocol additive needs two parties or more, and a dealer who is none of them")
    if file.protocol == "replicated" and (file.dealer or len(file.parties) != 3):
        raise _invalid(path, "parties", "protocol replicated needs three parties, and no dealer")
    if file.me not in file.public_keys:
        raise _invalid(path, "me", f"{file.me!r} is none of {', '.join(file.public_keys)}")
    try:
        Roster(file.public_keys)
    except ReticentError as error:
        raise type(error)(error.code, f"{path}: parties: {error.message}", hint=error.hint) from None


def _invalid(path: Path, key: str, what: str) -> UsageError:
    return UsageError(
        "party-file-invalid",
        f"{path}: {key + ': ' if key else ''}{what}",
        hint="compare the file with the example in `reticent.mpc.party_file`; all parties need the same but me and key",
    )


def party_files(
    folder: str | Path,
    names: Sequence[str],
    *,
    protocol: Literal["replicated", "additive"] = "replicated",
    dealer: str | None = None,
    deadline: float = 30.0,
    fraction_bits: int = 16,
) -> dict[str, Path]:
    """Write keys and party files for processes on this machine, and return the files by name.

    Between organisations each makes its own key, and only public keys are exchanged; this is for trying out.

    Args:
      folder: Where to write; exists.
      names: The computing parties, in order.
      protocol: "replicated" or "additive".
      dealer: Name of the dealer; "dealer" if None and the protocol needs one.
      deadline: Seconds.
      fraction_bits: Bits after the point.

    Raises:
      UsageError: If names and protocol do not fit.
      EnvironmentFault: If keys of these names exist in `folder`.
    """
    folder = Path(folder)
    dealers = [dealer or "dealer"] if protocol == "additive" else []
    keys = {name: SigningKey.generate() for name in (*names, *dealers)}
    # All at once, so that no two are the same.
    with_ports = dict(zip(names, _free_ports(len(names)), strict=True))
    parts = [f"[settings]\nfraction_bits = {fraction_bits}\n"]
    for name, port in with_ports.items():
        entry = f'address = "127.0.0.1:{port}"\npublic_key = "{keys[name].public.hex()}"\n'
        parts.append(f'[parties."{name}"]\n{entry}')
    parts += [f'[dealer]\nname = "{name}"\npublic_key = "{keys[name].public.hex()}"\n' for name in dealers]
    session, files = f"local-{secret(8).hex()}", {}
    for name, key in keys.items():
        head = f'session = "{session}"\nprotocol = "{protocol}"\nme = "{name}"\nkey = "{name}.key"\ndeadline = {deadline}\n'
        key.save(folder / f"{name}.key")
        files[name] = folder / f"{name}.toml"
        files[name].write_text("\n".join([head, *parts]), encoding="utf-8")
    for path in files.values():
        read_party_file(path)
    return files


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()

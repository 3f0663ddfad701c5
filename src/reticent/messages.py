"""What travels: typed records of arrays and scalars in one safe binary form.

A frozen dataclass marked with `record` becomes a message kind. Its bytes are

    magic "RTCM" | format u8 | total length u64 | kind | version u16 | number of fields u8 | fields by sorted name

where a text is its length and UTF-8, and a value is a tag and its content, all little-endian. The form is canonical:
one value has one encoding, so whatever `decode` accepts, `encode` turns back into the same bytes, and a hash of the
bytes is a hash of the value.

Threat: every byte may come from an enemy. No object is ever named by the data, no type is nested in itself, nothing is
allocated before the bytes that fill it have been seen to be there, and a message that is not exactly what was expected
(kind, version, field names, types, lengths, order) is refused as a whole.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import struct
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol, TypeVar

import numpy as np

from reticent.errors import IdentityError, InternalError, ReticentError

__all__ = ["decode", "encode", "record"]

T = TypeVar("T")

_MAGIC = b"RTCM"
_FORMAT = 1
_MAX_DIMENSIONS = 8
_DTYPES = ("<f4", "<f8", "<i8", "|u1", "<u4", "<u8")
_NONE, _INT, _FLOAT, _BOOL, _STR, _BYTES, _ARRAY, _TUPLE, _MAPPING = range(9)


class _MalformedError(ValueError):
    """The bytes are not what they should be; becomes an IdentityError in `decode`."""


class _Reader:
    """A position in the bytes; never reads past the end."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, n: int) -> memoryview:
        if n > self.left:
            raise _MalformedError(f"ends {n - self.left} bytes too early")
        self._at += n
        return self._data[self._at - n : self._at]

    def peek(self) -> int:
        return self._data[self._at] if self.left else _NONE

    def number(self, form: str) -> Any:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def text(self, form: str) -> str:
        return bytes(self.take(self.number(form))).decode("utf-8")

    def tag(self, wanted: int) -> None:
        if (found := self.number("B")) != wanted:
            raise _MalformedError(f"tag {found} where {wanted} belongs")


class _Codec(Protocol):
    """How one type is written and read."""

    def write(self, value: Any, out: list[bytes]) -> None: ...

    def read(self, reader: _Reader) -> Any: ...


def _number(tag: int, form: str, convert: Callable[[Any], Any]) -> _Codec:
    class Number:
        def write(self, value: Any, out: list[bytes]) -> None:
            if isinstance(value, bool | np.bool_) != (tag == _BOOL):
                raise TypeError("a truth value and a number are different things")
            out.append(struct.pack("<B" + form, tag, convert(value)))

        def read(self, reader: _Reader) -> Any:
            reader.tag(tag)
            if tag == _BOOL and reader.peek() > 1:
                raise _MalformedError("a truth value that is neither 0 nor 1")
            return reader.number(form)

    return Number()


class _Text:
    def write(self, value: Any, out: list[bytes]) -> None:
        if not isinstance(value, str):
            raise TypeError("not a str")
        raw = value.encode("utf-8")
        out.append(struct.pack("<BI", _STR, len(raw)) + raw)

    def read(self, reader: _Reader) -> str:
        reader.tag(_STR)
        return reader.text("I")


class _Bytes:
    def write(self, value: Any, out: list[bytes]) -> None:
        if not isinstance(value, bytes):
            raise TypeError("not bytes")
        out += (struct.pack("<BQ", _BYTES, len(value)), value)

    def read(self, reader: _Reader) -> bytes:
        reader.tag(_BYTES)
        return bytes(reader.take(reader.number("Q")))


@dataclasses.dataclass(frozen=True)
class _Array:
    dtype: str | None  # None: any of _DTYPES

    def write(self, value: Any, out: list[bytes]) -> None:
        if not isinstance(value, np.ndarray):
            raise TypeError("not a numpy array")
        code = value.dtype.newbyteorder("<").str
        if code not in _DTYPES or self.dtype not in (None, code) or value.ndim > _MAX_DIMENSIONS:
            raise TypeError(f"an array of {value.dtype} with {value.ndim} dimensions")
        out.append(struct.pack(f"<BBB{value.ndim}Q", _ARRAY, _DTYPES.index(code), value.ndim, *value.shape))
        out.append(value.astype(code, copy=False).tobytes(order="C"))

    def read(self, reader: _Reader) -> Any:
        reader.tag(_ARRAY)
        index, dimensions = reader.number("B"), reader.number("B")
        if index >= len(_DTYPES) or self.dtype not in (None, _DTYPES[index]) or dimensions > _MAX_DIMENSIONS:
            raise _MalformedError("an array of another type or shape")
        shape = struct.unpack(f"<{dimensions}Q", reader.take(8 * dimensions))
        dtype = np.dtype(_DTYPES[index])
        # Numpy checks the product of the non-zero dimensions too, so (0, 2**62) must be refused here.
        if math.prod(max(n, 1) for n in shape) * dtype.itemsize > max(reader.left, 1 << 32):
            raise _MalformedError("an array larger than its message")
        raw = reader.take(math.prod(shape) * dtype.itemsize)
        return np.frombuffer(raw, dtype=dtype).reshape(shape).copy()  # own memory: aligned, writable


@dataclasses.dataclass(frozen=True)
class _Optional:
    inner: _Codec

    def write(self, value: Any, out: list[bytes]) -> None:
        if value is None:
            out.append(bytes([_NONE]))
        else:
            self.inner.write(value, out)

    def read(self, reader: _Reader) -> Any:
        if reader.peek() == _NONE:
            return reader.tag(_NONE)
        return self.inner.read(reader)


@dataclasses.dataclass(frozen=True)
class _Tuple:
    inner: _Codec

    def write(self, value: Any, out: list[bytes]) -> None:
        if not isinstance(value, tuple):
            raise TypeError("not a tuple")
        out.append(struct.pack("<BI", _TUPLE, len(value)))
        for element in value:
            self.inner.write(element, out)

    def read(self, reader: _Reader) -> tuple[Any, ...]:
        reader.tag(_TUPLE)
        return tuple(self.inner.read(reader) for _ in range(reader.number("I")))


@dataclasses.dataclass(frozen=True)
class _Mapping:
    inner: _Codec

    def write(self, value: Any, out: list[bytes]) -> None:
        if not isinstance(value, Mapping):
            raise TypeError("not a mapping")
        out.append(struct.pack("<BI", _MAPPING, len(value)))
        for key in sorted(value):
            _Text().write(key, out)
            self.inner.write(value[key], out)

    def read(self, reader: _Reader) -> dict[str, Any]:
        reader.tag(_MAPPING)
        found: dict[str, Any] = {}
        last: str | None = None
        for _ in range(reader.number("I")):
            key = _Text().read(reader)
            if last is not None and key <= last:
                raise _MalformedError("keys of a mapping that are not in order, or twice the same")
            found[key] = self.inner.read(reader)
            last = key
        return found


_SCALARS: dict[Any, _Codec] = {
    int: _number(_INT, "q", operator.index),
    float: _number(_FLOAT, "d", float),
    bool: _number(_BOOL, "?", bool),
    str: _Text(),
    bytes: _Bytes(),
}


def _codec(annotation: Any) -> _Codec:
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is np.ndarray:
        return _Array(None)
    if origin is np.ndarray:
        kind = (*typing.get_args(arguments[1]), Any)[0]
        return _Array(None if kind is Any else np.dtype(kind).newbyteorder("<").str)
    if origin in (typing.Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
        return _Optional(_codec(next(part for part in arguments if part is not type(None))))
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis and arguments[0] in _SCALARS:
        return _Tuple(_SCALARS[arguments[0]])
    if origin in (dict, Mapping) and arguments[0] is str:
        inner = _codec(arguments[1])
        if isinstance(inner, _Array) or inner in _SCALARS.values():
            return _Mapping(inner)
    raise InternalError(
        "unencodable", f"messages cannot hold a field of type {annotation}", hint="use the types that record() lists"
    )


@dataclasses.dataclass(frozen=True)
class _Layout:
    kind: str
    version: int
    fields: tuple[tuple[str, _Codec], ...]


_LAYOUTS: dict[type, _Layout] = {}


def record(kind: str, *, version: int) -> Callable[[type[T]], type[T]]:
    """Return a class decorator that makes a frozen dataclass a kind of message.

    Fields may be int (64 bits, signed), float, bool, str, bytes, numpy arrays (`NDArray[np.float32]`, float64, int64,
    uint8, uint32, uint64), `tuple[X, ...]` of a scalar, `Mapping[str, X]` of a scalar or an array, and `X | None`.

    Args:
      kind: Stable name, such as "secagg.keys".
      version: Number of this form of the record; any change of the fields needs a new one.

    Raises:
      InternalError: If a field has another type, or the class is not a frozen dataclass.
    """

    def mark(cls: type[T]) -> type[T]:
        if not getattr(getattr(cls, "__dataclass_params__", None), "frozen", False):
            raise InternalError("unencodable", f"{cls.__name__} is not a frozen dataclass", hint="freeze it")
        hints = typing.get_type_hints(cls)
        names = sorted(field.name for field in dataclasses.fields(cls))  # type: ignore[arg-type]
        _LAYOUTS[cls] = _Layout(kind, version, tuple((name, _codec(hints[name])) for name in names))
        return cls

    return mark


def encode(value: object) -> bytes:
    """Return the one binary form of a record.

    A type that must never travel, such as a secret key, has a method `refuse_encoding`, which raises.

    Raises:
      InternalError: If a field holds something that its type does not allow; the error names the field only.
    """
    if (refuse := getattr(type(value), "refuse_encoding", None)) is not None:
        refuse(value)
    layout = _layout(type(value))
    kind = layout.kind.encode("utf-8")
    out = [struct.pack("<B", len(kind)), kind, struct.pack("<HB", layout.version, len(layout.fields))]
    for name, codec in layout.fields:
        raw = name.encode("utf-8")
        out += (struct.pack("<B", len(raw)), raw)
        content = getattr(value, name)
        try:
            codec.write(content, out)
        except (TypeError, ValueError, struct.error) as error:
            raise InternalError(
                "unencodable",
                f"field {name} of {layout.kind} holds a {type(content).__name__} that does not fit its type",
                hint="give the field the type that its record declares",
            ) from error
    total = len(_MAGIC) + 9 + sum(map(len, out))
    return b"".join((_MAGIC, struct.pack("<BQ", _FORMAT, total), *out))


def decode(data: bytes, kind: type[T], *, limit: int) -> T:
    """Return the record of class `kind` that `data` holds.

    Args:
      data: Bytes from anywhere.
      kind: The class expected; the data have no say in it.
      limit: Most bytes that a message of this kind may have here.

    Raises:
      IdentityError: If the bytes are anything but the canonical form of such a record.
    """
    layout = _layout(kind)
    if len(data) > limit:
        _refuse(layout.kind, f"{len(data)} bytes, over the limit of {limit}")
    try:
        values = _fields(_Reader(data), layout)
        return kind(**values)
    except (_MalformedError, UnicodeDecodeError, TypeError, ValueError, OverflowError, ReticentError) as error:
        # Only our own words are shown: other errors could quote the content.
        _refuse(layout.kind, str(error) if isinstance(error, _MalformedError) else "a value that is not allowed")


def _fields(reader: _Reader, layout: _Layout) -> dict[str, Any]:
    size = reader.left
    if bytes(reader.take(4)) != _MAGIC or reader.number("B") != _FORMAT or reader.number("Q") != size:
        raise _MalformedError("not a message, of another format, or not as long as it says")
    found = (reader.text("B"), reader.number("H"), reader.number("B"))
    if found != (layout.kind, layout.version, len(layout.fields)):
        raise _MalformedError(f"another kind, version or number of fields than version {layout.version}")
    values: dict[str, Any] = {}
    for name, codec in layout.fields:
        if reader.text("B") != name:
            raise _MalformedError(f"another field where {name} belongs")
        values[name] = codec.read(reader)
    if reader.left:
        raise _MalformedError(f"{reader.left} bytes too many")
    return values


def _layout(kind: type) -> _Layout:
    if kind not in _LAYOUTS:
        raise InternalError("unencodable", f"{kind.__name__} is not a record", hint="mark it with @record")
    return _LAYOUTS[kind]


def _refuse(kind: str, why: str) -> NoReturn:
    raise IdentityError(
        "malformed-message",
        f"a message that should be {kind!r} is malformed: {why}",
        hint="check that both sides run the same version of reticent; otherwise treat the sender as hostile",
    ) from None

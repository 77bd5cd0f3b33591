"""The documents of a bundle: a value a line, as JSON, in one way only.

What has its default is left out, so that a field which somebody adds later changes no line that
does not use it. A line is taken only when it is the very line that would be written of what it
says: an unknown field, an order or a spelling of its own is refused, and nothing is lost unseen.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from functools import reduce
from operator import attrgetter, or_
from typing import Annotated, Any, BinaryIO, Protocol, TypeAlias, cast

import msgspec
import zstandard
from msgspec import Meta
from msgspec.structs import astuple

from patchmgr.domain.advisories import Advisory, Fix
from patchmgr.domain.flaws import FlawNote
from patchmgr.domain.lifecycle import Support
from patchmgr.domain.offers import EVERYBODY, Offer
from patchmgr.errors import ConflictError, InputError

Value: TypeAlias = Advisory | FlawNote | Offer | Support
KINDS: dict[type, str] = {  # in the order in which they stand in a document
    Advisory: "advisory",
    FlawNote: "note",
    Offer: "offer",
    Support: "support",
}

MIB = 1 << 20
MAX_UNPACKED = 1024 * MIB  # bytes of one document
MAX_LINE = 64 * MIB  # bytes of one value
_STEP = MIB  # bytes unpacked at a time
_WINDOW = 16 * MIB  # bytes that unpacking may look back
_LEVEL = 3  # of Zstandard
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # no database takes it in a text

_Ref = Annotated[str, Meta(min_length=1, max_length=200)]
_Name = Annotated[str, Meta(max_length=200)]
_Word = Annotated[str, Meta(max_length=64)]
_TYPES: dict[str, Any] = {  # stricter than the value's own: what is stored has bounds
    "ref": _Ref,
    "cve": Annotated[str, Meta(min_length=1, max_length=64)],
    "published": Annotated[datetime, Meta(tz=True)] | None,
    **dict.fromkeys(("platform", "package", "fixed", "introduced", "last_affected"), _Name),
    **dict.fromkeys(("module", "suite", "name", "version", "source", "source_version"), _Name),
    "phased": Annotated[int, Meta(ge=0, le=EVERYBODY)],
    **dict.fromkeys(("scheme", "channel", "after", "manager", "level"), _Word),
}


class Source(Protocol):
    """Where a packed document is read from."""

    def read(self, size: int = -1, /) -> bytes: ...


def line(value: Value) -> bytes:
    """Return the line that says ``value``, without its end."""
    return _encode(_formed(value))


def value_of(data: bytes) -> Value:
    """Return what a line says. Raises `ValueError` with what is wrong with it."""
    if b"\\u0000" in data and _NUL.search(data):
        raise ValueError("has a NUL character in a text")
    try:
        found = _value(_decode(data))
        again = line(found)
    except (msgspec.MsgspecError, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if again != data:
        raise ValueError("is not written as patchmgr writes it")
    return found


def place(value: Value) -> tuple[int, str]:
    """Return where ``value`` stands in a document: its lines ascend, each place once."""
    kind = _PLACES[type(value)]
    if isinstance(value, Advisory):
        return kind, value.ref
    if isinstance(value, FlawNote):
        return kind, value.cve
    return kind, line(value).decode()


def pack(values: Iterable[Value], file: BinaryIO) -> int:
    """Write a document of ``values``, in their order, to ``file``; return its unpacked size.

    Raises `ConflictError` when it would be larger than a reader takes.
    """
    size = 0
    with zstandard.ZstdCompressor(level=_LEVEL).stream_writer(file, closefd=False) as packed:
        for value in values:
            data = line(value) + b"\n"
            size += packed.write(data)
            if len(data) > MAX_LINE or size > MAX_UNPACKED:
                raise ConflictError(f"larger than {MAX_UNPACKED // MIB} MiB, which no reader takes")
    return size


def unpack(source: Source, size: int, where: str) -> Iterator[Value]:
    """Yield the values of a document that unpacks to ``size`` bytes.

    Raises `InputError` naming ``where`` and the line.
    """
    before = (-1, "")
    for number, data in enumerate(_lines(source, size, where), 1):
        try:
            value = value_of(data)
        except ValueError as error:
            raise InputError({f"{where}: line {number}": str(error)}) from error
        here = place(value)
        if here <= before:
            why = f"{here[1][:80]!r} stands at the wrong place, or twice"
            raise InputError({f"{where}: line {number}": why})
        before = here
        yield value


def _lines(source: Source, size: int, where: str) -> Iterator[bytes]:
    left, rest = size, b""
    for chunk in _chunks(source, where):
        left -= len(chunk)
        if left < 0:
            raise InputError({where: f"unpacks to more than the {size} bytes it is said to have"})
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > MAX_LINE:
            raise InputError({where: f"a line of more than {MAX_LINE // MIB} MiB"})
    if left or rest:
        raise InputError({where: f"cut off, {left} bytes before its end"})


def _chunks(source: Source, where: str) -> Iterator[bytes]:
    packer = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    stream = packer.stream_reader(cast(BinaryIO, source), closefd=False)  # it only reads
    while True:
        try:
            chunk = stream.read(_STEP)
        except zstandard.ZstdError as error:
            raise InputError({where: f"damaged: {error}"}) from error
        if not chunk:
            break
        yield chunk
    if source.read(1):
        raise InputError({where: "goes on after its end"})


def _form(kind: type, tag: str | None = None, **types: Any) -> Any:
    """Return what a line holds of a value of ``kind``: its fields, those with defaults optional."""
    known = _TYPES | types
    return msgspec.defstruct(
        kind.__name__,
        [
            (each.name, known.get(each.name, each.type))
            if each.default is MISSING
            else (each.name, known.get(each.name, each.type), each.default)
            for each in fields(kind)
        ],
        tag=tag,
        tag_field="is" if tag else None,
        omit_defaults=True,
        forbid_unknown_fields=True,
    )


_FIX = _form(Fix)
_FORMS = {
    kind: _form(kind, tag, fixes=tuple[_FIX, ...])  # type: ignore[valid-type] # made above
    for kind, tag in KINDS.items()
}
_VALUES = {form: kind for kind, form in _FORMS.items()}
_PLACES = {kind: number for number, kind in enumerate(KINDS)}
_READ = {kind: attrgetter(*(each.name for each in fields(kind))) for kind in (Fix, *KINDS)}
_SCORES = ("epss", "epss_percentile", "cvss")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(reduce(or_, _FORMS.values())).decode


def _formed(value: Value) -> Any:
    form = _FORMS[type(value)](*_READ[type(value)](value))
    if isinstance(value, Advisory):
        form.fixes = tuple(_FIX(*_READ[Fix](fix)) for fix in value.fixes)
        form.published = value.published and value.published.astimezone(UTC)
    elif isinstance(value, FlawNote):
        for name in _SCORES:  # 1 is 1.0
            score = getattr(value, name)
            setattr(form, name, None if score is None else float(score))
    return form


def _value(form: Any) -> Value:
    kind = _VALUES[type(form)]
    if kind is Advisory:
        form.fixes = tuple(Fix(*astuple(fix)) for fix in form.fixes)
    value: Value = kind(*astuple(form))
    return value

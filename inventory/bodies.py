"""Reports as they arrive: packed or not, in UTF-8 or what Windows writes, within bounds."""

import codecs
import io

from inventory import packed, text_file
from patchmgr.errors import InputError

MEBIBYTE = 1024 * 1024

_LOOK = 512  # first bytes that tell UTF-16 without a byte order mark
_GZIP = b"\x1f\x8b"
_ENCODINGS = {  # by the byte order mark, each with what people call it
    codecs.BOM_UTF16_LE: ("utf-16", "UTF-16"),
    codecs.BOM_UTF16_BE: ("utf-16", "UTF-16"),
    codecs.BOM_UTF8: ("utf-8-sig", "UTF-8"),
}


def text(body: bytes, *, most: int, name: str) -> str:
    """Return what ``body`` says, unpacked where it is gzip; ``name`` is what people call it.

    UTF-16, as PowerShell writes it, is read where a byte order mark or its NULs say so. Raises
    `InputError` when it is no text, damaged, or unpacks to more than ``most`` bytes.
    """
    if body.startswith(_GZIP):
        body = gunzip(body, most=most, name=name)
    if len(body) > most:
        raise _too_large(name, most)
    marks = (each for mark, each in _ENCODINGS.items() if body.startswith(mark))
    plain = text_file.utf_16(body[:_LOOK]) or "utf-8"
    encoding, called = next(marks, (plain, plain.upper()))
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        row = body[: error.start].count(b"\n") + 1
        raise InputError({f"{name}: row {row}": f"is not {called}; save it as UTF-8"}) from error


def _too_large(name: str, most: int) -> InputError:
    return InputError({name: f"is larger than {most // MEBIBYTE} MiB, as no host's listing is"})


def gunzip(body: bytes, *, most: int, name: str) -> bytes:
    """Return ``body`` unpacked. Raises `InputError`, also for more than ``most`` bytes."""
    plain = bytearray()
    try:
        for piece in packed.pieces("gzip", io.BytesIO(body)):
            if len(plain) + len(piece) > most:
                raise _too_large(name, most)
            plain += piece
    except packed.BROKEN as error:
        raise InputError({name: f"is no whole gzip stream ({error})"}) from error
    return bytes(plain)

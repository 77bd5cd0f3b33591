"""CSV files as people have them: which delimiter, which columns, which rows.

RFC 4180 in UTF-8, with or without a byte order mark; the delimiter is the one of ``,`` ``;`` and
tab under which the header has the most columns that we know.
"""

import codecs
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from patchmgr.errors import BadFileError, BadRow, InputError

DELIMITERS = (",", ";", "\t")
IGNORE = "-"  # mapped to this, a column of the file is left out
REASON = "reason"  # what `write_rejects` adds; left out, so that a repaired file can be imported
NAME_SHOWN, COLUMNS_SHOWN = 40, 30  # of a header, in a message
MAX_FIELD = 1 << 20  # characters; a quote that is never closed must not swallow the file


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read one file: its delimiter, and where each column that we know stands."""

    path: Path
    delimiter: str
    header: tuple[str, ...]  # as the file has it
    index: Mapping[str, int]  # our column -> position in a row

    @property
    def file(self) -> str:
        return self.path.name


def recognise(
    path: Path,
    *,
    known: Sequence[str],
    required: Sequence[str],
    mapping: Mapping[str, str] | None = None,
) -> Layout:
    """Return the layout of the file at ``path``.

    ``mapping`` renames columns, the file's name to ours or ours to the file's; a column mapped to
    ``-`` is left out. Raises `BadFileError` for a file that is not such a CSV: not UTF-8, empty,
    with an unknown, repeated or missing column.
    """
    delimiter, names = header(path, known)
    ours = _renamed(names, known, mapping or {})
    index: dict[str, int] = {}
    bad = []
    for position, (name, column) in enumerate(zip(names, ours, strict=True)):
        if column in (IGNORE, REASON):
            continue
        if column not in known:
            remedy = f"is no column we know ({', '.join(known)})"
            if name:
                remedy += f"; map it (--map {name}=COLUMN, or {name}=- to leave it out)"
            bad.append(BadRow(1, name[:NAME_SHOWN] or str(position + 1), name, remedy))
        elif column in index:
            bad.append(BadRow(1, name, name, f"stands for {column}, which the header has already"))
        else:
            index[column] = position
    if not bad:
        bad = [
            BadRow(1, column, "", f"is missing from the header; it has {_shown(names)}")
            for column in required
            if column not in index
        ]
    if bad:
        raise BadFileError(path.name, bad)
    return Layout(path, delimiter, tuple(names), index)


def header(path: Path, known: Sequence[str]) -> tuple[str, list[str]]:
    """Return the delimiter of the file at ``path`` and the names in its header.

    Raises `BadFileError` for a file that is empty or not UTF-8.
    """
    line = _header_line(path)
    delimiter = max(DELIMITERS, key=lambda sign: sum(name in known for name in _names(line, sign)))
    if not any(name in known for name in _names(line, delimiter)):
        delimiter = max(DELIMITERS, key=lambda sign: len(_names(line, sign)))
    return delimiter, _names(line, delimiter)


def open_text(path: Path) -> TextIO:
    """Return the file as text with its line ends kept, past a byte order mark."""
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise InputError({str(path): error.strerror or str(error)}) from error


def records(layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield each record below the header as (line it starts on, fields); blank lines are none.

    Raises `BadFileError` where the text is not UTF-8 or not CSV.
    """
    with open_text(layout.path) as text:
        reader = csv.reader(text, delimiter=layout.delimiter, strict=True)
        yield from numbered(reader, layout.path, first=1, skip=1)


class Reader(Protocol):
    """What `csv.reader` returns, which has no name of its own."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


def numbered(
    reader: Reader, path: Path, *, first: int, skip: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of ``reader``, whose first line is line ``first`` of ``path``."""
    csv.field_size_limit(MAX_FIELD)
    line = first
    try:
        for count, fields in enumerate(reader):
            if fields and count >= skip:
                yield line, fields
            line = first + reader.line_num
    except csv.Error as error:
        raise BadFileError(path.name, [BadRow(line, "", "", f"is not CSV: {error}")]) from error
    except UnicodeDecodeError as error:
        raise undecodable(path) from error


def undecodable(path: Path) -> BadFileError:
    """Return the error that names the first row of ``path`` that is not UTF-8."""
    with path.open("rb") as binary:
        for number, line in enumerate(binary, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                around = line[max(0, error.start - 20) : error.end + 20].decode("latin-1")
                return BadFileError(
                    path.name, [BadRow(number, "", around, "is not UTF-8; save the file as UTF-8")]
                )
    return BadFileError(path.name, [BadRow(0, "", "", "is not UTF-8; save the file as UTF-8")])


def write_record(fields: Sequence[str], delimiter: str) -> str:
    """Return ``fields`` as one CSV record without its line end."""
    plain = delimiter.join(fields)
    if not any(sign in plain for sign in '"\r\n') and plain.count(delimiter) == len(fields) - 1:
        return plain
    return delimiter.join(
        '"' + field.replace('"', '""') + '"'
        if any(sign in field for sign in ('"', "\r", "\n", delimiter))
        else field
        for field in fields
    )


def write_rejects(path: Path, layout: Layout, bad: Sequence[BadRow]) -> None:
    """Write the refused rows to ``path`` in the input's form, with a ``reason`` column.

    Raises `InputError` when ``path`` cannot be written, or is the input itself.
    """
    names = [name for name in layout.header if name != REASON]
    kept = [place for place, name in enumerate(layout.header) if name != REASON]
    try:
        if path.exists() and path.samefile(layout.path):
            raise InputError({str(path): "is the file to import; name another one for the rejects"})
        with path.open("w", encoding="utf-8", newline="") as text:
            text.write(write_record([*names, REASON], layout.delimiter) + "\r\n")
            for row in bad:
                fields = next(csv.reader([row.record], delimiter=layout.delimiter), [])
                fields += [""] * (len(layout.header) - len(fields))
                cells = [fields[place] for place in kept] + fields[len(layout.header) :]
                text.write(write_record([*cells, str(row)], layout.delimiter) + "\r\n")
    except OSError as error:
        raise InputError({str(path): error.strerror or str(error)}) from error


def _header_line(path: Path) -> str:
    try:
        with path.open("rb") as binary:
            start = binary.read(4)
    except OSError as error:
        raise InputError({str(path): error.strerror or str(error)}) from error
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BadFileError(path.name, [BadRow(0, "", "", "is UTF-16; save the file as UTF-8")])
    try:
        with open_text(path) as text:
            line = text.readline(MAX_FIELD)
    except UnicodeDecodeError as error:
        raise undecodable(path) from error
    if not line.strip():
        raise BadFileError(path.name, [BadRow(1, "", "", "is empty; the first row is the header")])
    header = line.rstrip("\r\n")
    if not header.replace("\t", "").isprintable():
        raise BadFileError(path.name, [BadRow(1, "", header, "is not the header of a CSV file")])
    return header


def _shown(names: Sequence[str]) -> str:
    more = [f"and {len(names) - COLUMNS_SHOWN} more"] if len(names) > COLUMNS_SHOWN else []
    return ", ".join([name[:NAME_SHOWN] for name in names[:COLUMNS_SHOWN]] + more)


def _names(header: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([header], delimiter=delimiter))]
    except (csv.Error, StopIteration):
        return []


def _renamed(names: Sequence[str], known: Sequence[str], mapping: Mapping[str, str]) -> list[str]:
    theirs_to_ours: dict[str, str] = {}
    for left, right in mapping.items():
        if left in names and (right in known or right == IGNORE):
            theirs_to_ours[left] = right
        elif right in names and left in known:
            theirs_to_ours[right] = left
        else:
            raise InputError(
                {
                    f"--map {left}={right}": "does not name a column of the file "
                    f"({_shown(names)}) and one of ours ({', '.join(known)})"
                }
            )
    return [theirs_to_ours.get(name, name) for name in names]

"""CSV files as people have them: which delimiter, which columns, which rows.

RFC 4180 with any of four delimiters: the one that Excel's ``sep=`` line names, else the one under
which the header has the most columns that we know. Encodings are `inventory.text_file`'s affair.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TextIO

from inventory import presets
from inventory.presets import IGNORE
from inventory.text_file import Text
from patchmgr.errors import BadFileError, BadRow, InputError

DELIMITERS = (",", ";", "\t", "|")
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
NO_PRESET = "none"  # where a preset is named: do not look for one
REASON = "reason"  # what `write_rejects` adds; left out, so that a repaired file can be imported
NAME_SHOWN, COLUMNS_SHOWN = 40, 30  # of a header, in a message
MAX_FIELD = 1 << 20  # characters; a quote that is never closed must not swallow the file
MAX_COLUMNS = 1000
MAX_HEADER = 50  # lines that quoted names may take
KEPT_BAD = 100_000  # refused rows kept with their text; more make it the wrong file
KEPT_TEXT = 64 << 20  # characters of them
WATCHED = 1 << 14  # rows between two looks at how far a file has been read

_SEP = re.compile(r'"?sep=(.)"?', re.IGNORECASE)

Watch = Callable[[float], None]  # told which part of the file has been read


def _nobody(_part: float) -> None:
    """Watch nothing."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read, where a person says so.

    ``mapping`` renames columns, the file's name to ours or ours to the file's; a column mapped to
    ``-`` is left out. ``preset`` names one of `inventory.presets`; "" looks for the one that the
    header shows, `NO_PRESET` for none. An empty ``encoding`` is recognised.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    preset: str = ""
    encoding: str = ""


AS_IT_IS = Reading()


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file can hold."""

    name: str  # "hosts" or "packages"
    columns: Sequence[str]
    required: Sequence[str]


@dataclass(frozen=True, slots=True)
class Head:
    """The first rows of a file: how its fields are separated, and its names of the columns."""

    delimiter: str
    names: tuple[str, ...]
    lines: int  # up to and with the header


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read one file: its delimiter, and where each column that we know stands."""

    text: Text
    delimiter: str
    header: tuple[str, ...]  # as the file has it
    index: Mapping[str, int]  # our column -> position in a row
    lines: int = 1  # up to and with the header
    preset: str = ""  # that told what columns stand for
    watch: Watch = _nobody

    @property
    def path(self) -> Path:
        return self.text.path

    @property
    def file(self) -> str:
        return self.path.name

    @property
    def said(self) -> str:
        """Say how the file was read."""
        unpacked = f" from {self.text.packed}" if self.text.packed else ""
        sign = {"\t": "tab"}.get(self.delimiter, self.delimiter)
        by = f" ({presets.presets()[self.preset].title})" if self.preset else ""
        return f"read as {self.text.encoding}{unpacked}, separated by {sign}{by}"


def recognise(
    text: Text, kind: Kind, how: Reading = AS_IT_IS, watch: Watch | None = None
) -> Layout:
    """Return the layout of ``text``.

    Raises `BadFileError` for a file that is not such a CSV: empty, with an unknown, repeated or
    missing column; `InputError` for a preset that does not fit, or a mapping of nothing.
    """
    head = header(text, kind, how)
    preset = preset_of(head, kind, how)
    ours = renamed(head.names, kind, how, preset)
    index: dict[str, int] = {}
    bad = []
    for position, (name, column) in enumerate(zip(head.names, ours, strict=True)):
        if column in (IGNORE, REASON):
            continue
        if column not in kind.columns:
            remedy = f"is no column we know ({', '.join(kind.columns)})"
            if name:
                remedy += f"; map it (--map {name}=COLUMN, or {name}=- to leave it out)"
            bad.append(BadRow(head.lines, name[:NAME_SHOWN] or str(position + 1), name, remedy))
        elif column in index:
            why = f"stands for {column}, which the header has already"
            bad.append(BadRow(head.lines, name, name, why))
        else:
            index[column] = position
    if not bad:
        why = f"is missing from the header; it has {_shown(head.names)}"
        bad = [
            BadRow(head.lines, column, "", why) for column in kind.required if column not in index
        ]
    if bad:
        raise BadFileError(text.path.name, bad)
    return Layout(
        text,
        head.delimiter,
        head.names,
        index,
        head.lines,
        preset.name if preset else "",
        watch or _nobody,
    )


def header(text: Text, kind: Kind, how: Reading = AS_IT_IS) -> Head:
    """Return what the header of ``text`` says. Raises `BadFileError` when it has none."""
    sign, lines, line = _header_record(text)
    if not line.strip():
        raise _bad(text, 1, "is empty; the first row is the header")
    if not line.translate(_BLANKS).isprintable():
        raise _bad(text, lines, "is not the header of a CSV file", line)
    known = {*kind.columns, *how.mapping, *how.mapping.values()}

    def columns(delimiter: str) -> tuple[int, int]:
        names = _names(line, delimiter)
        return sum(name in known for name in names), len(names)

    delimiter = sign or max(DELIMITERS, key=columns)
    names = tuple(_names(line, delimiter))
    if len(names) > MAX_COLUMNS:
        raise _bad(text, lines, f"has {len(names)} columns; a file may have {MAX_COLUMNS}")
    return Head(delimiter, names, lines)


def preset_of(head: Head, kind: Kind, how: Reading) -> presets.Preset | None:
    """Return the preset that says what the columns stand for: the one named, or recognised.

    A header that needs none has none. Raises `InputError` for one that is not of this kind.
    """
    if how.preset == NO_PRESET:
        return None
    if how.preset:
        found = presets.presets().get(how.preset)
        if found is None or found.kind != kind.name:
            fitting = [each.name for each in presets.presets().values() if each.kind == kind.name]
            known = ", ".join([*fitting, NO_PRESET])
            raise InputError({"preset": f"{how.preset!r} is not one of {known}"})
        return found
    ours = renamed(head.names, kind, how, None)
    if all(column in (*kind.columns, IGNORE, REASON) for column in ours):
        return None
    return presets.recognised(kind.name, head.names)


def renamed(
    names: Sequence[str], kind: Kind, how: Reading, preset: presets.Preset | None
) -> list[str]:
    """Return what the columns ``names`` stand for; one that we do not know keeps its name."""
    said: dict[str, str] = {}
    for left, right in how.mapping.items():
        if left in names and (right in kind.columns or right == IGNORE):
            said[left] = right
        elif right in names and left in kind.columns:
            said[right] = left
        else:
            raise InputError(
                {
                    f"--map {left}={right}": "does not name a column of the file "
                    f"({_shown(names)}) and one of ours ({', '.join(kind.columns)})"
                }
            )
    by_preset = preset.mapping(names) if preset else {}
    taken = set(said.values()) - {IGNORE}
    return [
        said.get(name) or (IGNORE if by_preset.get(name) in taken else by_preset.get(name, name))
        for name in names
    ]


def open_text(text: Text) -> TextIO:
    """Return the file as text with its line ends kept, past a byte order mark."""
    return text.plain.open(encoding="utf-8-sig", newline="")


def records(layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield each record below the header as (line it starts on, fields); blank lines are none.

    Raises `BadFileError` where the text is not CSV.
    """
    with open_text(layout.text) as text:
        past_header(text, layout)
        yield from numbered(text, layout, first=layout.lines + 1, watched=text)


def past_header(text: TextIO, layout: Layout) -> None:
    for _ in range(layout.lines):
        text.readline()


class Reader(Protocol):
    """What `csv.reader` returns, which has no name of its own."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


def numbered(
    lines: Iterable[str], layout: Layout, *, first: int, watched: TextIO
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of ``lines``, the first of which is line ``first`` of the file.

    ``watched`` is where they come from, which tells how far it has been read.
    """
    csv.field_size_limit(MAX_FIELD)
    reader: Reader = csv.reader(lines, delimiter=layout.delimiter, strict=True)
    line = first
    try:
        for count, fields in enumerate(reader):
            if fields:
                yield line, fields
            line = first + reader.line_num
            if count % WATCHED == 0:
                tell(layout, watched)
    except csv.Error as error:
        why = f"is not CSV: {error}"
        if "unexpected end" in str(error):
            why = "begins a quoted field that nothing closes before the file ends"
        raise BadFileError(layout.file, [BadRow(line, "", "", why)]) from error


def tell(layout: Layout, text: TextIO) -> None:
    """Tell who watches which part of the file has been read."""
    if layout.watch is not _nobody:
        layout.watch(text.buffer.tell() / max(1, layout.text.plain.stat().st_size))


@dataclass(slots=True)
class Refused:
    """The bad rows of a file: all of them counted, and kept while there is room."""

    rows: list[BadRow] = field(default_factory=list)
    total: int = 0
    _text: int = 0

    def add(self, row: BadRow) -> None:
        self.total += 1
        self._text += len(row.record) + len(row.value)
        if len(self.rows) < KEPT_BAD and self._text < KEPT_TEXT:
            self.rows.append(row)

    @property
    def sorted(self) -> list[BadRow]:
        return sorted(self.rows, key=lambda row: row.row)

    def check(self, file: str, *, but_rejects: bool) -> None:
        """Raise `BadFileError` when any row was refused; `InputError` for too many to set aside."""
        if not self.total:
            return
        refused = BadFileError(file, self.sorted, self.total)
        if not but_rejects:
            raise refused
        if self.total > len(self.rows):
            why = f"has {self.total} bad rows, too many to set aside; the first: {self.sorted[0]}"
            raise InputError({file: why}) from refused


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


def _header_record(text: Text) -> tuple[str, int, str]:
    """Return the delimiter that ``sep=`` names or "", the lines to the header's end, the header."""
    with open_text(text) as lines:
        record = lines.readline(MAX_FIELD)
        sign, count = "", 1
        if (sep := _SEP.fullmatch(record.strip("\r\n"))) is not None:
            sign, record, count = sep[1], lines.readline(MAX_FIELD), 2
        for _ in range(MAX_HEADER):
            if record.count('"') % 2 == 0 or not (more := lines.readline(MAX_FIELD)):
                break
            record, count = record + more, count + 1
    if sign and sign not in DELIMITERS:
        raise _bad(text, 1, f"is no separator we know ({', '.join(NAMES.values())})", sign)
    return sign, count, record.rstrip("\r\n")


def _bad(text: Text, row: int, why: str, value: str = "") -> BadFileError:
    return BadFileError(text.path.name, [BadRow(row, "", value, why)])


def _shown(names: Sequence[str]) -> str:
    more = [f"and {len(names) - COLUMNS_SHOWN} more"] if len(names) > COLUMNS_SHOWN else []
    return ", ".join([name[:NAME_SHOWN] for name in names[:COLUMNS_SHOWN]] + more)


def _names(header: str, delimiter: str) -> list[str]:
    try:
        return [
            " ".join(name.split())
            for name in next(csv.reader(io.StringIO(header, newline=""), delimiter=delimiter))
        ]
    except (csv.Error, StopIteration):
        return []


_BLANKS = str.maketrans("", "", "\t\r\n\u00a0")  # that a header may have, though not printable

"""CSV files as people have them: which columns and rows, and those that are refused.

RFC 4180, but for what spreadsheets leave behind: empty rows, and empty fields at the end of a row.
The header is `inventory.csv_header`'s affair, encodings are `inventory.text_file`'s.
"""

import csv
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TextIO

from inventory import csv_header, presets
from inventory.csv_header import (
    AS_IT_IS,
    MAX_FIELD,
    REASON,
    Head,
    Kind,
    Reading,
    open_text,
)
from inventory.presets import IGNORE
from inventory.refusals import Problem, Refusal, wrong_width
from inventory.text_file import Text
from patchmgr.errors import BadFileError, BadRow, DiskFullError, InputError, is_full_disk

KEPT_BAD = 100_000  # refused rows kept with their text; more make it the wrong file
KEPT_TEXT = 64 << 20  # characters of them
REST = "--rejects FILE writes them all"
UNKNOWN_SHOWN = 12  # columns, each with what to do about it
WATCHED = 1 << 14  # rows between two looks at how far a file has been read

Watch = Callable[[float], None]  # told which part of the file has been read


def _nobody(_part: float) -> None:
    """Watch nothing."""


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
    above: int = 0  # lines above the header that were passed over

    @property
    def path(self) -> Path:
        return self.text.path

    @property
    def file(self) -> str:
        return self.path.name

    def theirs(self, column: str) -> str:
        """Return what the file calls ``column``; the same when it has none such."""
        return self.header[self.index[column]] if column in self.index else column

    @property
    def said(self) -> str:
        """Say how the file was read."""
        unpacked = f" from {self.text.packed}" if self.text.packed else ""
        sign = {"\t": "tab"}.get(self.delimiter, self.delimiter)
        by = f" ({presets.presets()[self.preset].title})" if self.preset else ""
        where = f", header on line {self.lines}" if self.above else ""
        if self.text.form:
            return f"read as {self.text.form} in {self.text.encoding}{unpacked}{by}"
        return f"read as {self.text.encoding}{unpacked}, separated by {sign}{where}{by}"

    @property
    def first(self) -> int:
        """Return the line of the file on which the rows begin."""
        return self.lines + 1 - self.text.added


def recognise(
    text: Text, kind: Kind, how: Reading = AS_IT_IS, watch: Watch | None = None
) -> Layout:
    """Return the layout of ``text``.

    Raises `BadFileError` for a file that is not such a CSV: empty, with an unknown, repeated or
    missing column; `InputError` for a preset that does not fit, or a mapping of nothing.
    """
    head = csv_header.find(text, kind, how)
    preset = csv_header.preset_of(head, kind, how)
    if preset is not None and preset.refused:
        raise BadFileError(text.path.name, [BadRow(head.lines, "", preset.title, preset.refused)])
    ours = csv_header.renamed(head.names, kind, how, preset)
    index: dict[str, int] = {}
    bad, unknown = [], []
    for position, (name, column) in enumerate(zip(head.names, ours, strict=True)):
        if column in (IGNORE, REASON):
            continue
        if column not in kind.columns:
            unknown.append((position, name))
        elif column in index:
            bad.append(BadRow(head.lines, name, name, Refusal.TWICE.said(column=column)))
        else:
            index[column] = position
    missing = kind.missing(index, preset)
    if unknown:
        bad += _unknown(head, unknown, kind, missing=bool(missing))
    if not bad:
        header = csv_header.shown(head.names)
        bad = [
            BadRow(head.lines, column, "", Refusal.MISSING.said(header=header, column=column))
            for column in missing
        ]
    if bad:
        raise BadFileError(text.path.name, [*_of_others(head, kind), *bad])
    return Layout(
        text,
        head.delimiter,
        head.names,
        index,
        head.lines,
        preset.name if preset else "",
        watch or _nobody,
        head.above,
    )


def _of_others(head: Head, kind: Kind) -> list[BadRow]:
    """Say of an export that another command reads that it does."""
    found = (presets.recognised(other, head.names) for other in presets.KINDS if other != kind.name)
    return [
        BadRow(head.lines, "", each.title, Refusal.OTHER_KIND.said(kind=each.kind))
        for each in found
        if each is not None and not each.refused
    ]


def _unknown(
    head: Head, unknown: Sequence[tuple[int, str]], kind: Kind, *, missing: bool
) -> list[BadRow]:
    """Return what is to be done about the columns of ``head`` that we do not know."""
    bad: list[BadRow] = []
    for position, name in unknown[:UNKNOWN_SHOWN]:
        if not name:
            bad.append(BadRow(head.lines, str(position + 1), "", Refusal.NO_NAME.said()))
            continue
        column, out = (shlex.quote(f"{name}={what}") for what in ("COLUMN", IGNORE))
        why = Refusal.UNKNOWN.said(as_column=column, out=out)
        bad.append(BadRow(head.lines, name[: csv_header.NAME_SHOWN], name, why))
    known = f"the columns we know are {', '.join(kind.columns)}"
    if len(unknown) == len(head.names):
        known = f"is row {head.lines} the header, which names the columns? {known}"
    elif len(unknown) > 1 and not missing:
        known = f"--map '{csv_header.ANY}={IGNORE}' leaves all of these out; {known}"
    more = len(unknown) - len(bad)
    known = f"and {more} more such columns; {known}" if more else known
    return [*bad[:-1], replace(bad[-1], remedy=f"{bad[-1].remedy}; {known}")]


def records(layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield each record below the header as (line it starts on, fields); blank lines are none.

    Raises `BadFileError` where the text is not CSV.
    """
    with open_text(layout.text) as text:
        past_header(text, layout)
        yield from numbered(text, layout, first=layout.first, watched=text)


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
    line, width = first, len(layout.header)
    try:
        for count, fields in enumerate(reader):
            if len(fields) > width:
                fitted(fields, width)
            if fields and (fields[0].strip() or any(map(str.strip, fields))):
                yield line, fields
            line = first + reader.line_num
            if count % WATCHED == 0:
                tell(layout, watched)
    except csv.Error as error:
        why = Refusal.NOT_CSV.said(error=str(error).replace("\t", "\\t"))
        if "unexpected end" in str(error):
            why = Refusal.OPEN_QUOTE.said()
        raise BadFileError(layout.file, [BadRow(line, "", "", why)]) from error


def fitted(fields: list[str], width: int) -> list[str]:
    """Take out the empty fields that delimiters at the end of a row make beyond the header's."""
    while len(fields) > width and not fields[-1].strip():
        fields.pop()
    return fields


def misshapen(fields: Sequence[str], layout: Layout, *, but: int = -1) -> Problem | None:
    """Return why a row is none of the table; ``but`` is a column that is not looked at."""
    if len(fields) != len(layout.header):
        return wrong_width(len(fields), len(layout.header), layout.delimiter)
    if _repeats_header(fields, layout, but):
        return "", "", Refusal.HEADER_AGAIN.said()
    return None


def _repeats_header(fields: Sequence[str], layout: Layout, but: int) -> bool:
    """Return whether a row is the header again, as in files joined to one; ``but`` one column."""
    return len(fields) == len(layout.header) and all(
        field.strip() == name or place == but
        for place, (field, name) in enumerate(zip(fields, layout.header, strict=True))
    )


def check_has_rows(layout: Layout, rows: int) -> None:
    """Raise `BadFileError` for a header alone: what is left of an export that failed."""
    if not rows:
        raise BadFileError(layout.file, [BadRow(layout.lines, "", "", Refusal.NO_ROWS.said())])


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
        refused = BadFileError(file, self.sorted, self.total, rest=REST)
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
        if is_full_disk(error):
            path.unlink(missing_ok=True)
            raise DiskFullError(where=f"of {path.parent.absolute()}") from error
        raise InputError({str(path): error.strerror or str(error)}) from error

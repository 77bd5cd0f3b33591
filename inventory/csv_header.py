"""The header of a CSV file: where it stands, what parts its fields, what its columns stand for.

Of any four delimiters it is the one that Excel's ``sep=`` line names, else the one under which the
header has the most columns that we know. Titles and empty lines above the header are passed over.
"""

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TextIO

from inventory import presets
from inventory.presets import IGNORE, comparable
from inventory.refusals import Refusal
from inventory.text_file import Text
from patchmgr.errors import BadFileError, BadRow, InputError

DELIMITERS = (",", ";", "\t", "|")
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
NO_PRESET = "none"  # where a preset is named: do not look for one
REASON = "reason"  # what rejects files add; left out, so that a repaired file can be imported
ANY = "*"  # in a mapping: every column that nothing else is said of
NAME_SHOWN, COLUMNS_SHOWN = 40, 30  # of a header, in a message
MAX_FIELD = 1 << 20  # characters; a quote that is never closed must not swallow the file
MAX_COLUMNS = 1000

_QUOTED = 50  # lines that quoted names may take
_LOOKED = 30  # lines among which the header is looked for
_SEP = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_MARK = "\ufeff"  # a byte order mark, which some tools write again and again
_BLANKS = str.maketrans("", "", "\t\r\n\u00a0")  # that a header may have, though not printable
_EMPTY = str.maketrans("", "", "".join(DELIMITERS) + '"')


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read, where a person says so.

    ``mapping`` renames columns, the file's name to ours or ours to the file's; a column mapped to
    ``-`` is left out, and ``*`` stands for every column that we do not know. ``preset`` names one
    of `inventory.presets`; "" looks for the one that the header shows, `NO_PRESET` for none. An
    empty ``encoding`` is recognised.
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
    instead: Mapping[str, Sequence[str]] = field(default_factory=dict)  # what says the same

    def missing(self, ours: Collection[str], preset: presets.Preset | None) -> list[str]:
        """Return the required columns that neither ``ours`` nor the preset says."""
        said = {"manager"} if preset is not None and preset.manager else set()
        return [
            column
            for column in self.required
            if column not in ours
            and column not in said
            and not any(other in ours for other in self.instead.get(column, ()))
        ]


@dataclass(frozen=True, slots=True)
class Head:
    """How the fields of a file are separated, and its names of the columns."""

    delimiter: str
    names: tuple[str, ...]
    lines: int  # up to and with the header
    above: int = 0  # lines of something else that were passed over


def find(text: Text, kind: Kind, how: Reading = AS_IT_IS) -> Head:
    """Return the header of ``text``: the first that has all required columns, else the first.

    Raises `BadFileError` when it has none.
    """
    with open_text(text) as lines:
        sign, found = _separator(text, lines)
        heads: list[Head] = []
        for number, record in islice(found, _LOOKED):
            if not record.translate(_BLANKS).isprintable():
                if heads:
                    break
                raise _bad(text, number, Refusal.NO_HEADER.said(), record)
            head = _head(record, sign, number, kind, how)
            if _fits(head, kind, how):
                return _below(head, heads[0].lines if heads else head.lines, sign)
            heads.append(head)
    if not heads:
        raise _bad(text, 1, Refusal.EMPTY.said())
    likely = next((each for each in heads if len(each.names) > 1 and all(each.names)), heads[0])
    if len(likely.names) > MAX_COLUMNS:
        why = Refusal.MANY_COLUMNS.said(count=len(likely.names), most=MAX_COLUMNS)
        raise _bad(text, likely.lines, why)
    _check_is_csv(text, heads[0])
    return _below(likely, heads[0].lines, sign)


def _check_is_csv(text: Text, first: Head) -> None:
    begins = first.names[0][:2] if first.names else ""
    if begins[:1] == "<":
        raise _bad(text, first.lines, Refusal.MARKUP.said())
    if begins[:1] == "{" or begins in ("[", "[{"):
        raise _bad(text, first.lines, Refusal.JSON.said())


def _below(head: Head, first: int, sign: str) -> Head:
    above = head.lines - 1 - bool(sign) if head.lines != first or first > 1 + bool(sign) else 0
    return Head(head.delimiter, head.names, head.lines, above)


def _fits(head: Head, kind: Kind, how: Reading) -> bool:
    if len(head.names) > MAX_COLUMNS:
        return False
    try:
        preset = preset_of(head, kind, how)
        ours = renamed(head.names, kind, how, preset)
    except InputError:
        return False
    return not kind.missing(ours, preset)


def _head(record: str, sign: str, line: int, kind: Kind, how: Reading) -> Head:
    known = {comparable(each) for each in (*kind.columns, *how.mapping, *how.mapping.values())}

    def columns(delimiter: str) -> tuple[int, int]:
        names = _names(record, delimiter)
        return sum(comparable(name) in known for name in names), len(names)

    delimiter = sign or max(DELIMITERS, key=columns)
    return Head(delimiter, tuple(_names(record, delimiter)), line)


def _separator(text: Text, lines: TextIO) -> tuple[str, Iterator[tuple[int, str]]]:
    """Return the delimiter that ``sep=`` names or "", and the records that say something."""
    records = _records(lines)
    first = next(records, None)
    sep = _SEP.fullmatch(first[1]) if first else None
    if sep is not None and sep[1] not in DELIMITERS:
        raise _bad(text, 1, Refusal.SEPARATOR.said(known=", ".join(NAMES.values())), sep[1])
    if sep is None and first is not None:
        return "", _again(first, records)
    return sep[1] if sep else "", records


def _again(first: tuple[int, str], rest: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield first
    yield from rest


def _records(lines: TextIO) -> Iterator[tuple[int, str]]:
    """Yield (last line, text) of each record that is not empty; quoted ones may span lines."""
    count = 0
    while line := lines.readline(MAX_FIELD):
        count += 1
        record = line.lstrip(_MARK) if count == 1 else line
        for _ in range(_QUOTED):
            if record.count('"') % 2 == 0 or not (more := lines.readline(MAX_FIELD)):
                break
            record, count = record + more, count + 1
        if record.translate(_EMPTY).strip():
            yield count, record.rstrip("\r\n")


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
    """Return what the columns ``names`` stand for; one that we do not know keeps its name.

    A person's word counts first, then the preset's, then a name of ours in whatever spelling.
    """
    said = _said(names, kind, how.mapping)
    by_preset = preset.mapping(names) if preset else {}
    known = {comparable(column): column for column in kind.columns}
    taken = set(said.values()) - {IGNORE}
    exact = set(names)
    found = []
    for name in names:
        ours = said.get(name) or by_preset.get(name)
        if ours is None:
            spelt = known.get(comparable(name), name)
            ours = name if spelt in exact or spelt in taken else spelt
        elif name not in said and ours in taken:
            ours = IGNORE
        if ours not in (*kind.columns, IGNORE, REASON) and how.mapping.get(ANY) == IGNORE:
            ours = IGNORE
        found.append(ours)
    return found


def _said(names: Sequence[str], kind: Kind, mapping: Mapping[str, str]) -> dict[str, str]:
    said: dict[str, str] = {}
    for left, right in mapping.items():
        if left in names and (right in kind.columns or right == IGNORE):
            said[left] = right
        elif right in names and left in kind.columns:
            said[right] = left
        elif (left, right) != (ANY, IGNORE):
            raise InputError(
                {
                    f"--map {left}={right}": "does not name a column of the file "
                    f"({shown(names)}) and one of ours ({', '.join(kind.columns)})"
                }
            )
    return said


def open_text(text: Text) -> TextIO:
    """Return the file as text with its line ends kept, past a byte order mark."""
    return text.plain.open(encoding="utf-8-sig", newline="")


def shown(names: Sequence[str]) -> str:
    """Return the names of columns as a message has them."""
    more = [f"and {len(names) - COLUMNS_SHOWN} more"] if len(names) > COLUMNS_SHOWN else []
    return ", ".join([name[:NAME_SHOWN] for name in names[:COLUMNS_SHOWN]] + more)


def _names(header: str, delimiter: str) -> list[str]:
    """Return the names of a header, but for what a delimiter at its end makes of it."""
    try:
        fields = next(csv.reader(io.StringIO(header, newline=""), delimiter=delimiter))
    except (csv.Error, StopIteration):
        return []
    names = [" ".join(name.split()) for name in fields]
    while len(names) > 1 and not names[-1]:
        names.pop()
    return names


def _bad(text: Text, row: int, why: str, value: str = "") -> BadFileError:
    return BadFileError(text.path.name, [BadRow(row, "", value, why)])

"""Reading ``packages.csv`` (design.md 5.1): millions of rows, each touched once.

A fleet's file repeats the same package versions over and over, so each row is dictionary-encoded
as it is read: what follows the hostname is looked up as one string, and only a string never seen
before is taken apart and checked. A host's rows, which stand together in what inventories export,
are cut out of a block of text in one go. Files that need more (quotes, the hostname not first)
go through the `csv` module to the same result; a property test holds the two equal.
"""

import io
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from inventory import csv_file, csv_header, json_rows, package_rows, presets, spreadsheets
from inventory.csv_file import Layout, Refused, Watch
from inventory.csv_header import AS_IT_IS, Kind, Reading
from inventory.refusals import Problem, Refusal, wrong_width
from inventory.report import shown
from patchmgr.domain.packages import Package, Platform
from patchmgr.errors import BadRow

KIND = Kind("packages", package_rows.COLUMNS, package_rows.REQUIRED, package_rows.INSTEAD)
BLOCK = 1 << 18  # characters read at a time: a few thousand rows
FEW = 8  # rows a host must have near by for cutting in one go to pay
NEAR = 4096  # characters
BAD = 0xFFFFFFFF  # the code of a row that was refused
LEFT = BAD - 1  # and of one that was left out, as it tells of nothing that could be judged
LEFT_KEPT = 20  # examples of these


@dataclass(slots=True)
class PackagesFile:
    """What a file says: its distinct packages, and which of them each host has.

    ``hosts`` maps a hostname to codes, indexes into ``packages``, in the order of the file and
    with repeats; ``first_row`` says where each host first stands.
    """

    layout: Layout
    packages: list[Package] = field(default_factory=list)
    hosts: "dict[str, array[int]]" = field(default_factory=dict)
    first_row: dict[str, int] = field(default_factory=dict)
    refused: Refused = field(default_factory=Refused)
    rows: int = 0  # good and bad
    left: int = 0  # of them: rows of nothing that could be judged
    left_why: list[str] = field(default_factory=list)  # the first of them
    records: list[list[str]] = field(default_factory=list)  # of packages not in our own columns

    def refuse(self, row: int, problem: Problem, record: str) -> None:
        self.refused.add(BadRow(row, *problem, record))

    def leave(self, host: str, why: str) -> None:
        self.left += 1
        if len(self.left_why) < LEFT_KEPT:
            self.left_why.append(f"{shown(host)}: {why}")


def read(path: Path, how: Reading = AS_IT_IS, watch: Watch | None = None) -> PackagesFile:
    """Return what the file at ``path`` says. Raises `BadFileError` when it is no such file."""
    with json_rows.opened(path, KIND.name, how.encoding) as text:
        layout = csv_file.recognise(text, KIND, how, watch)
        file = PackagesFile(layout)
        with csv_header.open_text(text) as lines:
            csv_file.past_header(lines, layout)
            _Reader(file).read(lines)
        csv_file.check_has_rows(layout, file.rows)
    if file.refused.total or file.left:
        _drop(file)
    return file


def _drop(file: PackagesFile) -> None:
    """Take out the rows that were refused or left; a host without others is not in the file."""
    for host, codes in list(file.hosts.items()):
        if BAD in codes or LEFT in codes:
            file.hosts[host] = array("I", (code for code in codes if code < LEFT))
        if not file.hosts[host]:
            del file.hosts[host], file.first_row[host]


class _Reader:
    """The state of one pass over a file."""

    def __init__(self, file: PackagesFile) -> None:
        self.file = file
        self.line = file.layout.first  # of the row that comes next
        self.codes: dict[str, int] = {}  # text after the hostname -> code
        self.by_package: dict[Package, int] = {}
        self.problems: dict[str, Problem] = {}  # refused text -> its problem
        self.reasons: dict[str, str] = {}  # text left out -> why
        self.delimiter = file.layout.delimiter
        self.width = len(file.layout.header)
        preset = presets.presets().get(file.layout.preset)
        self.manager = preset.manager if preset else ""
        self.is_ours = not self.manager and not file.layout.index.keys() & package_rows.WRITTEN

    def read(self, text: TextIO) -> None:
        simple = self.file.layout.index["hostname"] == 0 and self.width > 1
        while simple and (block := text.read(BLOCK)):
            block += text.readline()
            plain = block.replace("\r\n", "\n") if "\r" in block else block
            if '"' in plain or "\r" in plain:
                self._by_csv(chain(io.StringIO(block, newline=""), text), text)
                return
            following = self.line + plain.count("\n")
            self._block(plain.removesuffix("\n"))
            self.line = following
            csv_file.tell(self.file.layout, text)
        if not simple:
            self._by_csv(text, text)

    def _block(self, text: str) -> None:
        """Take whole lines without quotes: host by host where a host's rows stand together."""
        start, end = 0, len(text)
        while start < end:
            cut = text.find(self.delimiter, start)
            host = text[start:cut]
            again = f"\n{host}{self.delimiter}"
            if (
                cut < 0
                or not host.strip()
                or "\n" in host
                or text.count(again, cut, cut + NEAR) < FEW
            ):
                start = self._line(text, start)
                continue
            stop = text.find("\n", self._reach(text, again, cut))
            stop = end if stop < 0 else stop
            rests = text[cut + 1 : stop].split(again)
            rests[-1], more, tail = rests[-1].partition("\n")
            start = stop - len(tail) if more else stop + 1
            self._run(host, rests, again)

    @staticmethod
    def _reach(text: str, again: str, start: int) -> int:
        """Return how far to look for a host's rows: past windows, ever wider, that have some."""
        width = NEAR
        while start < len(text) and text.find(again, start, start + width) >= 0:
            start += width
            width *= 2
        return start

    def _line(self, text: str, start: int) -> int:
        """Take the line of ``text`` that begins at ``start``; return where the next one does."""
        end = text.find("\n", start)
        line = text[start:] if end < 0 else text[start:end]
        host, found, rest = line.partition(self.delimiter)
        if found:
            self._run(host, [rest], "")
            return start + len(line) + 1
        if line.strip():
            self.file.refuse(self.line, wrong_width(1, self.width, self.delimiter), line)
            self.file.rows += 1
        self.line += 1
        return start + len(line) + 1

    def _run(self, host: str, rests: list[str], again: str) -> None:
        """Take rows of one host, each given as the text after the hostname."""
        if not host.strip() and len(rests) == 1 and not rests[0].strip(self.delimiter + " \t"):
            self.line += 1  # an empty row, as spreadsheets leave below the others
            return
        codes = list(map(self.codes.get, rests))
        if None in codes:
            for position, rest in enumerate(rests):
                if codes[position] is None:
                    if "\n" in rest:  # another host's rows stood in between
                        self._apart(host, rests, position, again)
                        return
                    codes[position] = self._code(rest)
        self._add(host, rests, array("I", codes))  # type: ignore[arg-type] # no None is left

    def _apart(self, host: str, rests: list[str], position: int, again: str) -> None:
        """Take the rows before ``position``, then what follows line by line."""
        if position:
            self._run(host, rests[:position], again)
        text = f"{host}{self.delimiter}" + again.join(rests[position:])
        start = 0
        while start < len(text):
            start = self._line(text, start)

    def _add(self, host: str, rests: Sequence[str], codes: "array[int]") -> None:
        host = host.strip()
        known = self.file.hosts.get(host)
        if known is None:
            self.file.hosts[host] = codes
            self.file.first_row[host] = self.line
        else:
            known.extend(codes)
        if self.reasons and LEFT in codes:
            for position, code in enumerate(codes):
                if code == LEFT:
                    self.file.leave(host, self.reasons[rests[position]])
        if self.problems and BAD in codes:
            for position, code in enumerate(codes):
                if code == BAD:
                    rest = rests[position]
                    record = f"{host}{self.delimiter}{rest}"
                    self.file.refuse(self.line + position, self.problems[rest], record)
        self.line += len(rests)
        self.file.rows += len(rests)

    def _code(self, rest: str) -> int:
        fields = csv_file.fitted(["", *rest.split(self.delimiter)], self.width)
        code = self._encode(rest, fields)
        self.codes[rest] = code
        return code

    def _encode(self, text: str, fields: list[str]) -> int:
        """Return the code of a row's package; ``fields[hostname]`` is not looked at."""
        told = package_rows.read(self.file.layout, fields, self.manager, is_ours=self.is_ours)
        if isinstance(told, tuple):
            self.problems[text] = told
            return BAD
        if isinstance(told, str):
            self.reasons[text] = told
            return LEFT
        code = self.by_package.setdefault(told, len(self.file.packages))
        if code == len(self.file.packages):
            self.file.packages.append(told)
            if not self.is_ours:
                self.file.records.append(list(fields))
        return code

    def _by_csv(self, lines: Iterable[str], whole: TextIO) -> None:
        """Take the remaining lines of ``whole`` through the `csv` module."""
        layout = self.file.layout
        at = layout.index["hostname"]
        # What an export says beside the columns that we use may differ in every row.
        positions = layout.index.values()
        used = tuple if len(positions) == self.width else itemgetter(*positions)
        codes: dict[tuple[str, ...], int] = {}
        for number, fields in csv_file.numbered(lines, layout, first=self.line, watched=whole):
            self.file.rows += 1
            if len(fields) != self.width:
                problem = wrong_width(len(fields), self.width, self.delimiter)
                record = csv_file.write_record(fields, self.delimiter)
                self.file.refuse(number, problem, record)
                continue
            host = spreadsheets.unwrapped(fields[at].strip())
            fields[at] = ""
            key = used(fields)
            code = codes.get(key)
            if code is None or code >= LEFT:
                text = csv_file.write_record(fields, self.delimiter)
                code = codes[key] = self._encode(text, fields)
                if code == LEFT:
                    self.file.leave(host, self.reasons[text])
                elif code == BAD:
                    fields[at] = host
                    record = csv_file.write_record(fields, self.delimiter)
                    self.file.refuse(number, self.problems[text], record)
            if host not in self.file.hosts:
                self.file.hosts[host] = array("I")
                self.file.first_row[host] = number
            self.file.hosts[host].append(code)


def unknown_hosts(file: PackagesFile, unknown: Sequence[str]) -> None:
    """Refuse every row of the hosts in ``unknown``, which the inventory does not have."""
    column = file.layout.theirs("hostname")
    for host in unknown:
        row = file.first_row.pop(host)
        codes = file.hosts.pop(host)
        rows = "" if len(codes) == 1 else f" (one of its {len(codes)} rows)"
        why = Refusal.NO_SUCH_HOST.said(rows=rows) if host else Refusal.NO_HOST.said()
        for place, code in enumerate(codes):
            if len(file.refused.rows) < file.refused.total:
                file.refused.total += len(codes) - place
                break
            file.refuse(row, (column, host, why), _record(file, host, code))


def of_system(file: PackagesFile, platforms: Mapping[str, Platform]) -> None:
    """Give each package without a manager that of its host's system, by the hosts' ``platforms``.

    Refuses or leaves out what that cannot be told of.
    """
    places = {package: place for place, package in enumerate(file.packages)}
    for host, codes in list(file.hosts.items()):
        found = array("I")
        for code in codes:
            package = file.packages[code]
            if package.manager:
                found.append(code)
                continue
            told = package_rows.of_system(package, platforms[host])
            if isinstance(told, tuple):
                problem = package_rows.as_filed(told, file.layout, file.records[code])
                file.refuse(file.first_row[host], problem, _record(file, host, code))
                continue
            if isinstance(told, str):
                file.leave(host, told)
                continue
            place = places.setdefault(told, len(file.packages))
            if place == len(file.packages):
                file.packages.append(told)
                file.records.append(file.records[code])
            found.append(place)
        file.hosts[host] = found
    _drop(file)


def _record(file: PackagesFile, host: str, code: int) -> str:
    """Return the row of a package and its host, as the file has or could have it."""
    layout = file.layout
    package = file.packages[code]
    fields = list(file.records[code]) if file.records else [""] * len(layout.header)
    written = package_rows.as_written(package, layout.index)
    for column, position in layout.index.items():
        if column == "hostname":
            fields[position] = host
        elif not file.records:
            fields[position] = written[column]
    return csv_file.write_record(fields, layout.delimiter)

"""The stored hosts as a file of hosts meets them: by ``external_id``, else by hostname.

A fleet is held as plain values and not as rows of the database's session, which would take five
times the memory: most rows of a file change nothing.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Text, cast, select
from sqlalchemy.orm import Session

from inventory import hosts_csv
from inventory.hosts_csv import HostRow, HostsFile
from inventory.refusals import Problem, Refusal
from patchmgr.db import models

_NAMES = ("hostname", "external_id")
COMPARED = tuple(  # what a file says of a host that is stored as it stands there
    column for column in hosts_csv.COLUMNS if column not in (*_NAMES, *hosts_csv.WRITTEN)
)
_LISTS = [COMPARED.index(column) for column in hosts_csv.LISTS]
_FIRST = 5  # columns of a row before those of `COMPARED`
_TOGETHER = 10_000  # rows read from the database at a time


@dataclass(frozen=True, slots=True)
class Known:
    """A stored host before the import."""

    id: int
    hostname: str
    external_id: str | None
    source: str
    retired: bool
    cells: tuple[object, ...]  # of `COMPARED`, in its order

    def differences(self, row: HostRow) -> Iterator[tuple[str, object, object]]:
        """Yield (column, stored, said) of what ``row`` says otherwise."""
        said = said_of(row)
        for column, stored in zip(COMPARED, self.cells, strict=True):
            if column in said and said[column] != stored:
                yield column, stored, said[column]
        for column in _NAMES:
            if column in said and said[column] != getattr(self, column):
                yield column, getattr(self, column), said[column]


def said_of(row: HostRow) -> dict[str, object]:
    """Return what ``row`` says of its host, by columns of `models.Host`; lists as tuples.

    An empty external id says nothing.
    """
    said: dict[str, object] = {
        column: value for column, value in row.values.items() if column not in hosts_csv.WRITTEN
    }
    if not row.external_id:
        said.pop("external_id", None)
    return said | {column: tuple(words) for column, words in row.lists.items()}


class Fleet:
    """The stored hosts, by both names a row can meet them under."""

    def __init__(self, session: Session, file: HostsFile) -> None:
        self.by_name: dict[str, Known] = {}
        self.by_external: dict[str, Known] = {}
        self._mark = 0  # of all rows, whatever their order
        kept: dict[object, object] = {}  # a fleet repeats most values: each is kept once
        for row in _rows(session):
            self._mark += hash(row)
            known = _known(row, kept)
            self.by_name[known.hostname.lower()] = known
            if known.external_id:
                self.by_external[known.external_id] = known
        self._theirs = file.layout.theirs
        # A host that one row means by its external id is not what another means by its old name.
        self._claimed = {
            self.by_external[row.external_id].id
            for row in file.rows
            if row.external_id in self.by_external
        }

    def is_still(self, session: Session) -> bool:
        """Return whether the stored hosts are what they were, as far as a file can meet them."""
        return sum(map(hash, _rows(session))) == self._mark

    def find(self, row: HostRow) -> Known | None:
        """Return the host that ``row`` means; None for a new one."""
        if row.external_id in self.by_external:
            return self.by_external[row.external_id]
        named = self.by_name.get(row.hostname.lower())
        if named is None or named.id in self._claimed or _gives_way(named, row):
            return None
        return named

    def contradictions(self, rows: Sequence[HostRow]) -> dict[int, Problem]:
        """Return what is wrong with the ``rows`` that contradict the fleet, by their numbers.

        A refused row keeps its host's name taken, which may refuse another: so again, until all
        that is left fits together.
        """
        problems: dict[int, Problem] = {}
        while True:
            leaving = {found.id for row in rows if (found := self.find(row))}
            bad = {row.row: why for row in rows if (why := self._contradiction(row, leaving))}
            if not bad:
                return problems
            problems |= bad
            rows = [row for row in rows if row.row not in bad]

    def gone(self, file: HostsFile, source: str) -> list[Known]:
        """Return the hosts that ``source`` named last and that ``file`` does not, by name.

        A host of which a refused row speaks is not gone.
        """
        there = {found.id for row in file.rows if (found := self.find(row))}
        return sorted(
            (
                host
                for host in self.by_name.values()
                if host.source == source
                and not host.retired
                and host.id not in there
                and host.hostname.lower() not in file.named
                and host.external_id not in file.named_ids
            ),
            key=lambda host: host.hostname,
        )

    def vacated(self, rows: Sequence[HostRow]) -> dict[int, str]:
        """Return the hosts whose names go to others of ``rows``, by id."""
        owners = ((self.by_name.get(row.hostname.lower()), row) for row in rows)
        return {
            owner.id: owner.hostname
            for owner, row in owners
            if owner is not None and owner is not self.find(row)
        }

    def _contradiction(self, row: HostRow, leaving: set[int]) -> Problem | None:
        """Return why ``row`` cannot be; ``leaving`` are hosts that get their name from the file."""
        found, named = self.find(row), self.by_name.get(row.hostname.lower())
        if named is None:
            return None
        if found is not named:
            if named.id in leaving or named.retired:
                return None
            why = Refusal.NAME_TAKEN.said(host=row.hostname)
            return self._theirs("hostname"), row.hostname, why
        if row.external_id and named.external_id and named.external_id != row.external_id:
            why = Refusal.TWO_MACHINES.said(other=named.external_id, host=named.hostname)
            return self._theirs("external_id"), row.external_id, why
        return None


def _gives_way(named: Known, row: HostRow) -> bool:
    """Return whether ``named`` is a retired machine, and ``row`` one that took its place."""
    its_own = named.external_id or row.external_id
    return named.retired and bool(row.external_id) and its_own != row.external_id


def _rows(session: Session) -> Iterator[Row[Any]]:
    """Yield what is compared of each stored host; its lists as the text that they are stored as."""
    host = models.Host
    columns = [
        cast(getattr(host, column), Text) if column in hosts_csv.LISTS else getattr(host, column)
        for column in COMPARED
    ]
    is_retired = host.retired_at.is_not(None)
    query = select(
        host.id, host.hostname, host.external_id, host.source, is_retired, *columns
    ).execution_options(yield_per=_TOGETHER)
    yield from session.execute(query)


def _known(row: Row[Any], kept: dict[object, object]) -> Known:
    number, hostname, external_id, source, is_retired = row[:_FIRST]
    cells = list(row[_FIRST:])
    for place in _LISTS:
        text = cells[place]
        if (text, list) not in kept:
            kept[text, list] = tuple(json.loads(text))
        cells[place] = kept[text, list]
    values = tuple(kept.setdefault(cell, cell) for cell in cells)
    return Known(number, hostname, external_id, source, bool(is_retired), values)

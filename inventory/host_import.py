"""Bringing ``hosts.csv`` in: rows meet the fleet by ``external_id``, else by hostname."""

from collections import Counter
from collections.abc import Collection, Container, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from inventory import csv_file, hosts_csv
from inventory.csv_file import Watch
from inventory.csv_header import AS_IT_IS, Reading
from inventory.difference import Change, Difference, Then
from inventory.host_rows import judged_platform, move_platform, new_host
from inventory.hosts_csv import HostRow, HostsFile
from inventory.refusals import Problem, Refusal
from inventory.retirement import retire_host
from patchmgr.db import models
from patchmgr.db.queries import feeds
from patchmgr.db.session import Database
from patchmgr.domain.matching import platforms_of
from patchmgr.domain.packages import platform
from patchmgr.errors import ConflictError, InputError
from patchmgr.services import audit, installations

NAME_KEPT = 240  # characters of a name that is given away
_PLAIN = tuple(
    column
    for column in hosts_csv.COLUMNS
    if column not in ("hostname", "external_id", *hosts_csv.LISTS, *hosts_csv.WRITTEN)
)
# Inputs of the urgency policy, and which kernel counts: the host is worked out anew.
_JUDGED_FACTS = {"environment", "criticality", "exposure", "running_kernel"}


class _Everything(Container[str]):
    """What a person means who says "all of them"."""

    def __contains__(self, _name: object) -> bool:
        return True


EVERYTHING = _Everything()


def import_hosts(
    db: Database,
    path: Path,
    *,
    actor: str,
    now: datetime,
    how: Reading = AS_IT_IS,
    dry_run: bool = False,
    rejects: Path | None = None,
    source: str = "",
    full_export: bool = False,
    retire: Container[str] = (),
    watch: Watch | None = None,
    then: Then | None = None,
) -> Difference:
    """Store the hosts of ``path``; return the difference it makes.

    A column that the file does not have leaves what is stored; an empty cell empties it. With
    ``rejects`` the good rows are taken and the others written there; without it any bad row
    refuses the file. A ``full_export`` of ``source`` tells which hosts that source named before
    are gone from it; those whose names are in ``retire`` are retired, no other host ever.
    ``then`` is called in the same transaction. Raises `BadFileError`, `InputError`.
    """
    if full_export and not source:
        why = "needs a source (--source NAME): only hosts that it named before can be missed"
        raise InputError({"full export": why})
    file = hosts_csv.read(path, how, watch)
    with db.trying() if dry_run else db.writing(alone=True) as session:
        fleet = _Fleet(session, file)
        hosts_csv.refuse(file, path, how, fleet.contradictions(file.rows))
        file.refused.check(path.name, but_rejects=rejects is not None)
        rejected = file.refused.total
        difference = Difference(rows=len(file.rows) + rejected, rejected=rejected)
        difference.refused, difference.layout = file.refused.sorted, file.layout
        difference.undetermined, difference.unread = file.undetermined, [*file.unread]
        _tell_unfed(session, file, difference)
        gone = fleet.gone(file, source) if full_export else []
        difference.gone = [row.hostname for row in gone]
        _vacate_names(session, fleet, file)
        for row in file.rows:
            difference.count(_apply(session, fleet, row, source, now))
        chosen = [row for row in gone if row.hostname in retire]
        _retire(session, chosen, file, difference, actor=actor, now=now)
        if not dry_run:
            audit.record(
                session,
                at=now,
                actor=actor,
                action="hosts.import",
                subject=path.name,
                details=difference.summary() | ({"source": source} if source else {}),
            )
            if then is not None:
                then(session, difference)
            if rejects is not None:  # before the commit: rows must not be lost
                csv_file.write_rejects(rejects, file.layout, difference.refused)
    return difference


def _tell_unfed(session: Session, file: HostsFile, difference: Difference) -> None:
    """Say which releases of the file no feed speaks of: nothing on their hosts can be judged."""
    named = Counter(platform(*_system(row)) for row in file.rows)
    del named[platform("", "")]
    known = feeds.platforms_with_feed(session)
    unfed = {
        each: rows for each, rows in named.items() if not known.intersection(platforms_of(each))
    }
    difference.unfed, difference.without_feed = sorted(unfed), sum(unfed.values())


def _system(row: HostRow) -> tuple[str, str]:
    values = row.values
    return values.get("os_id", ""), values.get("os_release", "")


def _retire(
    session: Session,
    chosen: Collection[models.Host],
    file: HostsFile,
    difference: Difference,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Retire the hosts ``chosen`` among those gone. Raises `ConflictError` when that is unsure."""
    if chosen and file.nameless:
        raise ConflictError(
            f"{file.nameless} refused rows do not say which host they speak of, so it is not "
            "certain who is gone: correct them before any host is retired"
        )
    for row in chosen:
        difference.retired.append(row.hostname)
        retire_host(session, row, actor=actor, now=now)


class _Fleet:
    """The stored hosts, by both names a row can meet them under."""

    def __init__(self, session: Session, file: HostsFile) -> None:
        rows = session.scalars(select(models.Host)).all()
        self.by_name = {row.hostname.lower(): row for row in rows}
        self.by_external = {row.external_id: row for row in rows if row.external_id}
        self._theirs = file.layout.theirs
        self.names_before: dict[int, str] = {}  # of hosts whose name goes to another
        # A host that one row means by its external id is not what another means by its old name.
        self._claimed = {
            self.by_external[row.external_id].id
            for row in file.rows
            if row.external_id in self.by_external
        }

    def find(self, row: HostRow) -> models.Host | None:
        """Return the host that ``row`` means; None for a new one."""
        if row.external_id in self.by_external:
            return self.by_external[row.external_id]
        named = self.by_name.get(row.hostname.lower())
        if named is None or named.id in self._claimed or _gives_way(named, row):
            return None
        return named

    def name(self, host: models.Host) -> str:
        """Return the name of ``host`` as it was before this import."""
        return self.names_before.get(host.id, host.hostname)

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

    def gone(self, file: HostsFile, source: str) -> list[models.Host]:
        """Return the hosts that ``source`` named last and that ``file`` does not, by name.

        A host of which a refused row speaks is not gone.
        """
        there = {found.id for row in file.rows if (found := self.find(row))}
        return sorted(
            (
                host
                for host in self.by_name.values()
                if host.source == source
                and host.retired_at is None
                and host.id not in there
                and host.hostname.lower() not in file.named
                and host.external_id not in file.named_ids
            ),
            key=lambda host: host.hostname,
        )

    def _contradiction(self, row: HostRow, leaving: set[int]) -> Problem | None:
        """Return why ``row`` cannot be; ``leaving`` are hosts that get their name from the file."""
        found, named = self.find(row), self.by_name.get(row.hostname.lower())
        if named is None:
            return None
        if found is not named:
            if named.id in leaving or named.retired_at is not None:
                return None
            why = Refusal.NAME_TAKEN.said(host=row.hostname)
            return self._theirs("hostname"), row.hostname, why
        if row.external_id and named.external_id and named.external_id != row.external_id:
            why = Refusal.TWO_MACHINES.said(other=named.external_id, host=named.hostname)
            return self._theirs("external_id"), row.external_id, why
        return None


def _gives_way(named: models.Host, row: HostRow) -> bool:
    """Return whether ``named`` is a retired machine, and ``row`` one that took its place."""
    its_own = named.external_id or row.external_id
    return named.retired_at is not None and bool(row.external_id) and its_own != row.external_id


def _vacate_names(session: Session, fleet: _Fleet, file: HostsFile) -> None:
    """Free the names that change hands, which the unique column would refuse."""
    for row in file.rows:
        owner = fleet.by_name.get(row.hostname.lower())
        if owner is not None and owner is not fleet.find(row):
            fleet.names_before[owner.id] = owner.hostname
    for owner in list(fleet.by_name.values()):
        if owner.id in fleet.names_before:
            # What a retired host is called from now on; a host of the file gets its new name soon.
            owner.hostname = f"{owner.hostname[:NAME_KEPT]}~{owner.id}"
    session.flush()


def _apply(session: Session, fleet: _Fleet, row: HostRow, source: str, now: datetime) -> Change:
    found = fleet.find(row)
    host = found or new_host(row.hostname, now)
    if source and host.source != source:
        host.source = source
    before = judged_platform(host)
    changed = _set_columns(host, row, fleet.name(host))
    if host.retired_at is not None:
        host.retired_at = None
        host.judged_set_id = None
        installations.count(session, [host.id])
        changed.append("no longer retired")
    where = platform(host.os_id, host.os_release)
    if found is None:
        host.platform = where
        session.add(host)
        return Change(row.hostname, "new")
    if not changed:
        return Change(row.hostname, "unchanged")
    host.updated_at = now
    host.platform = where
    if judged_platform(host) != before:
        session.flush()
        move_platform(session, host, now)
    if any(change.split(":")[0] in _JUDGED_FACTS for change in changed):
        host.judged_set_id = None
    return Change(row.hostname, "changed", tuple(changed))


def _set_columns(host: models.Host, row: HostRow, name: str) -> list[str]:
    """Give ``host``, called ``name`` until now, the values of ``row``; say what changed."""
    changed = []
    cells = row.values
    values: dict[str, object] = {column: cells[column] for column in _PLAIN if column in cells}
    values["hostname"] = row.hostname
    if row.external_id:
        values["external_id"] = row.external_id
    values |= row.lists
    for column, value in values.items():
        old = name if column == "hostname" else getattr(host, column)
        if old != value:
            setattr(host, column, value)
            changed.append(f"{column}: {_shown(old)} -> {_shown(value)}")
    return changed


def _shown(value: object) -> str:
    return " ".join(value) if isinstance(value, list) else str(value or "(empty)")

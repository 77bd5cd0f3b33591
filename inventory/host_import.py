"""Bringing ``hosts.csv`` in: rows meet the fleet by ``external_id``, else by hostname."""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from inventory import csv_file, hosts_csv
from inventory.csv_file import Watch
from inventory.csv_header import AS_IT_IS, Reading
from inventory.difference import Change, Difference, Then
from inventory.host_rows import judged_platform, move_platform, new_host
from inventory.hosts_csv import HostRow, HostsFile
from inventory.known_hosts import Fleet, Known, said_of
from inventory.retirement import retire_host
from patchmgr.db import models
from patchmgr.db.bulk import IN_LIST, chunks
from patchmgr.db.queries import feeds
from patchmgr.db.session import Database
from patchmgr.domain.matching import platforms_of
from patchmgr.domain.packages import platform
from patchmgr.errors import ConflictError, InputError
from patchmgr.services import audit, installations

NAME_KEPT = 240  # characters of a name that is given away
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
    with db.reading(snapshot=True) if dry_run else db.writing(alone=True) as session:
        fleet = Fleet(session, file)
        hosts_csv.refuse(file, path, how, fleet.contradictions(file.rows))
        file.refused.check(path.name, but_rejects=rejects is not None)
        rejected = file.refused.total
        difference = Difference(rows=len(file.rows) + rejected, rejected=rejected)
        difference.refused, difference.layout = file.refused.sorted, file.layout
        difference.undetermined, difference.unread = file.undetermined, [*file.unread]
        _tell_unfed(session, file, difference)
        gone = fleet.gone(file, source) if full_export else []
        difference.gone = [host.hostname for host in gone]
        for row in file.rows:
            difference.count(_change(row, fleet.find(row)))
        chosen = [host for host in gone if host.hostname in retire]
        difference.retired = _to_retire(chosen, file)
        if not dry_run:
            _store(session, fleet, file.rows, source, now)
            for host in chosen:
                row_of = session.get_one(models.Host, host.id)
                retire_host(session, row_of, actor=actor, now=now)
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


def _to_retire(chosen: Sequence[Known], file: HostsFile) -> list[str]:
    """Return the names of those ``chosen`` among the gone. Raises `ConflictError` when unsure."""
    if chosen and file.nameless:
        raise ConflictError(
            f"{file.nameless} refused rows do not say which host they speak of, so it is not "
            "certain who is gone: correct them before any host is retired"
        )
    return [host.hostname for host in chosen]


def _change(row: HostRow, known: Known | None) -> Change:
    """Return what ``row`` does to the host that it means."""
    if known is None:
        return Change(row.hostname, "new")
    changed = [
        f"{column}: {_shown(old)} -> {_shown(new)}" for column, old, new in known.differences(row)
    ]
    changed += ["no longer retired"] if known.retired else []
    return Change(row.hostname, "changed" if changed else "unchanged", tuple(changed))


def _store(
    session: Session, fleet: Fleet, rows: Sequence[HostRow], source: str, now: datetime
) -> None:
    """Store what ``rows`` say: some at a time, since a fleet is more than fits in memory."""
    _vacate_names(session, fleet.vacated(rows))
    for some in chunks(rows, IN_LIST):
        found = [(row, fleet.find(row)) for row in some]
        if source:
            _set_source(session, [known for _, known in found if known], source)
        differing = {known.id for row, known in found if known and _differs(known, row)}
        query = select(models.Host).where(models.Host.id.in_(differing))
        hosts = {host.id: host for host in session.scalars(query)} if differing else {}
        for row, known in found:
            if known is None:
                session.add(_new(row, source, now))
            elif known.id in hosts:
                _apply(session, hosts[known.id], known, row, now)
        session.flush()
        session.expunge_all()


def _differs(known: Known, row: HostRow) -> bool:
    return known.retired or any(True for _ in known.differences(row))


def _vacate_names(session: Session, owners: Mapping[int, str]) -> None:
    """Free the names that change hands, which the unique column would refuse.

    What a retired host is called from now on; a host of the file gets its new name soon.
    """
    if owners:
        free = [
            {"id": number, "hostname": f"{name[:NAME_KEPT]}~{number}"}
            for number, name in owners.items()
        ]
        session.execute(update(models.Host), free)


def _set_source(session: Session, hosts: Sequence[Known], source: str) -> None:
    others = [host.id for host in hosts if host.source != source]
    if others:
        session.execute(update(models.Host).where(models.Host.id.in_(others)).values(source=source))


def _new(row: HostRow, source: str, now: datetime) -> models.Host:
    host = new_host(row.hostname, now)
    host.source = source
    for column, value in said_of(row).items():
        _set(host, column, value)
    host.platform = platform(host.os_id, host.os_release)
    return host


def _apply(session: Session, host: models.Host, known: Known, row: HostRow, now: datetime) -> None:
    """Give the stored ``host`` what ``row`` says otherwise than what was ``known`` of it."""
    before = judged_platform(host)
    columns = set()
    for column, _, value in known.differences(row):
        _set(host, column, value)
        columns.add(column)
    if known.retired:
        host.retired_at = None
        host.judged_set_id = None
        installations.count(session, [host.id])
    host.updated_at = now
    host.platform = platform(host.os_id, host.os_release)
    if judged_platform(host) != before:
        session.flush()
        move_platform(session, host, now)
    if columns & _JUDGED_FACTS:
        host.judged_set_id = None


def _set(host: models.Host, column: str, value: object) -> None:
    setattr(host, column, list(value) if isinstance(value, tuple) else value)


def _shown(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value or "(empty)")

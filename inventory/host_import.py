"""Bringing ``hosts.csv`` in: rows meet the fleet by ``external_id``, else by hostname."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import bindparam, select, update
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
from patchmgr.db.base import table_of
from patchmgr.db.bulk import chunks, in_lists, insert_all
from patchmgr.db.queries import feeds
from patchmgr.db.session import Database
from patchmgr.domain.matching import platforms_of
from patchmgr.domain.packages import platform
from patchmgr.errors import ConflictError, InputError
from patchmgr.services import audit, installations

NAME_KEPT = 240  # characters of a name that is given away
# Inputs of the urgency policy, and which kernel counts: the host is worked out anew.
TOGETHER = 2_000  # rows stored at a time
_ID = "id_of_host"  # beside columns of the same statement
_PLATFORM = {"os_id", "os_release", "entitlements"}
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
    ask = _Ask(path, how, source, full_export, retire, takes_good=rejects is not None)
    file = hosts_csv.read(path, how, watch)
    with db.reading(snapshot=True) as session:
        plan = _planned(session, file, ask)
    if dry_run:
        return plan.difference
    with db.writing(alone=True) as session:
        if not plan.fleet.is_still(session):  # somebody wrote since
            file = hosts_csv.read(path, how) if plan.is_file_used else file
            plan = _planned(session, file, ask)
        difference = plan.difference
        _store(session, plan, source, now)
        for host in plan.retiring:
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


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is asked of an import."""

    path: Path
    how: Reading
    source: str
    full_export: bool
    retire: Container[str]
    takes_good: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a file does to the hosts as they are stored; nobody has to wait while it is made."""

    fleet: Fleet
    difference: Difference
    new: Sequence[HostRow]
    changing: Sequence[tuple[HostRow, Known]]
    from_elsewhere: Sequence[int]  # hosts that another source named last
    vacated: Mapping[int, str]  # hosts whose names go to others
    retiring: Sequence[Known]
    is_file_used: bool  # rows were taken out of it that these hosts contradict


def _planned(session: Session, file: HostsFile, ask: _Ask) -> _Plan:
    """Return what ``file`` does. Raises `BadFileError`, `ConflictError`."""
    fleet = Fleet(session, file)
    problems = fleet.contradictions(file.rows)
    hosts_csv.refuse(file, ask.path, ask.how, problems)
    file.refused.check(ask.path.name, but_rejects=ask.takes_good)
    rejected = file.refused.total
    difference = Difference(rows=len(file.rows) + rejected, rejected=rejected)
    difference.refused, difference.layout = file.refused.sorted, file.layout
    difference.undetermined, difference.unread = file.undetermined, [*file.unread]
    _tell_unfed(session, file, difference)
    gone = fleet.gone(file, ask.source) if ask.full_export else []
    difference.gone = [host.hostname for host in gone]
    new, changing, from_elsewhere = [], [], []
    for row in file.rows:
        known = fleet.find(row)
        change = _change(row, known)
        difference.count(change)
        if known is None:
            new.append(row)
            continue
        if change.kind == "changed":
            changing.append((row, known))
        if ask.source and known.source != ask.source:
            from_elsewhere.append(known.id)
    retiring = [host for host in gone if host.hostname in ask.retire]
    difference.retired = _to_retire(retiring, file)
    vacated = fleet.vacated(file.rows)
    return _Plan(
        fleet, difference, new, changing, from_elsewhere, vacated, retiring, bool(problems)
    )


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


def _store(session: Session, plan: _Plan, source: str, now: datetime) -> None:
    """Store what a file says: some at a time, since a fleet is more than fits in memory."""
    _vacate_names(session, plan.vacated)
    for ids in in_lists(plan.from_elsewhere):
        session.execute(update(models.Host).where(models.Host.id.in_(ids)).values(source=source))
    blank = {
        column: value
        for column, value in vars(new_host("", now)).items()
        if not column.startswith("_")
    }
    for rows in chunks(plan.new, TOGETHER):
        insert_all(session, models.Host, [blank | _said_of_new(row, source) for row in rows])
    for some in chunks(plan.changing, TOGETHER):
        _change_some(session, some, now)


def _change_some(session: Session, found: Iterable[tuple[HostRow, Known]], now: datetime) -> None:
    """Store what rows say otherwise of hosts: plain values at once, host by host what has effects.

    These are a new platform, whose versions are other ones, and a return from retirement.
    """
    plain: dict[tuple[str, ...], list[dict[str, object]]] = {}  # by their columns
    apart: dict[int, tuple[Known, HostRow]] = {}
    for row, known in found:
        changes = {column: _stored(value) for column, _, value in known.differences(row)}
        if known.retired or changes.keys() & _PLATFORM:
            apart[known.id] = known, row
        elif changes:
            judged = {"judged_set_id": None} if changes.keys() & _JUDGED_FACTS else {}
            values = {**changes, **judged, "updated_at": now}
            plain.setdefault(tuple(values), []).append({_ID: known.id, **values})
    hosts = table_of(models.Host)
    for columns, changed in plain.items():
        to_each = update(hosts).where(hosts.c.id == bindparam(_ID))
        to_each = to_each.values({column: bindparam(column) for column in columns})
        session.connection().execute(to_each, changed)
    for ids in in_lists([*apart]):
        for host in session.scalars(select(models.Host).where(models.Host.id.in_(ids))):
            _apply(session, host, *apart[host.id], now)
        session.flush()
        session.expunge_all()


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


def _said_of_new(row: HostRow, source: str) -> dict[str, object]:
    said = {column: _stored(value) for column, value in said_of(row).items()}
    where = platform(str(said.get("os_id", "")), str(said.get("os_release", "")))
    return said | {"source": source, "platform": where}


def _apply(session: Session, host: models.Host, known: Known, row: HostRow, now: datetime) -> None:
    """Give the stored ``host`` what ``row`` says otherwise than what was ``known`` of it."""
    before = judged_platform(host)
    columns = set()
    for column, _, value in known.differences(row):
        setattr(host, column, _stored(value))
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


def _stored(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value or "(empty)")

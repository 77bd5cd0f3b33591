"""Bringing inventory in: host rows, package files, reports. Each call is one transaction.

Everything is checked before anything is written; a call that raises has changed nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from inventory import (
    csv_file,
    documents,
    formats,
    host_facts,
    hosts_csv,
    packages_csv,
    sections,
    sets,
)
from inventory.csv_file import Layout, Watch
from inventory.csv_header import AS_IT_IS, Reading
from inventory.report import Listing
from inventory.sections import Report
from patchmgr.db import models, package_sets
from patchmgr.db.base import table_of
from patchmgr.db.bulk import CHUNK, among, chunks, in_lists
from patchmgr.db.package_sets import Ids
from patchmgr.db.session import Database
from patchmgr.domain import os_names
from patchmgr.domain.packages import Package, Platform, entitled, platform
from patchmgr.errors import BadRow, InputError, NotFoundError
from patchmgr.services import audit, enrolment, exposures, installations

REPORT = "report"  # format of a whole document, beside those of single listings
FORMATS = (*sorted(formats.READERS), REPORT)
MODES = ("snapshot", "merge")
EXAMPLES = 20  # of each kind in a difference


@dataclass(frozen=True, slots=True)
class Change:
    """What an import does, or would do, to one host."""

    host: str
    kind: str  # "new", "changed", "unchanged"
    details: tuple[str, ...] = ()  # "environment: test -> production", "+openssl 3.0.17-1"


@dataclass(slots=True)
class Difference:
    """What an import does to the inventory: totals, and examples of what changes."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    added: int = 0  # package versions that hosts get
    removed: int = 0  # package versions that hosts lose
    rows: int = 0
    rejected: int = 0
    changes: list[Change] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)  # hosts that a full export no longer names
    retired: list[str] = field(default_factory=list)  # those of them that a person gave up
    undetermined: int = 0  # rows with an operating system that cannot be told from its name
    unread: list[str] = field(default_factory=list)  # examples of such names
    without_feed: int = 0  # rows with a release that no feed speaks of
    unfed: list[str] = field(default_factory=list)  # those releases, as platforms
    refused: list[BadRow] = field(default_factory=list)
    layout: Layout | None = None  # how the file was read; None when it was none
    format: str = ""  # of a report, as it was named or recognised
    not_judged: int = 0  # entries of a report of which no package could be made
    not_judged_why: tuple[str, ...] = ()  # the first of them
    notes: tuple[str, ...] = ()  # what limits how far a report can be judged
    host: str = ""  # of a report: whose it is
    unreadable: Mapping[str, str] = field(default_factory=dict)  # section of a report -> why

    def count(self, change: Change) -> None:
        setattr(self, change.kind, getattr(self, change.kind) + 1)
        if change.kind != "unchanged" and len(self.changes) < EXAMPLES:
            self.changes.append(change)

    def summary(self) -> dict[str, int]:
        return {
            "rows": self.rows,
            "new": self.new,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "packages_added": self.added,
            "packages_removed": self.removed,
            "rejected": self.rejected,
            "gone": len(self.gone),
            "retired": len(self.retired),
            "undetermined": self.undetermined,
            "without_feed": self.without_feed,
        }


Then = Callable[[Session, Difference], None]  # what else is done in the transaction of an import


def import_packages(
    db: Database,
    path: Path,
    *,
    actor: str,
    now: datetime,
    mode: str = "snapshot",
    how: Reading = AS_IT_IS,
    dry_run: bool = False,
    rejects: Path | None = None,
    watch: Watch | None = None,
    then: Then | None = None,
) -> Difference:
    """Store what ``path`` says its hosts have installed; return the difference it makes.

    ``snapshot`` replaces what each named host has, ``merge`` adds to it (a package that the host
    has in another version is replaced). With ``rejects`` the good rows are taken and the others
    written there; without it any bad row refuses the file. Raises `BadFileError`, `InputError`.
    """
    if mode not in MODES:
        raise InputError({"mode": f"{mode!r} is not one of {', '.join(MODES)}"})
    file = packages_csv.read(path, how, watch)
    with db.trying() if dry_run else db.writing(alone=True) as session:
        hosts = _hosts_by_name(session)
        unknown = [name for name in file.hosts if name.lower() not in hosts]
        packages_csv.unknown_hosts(file, unknown)
        file.refused.check(path.name, but_rejects=rejects is not None)
        difference = Difference(rows=file.rows, rejected=file.refused.total, layout=file.layout)
        difference.refused = file.refused.sorted
        _store_packages(session, file, hosts, difference, mode=mode, now=now)
        if not dry_run:
            audit.record(
                session,
                at=now,
                actor=actor,
                action="packages.import",
                subject=path.name,
                details={"mode": mode, **difference.summary()},
            )
            if then is not None:
                then(session, difference)
            if rejects is not None:  # before the commit: rows must not be lost
                csv_file.write_rejects(rejects, file.layout, difference.refused)
    return difference


def submit_report(
    db: Database,
    *,
    host: str,
    os: str,
    format: str,  # noqa: A002 -- the word of the command line and the API
    text: str,
    actor: str,
    now: datetime,
) -> Difference:
    """Store a host's own listing, or a whole `REPORT`; a new host joins the inventory.

    ``os`` is ``ID:RELEASE``, empty when the host is known already or the report says it itself;
    ``format`` is empty when it is to be recognised; ``host`` may be empty for a whole report, which
    names its own. What the host has of managers that the report does not speak for stays. Raises
    `InputError` and `BadFileError`; `NotFoundError` for an unknown host of which nobody says the
    system.
    """
    report = None
    if format == REPORT or (not format and documents.recognises(text.encode())):
        report = sections.read_report(documents.read(text.encode()))
        format, listing, host = REPORT, report.listing, host or report.hostname  # noqa: A001 -- the API's word
    if (why := hosts_csv.wrong("hostname", host)) is not None:
        raise InputError({"host": f"{host[:80]!r} {why}"})
    os = _checked_os(os)
    if report is None:
        format, listing = formats.read(text, format)  # noqa: A001 -- see above
    system = _system(os, listing)
    with db.writing(alone=True) as session:
        row = _reporting_host(session, host, system, now, is_given=bool(os))
        difference = store_report(session, row, listing, format, report=report, now=now)
        difference.format = format
        if difference.new or difference.changed:
            details = {"format": format, **difference.summary()}
            if listing.not_judged:
                details["not_judged"] = listing.not_judged
            audit.record(
                session,
                at=now,
                actor=actor,
                action="report.submit",
                subject=f"host {row.hostname}",
                details=details,
            )
    return difference


def store_report(
    session: Session,
    row: models.Host,
    listing: Listing,
    format: str,  # noqa: A002 -- the word of the command line and the API
    *,
    report: Report | None = None,
    now: datetime,
) -> Difference:
    """Store what ``listing`` says a host has installed, in the transaction of who brought it.

    What of it cannot be judged replaces what the last report of this ``format`` left so. With a
    whole ``report`` also what else the host says; without one that stays as it is.
    """
    difference = Difference(
        rows=len(listing.packages),
        host=row.hostname,
        not_judged=listing.not_judged,
        not_judged_why=listing.not_judged_why,
        notes=listing.notes,
    )
    is_new = row.package_set_id is None
    if listing.held is not None:
        row.held = sorted(listing.held)
    _keep_not_judged(row, listing, format)
    row.reported_at = now
    if row.retired_at is not None:
        row.retired_at = None
        row.judged_set_id = None
        installations.count(session, [row.id])
    told: list[str] = []
    with session.no_autoflush:  # the host is written once, when all is known of it
        if report is not None:
            difference.unreadable = report.facts.unreadable
            host_facts.entitle(row, report)  # before the listing: versions are judged by it
            told = host_facts.store(session, row, report, now)
        changed = _store_listing(session, row, listing, difference, now)
    kind = _kind(is_new=is_new, changed=changed or bool(told))
    difference.count(Change(row.hostname, kind, tuple(told)))
    return difference


def _keep_not_judged(row: models.Host, listing: Listing, format: str) -> None:  # noqa: A002 -- as above
    of = {name: left for name, left in row.not_judged_of.items() if name != format}
    if listing.not_judged:
        of[format] = [listing.not_judged, list(listing.not_judged_why)]
    if of != row.not_judged_of:
        row.not_judged_of, row.not_judged = of, sum(count for count, _ in of.values())


def _checked_os(os: str) -> str:
    """Return ``os``, given as ``ID:RELEASE``, with its ID in lower case. Raises `InputError`."""
    os_id, _, os_release = os.partition(":")
    os_id = os_id.lower()  # os-release(5): ID is in lower case
    bad_word = hosts_csv.wrong("os_id", os_id) or hosts_csv.wrong("os_release", os_release)
    if os and (not os_id or not os_release or bad_word):
        raise InputError({"os": f"{os[:80]!r} is not ID:RELEASE, such as debian:12"})
    return f"{os_id}:{os_release}" if os else ""


def _system(os: str, listing: Listing) -> str:
    """Return the host's system, as was given or as the report says. Raises `InputError`."""
    if os and listing.system and not os_names.agree(os, listing.system):
        raise InputError({"os": f"{os[:80]!r} is not what the report is of: {listing.system}"})
    return os or listing.system


def retire(db: Database, name: str, *, actor: str, now: datetime) -> None:
    """Take a host out of every list and count; its history stays. Raises `NotFoundError`."""
    with db.writing(alone=True) as session:
        row = session.scalar(
            select(models.Host).where(
                func.lower(models.Host.hostname) == name.lower(), models.Host.retired_at.is_(None)
            )
        )
        if row is None:
            raise NotFoundError("host", name)
        retire_host(session, row, actor=actor, now=now)


def retire_host(session: Session, row: models.Host, *, actor: str, now: datetime) -> None:
    """Retire a host inside the transaction that decided it."""
    row.retired_at = now
    row.judged_set_id = None
    row.updated_at = now
    exposures.close_all(session, row.id, now)
    enrolment.end_tokens(session, row.id, now=now)
    installations.count(session, [row.id])
    audit.record(session, at=now, actor=actor, action="host.retire", subject=f"host {row.hostname}")


def judged_platform(host: models.Host) -> Platform:
    """Return the platform that advisories judge what ``host`` has installed by."""
    return entitled(Platform(host.platform), host.entitlements)


def move_platform(session: Session, host: models.Host, now: datetime) -> None:
    """Restate what ``host`` has installed as versions of its new platform, after an upgrade."""
    if host.package_set_id is None:
        return
    members = package_sets.members_of(session, host.package_set_id)
    packages = [sets.package(row) for row in sets.packages_of(session, members)]
    encoded = sets.encode(session, judged_platform(host), packages)
    (set_id,) = sets.store(session, encoded, [np.arange(len(packages))], now)
    _point(session, [(host.id, set_id)], now)


@dataclass(frozen=True, slots=True)
class _Host:
    id: int
    hostname: str
    platform: Platform  # as judged
    set_id: int | None


@dataclass(frozen=True, slots=True)
class _Given:
    """What a file says that a host has, as it was read: wider numbers would double a fleet."""

    host: _Host
    codes: Ids  # of the file's packages, with repeats

    def with_more(self, codes: Ids) -> "_Given":
        return _Given(self.host, np.concatenate([self.codes, codes]))


def _hosts_by_name(session: Session) -> dict[str, _Host]:
    host = models.Host
    rows = session.execute(
        select(host.id, host.hostname, host.platform, host.entitlements, host.package_set_id).where(
            host.retired_at.is_(None)
        )
    )
    return {
        name.lower(): _Host(number, name, entitled(Platform(where), entitlements), set_id)
        for number, name, where, entitlements, set_id in rows
    }


def _store_packages(
    session: Session,
    file: packages_csv.PackagesFile,
    hosts: Mapping[str, _Host],
    difference: Difference,
    *,
    mode: str,
    now: datetime,
) -> None:
    by_platform: dict[Platform, list[_Given]] = {}
    for name, codes in file.hosts.items():
        host = hosts[name.lower()]
        given = _Given(host, np.frombuffer(codes, np.uint32))
        by_platform.setdefault(host.platform, []).append(given)
    moved: list[tuple[int, int]] = []
    for where, members in by_platform.items():
        fleet, packages = _joined(members), file.packages
        if mode == "merge":
            fleet, packages = _merged(session, fleet, packages)
        encoded, place = _used(session, where, fleet, packages)
        set_ids = sets.store(session, encoded, (place[each.codes] for each in fleet), now)
        pairs = zip(fleet, set_ids, strict=True)
        for some in chunks(pairs, sets.TOGETHER):
            left = [each.host.set_id for each, set_id in some if each.host.set_id != set_id]
            had = package_sets.members(session, set(filter(None, left)))
            for each, set_id in some:
                if each.host.set_id == set_id:
                    difference.count(Change(each.host.hostname, "unchanged"))
                    continue
                has = encoded.ids[place[each.codes]]
                _change(each.host, has, had.get(each.host.set_id or 0), difference)
                moved.append((each.host.id, set_id))
    for some_moved in chunks(moved, CHUNK):
        _point(session, some_moved, now)
    named = [hosts[name.lower()].id for name in file.hosts]
    _reported(session, named, now)
    if mode == "snapshot":
        _judge_all(session, named)


def _change(host: _Host, has: Ids, had: Ids | None, difference: Difference) -> None:
    """Count what a host gets and loses."""
    gets, loses = _come_and_gone(has, had)
    difference.added += gets
    difference.removed += loses
    kind = _kind(is_new=host.set_id is None, changed=True)
    details = (f"+{gets} packages", f"-{loses} packages")
    difference.count(Change(host.hostname, kind, details))


def _judge_all(session: Session, host_ids: Sequence[int]) -> None:
    """Forget what earlier reports left unjudged: the file names everything its hosts have."""
    host = models.Host
    left = set(session.scalars(select(host.id).where(host.not_judged > 0)))
    for part in in_lists(sorted(left.intersection(host_ids))):
        session.execute(
            update(host).where(host.id.in_(part)).values(not_judged=0, not_judged_of={})
        )


def _come_and_gone(has: Ids, had: Ids | None) -> tuple[int, int]:
    """Return how many versions a host gets and loses, by what it has and what it had."""
    now = sets.without_repeats(has.astype(np.intp))
    if had is None:
        return len(now), 0
    return len(np.setdiff1d(now, had)), len(np.setdiff1d(had, now))


def _joined(members: Sequence[_Given]) -> list[_Given]:
    """Put together what names that differ only in case say of one host."""
    joined: dict[int, _Given] = {}
    for each in members:
        before = joined.get(each.host.id)
        joined[each.host.id] = each if before is None else before.with_more(each.codes)
    return list(joined.values())


def _used(
    session: Session, where: Platform, fleet: Sequence[_Given], packages: Sequence[Package]
) -> tuple[sets.Encoded, sets.Positions]:
    """Encode the packages that hosts of this platform have; return also the place of each code."""
    used = np.zeros(len(packages), bool)
    for each in fleet:
        used[each.codes] = True
    encoded = sets.encode(session, where, [packages[i] for i in map(int, np.flatnonzero(used))])
    return encoded, np.cumsum(used) - 1


def _merged(
    session: Session, fleet: Sequence[_Given], packages: Sequence[Package]
) -> tuple[list[_Given], list[Package]]:
    """Add to each host's packages what it already has, unless the file has another version."""
    everything = list(packages)
    place = {package: position for position, package in enumerate(everything)}
    merged = []
    for each in fleet:
        given = {_slot(packages[code]) for code in map(int, each.codes)}
        kept = [
            package
            for package in map(sets.package, _installed(session, each.host))
            if _slot(package) not in given
        ]
        for package in kept:
            if place.setdefault(package, len(everything)) == len(everything):
                everything.append(package)
        more = np.fromiter((place[package] for package in kept), np.uint32, len(kept))
        merged.append(each.with_more(more))
    return merged, everything


def _slot(package: Package) -> tuple[str, str, str]:
    return package.manager, package.name, package.arch


def _installed(session: Session, host: _Host) -> list[models.PackageVersion]:
    return sets.packages_of(session, package_sets.members_of(session, host.set_id))


def _point(session: Session, moved: Sequence[tuple[int, int]], now: datetime) -> None:
    """Let each (host, set) be what the host has from ``now`` on."""
    if not moved:
        return
    session.flush()
    connection = session.connection()
    history, host = table_of(models.HostPackageSet), table_of(models.Host)
    connection.execute(
        update(history)
        .where(history.c.host_id == bindparam("b_host"), history.c.until.is_(None))
        .values(until=now),
        [{"b_host": host_id} for host_id, _ in moved],
    )
    connection.execute(
        history.insert(),
        [
            {"host_id": host_id, "package_set_id": set_id, "since": now, "until": None}
            for host_id, set_id in moved
        ],
    )
    connection.execute(
        update(host)
        .where(host.c.id == bindparam("b_host"))
        .values(package_set_id=bindparam("b_set"), updated_at=now, report_digest=None),
        [{"b_host": host_id, "b_set": set_id} for host_id, set_id in moved],
    )
    installations.count(session, [host_id for host_id, _ in moved])
    session.expire_all()


def _reported(session: Session, host_ids: Sequence[int], now: datetime) -> None:
    for part in in_lists(list(host_ids)):
        session.execute(
            update(models.Host)
            .where(models.Host.id.in_(part))
            .values(reported_at=now)
            .execution_options(synchronize_session=False)
        )


def _store_listing(
    session: Session, row: models.Host, listing: Listing, difference: Difference, now: datetime
) -> bool:
    packages = list(listing.packages)
    encoded = sets.encode(session, judged_platform(row), packages)
    near = package_sets.near(session, row.package_set_id)
    had = package_sets.unpack(b"") if near is None else near.members
    if near is not None and np.array_equal(np.sort(encoded.ids), had):
        return False
    gone = np.setdiff1d(had, encoded.ids)
    if kept := _of_others(session, gone, listing):
        packages = list(listing.packages.union(kept))
        encoded = sets.encode(session, judged_platform(row), packages)
    (set_id,) = sets.store(session, encoded, [np.arange(len(packages))], now, near=near)
    if set_id == row.package_set_id:
        return False
    difference.added += len(np.setdiff1d(encoded.ids, had))
    difference.removed += len(np.setdiff1d(had, encoded.ids))
    _move(session, row, set_id, had, np.unique(encoded.ids), now)
    return True


def _of_others(session: Session, gone: Ids, listing: Listing) -> list[Package]:
    """Return which of the members ``gone`` are packages that ``listing`` does not speak for."""
    if not len(gone):
        return []
    version = models.PackageVersion
    of_others = version.manager.not_in(listing.speaks_for)
    query = select(version).where(among(session, version.id, gone.tolist()), of_others)
    return list(map(sets.package, session.scalars(query)))


def _move(
    session: Session, row: models.Host, set_id: int, had: Ids, has: Ids, now: datetime
) -> None:
    """Let one host have a set from ``now`` on, as `_point` does for many."""
    if row.counted_set_id != row.package_set_id or row.retired_at is not None:
        _point(session, [(row.id, set_id)], now)
        session.refresh(row)
        return
    connection, history = session.connection(), table_of(models.HostPackageSet)
    connection.execute(
        update(history)
        .where(history.c.host_id == row.id, history.c.until.is_(None))
        .values(until=now)
    )
    started = {"host_id": row.id, "package_set_id": set_id, "since": now, "until": None}
    connection.execute(history.insert(), started)
    installations.change(session, had, has)
    row.package_set_id = row.counted_set_id = set_id
    row.updated_at = now
    row.report_digest = None


def _reporting_host(
    session: Session, name: str, system: str, now: datetime, *, is_given: bool
) -> models.Host:
    """Return the host that reports, of ``system`` from now on.

    What a report says of it by itself, not ``is_given``, may be less exact than what is known.
    """
    row = session.scalar(
        select(models.Host).where(func.lower(models.Host.hostname) == name.lower())
    )
    if row is None:
        if not system:
            raise NotFoundError("host", name)
        row = new_host(name, now)
        session.add(row)
    set_platform(session, row, system, now, is_given=is_given)
    return row


def set_platform(
    session: Session, row: models.Host, system: str, now: datetime, *, is_given: bool = True
) -> None:
    """Let a host be of the ``system`` that it says, if it says one."""
    os_id, _, os_release = system.partition(":")
    where = platform(os_id, os_release)
    is_known = not is_given and os_names.agree(row.platform, where)
    if os_id and row.platform != where and not is_known:
        row.os_id, row.os_release, row.platform = os_id, os_release, where
        row.updated_at = now
        session.flush()
        move_platform(session, row, now)
    session.flush()


def new_host(name: str, now: datetime) -> models.Host:
    """Return a host of which nothing but its name is known."""
    return models.Host(
        hostname=name,
        external_id=None,
        os_id="",
        os_release="",
        platform="",
        arch="",
        environment="",
        site="",
        owner="",
        criticality="",
        exposure="",
        ring="",
        window="",
        tags=[],
        entitlements=[],
        package_set_id=None,
        judged_set_id=None,
        counted_set_id=None,
        reported_at=None,
        running_kernel="",
        reboot_pending=False,
        held=[],
        source="",
        created_at=now,
        updated_at=now,
        retired_at=None,
        machine_id="",
        product_uuid="",
        boot_id="",
        reported_name="",
        first_address="",
        last_address="",
        report_digest=None,
    )


def _kind(*, is_new: bool, changed: bool) -> str:
    if is_new:
        return "new"
    return "changed" if changed else "unchanged"

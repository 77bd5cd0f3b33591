"""Bringing ``packages.csv`` in: what many hosts have installed, in one transaction.

Everything is checked before anything is written; a call that raises has changed nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from inventory import csv_file, host_sets, packages_csv, sets
from inventory.csv_file import Watch
from inventory.csv_header import AS_IT_IS, Reading
from inventory.difference import Change, Difference, Then, kind_of
from patchmgr.db import models, package_sets
from patchmgr.db.bulk import CHUNK, chunks, in_lists
from patchmgr.db.package_sets import Ids
from patchmgr.db.session import Database
from patchmgr.domain.packages import Package, Platform, entitled
from patchmgr.errors import InputError
from patchmgr.services import audit

MODES = ("snapshot", "merge")


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
        if any(not package.manager for package in file.packages):
            platforms = {name: hosts[name.lower()].platform for name in file.hosts}
            packages_csv.of_system(file, platforms)
        file.refused.check(path.name, but_rejects=rejects is not None)
        difference = Difference(rows=file.rows, rejected=file.refused.total, layout=file.layout)
        difference.refused = file.refused.sorted
        difference.not_judged, difference.not_judged_why = file.left, tuple(file.left_why)
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
    """Return the hosts by their names, and by their external ids where no host has that name."""
    host = models.Host
    rows = session.execute(
        select(
            host.id,
            host.hostname,
            host.external_id,
            host.platform,
            host.entitlements,
            host.package_set_id,
        ).where(host.retired_at.is_(None))
    )
    found: dict[str, _Host] = {}
    others: dict[str, _Host] = {}
    for number, name, other, where, entitlements, set_id in rows:
        each = _Host(number, name, entitled(Platform(where), entitlements), set_id)
        found[name.lower()] = each
        if other:
            others[other.lower()] = each
    return others | found


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
        host_sets.point(session, some_moved, now)
    named = [hosts[name.lower()].id for name in file.hosts]
    _reported(session, named, now)
    if mode == "snapshot":
        _judge_all(session, named)


def _change(host: _Host, has: Ids, had: Ids | None, difference: Difference) -> None:
    """Count what a host gets and loses."""
    gets, loses = _come_and_gone(has, had)
    difference.added += gets
    difference.removed += loses
    kind = kind_of(is_new=host.set_id is None, changed=True)
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


def _reported(session: Session, host_ids: Sequence[int], now: datetime) -> None:
    for part in in_lists(list(host_ids)):
        session.execute(
            update(models.Host)
            .where(models.Host.id.in_(part))
            .values(reported_at=now)
            .execution_options(synchronize_session=False)
        )

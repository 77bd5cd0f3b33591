"""Steps 2 and 3 of a scan: which hosts have a judged version, and how they stand.

Hosts whose package set changed are worked out anew. Of the others, only those that have a version
whose judgements changed are touched, and only in what that version brings; so one new advisory
costs what it changes. Hosts pass in blocks, which bounds the memory of a large fleet.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy import type_coerce as coerce
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import table_of, to_micros
from patchmgr.db.bulk import among, insert_raw
from patchmgr.db.package_sets import Stored, without
from patchmgr.db.queries import flaws
from patchmgr.domain.exceptions import InForce
from patchmgr.domain.kernels import Kernel, idle, kernel_of
from patchmgr.domain.urgency import Policy
from patchmgr.services.candidates import NOT_REPORTED, Candidates, slots_of
from patchmgr.services.counts import (
    NEVER,
    Calendar,
    Flags,
    Host,
    Ints,
    Outlook,
    count,
    fetch,
    increase,
)
from patchmgr.services.excepted import Gaining
from patchmgr.services.judgement_store import Judged, Opened

BLOCK = 4_000  # hosts worked on at a time
RUN = 2  # times as many ids as hosts: up to that, asking for a range beats asking for each

exposure, host = table_of(models.Exposure), table_of(models.Host)
host_count, host_due = table_of(models.HostCount), table_of(models.HostDue)

_COLUMNS: tuple[Any, ...] = (  # of a `Host`, in its order
    models.Host.id,
    models.Host.package_set_id,
    models.Host.judged_set_id,
    models.Host.retired_at.is_not(None),
    models.Host.environment,
    models.Host.criticality,
    models.Host.exposure,
    models.Host.running_kernel,
    models.Host.offer_set_id,
)


@dataclass(slots=True)
class Exposed:
    """What changed."""

    hosts: int = 0  # looked at
    opened: int = 0
    closed: int = 0

    def add(self, opened: int, closed: int) -> None:
        self.opened += opened
        self.closed += closed


def bring_up_to_date(
    session: Session,
    judged: Judged,
    policy: Policy,
    in_force: InForce,
    now: datetime,
    *,
    since: int | None,
) -> Exposed:
    """Store the exposures and counts that follow from ``judged``; return what changed.

    What an exception ``in_force`` covers is counted as that (`patchmgr.services.excepted`).
    ``since`` is the last package version that there was at the scan before: none after it can be
    in a set which that scan saw. None works everything out anew.
    """
    exposed = Exposed()
    full = since is None
    touched = sorted(number for number in judged.touched if since is None or number <= since)
    changed = _hosts(session, everything=full)
    calendar = Calendar(policy, flaws.classes(session))
    if touched and not full:
        gaining = Gaining(session, in_force, now, touched)
        touch = _Touch(session, judged, touched, gaining, calendar, now)
        changed += touch.bring_up_to_date(exposed)
    if changed:
        outlook = Outlook(session, calendar, in_force, now)
        for block in _blocks(sorted(changed, key=lambda each: each.id)):
            _work_out(session, block, outlook, exposed, now)
    return exposed


def close_all(session: Session, host_id: int, now: datetime) -> None:
    """Let a host that leaves the fleet have no finding any more, in the caller's transaction."""
    connection = session.connection()
    connection.execute(
        update(exposure)
        .where(exposure.c.host_id == host_id, exposure.c.until.is_(None))
        .values(until=now)
    )
    connection.execute(delete(host_count).where(host_count.c.host_id == host_id))
    connection.execute(delete(host_due).where(host_due.c.host_id == host_id))


def _hosts(session: Session, *, everything: bool) -> list[Host]:
    """Return hosts in the order of their ids: all, or those whose set the last scan did not see."""
    row = models.Host
    query = select(*_COLUMNS).order_by(row.id)
    if not everything:
        query = query.where(
            or_(
                and_(row.judged_set_id.is_(None), row.package_set_id.is_not(None)),
                row.judged_set_id != row.package_set_id,
            )
        )
    return [Host._make(found) for found in session.connection().execute(query).cursor.fetchall()]


def _blocks(hosts: Sequence[Host]) -> Iterator[Sequence[Host]]:
    for start in range(0, len(hosts), BLOCK):
        yield hosts[start : start + BLOCK]


# --- hosts worked out anew ---------------------------------------------------------------------


def _work_out(
    session: Session, hosts: Sequence[Host], outlook: Outlook, exposed: Exposed, now: datetime
) -> None:
    """Open and close the exposures of ``hosts`` by difference, and count them afresh."""
    wanted = _wanted(session, hosts, outlook.judged)
    stored = _stored(session, hosts)  # id, host, version, first seen, candidate
    current = _pair(stored[:, 1], stored[:, 2])
    stays = np.isin(current, wanted)
    opening, closing = np.setdiff1d(wanted, current), stored[~stays]
    first_seen = np.full(len(opening), to_micros(now), np.int64)
    _carry(session, opening, closing, first_seen)
    _close(session, closing[:, 0], now)
    candidates = Candidates(session, hosts)
    _open(session, opening, first_seen, candidates.of(opening), now)
    candidates.correct(stored[stays][:, [0, 1, 2, 4]])
    exposed.hosts += len(hosts)
    exposed.add(len(opening), len(closing))
    opened = np.column_stack([opening >> 32, opening & 0xFFFFFFFF, first_seen])
    rows = np.concatenate([stored[stays, 1:4], opened])
    count(session, hosts, rows[np.argsort(rows[:, 0], kind="stable")], outlook)
    session.connection().execute(
        update(host).where(host.c.id == bindparam("b_id")).values(judged_set_id=bindparam("b_set")),
        [{"b_id": each.id, "b_set": each.set_id} for each in hosts],
    )


def _wanted(session: Session, hosts: Sequence[Host], judged: Flags) -> Ints:
    """Return the (host, version) pairs of ``hosts`` with a judged version, sorted."""
    present = [each for each in hosts if not each.retired and each.set_id is not None]
    set_ids = {each.set_id for each in present if each.set_id is not None}
    stored = Stored(session, among(session, models.PackageSet.id, set_ids))
    wanted = _of_hosts(present, stored, judged)
    if any(each.running_kernel for each in present):
        resting = _idle(present, stored, _kernels(session))
        wanted = without(wanted, np.sort(resting))
    return wanted


def _of_hosts(hosts: Sequence[Host], stored: Stored, flags: Flags) -> Ints:
    """Return the (host, version) pairs of ``hosts`` with a flagged version, sorted."""
    places, versions = stored.having(flags)
    starts = np.searchsorted(places, np.arange(len(stored.ids) + 1))
    of_set = np.argsort(stored.ids)
    sets = np.array([each.set_id for each in hosts], np.int64)
    at = of_set[np.searchsorted(stored.ids, sets, sorter=of_set)]
    lengths = starts[at + 1] - starts[at]
    owners = np.repeat(np.array([each.id for each in hosts], np.int64), lengths)
    begins = np.cumsum(lengths) - lengths
    picks = np.arange(len(owners)) + np.repeat(starts[at] - begins, lengths)
    return np.sort(_pair(owners, versions[picks]))


def _idle(hosts: Sequence[Host], stored: Stored, kernels: Mapping[int, Kernel]) -> Ints:
    """Return the (host, version) pairs of kernels that neither run on the host nor boot next."""
    flags = np.zeros(max(kernels, default=0) + 1, bool)
    flags[list(kernels)] = True
    installed: dict[int, dict[int, Kernel]] = defaultdict(dict)
    for pair in _of_hosts(hosts, stored, flags).tolist():
        version = pair & 0xFFFFFFFF
        installed[pair >> 32][version] = kernels[version]
    resting = [
        (each.id << 32) | number
        for each in hosts
        for number in idle(each.running_kernel, installed[each.id])
    ]
    return np.array(resting, np.int64)


def _kernels(session: Session) -> dict[int, Kernel]:
    """Return the kernel that each package version belongs to, if it does to one."""
    row = models.PackageVersion
    query = select(row.id, row.manager, row.name, row.version, row.arch).where(
        or_(row.name.like("linux-%"), row.name.like("kernel%"))
    )
    found = {number: kernel_of(*columns) for number, *columns in session.execute(query)}
    return {number: kernel for number, kernel in found.items() if kernel is not None}


def _pair(hosts: Ints | np.int64, versions: Ints) -> Ints:
    """Return each (host, version) as one number, so that sets of them are sets of numbers."""
    return (hosts << 32) | versions.astype(np.int64)


def _stored(session: Session, hosts: Sequence[Host]) -> Ints:
    """Return the open exposures of ``hosts``.

    Each is id, host, version, first seen (microseconds), and candidate, `NOT_REPORTED` for none.
    """
    query = select(
        exposure.c.id,
        exposure.c.host_id,
        exposure.c.package_version_id,
        coerce(exposure.c.first_seen, BigInteger),
        func.coalesce(exposure.c.candidate_id, NOT_REPORTED),
    ).where(exposure.c.until.is_(None))
    ids = [each.id for each in hosts]
    if ids[-1] - ids[0] < RUN * len(ids):  # leaves out the few in between
        rows = fetch(session, query.where(exposure.c.host_id.between(ids[0], ids[-1])))
        return rows[np.isin(rows[:, 1], ids)]
    return fetch(session, query.where(among(session, exposure.c.host_id, ids)))


def _close(session: Session, ids: Ints, now: datetime) -> None:
    if len(ids):
        session.connection().execute(
            update(exposure).where(exposure.c.id == bindparam("b_id")).values(until=now),
            [{"b_id": number} for number in ids.tolist()],
        )


def _open(
    session: Session,
    pairs: Ints,
    first_seen: Ints,
    candidates: Sequence[int | None],
    now: datetime,
) -> None:
    """Insert exposures in their raw form: the one statement of a scan that has millions of rows."""
    hosts, versions = (pairs >> 32).tolist(), (pairs & 0xFFFFFFFF).tolist()
    since = [to_micros(now)] * len(pairs)
    rows = zip(hosts, versions, first_seen.tolist(), since, candidates, strict=True)
    columns = ("host_id", "package_version_id", "first_seen", "since", "candidate_id")
    insert_raw(session, models.Exposure, columns, rows)


def _carry(session: Session, opening: Ints, closing: Ints, first_seen: Ints) -> None:
    """Give pairs that open the first sight of the version that they replace on the host.

    An update to a version that is vulnerable as well must not restart the clock.
    """
    updated = np.intersect1d(opening >> 32, closing[:, 1])
    if not len(updated):
        return
    places = np.flatnonzero(np.isin(opening >> 32, updated))
    closing = closing[np.isin(closing[:, 1], updated)]
    slots = slots_of(session, np.concatenate([opening[places] & 0xFFFFFFFF, closing[:, 2]]))
    since: dict[tuple[int, tuple[str, str, str]], int] = {}
    for _, host_id, version_id, seen, _ in closing.tolist():
        slot = (host_id, slots[version_id])
        since[slot] = min(seen, since.get(slot, NEVER))
    for place in places.tolist():
        pair = int(opening[place])
        slot = (pair >> 32, slots[pair & 0xFFFFFFFF])
        first_seen[place] = since.get(slot, first_seen[place])


# --- hosts touched by a changed judgement --------------------------------------------------------


class _Touch:
    """Brings hosts with unchanged sets up to date in what changed judgements mean for them."""

    def __init__(
        self,
        session: Session,
        judged: Judged,
        touched: Sequence[int],
        gaining: Gaining,
        calendar: Calendar,
        now: datetime,
    ) -> None:
        self._session, self._calendar, self._now = session, calendar, now
        self._excepted = gaining.hosts
        # One flag more than there are touched versions: what lies beyond is looked up there.
        self._touched = np.zeros(touched[-1] + 2, bool)
        self._touched[touched] = True
        self._lost = np.zeros(len(self._touched), bool)
        # Which kernels count depends on the host, and so may exceptions: such hosts are worked out
        # anew.
        anew = judged.closed | _kernels(session).keys() | gaining.everywhere
        self._lost[[number for number in touched if number in anew]] = True
        self._opened: dict[int, list[Opened]] = defaultdict(list)
        for made in judged.opened:
            self._opened[made.version_id].append(made)
        self._had = _exposed_through(session, touched)

    def bring_up_to_date(self, exposed: Exposed) -> list[Host]:
        """Return the hosts that need to be worked out anew: those that lost a judgement, above all.

        What is left of a count cannot be told from the count alone.
        """
        anew: list[Host] = []
        gaining: list[tuple[Host, tuple[int, ...]]] = []
        stored = Stored(self._session, self._is_in_use())
        places, versions = stored.having(self._touched)
        of_set: dict[int, list[int]] = defaultdict(list)
        for set_id, version in zip(stored.ids[places].tolist(), versions.tolist(), strict=True):
            of_set[set_id].append(version)
        for each in self._unchanged(of_set):
            found = of_set[each.set_id or 0]
            if self._lost[found].any() or each.id in self._excepted:
                anew.append(each)
            else:
                gaining.append((each, tuple(found)))
        pairs = np.array(
            [(h.id << 32) | number for h, found in gaining for number in found], np.int64
        )
        pairs = without(pairs, self._had)
        seen = np.full(len(pairs), to_micros(self._now))
        candidates = Candidates(self._session, [each for each, _ in gaining]).of(pairs)
        _open(self._session, pairs, seen, candidates, self._now)
        exposed.add(len(pairs), 0)
        exposed.hosts += len(gaining)
        increase(self._session, gaining, self._opened, self._calendar, self._now)
        return anew

    @staticmethod
    def _is_in_use() -> ColumnElement[bool]:
        """The sets that hosts had at the last scan and have still."""
        row = models.Host
        current = row.judged_set_id == row.package_set_id
        return models.PackageSet.id.in_(
            select(row.package_set_id).where(current, row.retired_at.is_(None))
        )

    def _unchanged(self, set_ids: Collection[int]) -> list[Host]:
        """Return the hosts with these sets, if the last scan saw them so."""
        row = models.Host
        query = select(*_COLUMNS).where(
            among(self._session, row.package_set_id, set_ids),
            row.judged_set_id == row.package_set_id,
            row.retired_at.is_(None),
        )
        found = self._session.connection().execute(query.order_by(row.id)).cursor.fetchall()
        return [Host._make(each) for each in found]


def _exposed_through(session: Session, versions: Sequence[int]) -> Ints:
    """Return the open (host, version) pairs of ``versions``."""
    query = select(exposure.c.host_id, exposure.c.package_version_id).where(
        exposure.c.until.is_(None)
    )
    rows = fetch(session, query.where(among(session, exposure.c.package_version_id, versions)))
    return np.sort(_pair(rows[:, 0], rows[:, 1]))

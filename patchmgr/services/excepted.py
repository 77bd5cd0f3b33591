"""Exceptions in the counts of a scan: whose counts must be made anew, and what is left out of them.

What an exception covers is counted as an open finding and as excepted, and has no due date.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import among
from patchmgr.db.queries import covering
from patchmgr.domain.exceptions import Exempting, InForce, Scope, State
from patchmgr.services import host_tags

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

host, version = models.Host, models.PackageVersion
exposure, judgement, advisory = models.Exposure, models.Judgement, models.Advisory


def mark_hosts(session: Session, last: models.ScanRun | None, now: datetime) -> InForce:
    """Let the scan work out anew every host on which exceptions may cover other findings than last.

    An exception began or ended, by a person's word or by its own time, when what is in force is not
    what counts heed. Returns what they will heed. Three queries where there is no exception.
    """
    moved = host_tags.bring_up_to_date(session, now)
    row = models.FindingException
    counted = set(session.scalars(select(row.id).where(row.counted)))
    known = covering.all_of(session)
    begun_or_over = [
        each for each in known if (each.state(now) is State.IN_FORCE) != (each.id in counted)
    ]
    for each in begun_or_over:
        _mark(session, each.scope, now)
    if moved:
        session.execute(
            update(host)
            .where(among(session, host.id, moved))
            .values(judged_set_id=None)
            .execution_options(synchronize_session=False)
        )
    in_force = covering.in_force_of(session, known, now)
    if last is not None and (cves := {each.scope.cve for each in in_force.all} - {""}):
        _mark_renamed(session, cves, last.feed_revision_id)
    if begun_or_over:
        heeded = [each.id for each in in_force.all]
        session.execute(
            update(row)
            .values(counted=among(session, row.id, heeded))
            .execution_options(synchronize_session=False)
        )
    return in_force


def _mark(session: Session, scope: Scope, now: datetime) -> None:
    """Mark the hosts on which ``scope`` has findings now."""
    through = select(exposure.host_id).where(
        exposure.until.is_(None), *covering.of_exposures(scope)
    )
    session.execute(
        update(host)
        .where(host.id.in_(through), *covering.on_hosts(scope, now))
        .values(judged_set_id=None)
        .execution_options(synchronize_session=False)
    )


def _mark_renamed(session: Session, cves: Collection[str], revision: int) -> None:
    """Mark the hosts with findings of advisories that may name other CVEs since ``revision``."""
    made, count = models.FeedRevision, models.HostCount
    through = (
        select(exposure.host_id)
        .join(judgement, judgement.package_version_id == exposure.package_version_id)
        .join(advisory, advisory.id == judgement.advisory_id)
        .join(made, and_(made.feed_id == advisory.feed_id, made.made_at == advisory.changed_at))
        .join(count, count.host_id == exposure.host_id)
        .where(
            exposure.until.is_(None),
            judgement.until.is_(None),
            made.id > revision,
            or_(count.excepted > 0, advisory.cves.in_(cves)),
        )
    )
    session.execute(
        update(host)
        .where(host.id.in_(through))
        .values(judged_set_id=None)
        .execution_options(synchronize_session=False)
    )


@dataclass(frozen=True, slots=True)
class _Cover:
    """What one exception covers; None does not restrict."""

    hosts: Ints | None
    judgements: Flags | None  # by place in the arrays of judgements


class Excepted:
    """What the exceptions in force cover, over arrays of findings."""

    def __init__(
        self, session: Session, in_force: InForce, now: datetime, judgements: Ints
    ) -> None:
        """Take the ids of the open judgements, in the order in which findings refer to them."""
        covers = [_cover(session, each, now, judgements) for each in in_force.all]
        self._on_hosts = [
            (each.hosts, each.judgements) for each in covers if each.hosts is not None
        ]
        self._everywhere = np.zeros(len(judgements), bool)
        for each in covers:
            if each.hosts is None and each.judgements is not None:
                self._everywhere |= each.judgements

    def among(self, hosts: Ints, place: Ints, judgement: Ints) -> Flags:
        """Return which findings are covered.

        ``place`` is the index in ``hosts``, which are ids, and ``judgement`` that of the judgement.
        """
        found = self._everywhere[judgement]
        for on, about in self._on_hosts:
            here = np.isin(hosts, on)
            if not here.any():
                continue
            rows = np.flatnonzero(here[place])
            if about is not None:
                rows = rows[about[judgement[rows]]]
            found[rows] = True
        return found


def _cover(session: Session, each: Exempting, now: datetime, judgements: Ints) -> _Cover:
    on, about = covering.on_hosts(each.scope, now), covering.about_judgements(each.scope)
    hosts = flags = None
    if on:
        hosts = np.array(list(session.scalars(select(host.id).where(*on))), np.int64)
    if about:
        query = (
            select(judgement.id)
            .join(version, version.id == judgement.package_version_id)
            .join(advisory, advisory.id == judgement.advisory_id)
            .where(judgement.until.is_(None), *about)
        )
        flags = np.isin(judgements, np.array(list(session.scalars(query)), np.int64))
    return _Cover(hosts, flags)


class Gaining:
    """Tells of hosts that gain judgements whether an exception may cover one of these."""

    def __init__(
        self, session: Session, in_force: InForce, now: datetime, versions: Sequence[int]
    ) -> None:
        """Take the package versions that are newly judged."""
        self.everywhere: frozenset[int] = frozenset()  # versions of which one may be covered
        self.hosts: frozenset[int] = frozenset()  # hosts on which any may be
        for each in in_force.all:
            about = covering.about_judgements(each.scope)
            if about:
                query = (
                    select(version.id)
                    .join(judgement, judgement.package_version_id == version.id)
                    .join(advisory, advisory.id == judgement.advisory_id)
                    .where(judgement.until.is_(None), among(session, version.id, versions), *about)
                )
                self.everywhere |= set(session.scalars(query))
            else:
                on = covering.on_hosts(each.scope, now)
                self.hosts |= set(session.scalars(select(host.id).where(*on)))

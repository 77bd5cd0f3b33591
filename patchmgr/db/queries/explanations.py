"""Why a package on a host is, or is not, a finding: every statement held against it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from patchmgr.db import models, values
from patchmgr.db.queries import flaws, lifecycle, offers
from patchmgr.db.queries.considerations import considered, said_of, statements_then, unrelated
from patchmgr.db.queries.covering import heeded
from patchmgr.db.queries.explained import Explained, Explanation
from patchmgr.db.queries.explained_host import (
    At,
    host_then,
    idle_kernels,
    installed_versions,
    known_modules,
    own_offered,
)
from patchmgr.db.queries.finding_due import Dating, policy_at
from patchmgr.domain.advisories import Match
from patchmgr.domain.lifecycle import without_support
from patchmgr.domain.matching import platforms_of
from patchmgr.domain.weighing import weigh
from patchmgr.errors import NotFoundError

fix = models.Fix

_ORDER = {match.value: place for place, match in enumerate(Match)}


def explain(session: Session, name: str, package: str, *, at: datetime) -> Explanation:
    """Return every statement considered for ``package`` on the host ``name`` as of ``at``.

    Raises `NotFoundError` for an unknown host, or one that did not have the package then.
    """
    row, members, own = host_then(session, name, at)
    versions = installed_versions(session, members, package)
    if not versions:
        raise NotFoundError(f"package on {row.hostname}", package)
    # The host knows best what it is offered; the archive is asked where it did not say.
    offered = own_offered(session, own, versions)
    names = {each.name for each in versions} if offered is None else set()
    here = At(
        session=session,
        on=row,
        at=at,
        dating=Dating(policy_at(session, at)),
        heed=heeded(session, at),
        known=offers.of_packages(session, [row.platform], names, at),
        modules=known_modules(session, versions, at),
        offered=offered,
        idle=idle_kernels(session, row, members, versions, at),
    )
    told = lifecycle.said(session, at)
    explained = [
        replace(
            _explained(here, each),
            support=tuple(without_support(each.judged_source, row.platform, told, at.date())),
        )
        for each in versions
    ]
    return Explanation(
        host_id=row.id,
        host=row.hostname,
        platform=row.platform,
        at=at,
        reported_at=row.reported_at,
        reboot_pending=row.reboot_pending,
        reboot_reported=row.reboot_reported,
        has_feed=_has_feed(session, row.platform, explained),
        policy=f"{here.dating.policy.name} version {here.dating.policy.version}",
        installed=_with_notes(session, at, explained),
    )


def _explained(here: At, subject: models.PackageVersion) -> Explained:
    platforms = platforms_of(subject.platform, subject.manager)
    rows = sorted(
        (tuple(row) for row in here.session.execute(statements_then(subject, here.at))),
        # In the scan's order, so that of two statements that tie the same one decides.
        key=lambda row: (platforms.index(row[0].platform), _ORDER[row[0].match], row[0].id),
    )
    judged_as = values.subject(subject)
    weighed = weigh(judged_as, [said_of(*row) for row in rows], here.modules)
    why_idle = here.idle.get(subject.id, "")
    for each in weighed:
        if each.is_finding and why_idle:
            each.yields = why_idle
    pairs = list(zip(rows, weighed, strict=True))
    return Explained(
        package_version_id=subject.id,
        manager=subject.manager,
        package=subject.name,
        arch=subject.arch,
        installed=subject.version,
        source=subject.source,
        source_version=subject.source_version,
        judged_source=subject.judged_source,
        judged_version=subject.judged_version,
        held=subject.name in here.on.held,
        is_source_unknown=judged_as.is_source_unknown,
        foreign=judged_as.foreign,
        idle=why_idle,
        considered=considered(here, subject, pairs),
        unrelated=unrelated(pairs),
    )


def _with_notes(
    session: Session, at: datetime, explained: Sequence[Explained]
) -> tuple[Explained, ...]:
    """Return ``explained`` with what catalogues said of their flaws at ``at``."""
    cves = {cve for each in explained for said in each.considered for cve in said.cves}
    notes = flaws.notes(session, cves, at)
    return tuple(
        replace(
            each,
            considered=tuple(
                replace(said, notes=tuple(n for cve in said.cves for n in notes.get(cve, ())))
                for said in each.considered
            ),
        )
        for each in explained
    )


def _has_feed(session: Session, platform: str, explained: Sequence[Explained]) -> bool:
    """Return whether a feed speaks of ``platform``; what was considered may tell already."""
    names = platforms_of(platform)
    if any(said.platform in names for each in explained for said in each.considered):
        return True
    spoken_of = select(fix.id).where(fix.platform.in_(names), fix.until_revision_id.is_(None))
    return session.scalar(spoken_of.limit(1)) is not None

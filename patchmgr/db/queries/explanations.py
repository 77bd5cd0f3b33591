"""Why a package on a host is, or is not, a finding: every statement held against it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ScalarSelect, Select, and_, func, or_, select
from sqlalchemy import type_coerce as coerce
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models, package_sets
from patchmgr.db.base import from_micros
from patchmgr.db.queries import flaws
from patchmgr.db.queries.exceptions import Heeded, heeded
from patchmgr.db.queries.explained import (
    Consideration,
    Covering,
    Explained,
    Explanation,
    Unrelated,
)
from patchmgr.db.queries.findings import Dating, held, policy_at
from patchmgr.db.queries.modules import catalogues
from patchmgr.domain.advisories import Advisory, Fix, Kind, Match, Severity, Status
from patchmgr.domain.flaws import NOTHING_KNOWN, Danger
from patchmgr.domain.kernels import Kernel, idle, kernel_of
from patchmgr.domain.matching import Subject, Verdict, platforms_of
from patchmgr.domain.modules import Catalogue, is_modular
from patchmgr.domain.weighing import Said, Weighed, weigh
from patchmgr.errors import NotFoundError

host, version = models.Host, models.PackageVersion
exposure, judgement = models.Exposure, models.Judgement
advisory, fix, revision, feed = models.Advisory, models.Fix, models.FeedRevision, models.Feed


def explain(session: Session, name: str, package: str, *, at: datetime) -> Explanation:
    """Return every statement considered for ``package`` on the host ``name`` as of ``at``.

    Raises `NotFoundError` for an unknown host, or one that did not have the package then.
    """
    row = session.scalar(select(host).where(func.lower(host.hostname) == name.lower()))
    if row is None:
        raise NotFoundError("host", name)
    versions = _installed_versions(session, row.id, package, at)
    if not versions:
        raise NotFoundError(f"package on {row.hostname}", package)
    dating = Dating(policy_at(session, at))
    heed = heeded(session, at)
    kernels = _idle_kernels(session, row, versions, at)
    modules = _modules(session, versions, at)
    return Explanation(
        host_id=row.id,
        host=row.hostname,
        platform=row.platform,
        at=at,
        reported_at=row.reported_at,
        reboot_pending=row.reboot_pending,
        has_feed=_has_feed(session, row.platform),
        policy=f"{dating.policy.name} version {dating.policy.version}",
        installed=tuple(
            _explained(session, row, each, at, dating, heed, modules, kernels.get(each.id, ""))
            for each in versions
        ),
    )


def _explained(
    session: Session,
    on: models.Host,
    subject: models.PackageVersion,
    at: datetime,
    dating: Dating,
    heed: Heeded,
    modules: Mapping[str, Catalogue],
    idle: str,
) -> Explained:
    platforms = platforms_of(subject.platform, subject.manager)
    rows = sorted(
        (tuple(row) for row in session.execute(_statements(subject, at))),
        key=lambda row: (platforms.index(row[0].platform), row[0].match, row[0].id),
    )
    weighed = weigh(subject_of(subject), [_said(*row) for row in rows], modules)
    for each in weighed:
        if each.is_finding and idle:
            each.yields = idle
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
        held=subject.name in on.held,
        foreign=subject_of(subject).foreign,
        idle=idle,
        considered=_considered(session, on, subject, at, dating, heed, pairs),
        unrelated=_unrelated(pairs),
    )


def _said(said: models.Fix, about: models.Advisory, _made: object, feed_name: str) -> Said:
    advised = Advisory(
        about.ref,
        tuple(about.cves.split()),
        kind=Kind(about.kind),
        aliases=tuple(about.aliases.split()),
    )
    return Said(about.id, advised, feed_name, value(said))


def _modules(
    session: Session, versions: Iterable[models.PackageVersion], at: datetime
) -> Mapping[str, Catalogue]:
    """Return what there is to know of module streams, where a build of one asks for it."""
    platforms = {
        name
        for each in versions
        if each.manager == "rpm" and is_modular(each.version)
        for name in platforms_of(each.platform, each.manager)
    }
    return catalogues(session, platforms, at) if platforms else {}


def _idle_kernels(
    session: Session, on: models.Host, versions: Sequence[models.PackageVersion], at: datetime
) -> dict[int, str]:
    """Return which of ``versions`` are kernels that neither run nor boot next, and why that is so.

    By the kernel that runs now: what ran at another instant is not remembered.
    """
    asked = {each.id for each in versions if _kernel(each) is not None}
    if not asked or not on.running_kernel:
        return {}
    likely = or_(version.name.like("linux-%"), version.name.like("kernel%"))
    here = set(package_sets.members_of(session, _set_at(on.id, at)).tolist())
    kernels = {
        each.id: kernel
        for each in session.scalars(select(version).where(likely))
        if each.id in here and (kernel := _kernel(each)) is not None
    }
    why = f"installed, neither running ({on.running_kernel} is) nor next to boot"
    return dict.fromkeys(asked & idle(on.running_kernel, kernels), why)


def _kernel(row: models.PackageVersion) -> Kernel | None:
    return kernel_of(row.manager, row.name, row.version, row.arch)


def _installed_versions(
    session: Session, host_id: int, package: str, at: datetime
) -> list[models.PackageVersion]:
    """Return the versions called ``package`` (else: built from it) that the host had at ``at``."""
    here = set(package_sets.members_of(session, _set_at(host_id, at)).tolist())
    if not here:
        return []
    candidates = session.scalars(
        select(version)
        .where(or_(version.name == package, version.judged_source == package))
        .order_by(version.name, version.arch, version.id)
    ).all()
    inside = [each for each in candidates if each.id in here]
    return [each for each in inside if each.name == package] or inside


def _set_at(host_id: int, at: datetime) -> ScalarSelect[int]:
    history = models.HostPackageSet
    return (
        select(history.package_set_id)
        .where(history.host_id == host_id, held(history, at))
        .order_by(history.since.desc())
        .limit(1)
        .scalar_subquery()
    )


def _has_feed(session: Session, platform: str) -> bool:
    return (
        session.scalar(
            select(fix.id)
            .where(fix.platform.in_(platforms_of(platform)), fix.until_revision_id.is_(None))
            .limit(1)
        )
        is not None
    )


def _considered(
    session: Session,
    on: models.Host,
    subject: models.PackageVersion,
    at: datetime,
    dating: Dating,
    heed: Heeded,
    pairs: Iterable[tuple[Any, Weighed]],
) -> tuple[Consideration, ...]:
    """Return what each statement that concerns ``subject`` means for it, findings first."""
    seen = _seen(session, on.id, subject.id, at)
    concerning = [(row, weighed) for row, weighed in pairs if weighed.verdict is not None]
    notes = flaws.notes(
        session, [cve for (_, about, _, _), _ in concerning for cve in about.cves.split()], at
    )
    found = []
    for (said, about, made, feed_name), weighed in concerning:
        verdict = weighed.verdict
        if verdict is None:
            continue
        match = Match(said.match)
        text = subject_of(subject).named(match)[1]
        first_seen, danger = seen.get(about.id, _UNSEEN) if weighed.is_finding else _UNSEEN
        due, due_row, due_label = _due(dating, on, weighed, about, verdict, first_seen, danger)
        found.append(
            Consideration(
                advisory=about.ref,
                title=about.title,
                cves=tuple(about.cves.split()),
                severity=weighed.severity,
                url=about.url,
                feed=feed_name,
                revision=made.id,
                revision_at=made.made_at,
                revision_digest=made.digest,
                document=made.source,
                status=verdict.status.value,
                stated=said.status,
                match=match,
                matched_name=said.package,
                matched_version=text,
                scheme=said.scheme,
                fixed=said.fixed,
                introduced=said.introduced,
                comparison=verdict.reason,
                first_seen=first_seen,
                due=due,
                due_row=due_row,
                due_label=due_label,
                danger=danger,
                notes=tuple(line for cve in about.cves.split() for line in notes.get(cve, ())),
                yields=weighed.yields,
                also=tuple((other.about.ref, other.feed) for other in weighed.also),
                exceptions=_covering(session, on, subject, about, heed)
                if weighed.is_finding
                else (),
            )
        )
    return tuple(sorted(found, key=lambda c: (not c.is_finding, -c.severity, c.advisory, c.fixed)))


def _covering(
    session: Session,
    on: models.Host,
    subject: models.PackageVersion,
    about: models.Advisory,
    heed: Heeded,
) -> tuple[Covering, ...]:
    names = (subject.name, subject.judged_source, about.ref, about.cves.split())
    found = heed.covering(on.id, on.hostname, (subject.id, about.id), names)
    rows = [session.get_one(models.FindingException, each.id) for each in found]
    return tuple(
        Covering(row.id, each.label, row.reason, row.owner, row.expires_at)
        for row, each in zip(rows, found, strict=True)
    )


def _unrelated(pairs: Iterable[tuple[Any, Weighed]]) -> tuple[Unrelated, ...]:
    found = [
        Unrelated(
            advisory=about.ref,
            title=about.title,
            feed=feed_name,
            revision=made.id,
            revision_at=made.made_at,
            document=made.source,
            stated=said.status,
            fixed=said.fixed,
            why=weighed.unrelated,
        )
        for (said, about, made, feed_name), weighed in pairs
        if weighed.unrelated
    ]
    return tuple(sorted(found, key=lambda each: (each.advisory, each.feed, each.fixed)))


def _statements(subject: models.PackageVersion, at: datetime) -> Select[Any, Any, Any, Any]:
    """Return the statements that named ``subject`` at ``at``, with advisory, revision and feed."""
    ended = aliased(revision)
    return (
        select(fix, advisory, revision, feed.name)
        .join(advisory, advisory.id == fix.advisory_id)
        .join(feed, feed.id == advisory.feed_id)
        .join(revision, revision.id == fix.since_revision_id)
        .outerjoin(ended, ended.id == fix.until_revision_id)
        .where(
            fix.platform.in_(platforms_of(subject.platform, subject.manager)),
            or_(
                and_(fix.match == Match.SOURCE.value, fix.package == subject.judged_source),
                and_(fix.match == Match.BINARY.value, fix.package == subject.name),
            ),
            revision.made_at <= at,
            or_(ended.id.is_(None), ended.made_at > at),
        )
    )


def _due(
    dating: Dating,
    on: models.Host,
    weighed: Weighed,
    about: models.Advisory,
    verdict: Verdict,
    first_seen: datetime | None,
    danger: Danger,
) -> tuple[datetime | None, str, str]:
    """Return when a finding is due, and the policy row that says so, with its label."""
    if first_seen is None:
        return None, "", ""
    facts = (on.environment, on.criticality, on.exposure)
    severity = weighed.severity
    due, row = dating.due(severity, danger, verdict.status, about.published, first_seen, facts)
    return due, row, next((each.label for each in dating.policy.rows if each.id == row), "")


def subject_of(row: models.PackageVersion) -> Subject:
    """Return a stored package version as it is judged."""
    return Subject(
        row.platform,
        row.manager,
        row.name,
        row.version,
        row.judged_source,
        row.judged_version,
        row.arch,
        row.module,
        row.origin,
    )


def value(row: models.Fix) -> Fix:
    """Return a stored fix as a value."""
    return Fix(
        row.platform,
        row.package,
        Match(row.match),
        Status(row.status),
        row.fixed,
        row.introduced,
        Severity(row.severity),
        row.reason,
        row.scheme,
        row.last_affected,
        row.arch,
        row.module,
        row.channel,
        row.after,
    )


_UNSEEN: tuple[datetime | None, Danger] = (None, NOTHING_KNOWN)


def _seen(
    session: Session, host_id: int, version_id: int, at: datetime
) -> dict[int, tuple[datetime | None, Danger]]:
    """Return how scans saw each advisory's finding in this version on the host.

    That is since when, and what they knew of its flaws.
    """
    rows = session.execute(
        select(
            judgement.advisory_id,
            coerce(exposure.first_seen, BigInteger).label("exposed"),
            coerce(judgement.first_seen, BigInteger).label("judged"),
            *flaws.CLASS,
        )
        .join(judgement, judgement.package_version_id == exposure.package_version_id)
        .outerjoin(models.UrgencyClass, models.UrgencyClass.id == judgement.class_id)
        .where(
            exposure.host_id == host_id,
            exposure.package_version_id == version_id,
            held(exposure, at),
            held(judgement, at),
        )
    )
    return {
        number: (from_micros(max(first, second)), flaws.danger_of(known))
        for number, first, second, *known in rows
    }

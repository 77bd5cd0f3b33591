"""Why a package on a host is, or is not, a finding: every statement held against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Select, and_, func, or_, select
from sqlalchemy import type_coerce as coerce
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models, package_sets
from patchmgr.db.base import from_micros
from patchmgr.db.queries import flaws, lifecycle, offers
from patchmgr.db.queries.findings import Dating, held, policy_at
from patchmgr.db.queries.flaws import NoteLine
from patchmgr.db.queries.modules import catalogues
from patchmgr.domain.advisories import Fix, Match, Severity, Status
from patchmgr.domain.flaws import NOTHING_KNOWN, Danger
from patchmgr.domain.lifecycle import Support, without_support
from patchmgr.domain.matching import Subject, Verdict, assess, platforms_of
from patchmgr.domain.modules import NO_MODULES, Catalogue, is_modular
from patchmgr.domain.offers import Offers, Supply
from patchmgr.domain.urgency import word_of
from patchmgr.errors import NotFoundError

host, version = models.Host, models.PackageVersion
exposure, judgement = models.Exposure, models.Judgement
advisory, fix, revision, feed = models.Advisory, models.Fix, models.FeedRevision, models.Feed


@dataclass(frozen=True, slots=True)
class Consideration:
    """One statement that was held against an installed package, and what came of it."""

    advisory: str
    title: str
    cves: tuple[str, ...]
    platform: str  # that the statement is about
    severity: Severity
    url: str
    feed: str
    revision: int
    revision_at: datetime
    revision_digest: str
    document: str
    status: str  # the verdict here
    stated: str  # the status that the vendor states
    match: Match
    matched_name: str
    matched_version: str
    scheme: str
    fixed: str
    introduced: str
    comparison: str
    first_seen: datetime | None
    due: datetime | None
    due_row: str
    due_label: str
    danger: Danger  # what its due date goes by, as the scan knew it
    supply: Supply | None = None  # whether a repository offers the fix; None: not known, or no need
    notes: tuple[NoteLine, ...] = ()  # what catalogues say of its flaws, by CVE and feed

    @property
    def is_finding(self) -> bool:
        return self.status != Status.NOT_AFFECTED


@dataclass(frozen=True, slots=True)
class Explained:
    """One installed version of the package, with every statement that bears on it."""

    package_version_id: int
    manager: str
    package: str
    arch: str
    installed: str
    source: str
    source_version: str
    judged_source: str
    judged_version: str
    held: bool
    considered: tuple[Consideration, ...]  # findings first, worst first
    support: tuple[Support, ...]  # what its vendor does not do for it any more

    @property
    def findings(self) -> tuple[Consideration, ...]:
        return tuple(each for each in self.considered if each.is_finding)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a package on a host is, or is not, a finding."""

    host_id: int
    host: str
    platform: str
    at: datetime
    reported_at: datetime | None
    reboot_pending: bool
    has_feed: bool  # whether any feed speaks of the platform at all
    policy: str  # name and version of the one that gives due dates
    installed: tuple[Explained, ...]


def explain(session: Session, name: str, package: str, *, at: datetime) -> Explanation:
    """Return every statement considered for ``package`` on the host ``name`` as of ``at``.

    Raises `NotFoundError` for an unknown host, or one that did not have the package then.
    """
    row, members = _host_then(session, name, at)
    versions = _installed_versions(session, members, package)
    if not versions:
        raise NotFoundError(f"package on {row.hostname}", package)
    dating = Dating(policy_at(session, at))
    known = offers.of_packages(session, [row.platform], {each.name for each in versions}, at)
    told = lifecycle.said(session, at)
    explained = [
        Explained(
            package_version_id=each.id,
            manager=each.manager,
            package=each.name,
            arch=each.arch,
            installed=each.version,
            source=each.source,
            source_version=each.source_version,
            judged_source=each.judged_source,
            judged_version=each.judged_version,
            held=each.name in row.held,
            considered=_considered(session, row, each, at, dating, known),
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
        has_feed=_has_feed(session, row.platform, explained),
        policy=f"{dating.policy.name} version {dating.policy.version}",
        installed=_with_notes(session, at, explained),
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


def _host_then(session: Session, name: str, at: datetime) -> tuple[models.Host, frozenset[int]]:
    """Return the host ``name`` and the ids of the package versions that it had at ``at``."""
    history, package_set, base = models.HostPackageSet, models.PackageSet, package_sets.base
    found = session.execute(
        select(host, *package_sets.WHOLE)
        .outerjoin(history, and_(history.host_id == host.id, held(history, at)))
        .outerjoin(package_set, package_set.id == history.package_set_id)
        .outerjoin(base, base.id == package_set.base_id)
        .where(func.lower(host.hostname) == name.lower())
        .order_by(history.since.desc())
        .limit(1)
    ).first()
    if found is None:
        raise NotFoundError("host", name)
    row, more, lacks, of_base = found
    return row, frozenset(package_sets.whole(more, lacks, of_base).tolist())


def _installed_versions(
    session: Session, here: frozenset[int], package: str
) -> list[models.PackageVersion]:
    """Return those of the versions ``here`` that are called ``package``, else built from it."""
    if not here:
        return []
    candidates = session.scalars(
        select(version)
        .where(or_(version.name == package, version.judged_source == package))
        .order_by(version.name, version.arch, version.id)
    ).all()
    inside = [each for each in candidates if each.id in here]
    return [each for each in inside if each.name == package] or inside


def _has_feed(session: Session, platform: str, explained: Sequence[Explained]) -> bool:
    """Return whether a feed speaks of ``platform``; what was considered may tell already."""
    names = platforms_of(platform)
    if any(said.platform in names for each in explained for said in each.considered):
        return True
    spoken_of = select(fix.id).where(fix.platform.in_(names), fix.until_revision_id.is_(None))
    return session.scalar(spoken_of.limit(1)) is not None


def _considered(
    session: Session,
    on: models.Host,
    subject: models.PackageVersion,
    at: datetime,
    dating: Dating,
    known: Offers,
) -> tuple[Consideration, ...]:
    """Return what each statement that names ``subject`` means for it, findings first."""
    seen = _seen(session, on.id, subject.id, at)
    modules: Mapping[str, Catalogue] = {}
    if subject.manager == "rpm" and is_modular(subject.version):
        modules = catalogues(session, platforms_of(subject.platform, subject.manager), at)
    found = []
    for said, about, made, feed_name in session.execute(_statements(subject, at)):
        match = Match(said.match)
        judged_as = subject_of(subject)
        text = judged_as.named(match)[1]
        verdict = assess(judged_as, value(said), modules.get(said.platform, NO_MODULES))
        if verdict is None:
            continue
        affects = verdict.status is not Status.NOT_AFFECTED
        first_seen, danger = seen.get(about.id, _UNSEEN) if affects else _UNSEEN
        due, due_row, due_label = _due(dating, on, said, about, verdict, first_seen, danger)
        found.append(
            Consideration(
                advisory=about.ref,
                title=about.title,
                cves=tuple(about.cves.split()),
                platform=said.platform,
                severity=Severity(said.severity),
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
                supply=(
                    known.supply(judged_as, value(said))
                    if verdict.status is Status.AFFECTED
                    else None
                ),
            )
        )
    return tuple(sorted(found, key=lambda c: (not c.is_finding, -c.severity, c.advisory, c.fixed)))


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
    said: models.Fix,
    about: models.Advisory,
    verdict: Verdict,
    first_seen: datetime | None,
    danger: Danger,
) -> tuple[datetime | None, str, str]:
    """Return when a finding is due, and the policy row that says so, with its label."""
    if first_seen is None:
        return None, "", ""
    facts = (on.environment, on.criticality, on.exposure)
    severity = Severity(said.severity)
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


def sentence(said: Consideration) -> str:
    """Return the verdict as a person would say it."""
    if said.status == Status.AFFECTED:
        return (
            f"affected: {said.matched_version} is older than {said.fixed}, which fixes "
            f"{_flaws(said)}"
        )
    if said.status == Status.NO_FIX:
        why = f" ({said.comparison})" if said.comparison else ""
        return (
            f"no fix: the vendor calls {said.matched_name} affected by {_flaws(said)} and has "
            f"nothing to install{why}"
        )
    if said.status == Status.UNDETERMINED:
        return f"undetermined: {said.comparison or 'the vendor has not determined it yet'}"
    return f"not affected: {said.comparison}"


def _flaws(said: Consideration) -> str:
    return " ".join(said.cves) or said.advisory


def what_would_change(said: Consideration) -> str:
    """Return what would turn the verdict; empty when nothing on the host would."""
    if said.status == Status.AFFECTED:
        return (
            f"would change: an inventory with {said.match} {said.matched_name} at {said.fixed} or "
            "newer"
        )
    if said.status == Status.NO_FIX:
        return "would change: the vendor publishing a fix, or removing the package"
    if said.status == Status.UNDETERMINED:
        return "would change: the vendor's verdict, or a version that can be read"
    return ""


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation in the form that the command line and the API print."""
    return {
        "host": explanation.host,
        "platform": explanation.platform,
        "at": explanation.at,
        "reported_at": explanation.reported_at,
        "has_feed": explanation.has_feed,
        "packages": [
            {
                "package": each.package,
                "arch": each.arch,
                "installed": each.installed,
                "source": each.judged_source,
                "source_version": each.judged_version,
                "held": each.held,
                "support": [one.words for one in each.support],
                "considered": [
                    {
                        "advisory": said.advisory,
                        "cves": list(said.cves),
                        "severity": said.severity.word,
                        "status": said.status,
                        "stated": said.stated,
                        "feed": said.feed,
                        "revision": said.revision,
                        "revision_at": said.revision_at,
                        "document": said.document,
                        "match": said.match.value,
                        "matched_name": said.matched_name,
                        "installed": said.matched_version,
                        "fixed": said.fixed,
                        "introduced": said.introduced,
                        "scheme": said.scheme,
                        "comparison": said.comparison,
                        "sentence": sentence(said),
                        "would_change": what_would_change(said),
                        "first_seen": said.first_seen,
                        "offered": said.supply.words if said.supply else None,
                        "due": said.due,
                        "due_row": said.due_row,
                        "kev": word_of(said.danger.kev),
                        "flaws": [
                            {"cve": line.note.cve, **flaws.plain(line)} for line in said.notes
                        ],
                    }
                    for said in each.considered
                ],
            }
            for each in explanation.installed
        ],
    }

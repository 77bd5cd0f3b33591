"""Why a package on a host is, or is not, a finding: every statement held against it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Select, and_, func, or_, select
from sqlalchemy import type_coerce as coerce
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models, package_sets, values
from patchmgr.db.base import from_micros
from patchmgr.db.queries import flaws, lifecycle, offers, own_offers
from patchmgr.db.queries.exceptions import Heeded, heeded
from patchmgr.db.queries.explained import (
    Consideration,
    Covering,
    Explained,
    Explanation,
    Unrelated,
)
from patchmgr.db.queries.finding_due import Dating, policy_at
from patchmgr.db.queries.instants import held
from patchmgr.db.queries.modules import catalogues
from patchmgr.db.queries.own_offers import OwnOffers
from patchmgr.domain.advisories import Advisory, Kind, Match, Status
from patchmgr.domain.facts import Installable, Offered, installable, why_not
from patchmgr.domain.flaws import NOTHING_KNOWN, Danger
from patchmgr.domain.kernels import Kernel, idle, kernel_of
from patchmgr.domain.lifecycle import without_support
from patchmgr.domain.matching import Verdict, platforms_of
from patchmgr.domain.modules import Catalogue, is_modular
from patchmgr.domain.offers import Offers, names_its_version
from patchmgr.domain.weighing import Said, Weighed, weigh
from patchmgr.errors import NotFoundError

host, version = models.Host, models.PackageVersion
exposure, judgement = models.Exposure, models.Judgement
advisory, fix, revision, feed = models.Advisory, models.Fix, models.FeedRevision, models.Feed

_ORDER = {match.value: place for place, match in enumerate(Match)}
Pairs = Sequence[tuple[Any, Weighed]]  # rows of `_statements`, each with what it comes to


@dataclass(frozen=True, slots=True)
class _At:
    """A host at an instant, and what its packages are explained by."""

    session: Session
    on: models.Host
    at: datetime
    dating: Dating
    heed: Heeded
    known: Offers
    modules: Mapping[str, Catalogue]
    offered: Offered | None  # by the host's own repositories; None: not reported
    idle: Mapping[int, str]  # package versions that do not count on this host, and why


def explain(session: Session, name: str, package: str, *, at: datetime) -> Explanation:
    """Return every statement considered for ``package`` on the host ``name`` as of ``at``.

    Raises `NotFoundError` for an unknown host, or one that did not have the package then.
    """
    row, members, own = _host_then(session, name, at)
    versions = _installed_versions(session, members, package)
    if not versions:
        raise NotFoundError(f"package on {row.hostname}", package)
    # The host knows best what it is offered; the archive is asked where it did not say.
    offered = _offered(session, own, versions)
    names = {each.name for each in versions} if offered is None else set()
    here = _At(
        session=session,
        on=row,
        at=at,
        dating=Dating(policy_at(session, at)),
        heed=heeded(session, at),
        known=offers.of_packages(session, [row.platform], names, at),
        modules=_modules(session, versions, at),
        offered=offered,
        idle=_idle_kernels(session, row, members, versions, at),
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


def _explained(here: _At, subject: models.PackageVersion) -> Explained:
    platforms = platforms_of(subject.platform, subject.manager)
    rows = sorted(
        (tuple(row) for row in here.session.execute(_statements(subject, here.at))),
        # In the scan's order, so that of two statements that tie the same one decides.
        key=lambda row: (platforms.index(row[0].platform), _ORDER[row[0].match], row[0].id),
    )
    judged_as = values.subject(subject)
    weighed = weigh(judged_as, [_said(*row) for row in rows], here.modules)
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
        considered=_considered(here, subject, pairs),
        unrelated=_unrelated(pairs),
    )


def _said(said: models.Fix, about: models.Advisory, _made: object, feed_name: str) -> Said:
    advised = Advisory(
        about.ref,
        tuple(about.cves.split()),
        kind=Kind(about.kind),
        aliases=tuple(about.aliases.split()),
    )
    return Said(about.id, advised, feed_name, values.fix(said))


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


def _host_then(
    session: Session, name: str, at: datetime
) -> tuple[models.Host, frozenset[int], OwnOffers | None]:
    """Return the host ``name``, the ids of the package versions that it had at ``at``, and offers.

    What its repositories offered before what they do now is not remembered.
    """
    history, package_set, base = models.HostPackageSet, models.PackageSet, package_sets.base
    found = session.execute(
        select(host, *own_offers.COLUMNS, *package_sets.WHOLE)
        .outerjoin(models.OfferSet, models.OfferSet.id == host.offer_set_id)
        .outerjoin(history, and_(history.host_id == host.id, held(history, at)))
        .outerjoin(package_set, package_set.id == history.package_set_id)
        .outerjoin(base, base.id == package_set.base_id)
        .where(func.lower(host.hostname) == name.lower())
        .order_by(history.since.desc())
        .limit(1)
    ).first()
    if found is None:
        raise NotFoundError("host", name)
    row, *own, more, lacks, of_base = found
    is_known = row.facts_at is not None and row.facts_at <= at
    offered = own_offers.own(own) if is_known else None
    return row, frozenset(package_sets.whole(more, lacks, of_base).tolist()), offered


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
    session: Session,
    on: models.Host,
    members: frozenset[int],
    versions: Sequence[models.PackageVersion],
    at: datetime,
) -> dict[int, str]:
    """Return which of ``versions`` are kernels that neither run nor boot next, and why that is so.

    By the kernel that runs now: what ran at another instant is not remembered.
    """
    asked = {each.id for each in versions if _kernel(each) is not None}
    if not asked or not on.running_kernel:
        return {}
    likely = or_(version.name.like("linux-%"), version.name.like("kernel%"))
    kernels = {
        each.id: kernel
        for each in session.scalars(select(version).where(likely))
        if each.id in members and (kernel := _kernel(each)) is not None
    }
    why = f"installed, neither running ({on.running_kernel} is) nor next to boot"
    if on.reported_at is not None and at < on.reported_at:
        why += "; that goes by the kernel that runs today, for earlier ones are not remembered"
    return dict.fromkeys(asked & idle(on.running_kernel, kernels), why)


def _kernel(row: models.PackageVersion) -> Kernel | None:
    return kernel_of(row.manager, row.name, row.version, row.arch)


def _has_feed(session: Session, platform: str, explained: Sequence[Explained]) -> bool:
    """Return whether a feed speaks of ``platform``; what was considered may tell already."""
    names = platforms_of(platform)
    if any(said.platform in names for each in explained for said in each.considered):
        return True
    spoken_of = select(fix.id).where(fix.platform.in_(names), fix.until_revision_id.is_(None))
    return session.scalar(spoken_of.limit(1)) is not None


def _considered(
    here: _At, subject: models.PackageVersion, pairs: Pairs
) -> tuple[Consideration, ...]:
    """Return what each statement that concerns ``subject`` means for it, findings first."""
    seen = _seen(here.session, here.on.id, subject.id, here.at)
    judged_as = values.subject(subject)
    found = []
    for (said, about, made, feed_name), weighed in pairs:
        verdict = weighed.verdict
        if verdict is None:
            continue
        match, is_finding = Match(said.match), weighed.is_finding
        text = judged_as.named(match)[1]
        first_seen, danger = seen.get(about.id, _UNSEEN) if is_finding else _UNSEEN
        due, due_row, due_label = _due(here, weighed, about, verdict, first_seen, danger)
        affected = verdict.status is Status.AFFECTED
        own = _own_offer(here, subject, said) if affected else (None, "")
        found.append(
            Consideration(
                advisory=about.ref,
                title=about.title,
                cves=tuple(about.cves.split()),
                platform=said.platform,
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
                supply=here.known.supply(judged_as, values.fix(said)) if affected else None,
                installable=own[0],
                own_offer=own[1],
                yields=weighed.yields,
                also=tuple((other.about.ref, other.feed) for other in weighed.also),
                exceptions=_covering(here, subject, about) if is_finding else (),
            )
        )
    return tuple(sorted(found, key=lambda c: (not c.is_finding, -c.severity, c.advisory, c.fixed)))


def _offered(
    session: Session, own: OwnOffers | None, versions: Sequence[models.PackageVersion]
) -> Offered | None:
    """Return what the host's repositories offer over ``versions``; None: not reported of any."""
    if own is None or not any(own.covered.covers(each.manager, each.name) for each in versions):
        return None
    found = own_offers.candidates(session, own, {each.name for each in versions})
    return replace(own.covered, candidates=frozenset(found))


def _own_offer(
    here: _At, subject: models.PackageVersion, said: models.Fix
) -> tuple[Installable, str]:
    """Return whether the host can install what ``said`` names, and what its repositories have."""
    match = Match(said.match)
    place = (subject.manager, subject.name, subject.arch)
    offered = here.offered or Offered()
    candidate = next(
        (each for each in offered.candidates if (each.manager, each.name, each.arch) == place),
        None,
    )
    covered = candidate is not None or (
        offered.covers(subject.manager, subject.name) and not names_its_version(subject.name)
    )
    verdict = installable(candidate, said.fixed, match, covered=covered)
    if verdict is Installable.YES and candidate is not None:
        return verdict, candidate.words
    if verdict is Installable.NO:
        return verdict, why_not(candidate, said.fixed, match)
    return verdict, ""


def _covering(
    here: _At, subject: models.PackageVersion, about: models.Advisory
) -> tuple[Covering, ...]:
    """Return the exceptions in force that cover a finding; one query for each."""
    names = (subject.name, subject.judged_source, about.ref, about.cves.split())
    found = here.heed.covering(here.on.id, here.on.hostname, (subject.id, about.id), names)
    rows = [here.session.get_one(models.FindingException, each.id) for each in found]
    return tuple(
        Covering(row.id, each.label, row.reason, row.owner, row.expires_at)
        for row, each in zip(rows, found, strict=True)
    )


def _unrelated(pairs: Pairs) -> tuple[Unrelated, ...]:
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
    here: _At,
    weighed: Weighed,
    about: models.Advisory,
    verdict: Verdict,
    first_seen: datetime | None,
    danger: Danger,
) -> tuple[datetime | None, str, str]:
    """Return when a finding is due, and the policy row that says so, with its label."""
    if first_seen is None:
        return None, "", ""
    on, dating = here.on, here.dating
    facts = (on.environment, on.criticality, on.exposure)
    severity, status = weighed.severity, verdict.status
    due, row = dating.due(severity, danger, status, about.published, first_seen, facts)
    return due, row, next((each.label for each in dating.policy.rows if each.id == row), "")


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

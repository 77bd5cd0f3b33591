"""Each statement held against a package: what it says, what it comes to here, and when it is due.

Those that name the package and yet do not concern it are told with the reason.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Select, and_, or_, select
from sqlalchemy import type_coerce as coerce
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models, values
from patchmgr.db.base import from_micros
from patchmgr.db.queries import flaws
from patchmgr.db.queries.explained import Consideration, Covering, Unrelated
from patchmgr.db.queries.explained_host import At
from patchmgr.db.queries.instants import held
from patchmgr.domain.advisories import Advisory, Kind, Match, Status
from patchmgr.domain.facts import Installable, Offered, installable, why_not
from patchmgr.domain.flaws import NOTHING_KNOWN, Danger
from patchmgr.domain.matching import Verdict, platforms_of
from patchmgr.domain.offers import names_its_version
from patchmgr.domain.weighing import Said, Weighed

exposure, judgement = models.Exposure, models.Judgement
advisory, fix, revision, feed = models.Advisory, models.Fix, models.FeedRevision, models.Feed


Pairs = Sequence[tuple[Any, Weighed]]  # rows of `statements_then`, each with what it comes to


def statements_then(subject: models.PackageVersion, at: datetime) -> Select[Any, Any, Any, Any]:
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


def said_of(said: models.Fix, about: models.Advisory, _made: object, feed_name: str) -> Said:
    advised = Advisory(
        about.ref,
        tuple(about.cves.split()),
        kind=Kind(about.kind),
        aliases=tuple(about.aliases.split()),
    )
    return Said(about.id, advised, feed_name, values.fix(said))


def considered(here: At, subject: models.PackageVersion, pairs: Pairs) -> tuple[Consideration, ...]:
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


def _due(
    here: At,
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


def _own_offer(
    here: At, subject: models.PackageVersion, said: models.Fix
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
    here: At, subject: models.PackageVersion, about: models.Advisory
) -> tuple[Covering, ...]:
    """Return the exceptions in force that cover a finding; one query for each."""
    names = (subject.name, subject.judged_source, about.ref, about.cves.split())
    found = here.heed.covering(here.on.id, here.on.hostname, (subject.id, about.id), names)
    rows = [here.session.get_one(models.FindingException, each.id) for each in found]
    return tuple(
        Covering(row.id, each.label, row.reason, row.owner, row.expires_at)
        for row, each in zip(rows, found, strict=True)
    )


def unrelated(pairs: Pairs) -> tuple[Unrelated, ...]:
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

"""What a scan judges: versions that are new or newly spoken of, and what is said about them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import in_lists
from patchmgr.db.values import FIX, SUBJECT, fix_of
from patchmgr.domain.advisories import Advisory, Fix, Kind, Match, Status
from patchmgr.domain.matching import Subject, platforms_of
from patchmgr.services import urgency_classes
from patchmgr.services.urgency_classes import Classes

ASKED = 20_000  # values past which reading a whole table beats asking for them


@dataclass(frozen=True, slots=True)
class Version:
    """A stored package version, as far as advisories judge it."""

    id: int
    subject: Subject


@dataclass(frozen=True, slots=True)
class Statement:
    """A stored fix, with what a judgement keeps of its advisory."""

    fix_id: int
    advisory_id: int
    about: Advisory  # without its fixes
    feed: str
    fix: Fix


Said = Mapping[tuple[str, str, str], Sequence[Statement]]  # by (platform, package, match)


def versions_to_judge(
    session: Session, last: models.ScanRun | None, classes: Classes
) -> list[Version]:
    """Return the versions to judge: all, or those that are new or newly spoken of.

    Newly spoken of is also a version of which only what is known of its flaws has changed.
    """
    row = models.PackageVersion
    query = select(row.id, *(getattr(row, column) for column in SUBJECT))
    if last is None:
        return [_version(found) for found in session.execute(query)]
    found = {
        each.id: each
        for each in map(_version, session.execute(query.where(row.id > last.package_version_id)))
    }
    for names in in_lists(_newly_said(session, last.feed_revision_id)):
        by_column: dict[str, list[str]] = defaultdict(list)
        for _, package, match in names:
            by_column[match].append(package)
        where = or_(
            row.judged_source.in_(by_column[Match.SOURCE]),
            row.name.in_(by_column[Match.BINARY]),
        )
        found |= {each.id: each for each in map(_version, session.execute(query.where(where)))}
    if _speaks_of_modules(session, last.feed_revision_id):
        modular = query.where(row.manager == "rpm", row.version.like("%.module%"))
        found |= {each.id: each for each in map(_version, session.execute(modular))}
    others = urgency_classes.changed(session, classes, last.feed_revision_id) - found.keys()
    for part in in_lists(sorted(others)):
        rows = session.execute(query.where(row.id.in_(part)))
        found |= {each.id: each for each in map(_version, rows)}
    return list(found.values())


def _speaks_of_modules(session: Session, revision: int) -> bool:
    """Return whether something since ``revision`` may tell which stream a build is of."""
    fix = models.Fix
    new = or_(fix.since_revision_id > revision, fix.until_revision_id > revision)
    return session.scalar(select(fix.id).where(fix.module != "", new).limit(1)) is not None


def _version(row: Any) -> Version:
    number, *parts = row
    return Version(number, Subject(*parts))


def _newly_said(session: Session, revision: int) -> list[tuple[str, str, str]]:
    """Return (platform, package, match) of what is said otherwise since ``revision``.

    These are statements made or taken back, and all of an advisory that is changed itself: it may
    have another date of publication.
    """
    fix, advisory, made = models.Fix, models.Advisory, models.FeedRevision
    changed = (
        select(advisory.id)
        .join(made, and_(made.feed_id == advisory.feed_id, made.made_at == advisory.changed_at))
        .where(made.id > revision)
    )
    rows = session.execute(
        select(fix.platform, fix.package, fix.match)
        .where(
            or_(
                fix.since_revision_id > revision,
                fix.until_revision_id > revision,
                and_(fix.until_revision_id.is_(None), fix.advisory_id.in_(changed)),
            )
        )
        .distinct()
    )
    return [(platform, package, match) for platform, package, match in rows]


def statements_about(session: Session, versions: Sequence[Version]) -> Said:
    """Return the current statements about ``versions``, by (platform, package, match).

    "Not affected" is left out: nothing comes of it here, and it is most of what vendors say.
    """
    kinds = {(v.subject.platform, v.subject.manager) for v in versions}
    platforms = {name for platform, manager in kinds for name in platforms_of(platform, manager)}
    names = {v.subject.name for v in versions} | {v.subject.source for v in versions}
    fix, advisory, feed = models.Fix, models.Advisory, models.Feed
    query = (
        select(
            fix.id,
            fix.advisory_id,
            feed.name,
            advisory.ref,
            advisory.cves,
            advisory.aliases,
            advisory.published,
            *(getattr(fix, column) for column in FIX),
        )
        .join(advisory, advisory.id == fix.advisory_id)
        .join(feed, feed.id == advisory.feed_id)
        .where(
            fix.until_revision_id.is_(None),
            fix.platform.in_(sorted(platforms)),
            fix.status != Status.NOT_AFFECTED,
            advisory.kind == Kind.SECURITY,
        )
    )
    queries = [query.where(fix.package.in_(part)) for part in in_lists(sorted(names))]
    said: dict[tuple[str, str, str], list[Statement]] = defaultdict(list)
    advisories: dict[int, Advisory] = {}
    for each in queries if len(names) <= ASKED else [query]:
        for fix_id, number, feed_name, ref, cves, aliases, published, *columns in session.execute(
            each
        ):
            if (about := advisories.get(number)) is None:
                about = advisories[number] = Advisory(
                    ref, tuple(cves.split()), published=published, aliases=tuple(aliases.split())
                )
            value = fix_of(columns)
            statement = Statement(fix_id, number, about, feed_name, value)
            said[value.platform, value.package, value.match].append(statement)
    return said

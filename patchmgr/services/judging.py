"""Step 1 of a scan: judge each distinct package version against the statements about it.

A version is judged once for the whole fleet, however many hosts have it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.base import table_of
from patchmgr.db.bulk import in_lists
from patchmgr.db.queries.modules import catalogues
from patchmgr.db.values import FIX, SUBJECT, fix_of
from patchmgr.domain.advisories import OPEN, Advisory, Fix, Kind, Match, Severity, Status
from patchmgr.domain.folding import Telling, fold
from patchmgr.domain.matching import (
    Subject,
    Verdict,
    assess,
    decisive,
    overruled,
    platforms_of,
)
from patchmgr.domain.modules import NO_MODULES, Catalogue
from patchmgr.services import urgency_classes
from patchmgr.services.urgency_classes import Classes

ASKED = 20_000  # values past which reading a whole table beats asking for them


@dataclass(frozen=True, slots=True)
class Version:
    """A stored package version, as far as advisories judge it."""

    id: int
    subject: Subject


@dataclass(frozen=True, slots=True)
class Opened:
    """A judgement that a scan newly made."""

    version_id: int
    severity: Severity
    status: Status
    published: datetime | None
    class_id: int | None


@dataclass(slots=True)
class Judged:
    """What judging changed."""

    versions: int = 0  # looked at
    opened: list[Opened] = field(default_factory=list)
    closed: set[int] = field(default_factory=set)  # versions that lost a judgement

    @property
    def touched(self) -> set[int]:
        """The versions whose judgements are not what they were."""
        return self.closed | {each.version_id for each in self.opened}


@dataclass(frozen=True, slots=True)
class _Statement:
    """A stored fix, with what a judgement keeps of its advisory."""

    fix_id: int
    advisory_id: int
    about: Advisory  # without its fixes
    feed: str
    fix: Fix


@dataclass(frozen=True, slots=True)
class _Concluded:
    """What a version is found to have: an advisory, by the statement that decided."""

    statement: _Statement
    verdict: Verdict
    severity: Severity
    folded: str  # ids of the other advisories that say the same, separated by spaces

    def stood(self, classes: Mapping[int, int | None]) -> list[Any]:
        """Return what a stored judgement must equal to stand as it is."""
        published = self.statement.about.published
        return [
            self.statement.fix_id,
            self.verdict.status,
            published,
            int(self.severity),
            self.folded,
            classes[self.statement.advisory_id],
        ]


Catalogues = Mapping[str, Catalogue]  # by platform
Said = Mapping[tuple[str, str, str], Sequence[_Statement]]  # by (platform, package, match)
Wanted = Mapping[tuple[int, int], _Concluded]  # by (version, advisory)


def bring_up_to_date(
    session: Session, last: models.ScanRun | None, now: datetime, *, seen: int = 0
) -> Judged:
    """Judge what is new since ``last``, everything for None; store and return the difference.

    ``seen`` is the highest version that was ever judged before.
    """
    classes = Classes(session)
    versions = _versions(session, last, classes)
    if not versions:
        return Judged()
    said = _statements(session, versions)
    modules = catalogues(session, {platform for platform, _, _ in said})
    cache: dict[Subject, list[_Concluded]] = {}
    wanted: dict[tuple[int, int], _Concluded] = {}
    for version in versions:
        subject = _judged_as(version.subject, said)
        if subject not in cache:
            cache[subject] = _conclude(subject, said, modules)
        for found in cache[subject]:
            wanted[version.id, found.statement.advisory_id] = found
    earlier = _earlier(session, [each for each in versions if each.id > seen]) if seen else {}
    known = classes.of({number: cves for (_, number), cves in _named(wanted)})
    judged = _store(session, [version.id for version in versions], wanted, known, earlier, now)
    judged.versions = len(versions)
    return judged


def _named(wanted: Wanted) -> Iterator[tuple[tuple[int, int], tuple[str, ...]]]:
    """Yield each conclusion with the CVEs that its advisory names."""
    return ((subject, found.statement.about.cves) for subject, found in wanted.items())


def _versions(session: Session, last: models.ScanRun | None, classes: Classes) -> list[Version]:
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


def _statements(session: Session, versions: Sequence[Version]) -> Said:
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
    said: dict[tuple[str, str, str], list[_Statement]] = defaultdict(list)
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
            statement = _Statement(fix_id, number, about, feed_name, value)
            said[value.platform, value.package, value.match].append(statement)
    return said


def _judged_as(subject: Subject, said: Said) -> Subject:
    """Return ``subject`` without what no statement asks for, so that many are judged as one."""
    platforms = platforms_of(subject.platform, subject.manager)
    if any((platform, subject.name, Match.BINARY) in said for platform in platforms):
        return subject
    return replace(subject, name="", version="") if not subject.foreign else subject


def _conclude(subject: Subject, said: Said, modules: Catalogues) -> list[_Concluded]:
    """Return what makes a finding of ``subject``, one an advisory, each flaw once."""
    if subject.foreign:
        return []
    decided: dict[int, tuple[_Statement, Verdict]] = {}
    for number, judged in _verdicts(subject, said, modules).items():
        deciding = decisive((statement.fix, verdict) for statement, verdict in judged)
        if deciding is not None and deciding[1].status in OPEN:
            statement = next(each for each, _ in judged if each.fix is deciding[0])
            decided[number] = (statement, deciding[1])
    return [
        _Concluded(
            *decided[each.kept.advisory_id],
            each.severity,
            " ".join(str(other.advisory_id) for other in each.others),
        )
        for each in fold(_telling(*pair) for pair in decided.values())
    ]


def _verdicts(
    subject: Subject, said: Said, modules: Catalogues
) -> dict[int, list[tuple[_Statement, Verdict]]]:
    """Return every verdict on ``subject``, by advisory."""
    found = [
        (statement, verdict)
        for platform in platforms_of(subject.platform, subject.manager)
        for match in Match
        for statement in said.get((platform, subject.named(match)[0], match), ())
        if (verdict := assess(subject, statement.fix, modules.get(platform, NO_MODULES)))
    ]
    ruled = overruled(((each.fix, frozenset(each.about.cves)) for each, _ in found), subject)
    by_advisory: dict[int, list[tuple[_Statement, Verdict]]] = defaultdict(list)
    for statement, verdict in found:
        cves = statement.about.cves
        if statement.fix.channel or not cves or not ruled.issuperset(cves):
            by_advisory[statement.advisory_id].append((statement, verdict))
    return by_advisory


def _telling(statement: _Statement, verdict: Verdict) -> Telling:
    about = statement.about
    return Telling(
        statement.advisory_id,
        about.ref,
        frozenset(about.cves),
        frozenset(about.aliases),
        statement.feed,
        about.is_record,
        verdict.status,
        statement.fix.severity,
    )


def _earlier(session: Session, new: Sequence[Version]) -> dict[tuple[int, int], datetime]:
    """Return since when an advisory spoke of earlier versions of the ``new`` ones' packages.

    By (version, advisory). A host that updates to a version that is vulnerable as well has the
    finding since then, though nobody has seen that version before.
    """
    row, version = models.Judgement, models.PackageVersion
    query = (
        select(version.manager, version.name, row.advisory_id, func.min(row.first_seen))
        .join(version, version.id == row.package_version_id)
        .where(row.until.is_(None))
        .group_by(version.manager, version.name, row.advisory_id)
    )
    names = sorted({each.subject.name for each in new})
    queries = [query.where(version.name.in_(part)) for part in in_lists(names)]
    first: dict[tuple[str, str], list[tuple[int, datetime]]] = defaultdict(list)
    for each in queries if len(names) <= ASKED else [query]:
        for manager, name, advisory_id, seen in session.execute(each):
            first[manager, name].append((advisory_id, seen))
    return {
        (each.id, advisory_id): seen
        for each in new
        for advisory_id, seen in first.get((each.subject.manager, each.subject.name), ())
    }


def _store(
    session: Session,
    version_ids: Sequence[int],
    wanted: Wanted,
    classes: Mapping[int, int | None],
    earlier: Mapping[tuple[int, int], datetime],
    now: datetime,
) -> Judged:
    """Close what no longer holds, open what newly does."""
    table = table_of(models.Judgement)
    judged = Judged()
    closing: list[int] = []
    kept: set[tuple[int, int]] = set()
    first_seen = dict(earlier)
    for row_id, version_id, advisory_id, seen, *stood in _open(session, version_ids):
        subject = (version_id, advisory_id)
        new = wanted.get(subject)
        if new is not None and new.stood(classes) == stood:
            kept.add(subject)
            continue
        closing.append(row_id)
        judged.closed.add(version_id)
        first_seen[subject] = seen
    connection = session.connection()
    if closing:
        connection.execute(
            update(table).where(table.c.id == bindparam("b_id")).values(until=now),
            [{"b_id": row_id} for row_id in closing],
        )
    opening = []
    for (version_id, advisory_id), found in wanted.items():
        if (version_id, advisory_id) in kept:
            continue
        fix_id, status, published, severity, folded, class_id = found.stood(classes)
        judged.opened.append(Opened(version_id, found.severity, status, published, class_id))
        opening.append(
            {
                "package_version_id": version_id,
                "advisory_id": advisory_id,
                "fix_id": fix_id,
                "status": status.value,
                "severity": severity,
                "reason": found.verdict.reason,
                "folded": folded,
                # A statement that only changed its words does not restart the clock.
                "first_seen": first_seen.get((version_id, advisory_id), now),
                "published": published,
                "class_id": class_id,
                "since": now,
                "until": None,
            }
        )
    if opening:
        connection.execute(insert(table), opening)
    return judged


def _open(session: Session, version_ids: Sequence[int]) -> Iterator[Any]:
    """Yield the open judgements of the versions."""
    row = models.Judgement
    query = select(
        row.id,
        row.package_version_id,
        row.advisory_id,
        row.first_seen,
        row.fix_id,
        row.status,
        row.published,
        row.severity,
        row.folded,
        row.class_id,
    ).where(row.until.is_(None))
    if len(version_ids) > ASKED:
        wanted = set(version_ids)
        yield from (found for found in session.execute(query) if found[1] in wanted)
        return
    for part in in_lists(version_ids):
        yield from session.execute(query.where(row.package_version_id.in_(part)))

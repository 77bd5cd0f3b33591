"""What catalogues say of flaws, now or as of any instant, and the classes that come of it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session, aliased

from patchmgr.db import models
from patchmgr.db.bulk import among_found, in_lists
from patchmgr.domain.flaws import NOTHING_KNOWN, Danger, FlawNote, merged, note_of, said
from patchmgr.domain.urgency import word_of

KEV = "kev"  # the feed whose catalogue tells which flaws are known to be exploited

feed, revision, row = models.Feed, models.FeedRevision, models.FlawNote
judgement, exposure = models.Judgement, models.Exposure
urgency_class = models.UrgencyClass
ASKED = 20_000  # CVEs past which reading every note beats asking for them


@dataclass(frozen=True, slots=True)
class NoteLine:
    """What a feed says of a CVE, and the revision that brought it."""

    feed: str
    title: str
    revision: int
    revision_at: datetime
    note: FlawNote


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The catalogue of known exploited vulnerabilities as it was read."""

    title: str
    revision: int
    made_at: datetime
    entries: int


@dataclass(frozen=True, slots=True)
class Exploited:
    """Open findings of flaws that are known to be exploited."""

    findings: int
    hosts: int
    is_known: bool  # whether a catalogue is loaded at all


def notes(
    session: Session, cves: Iterable[str], at: datetime | None = None
) -> dict[str, tuple[NoteLine, ...]]:
    """Return what was said of each of ``cves`` at ``at`` (None: now), by feed; absent if nothing.

    One query for every few hundred CVEs.
    """
    found: dict[str, list[NoteLine]] = defaultdict(list)
    query = _held(
        select(row.cve, row.said, feed.name, feed.title, revision.id, revision.made_at)
        .join(feed, feed.id == row.feed_id)
        .join(revision, revision.id == row.since_revision_id)
        .order_by(row.cve, feed.name, row.id),
        at,
    )
    for part in in_lists(sorted(set(cves))):
        for cve, document, name, title, number, made_at in session.execute(
            query.where(row.cve.in_(part))
        ):
            found[cve].append(NoteLine(name, title, number, made_at, note_of(cve, document)))
    return {cve: tuple(lines) for cve, lines in found.items()}


def merged_notes(session: Session, cves: set[str]) -> dict[str, FlawNote]:
    """Return what all feeds together say now of each of ``cves``; absent if nothing."""
    query = (
        select(row.cve, row.said)
        .join(feed, feed.id == row.feed_id)
        .where(row.until_revision_id.is_(None))
        .order_by(feed.name, row.id)
    )
    whole = len(cves) > ASKED
    queries = [query] if whole else [query.where(row.cve.in_(p)) for p in in_lists(sorted(cves))]
    found: dict[str, list[FlawNote]] = defaultdict(list)
    for each in queries:
        for cve, document in session.execute(each):
            if cve in cves:
                found[cve].append(note_of(cve, document))
    together = {cve: merged(each) for cve, each in found.items()}
    return {cve: note for cve, note in together.items() if note is not None}


def listed(session: Session, at: datetime | None = None) -> dict[str, FlawNote]:
    """Return the entries of the catalogue at ``at`` (None: now), by CVE. One query."""
    query = _held(
        select(row.cve, row.said)
        .join(feed, feed.id == row.feed_id)
        .join(revision, revision.id == row.since_revision_id)
        .where(feed.name == KEV),
        at,
    )
    return {cve: note_of(cve, document) for cve, document in session.execute(query)}


def catalogue(session: Session, at: datetime | None = None) -> Catalogue | None:
    """Return the catalogue that was in use at ``at`` (None: now); None when none was loaded.

    One query.
    """
    query = (
        select(feed.title, revision.id, revision.made_at, revision.counts)
        .join(revision, revision.feed_id == feed.id)
        .where(feed.name == KEV)
        .order_by(revision.id.desc())
        .limit(1)
    )
    current = revision.id == feed.revision_id if at is None else revision.made_at <= at
    found = session.execute(query.where(current)).first()
    if found is None:
        return None
    title, number, made_at, counts = found
    return Catalogue(title, number, made_at, int(counts.get("notes", 0)))


def is_listed(session: Session, lines: Iterable[NoteLine]) -> bool | None:
    """Return whether the CVE of ``lines`` is in the catalogue; None when none is loaded."""
    if any(line.note.kev for line in lines):
        return True
    return None if catalogue(session) is None else False


def exploited(session: Session) -> Exploited:
    """Return how many open findings are of flaws known to be exploited, on how many hosts.

    One query, which looks at the exposures of those flaws' versions and at no others.
    """
    loaded = select(feed.id).where(feed.name == KEV, feed.revision_id.is_not(None)).exists()
    flawed = select(judgement.package_version_id).where(
        is_exploited("yes"), judgement.until.is_(None)
    )
    each = (
        flawed.add_columns(func.count().label("findings"))
        .group_by(judgement.package_version_id)
        .subquery()
    )
    findings, hosts, is_known = session.execute(
        select(
            func.sum(each.c.findings),
            func.count(exposure.host_id.distinct()),
            select(loaded).scalar_subquery(),
        )
        .select_from(each)
        .join(exposure, exposure.package_version_id == each.c.package_version_id)
        .where(among_found(session, exposure.package_version_id, flawed), exposure.until.is_(None))
    ).one()
    return Exploited(int(findings or 0), hosts, bool(is_known))


def is_exploited(word: str) -> ColumnElement[bool]:
    """Return the condition for judgements of which it is known: "yes" or "no"."""
    return judgement.class_id.in_(select(urgency_class.id).where(urgency_class.kev == word))


# --- classes -------------------------------------------------------------------------------------


def classes(session: Session) -> dict[int, Danger]:
    """Return every class that there is, by id. One query."""
    return {
        each.id: danger_of([getattr(each, name) for name in CLASS_COLUMNS])
        for each in session.scalars(select(urgency_class))
    }


CLASS_COLUMNS = tuple(each.name for each in fields(Danger))
CLASS = tuple(getattr(urgency_class, name) for name in CLASS_COLUMNS)  # for a select


def danger_of(columns: Iterable[Any]) -> Danger:
    """Return the value of the columns `CLASS`, all None where a judgement has no class."""
    kev, ransomware, *rest = columns
    if kev is None:
        return NOTHING_KNOWN
    return Danger(kev == "yes" if kev else None, ransomware == "yes", *rest)


def columns_of(value: Danger) -> Mapping[str, str | int]:
    """Return the columns of a class."""
    return {name: getattr(value, name) for name in CLASS_COLUMNS} | {
        "kev": word_of(value.kev),
        "ransomware": "yes" if value.ransomware else "",
    }


def plain(line: NoteLine) -> dict[str, Any]:
    """Return a note as the command line and the API print it: what is said, by whom, since when."""
    return {
        "feed": line.feed,
        "revision": line.revision,
        "revision_at": line.revision_at,
        **said(line.note),
    }


def words(line: NoteLine) -> Iterator[tuple[str, str]]:
    """Yield what a note says in (subject, words) as a person would write it."""
    note = line.note
    if note.rejected:
        yield "rejected", "the CVE was taken back by whoever gave it"
    if note.kev:
        parts = [
            f"added {note.kev_added}" if note.kev_added else "",
            f"CISA wants it done by {note.kev_due}" if note.kev_due else "",
            "used in ransomware campaigns" if note.kev_ransomware else "",
        ]
        yield "known exploited", ", ".join(filter(None, parts)) or "listed"
        if note.kev_action:
            yield "required", note.kev_action
    if note.epss is not None:
        share = f", higher than {note.epss_percentile:.1%} of all" if note.epss_percentile else ""
        yield "EPSS", f"{note.epss:.3f}{share}"
    if note.cvss is not None:
        by = f" by {note.cvss_source}" if note.cvss_source else ""
        yield "CVSS", f"{note.cvss:.1f} {note.cvss_vector}{by}"
    if note.cwes:
        yield "weakness", " ".join(note.cwes)
    options = {
        "exploitation": note.ssvc_exploitation,
        "automatable": note.ssvc_automatable,
        "technical impact": note.ssvc_impact,
    }
    if any(options.values()):
        yield "SSVC", ", ".join(f"{name} {word}" for name, word in options.items() if word)


def _held(query: Select[Any], at: datetime | None) -> Select[Any]:
    """Return ``query``, which joins the revision a note came with, for what held at ``at``."""
    if at is None:
        return query.where(row.until_revision_id.is_(None))
    ended = aliased(revision)
    return query.outerjoin(ended, ended.id == row.until_revision_id).where(
        revision.made_at <= at, or_(ended.id.is_(None), ended.made_at > at)
    )

"""Step 1 of a scan: judge each distinct package version against the statements about it.

A version is judged once for the whole fleet, however many hosts have it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries.modules import catalogues
from patchmgr.domain.advisories import OPEN, Match
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
from patchmgr.services.judgement_store import Concluded, Judged, Wanted, first_told, store
from patchmgr.services.statements import Said, Statement, statements_about, versions_to_judge
from patchmgr.services.urgency_classes import Classes

Catalogues = Mapping[str, Catalogue]  # by platform


def bring_up_to_date(
    session: Session, last: models.ScanRun | None, now: datetime, *, seen: int = 0
) -> Judged:
    """Judge what is new since ``last``, everything for None; store and return the difference.

    ``seen`` is the highest version that was ever judged before.
    """
    classes = Classes(session)
    versions = versions_to_judge(session, last, classes)
    if not versions:
        return Judged()
    said = statements_about(session, versions)
    modules = catalogues(session, {platform for platform, _, _ in said})
    cache: dict[Subject, list[Concluded]] = {}
    wanted: dict[tuple[int, int], Concluded] = {}
    for version in versions:
        subject = _judged_as(version.subject, said)
        if subject not in cache:
            cache[subject] = _conclude(subject, said, modules)
        for found in cache[subject]:
            wanted[version.id, found.statement.advisory_id] = found
    earlier = first_told(session, [each for each in versions if each.id > seen]) if seen else {}
    known = classes.of({number: cves for (_, number), cves in _named(wanted)})
    judged = store(session, [version.id for version in versions], wanted, known, earlier, now)
    judged.versions = len(versions)
    return judged


def _named(wanted: Wanted) -> Iterator[tuple[tuple[int, int], tuple[str, ...]]]:
    """Yield each conclusion with the CVEs that its advisory names."""
    return ((subject, found.statement.about.cves) for subject, found in wanted.items())


def _judged_as(subject: Subject, said: Said) -> Subject:
    """Return ``subject`` without what no statement asks for, so that many are judged as one."""
    platforms = platforms_of(subject.platform, subject.manager)
    if any((platform, subject.name, Match.BINARY) in said for platform in platforms):
        return subject
    return replace(subject, name="", version="") if not subject.foreign else subject


def _conclude(subject: Subject, said: Said, modules: Catalogues) -> list[Concluded]:
    """Return what makes a finding of ``subject``, one an advisory, each flaw once."""
    if subject.foreign:
        return []
    decided: dict[int, tuple[Statement, Verdict]] = {}
    for number, judged in _verdicts(subject, said, modules).items():
        deciding = decisive((statement.fix, verdict) for statement, verdict in judged)
        if deciding is not None and deciding[1].status in OPEN:
            statement = next(each for each, _ in judged if each.fix is deciding[0])
            decided[number] = (statement, deciding[1])
    return [
        Concluded(
            *decided[each.kept.advisory_id],
            each.severity,
            " ".join(str(other.advisory_id) for other in each.others),
        )
        for each in fold(_telling(*pair) for pair in decided.values())
    ]


def _verdicts(
    subject: Subject, said: Said, modules: Catalogues
) -> dict[int, list[tuple[Statement, Verdict]]]:
    """Return every verdict on ``subject``, by advisory."""
    found = [
        (statement, verdict)
        for platform in platforms_of(subject.platform, subject.manager)
        for match in Match
        for statement in said.get((platform, subject.named(match)[0], match), ())
        if (verdict := assess(subject, statement.fix, modules.get(platform, NO_MODULES)))
    ]
    ruled = overruled(((each.fix, frozenset(each.about.cves)) for each, _ in found), subject)
    by_advisory: dict[int, list[tuple[Statement, Verdict]]] = defaultdict(list)
    for statement, verdict in found:
        cves = statement.about.cves
        if statement.fix.channel or not cves or not ruled.issuperset(cves):
            by_advisory[statement.advisory_id].append((statement, verdict))
    return by_advisory


def _telling(statement: Statement, verdict: Verdict) -> Telling:
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

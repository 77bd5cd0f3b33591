"""Which statements a policy's criteria are for: what is known of their flaws, when they are due.

Scores are read from the catalogues, not from the classes that judgements keep: those are lowered
to what due dates ask for.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.bulk import in_lists
from patchmgr.db.queries import flaws
from patchmgr.domain import urgency
from patchmgr.domain.criteria import Criteria, Facts
from patchmgr.domain.flaws import NOTHING_KNOWN, Danger, FlawNote, danger
from patchmgr.domain.plans import Finding, Selection, Statement
from patchmgr.services import policies


@dataclass(frozen=True, slots=True)
class Said:
    """When a statement was made, and what is known of its flaws, for due dates."""

    published: datetime | None
    first_seen: datetime
    danger: Danger


@dataclass(slots=True)
class Judge:
    """Asks each statement whether one of the selection's criteria is for it."""

    criteria: tuple[Criteria, ...]
    now: datetime
    notes: Mapping[str, FlawNote]
    has_catalogue: bool
    asked: dict[Finding, list[Criteria]] = field(default_factory=dict)

    def admits(self, finding: Finding, facts: Facts, cves: Sequence[str]) -> bool:
        """Return whether a statement is asked for, and remember by what, for `only_due`."""
        found = [
            each
            for each in self.criteria
            if each.admits(replace(facts, danger=self._danger(each, cves)), self.now)
        ]
        if found:
            self.asked[finding] = found
        return bool(found)

    def _danger(self, criteria: Criteria, cves: Sequence[str]) -> Danger:
        if not _asks_of_flaws(criteria):
            return NOTHING_KNOWN
        return danger(
            cves, self.notes, catalogue=self.has_catalogue, thresholds=criteria.thresholds
        )


def judge(
    session: Session, selection: Selection, cves: Iterable[str], now: datetime
) -> Judge | None:
    """Return who asks statements about ``cves``; None when the selection has no criteria."""
    if not selection.any_of:
        return None
    names: set[str] = set()
    has_catalogue = False
    if any(_asks_of_flaws(each) for each in selection.any_of):
        names = {cve for some in cves for cve in some.split()}
        has_catalogue = flaws.catalogue(session) is not None
    notes = flaws.merged_notes(session, names) if names else {}
    return Judge(selection.any_of, now, notes, has_catalogue)


def only_due(
    session: Session,
    judge: Judge | None,
    statements: list[Statement],
    said: Mapping[Finding, Said],
) -> list[Statement]:
    """Return ``statements``, selected only where one of them is due soon enough on some host."""
    if judge is None or all(each.due_within_days is None for each in judge.criteria):
        return statements
    dues = due_dates(session, [one for one in statements if one.selected], said)
    return [
        replace(one, selected=False)
        if one.selected
        and not any(
            each.is_due(dues.get(one.finding), judge.now) for each in judge.asked[one.finding]
        )
        else one
        for one in statements
    ]


def due_dates(
    session: Session, statements: Sequence[Statement], said: Mapping[Finding, Said]
) -> dict[Finding, datetime]:
    """Return when each statement is due first, on whichever host; absent: nowhere."""
    host, exposure = models.Host, models.Exposure
    _, policy = policies.active(session)
    decisions = urgency.Decisions(policy)
    combinations: dict[int, list[tuple[datetime, str, str, str]]] = defaultdict(list)
    for part in in_lists(sorted({one.version_id for one in statements})):
        for number, first_seen, exposed, environment, criticality in session.execute(
            select(
                exposure.package_version_id,
                func.min(exposure.first_seen),
                host.exposure,
                host.environment,
                host.criticality,
            )
            .join(host, host.id == exposure.host_id)
            .where(
                exposure.until.is_(None),
                host.retired_at.is_(None),
                exposure.package_version_id.in_(part),
            )
            .group_by(
                exposure.package_version_id, host.exposure, host.environment, host.criticality
            )
        ):
            combinations[number].append((first_seen, exposed, environment, criticality))
    found: dict[Finding, datetime] = {}
    for one in statements:
        when = said[one.finding]
        for first_seen, exposed, environment, criticality in combinations[one.version_id]:
            inputs = urgency.Inputs(one.severity, when.danger, exposed, environment, criticality)
            row = decisions.row(inputs)
            seen = max(first_seen, when.first_seen)
            due = urgency.due_date(row, when.published, seen, policy.clock)
            if due is not None and (one.finding not in found or due < found[one.finding]):
                found[one.finding] = due
    return found


def _asks_of_flaws(criteria: Criteria) -> bool:
    return bool(criteria.kev or criteria.cvss_at_least or criteria.epss_at_least)

"""From open findings to the exact content of a plan."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from patchmgr.db import models
from patchmgr.db.queries import holds
from patchmgr.db.queries.windows import known_windows, window_rules
from patchmgr.domain import unmatched as unmatching
from patchmgr.domain.advisories import Severity
from patchmgr.domain.content import Content, Place, coverage, place
from patchmgr.domain.groups import Group, GroupSettings, gather
from patchmgr.domain.holds import hold_back
from patchmgr.domain.plans import (
    Finding,
    Proposal,
    Selection,
    Statement,
)
from patchmgr.domain.proposing import propose_items
from patchmgr.domain.raising import Raised, past_holds
from patchmgr.domain.rings import HostFacts, RingSettings
from patchmgr.domain.terms import Targets, Terms
from patchmgr.domain.window_rules import WindowRule, window_of
from patchmgr.domain.windows import Window, Windows
from patchmgr.errors import ConflictError
from patchmgr.services import own_offers, planning_reads, selecting
from patchmgr.services.selecting import Said


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan's content, and what its makers must know besides."""

    content: Content
    proposal: Proposal
    due: datetime | None  # earliest among the findings it closes
    summary: dict[str, Any]


def draft(
    session: Session,
    selection: Selection,
    rings: Sequence[RingSettings],
    *,
    series: str,
    approvals_needed: int,
    terms: Terms,
    now: datetime,
    groups: Sequence[GroupSettings] = (),
) -> Draft:
    """Return what a plan for ``selection`` would change, where and when.

    What an exception covers at ``now`` is left out, and what a hold names. Raises `NotFoundError`
    for an advisory, CVE, package or host that nobody has heard of, `ConflictError` when there is
    nothing to change.
    """
    planning_reads.check(session, selection)
    statements, said = planning_reads.statements(session, selection, now)
    hosts = {
        number: row
        for number, row in planning_reads.hosts(session, selection.hosts).items()
        if selection.reaches(row.platform, row.environment, row.site, row.tags)
    }
    versions = {one.version_id for one in statements}
    exposed, offered = planning_reads.exposed(session, versions, hosts)
    candidates = own_offers.candidates(session, offered)
    excepted = planning_reads.excepted(session, versions, now)
    held = {number: set(row.held) for number, row in hosts.items() if row.held}
    own = own_offers.of_hosts(statements, offered, candidates)
    stay = None if terms.include_held else held
    proposal = propose_items(statements, exposed, stay, excepted, own)
    or_newer = terms.targets is Targets.AT_LEAST
    held_back = holds.in_force(session, now)
    raised: dict[Raised, int] = {}
    if or_newer and held_back:
        on_offer = own_offers.versions(offered, candidates)
        proposal, raised = past_holds(proposal, held_back, on_offer)
    proposal = hold_back(proposal, held_back, or_newer=or_newer)
    windows = known_windows(session)
    given = window_rules(session)
    facts = [facts_of(hosts[number], given) for number in sorted(proposal.hosts)]
    places = place(facts, rings, series, windows, proposal.changes)
    proposal, places, left_out = _reachable(proposal, places, windows, hosts)
    while any(ring.representative for ring in rings) and places.keys() != {f.id for f in facts}:
        # Who cannot be reached represents nobody: choose among the others.
        facts = [one for one in facts if one.id in places]
        places = place(facts, rings, series, windows, proposal.changes)
        proposal, places, more = _reachable(proposal, places, windows, hosts)
        left_out += more
    if not proposal.hosts:
        raise ConflictError(_nothing(proposal, left_out))
    content = Content(
        proposal.changes,
        places,
        tuple(rings),
        _used(windows, places),
        approvals_needed,
        terms,
        tuple(groups),
        gather([one for one in facts if one.id in places], groups),
    )
    pressing = _pressing(statements, proposal.hosts, exposed, excepted)
    due = _due(session, proposal, pressing, said)
    phased = own_offers.phased(proposal, statements, offered, candidates)
    summary = _summary(content, proposal, left_out, phased)
    reached = coverage(content, [one for one in facts if one.id in places])
    summary["coverage"] = [one.to_json() for one in reached]
    summary["unmatched"] = unmatched(session, content, facts)
    newer = own_offers.superseded(proposal, offered, candidates)
    if newer and terms.targets is Targets.EXACT:
        summary["superseded_targets"] = newer
    if raised:
        summary["raised_targets"] = [
            {"package": package, "fix": fix, "target": target, "hosts": count}
            for (package, fix, target), count in raised.items()
        ]
    if terms.include_held:
        summary["held_included"] = _held_included(proposal, held)
    return Draft(content, proposal, due, summary)


def place_again(
    session: Session, before: Content, rings: Sequence[RingSettings], series: str
) -> tuple[Content, list[dict[str, Any]]]:
    """Return a plan's content with other rings, and what representative hosts then reach.

    Raises `ConflictError` for a host whose own window does not exist.
    """
    hosts = planning_reads.hosts(session, ())
    windows = known_windows(session)
    given = window_rules(session)
    facts = [facts_of(hosts[number], given) for number in sorted(before.places) if number in hosts]
    places = place(facts, rings, series, windows, before.changes)
    lost = [hosts[n].hostname for n, at in places.items() if not _exists(at.window, windows)]
    if lost:
        raise ConflictError(f"the maintenance window of {lost[0]} does not exist; add it first")
    after = replace(before, rings=tuple(rings), places=places, windows=_used(windows, places))
    return after, [one.to_json() for one in coverage(after, facts)]


def gather_again(
    session: Session, numbers: Collection[int], groups: Sequence[GroupSettings]
) -> tuple[Group, ...]:
    """Return the groups that the hosts of a plan are in now."""
    hosts = planning_reads.hosts(session, ())
    return gather(
        [facts_of(hosts[number]) for number in sorted(numbers) if number in hosts], groups
    )


def unmatched(
    session: Session, content: Content, facts: Sequence[HostFacts] | None = None
) -> list[str]:
    """Return what the rings and groups of a plan name that is not there. ``facts`` of its hosts."""
    if facts is None:
        hosts = planning_reads.hosts(session, ()) if content.groups else {}
        facts = [facts_of(hosts[number]) for number in content.places if number in hosts]
    known = planning_reads.names(session, unmatching.names(content.rings, content.groups))
    found = unmatching.unmatched(content.rings, content.groups, known=known, hosts=facts)
    return list(found)


def facts_of(row: models.Host, rules: Sequence[WindowRule] = ()) -> HostFacts:
    """Return what ring assignment may ask of a host; ``rules`` give a window where it has none."""
    facts = HostFacts(
        row.id,
        row.hostname,
        row.ring,
        row.environment,
        row.site,
        row.owner,
        row.criticality,
        row.exposure,
        row.platform,
        tuple(row.tags),
        row.window,
    )
    return replace(facts, window=window_of(facts, rules))


def _held_included(proposal: Proposal, held: Mapping[int, Collection[str]]) -> int:
    """Return how many packages are changed though their hosts hold them back."""
    return sum(
        change.package in held.get(host, ())
        for change, hosts in proposal.changes.items()
        for host in hosts
    )


def _pressing(
    statements: Iterable[Statement],
    hosts: Collection[int],
    exposed: Mapping[int, Collection[int]],
    excepted: Mapping[int, Mapping[Finding, str]],
) -> list[Statement]:
    """Return the statements that no exception covers on one of ``hosts`` at least."""
    having = Counter(version for number in hosts for version in exposed[number])
    covered = Counter(finding for number in hosts for finding in excepted.get(number, ()))
    return [one for one in statements if covered[one.finding] < having[one.version_id]]


def _reachable(
    proposal: Proposal,
    places: Mapping[int, Place],
    windows: Windows,
    hosts: Mapping[int, models.Host],
) -> tuple[Proposal, dict[int, Place], list[dict[str, str]]]:
    """Leave out hosts that could never have their turn, and say so."""
    left_out = [
        {
            "host": hosts[n].hostname,
            "reason": windows.complaint(at.window or ""),
        }
        for n, at in places.items()
        if not _exists(at.window, windows)
    ]
    if not left_out:
        return proposal, dict(places), []
    kept = {n: at for n, at in places.items() if _exists(at.window, windows)}
    lost = places.keys() - kept.keys()
    return proposal.without(lost), kept, sorted(left_out, key=lambda one: one["host"])


def _exists(window: str | None, windows: Mapping[str, Window]) -> bool:
    return window is None or window in windows


def _used(windows: Mapping[str, Window], places: Mapping[int, Place]) -> dict[str, Window]:
    names = {at.window for at in places.values() if at.window is not None}
    return {name: windows[name] for name in sorted(names)}


def _nothing(proposal: Proposal, left_out: Sequence[Mapping[str, str]]) -> str:
    if left_out:
        first = left_out[0]
        return (
            f"nothing to plan: {first['host']}: {first['reason']}"
            f"{f', and {len(left_out) - 1} more hosts' if len(left_out) > 1 else ''}; "
            "add it with: patchmgr windows add"
        )
    if proposal.excluded:
        reasons = sorted({one.reason for one in proposal.excluded})
        return f"nothing to plan: what was asked for is left out ({'; '.join(reasons)})"
    return "nothing to plan: no open finding is what was asked for"


def _summary(
    content: Content,
    proposal: Proposal,
    left_out: list[dict[str, str]],
    phased: list[str],
) -> dict[str, Any]:
    positions = [0] * len(content.rings)
    for at in content.places.values():
        positions[at.ring] += 1
    too_short = sorted(
        {
            at.window
            for at in content.places.values()
            if at.window is not None
            and content.windows[at.window].longest <= content.rings[at.ring].needed_time
        }
    )
    worst: dict[str, int] = {}
    for change in content.changes:
        worst[change.source] = max(worst.get(change.source, 0), change.severity)
    sources = sorted(worst, key=lambda source: (-worst[source], source))
    return {
        "hosts": len(content.places),
        "changes": len(content.changes),
        "items": sum(len(hosts) for hosts in content.changes.values()),
        "findings": sum(len(c.advisories) * len(hosts) for c, hosts in content.changes.items()),
        "advisories": len({ref for change in content.changes for ref in change.advisories}),
        "severity": max((c.severity for c in content.changes), default=Severity.UNKNOWN).word,
        "packages": len({change.package for change in content.changes}),
        "sources": len(sources),
        "worst_sources": sources[:10],
        "rings": {ring.name: n for ring, n in zip(content.rings, positions, strict=True)},
        "excluded": len(proposal.excluded),
        "left_out": left_out,
        "phased": phased,
        "any_time": sum(at.window is None for at in content.places.values()),
        "windows_too_short": too_short,
    }


def _due(
    session: Session,
    proposal: Proposal,
    statements: Iterable[Statement],
    said: Mapping[tuple[int, str], Said],
) -> datetime | None:
    """Return the earliest due date among the findings that the plan closes."""
    versions = proposal.versions
    closed = [
        one
        for one in statements
        if (change := versions.get(one.version_id)) and one.advisory in change.advisories
    ]
    return min(selecting.due_dates(session, closed, said).values(), default=None)

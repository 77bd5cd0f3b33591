"""From hosts and findings to the numbers of a report, in one pass."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from patchmgr.domain.advisories import Severity, Status
from patchmgr.domain.compliance.basis import (
    Basis,
    Closed,
    Contact,
    Dated,
    Host,
    Open,
    RegisterLine,
    State,
    Verdict,
)
from patchmgr.domain.compliance.exploited import Exploitation
from patchmgr.domain.compliance.figures import duration, trend
from patchmgr.domain.compliance.values import (
    BlindSpot,
    Coverage,
    Headline,
    HostLine,
    PatchTime,
    Report,
    Share,
    SlaLine,
    Verification,
)
from patchmgr.domain.flaws import Danger
from patchmgr.domain.urgency import Decisions, Inputs, Policy, due_date

SEVERITIES = tuple(severity.word for severity in sorted(Severity, reverse=True))
NAMES = 10  # hosts named beside a blind spot
FAILED = ("failed", "timed_out", "lost", "rolled_back")
LEFT_OUT = ("skipped", "deferred", "cancelled")
UNREADABLE = "the installed or the fixed version cannot be read"
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


class Counting:
    """Adds up a report. Feed it each host once, then what closed, then ask for the report."""

    def __init__(self, basis: Basis) -> None:
        self._basis = basis
        self._deadlines = _Deadlines(basis.policy)
        self._feeds = {line.platform: line.feeds for line in basis.platforms}
        self._endings = {line.platform: line.ending for line in basis.platforms if line.ending}
        self._lines: list[HostLine] = []
        self._named: dict[tuple[str, str], list[str]] = {}  # blind spot -> names of hosts
        self._contacts: Counter[Contact] = Counter()
        self._verdicts: Counter[Verdict] = Counter()
        self._by_feed: Counter[str] = Counter()
        self._states: Counter[State] = Counter()
        self._open: Counter[tuple[str, State]] = Counter()  # severity, state
        self._closed: Counter[tuple[str, str]] = Counter()  # severity, "in time" "late" "no due"
        self._reasons: Counter[str] = Counter()
        self._release: dict[str, Counter[int]] = {word: Counter() for word in SEVERITIES}
        self._detection: dict[str, Counter[int]] = {word: Counter() for word in SEVERITIES}
        self._undetermined = self._fixable = 0  # by their status, excepted or not
        self._excepted: Counter[str] = Counter()  # findings of each exception
        self._excepted_hosts: Counter[str] = Counter()
        self._reboots = self._with_feed = self._undetermined_hosts = self._withdrawn = 0
        self._exploited = Exploitation(basis.as_of)

    def add(self, host: Host, findings: Iterable[Open]) -> tuple[HostLine, list[Dated]]:
        """Count ``host`` and its open findings; return its line, and the findings with due dates.

        The findings keep their order.
        """
        findings = list(findings)
        dated = [self._date(host, finding) for finding in findings]
        self._count_excepted(findings)
        states = Counter(finding.state for finding in dated)
        self._states.update(states)
        self._open.update((finding.judged.severity.word, finding.state) for finding in dated)
        self._count_statuses(dated)
        self._exploited.add(dated)
        line = self._line(host, dated, states)
        self._note_support(host)
        self._lines.append(line)
        self._contacts[host.contact] += 1
        self._verdicts[line.verdict] += 1
        self._reboots += host.reboot_pending
        feeds = self._feeds.get(host.platform, ())
        self._with_feed += bool(feeds)
        self._by_feed.update(feeds)
        return line, dated

    def close(self, finding: Closed) -> None:
        """Count a finding that ended in the period."""
        if not finding.patched:
            self._withdrawn += 1
            return
        word = finding.severity.word
        _, due = self._deadlines.of(
            finding.host, finding.severity, finding.danger, finding.published, finding.first_seen
        )
        if finding.excepted:
            due = None
        how = "no due" if due is None else "in time" if finding.closed <= due else "late"
        self._closed[word, how] += 1
        self._detection[word][(finding.closed - finding.first_seen) // _SECOND] += 1
        if finding.published is not None:
            self._release[word][max(finding.closed - finding.published, 0 * _DAY) // _SECOND] += 1

    def report(self) -> Report:
        """Return what the counts say; hosts by name."""
        lines = [self._sla(word, [word]) for word in SEVERITIES]
        days, periods = trend(self._basis.as_of, self._basis.standings)
        return Report(
            basis=self._basis,
            headline=self._headline(),
            coverage=self._coverage(),
            sla=tuple(lines),
            sla_total=self._sla("all", SEVERITIES),
            withdrawn=self._withdrawn,
            patch_times=self._patch_times(),
            exploited=self._exploited.counted(self._basis.kev, len(self._lines)),
            verification=_verification(self._basis),
            period_days=days,
            trend=periods,
            hosts=tuple(sorted(self._lines, key=lambda line: line.hostname)),
            states={state.value: self._states[state] for state in State},
            by_severity={
                word: sum(self._open[word, state] for state in State) for word in SEVERITIES
            },
            exceptions=tuple(
                RegisterLine(each, self._excepted[each.label], self._excepted_hosts[each.label])
                for each in self._basis.exceptions
            ),
        )

    def _date(self, host: Host, finding: Open) -> Dated:
        dated = self._undisputed(host, finding)
        if not finding.exceptions:
            return dated
        return dated._replace(state=State.EXCEPTED, exception=finding.exceptions[0])

    def _undisputed(self, host: Host, finding: Open) -> Dated:
        """Return the finding as it is without exceptions."""
        judged = finding.judged
        seen = finding.first_seen
        if judged.status is not Status.AFFECTED:
            state = State.NO_FIX if judged.status is Status.NO_FIX else State.UNDETERMINED
            if state is State.UNDETERMINED:
                self._reasons[_why_undetermined(judged.reason)] += 1
            return Dated(judged, seen, "", None, state)
        row, due = self._deadlines.of(host, judged.severity, judged.danger, judged.published, seen)
        if due is None:
            return Dated(judged, seen, row, None, State.NO_DUE)
        state = State.OVERDUE if due < self._basis.as_of else State.WITHIN
        return Dated(judged, seen, row, due, state)

    def _line(self, host: Host, dated: Sequence[Dated], states: Mapping[State, int]) -> HostLine:
        overdue = states.get(State.OVERDUE, 0)
        counted = [finding for finding in dated if finding.state is not State.EXCEPTED]
        unknown = self._why_unknown(host)
        wrong = _why_wrong(host, overdue)
        verdict = Verdict.NOT_COMPLIANT if wrong else Verdict.COMPLIANT
        return HostLine(
            hostname=host.hostname,
            platform=host.platform,
            environment=host.environment,
            site=host.site,
            owner=host.owner,
            verdict=Verdict.UNKNOWN if unknown else verdict,
            reasons=(*unknown, *wrong),
            open_findings=len(dated),
            fixable=sum(finding.judged.status is Status.AFFECTED for finding in dated),
            overdue=overdue,
            excepted=len(dated) - len(counted),
            earliest_due=min((f.due for f in counted if f.due is not None), default=None),
            last_report=host.last_report,
        )

    def _why_unknown(self, host: Host) -> tuple[str, ...]:
        """Return why ``host`` cannot be judged, and note it among the blind spots."""
        reasons = []
        if host.contact is not Contact.REPORTING:
            reasons.append(_CONTACT_REASONS[host.contact])
            self._note(host.contact.value, "", host)
        if not self._feeds.get(host.platform):
            what = host.platform or "platform not known"
            reasons.append(f"no feed for {host.platform}" if host.platform else what)
            self._note("no feed", what, host)
        return tuple(reasons)

    def _note_support(self, host: Host) -> None:
        """Note what vendors do not look after any more, where they may miss flaws."""
        if ending := self._endings.get(host.platform):
            kind = "end of life" if ending.is_over else "extended support"
            self._note(kind, f"{host.platform}: {ending.words}", host)
        for kind, what in host.unsupported:
            self._note(kind, what, host)

    def _note(self, kind: str, what: str, host: Host) -> None:
        self._named.setdefault((kind, what), []).append(host.hostname)

    def _count_excepted(self, findings: Sequence[Open]) -> None:
        found = Counter(label for finding in findings for label in finding.exceptions)
        self._excepted.update(found)
        self._excepted_hosts.update(found.keys())

    def _count_statuses(self, dated: Sequence[Dated]) -> None:
        statuses = Counter(finding.judged.status for finding in dated)
        self._fixable += statuses[Status.AFFECTED]
        self._undetermined += statuses[Status.UNDETERMINED]
        self._undetermined_hosts += Status.UNDETERMINED in statuses

    def _headline(self) -> Headline:
        hosts = len(self._lines)
        unknown = self._verdicts[Verdict.UNKNOWN]
        judged = hosts - unknown
        dated = self._states[State.OVERDUE] + self._states[State.WITHIN]
        return Headline(
            hosts=hosts,
            compliant=Share(self._verdicts[Verdict.COMPLIANT], judged),
            not_compliant=Share(self._verdicts[Verdict.NOT_COMPLIANT], judged),
            judged=Share(judged, hosts),
            unknown=Share(unknown, hosts),
            reboot_pending=self._reboots,
            open_findings=self._states.total(),
            fixable=self._fixable,
            overdue=Share(self._states[State.OVERDUE], dated),
            excepted=Share(self._states[State.EXCEPTED], self._states.total()),
        )

    def _coverage(self) -> Coverage:
        hosts = len(self._lines)
        contact = {kind: Share(self._contacts[kind], hosts) for kind in Contact}
        return Coverage(
            reporting=contact[Contact.REPORTING],
            with_feed=Share(self._with_feed, hosts),
            silent=contact[Contact.SILENT],
            never_reported=contact[Contact.NEVER],
            not_scanned=contact[Contact.UNSCANNED],
            undetermined=Share(self._undetermined, self._states.total()),
            undetermined_hosts=Share(self._undetermined_hosts, hosts),
            undetermined_reasons=dict(sorted(self._reasons.items())),
            blind_spots=self._blind_spots(),
        )

    def _blind_spots(self) -> tuple[BlindSpot, ...]:
        hosts = len(self._lines)
        spots = [
            BlindSpot(kind, what, Share(len(names), hosts), tuple(sorted(names)[:NAMES]))
            for (kind, what), names in sorted(self._named.items())
        ]
        stale = [feed.name for feed in self._basis.feeds if feed.stale]
        spots += [
            BlindSpot("stale feed", name, Share(self._by_feed[name], hosts)) for name in stale
        ]
        return tuple(spots)

    def _sla(self, name: str, words: Sequence[str]) -> SlaLine:
        def still(state: State) -> int:
            return sum(self._open[word, state] for word in words)

        def ended(how: str) -> int:
            return sum(self._closed[word, how] for word in words)

        decided = ended("in time") + ended("late") + still(State.OVERDUE)
        return SlaLine(
            severity=name,
            open_within=still(State.WITHIN),
            open_overdue=still(State.OVERDUE),
            open_no_due=still(State.NO_DUE),
            closed_in_time=ended("in time"),
            closed_late=ended("late"),
            closed_no_due=ended("no due"),
            met=Share(ended("in time"), decided),
        )

    def _patch_times(self) -> tuple[PatchTime, ...]:
        lines = [
            PatchTime(word, duration(self._release[word]), duration(self._detection[word]))
            for word in SEVERITIES
        ]
        release = sum(self._release.values(), Counter[int]())
        detection = sum(self._detection.values(), Counter[int]())
        return (*lines, PatchTime("all", duration(release), duration(detection)))


class _Deadlines:
    """Decides by a policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._decisions = Decisions(policy)

    def of(
        self,
        host: Host,
        severity: Severity,
        danger: Danger,
        published: datetime | None,
        first_seen: datetime,
    ) -> tuple[str, datetime | None]:
        """Return the id of the row that decides, and the due date."""
        row = self._decisions.row(
            Inputs(severity, danger, host.exposure, host.environment, host.criticality)
        )
        return row.id, due_date(row, published, first_seen, self._policy.clock)


_CONTACT_REASONS = {
    Contact.SILENT: "silent",
    Contact.NEVER: "never reported",
    Contact.UNSCANNED: "not scanned yet",
}


def _why_wrong(host: Host, overdue: int) -> tuple[str, ...]:
    reasons = []
    if overdue:
        reasons.append(f"{overdue:,} finding{'s' if overdue > 1 else ''} overdue")
    if host.reboot_pending:
        reasons.append("reboot pending")
    return tuple(reasons)


def _why_undetermined(reason: str) -> str:
    """Return ``reason`` without the version it names, so that like counts with like."""
    if reason.endswith(" version") and " is not a " in reason:
        return UNREADABLE
    return reason or "the vendor has not decided yet"


def _verification(basis: Basis) -> Verification:
    outcomes: Counter[str] = Counter()
    for plan in basis.plans:
        outcomes.update(plan.outcomes)
    verified = outcomes["verified"]
    failed = sum(outcomes[state] for state in FAILED)
    other = sum(outcomes[state] for state in LEFT_OUT)
    return Verification(
        verified=Share(verified, verified + failed),
        failed=failed,
        other=other,
        unfinished=outcomes.total() - verified - failed - other,
    )

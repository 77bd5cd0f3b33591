"""The numbers of a report, each with its denominator."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.advisories import Severity, Status
from patchmgr.domain.compliance import (
    Basis,
    Closed,
    Contact,
    Counting,
    Duration,
    FeedState,
    Host,
    Judged,
    KevCatalogue,
    Open,
    PlanDone,
    PlatformState,
    Share,
    Standing,
    duration,
)
from patchmgr.domain.flaws import NOTHING_KNOWN, Danger, FlawNote
from patchmgr.domain.urgency_presets import PRESETS

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def host(name="web-1", **facts):
    known = {
        "id": 1,
        "platform": "debian:12",
        "environment": "production",
        "site": "",
        "owner": "",
        "criticality": "",
        "exposure": "",
        "reboot_pending": False,
        "contact": Contact.REPORTING,
    }
    return Host(hostname=name, **{**known, **facts})


def finding(age, severity=Severity.HIGH, status=Status.AFFECTED, *, reason="", kev=None):
    """A finding seen ``age`` days before noon, on an advisory published the day before that."""
    seen = NOON - age * DAY
    judged = Judged(
        "dpkg",
        "libssl3",
        "amd64",
        "3.0.15-1",
        "3.0.17-1",
        status,
        "CVE-2026-0001",
        "CVE-2026-0001",
        severity,
        Danger(kev=kev),
        seen,
        seen - DAY,
        reason,
    )
    return Open(judged, seen)


def basis(**changed):
    known = {
        "as_of": NOON,
        "policy": PRESETS["severity"],
        "policy_since": None,
        "scanned_at": NOON,
        "silent_days": 7,
        "stale_feed_hours": 48,
        "feeds": (),
        "platforms": (PlatformState("debian:12", ("debian",)),),
        "kev": None,
        "plans": (),
        "standings": (),
        "packages": 0,
        "generator": "patchmgr",
    }
    return Basis(**{**known, **changed})


def report(*fleet, closed=(), **changed):
    """The report on ``fleet``: pairs of a host and its findings."""
    counting = Counting(basis(**changed))
    for each, findings in fleet:
        counting.add(each, findings)
    for each in closed:
        counting.close(each)
    return counting.report()


def closed(after, severity=Severity.HIGH, *, patched=True):
    """A finding that was closed ``after`` days."""
    seen = NOON - 60 * DAY
    return Closed(host(), severity, NOTHING_KNOWN, seen - DAY, seen, seen + after * DAY, patched)


@pytest.mark.parametrize(
    ("facts", "findings", "verdict", "reasons"),
    [
        ({}, [], "compliant", ()),
        ({}, [finding(13)], "compliant", ()),
        ({}, [finding(14)], "compliant", ()),  # due this very instant
        ({}, [finding(15)], "not compliant", ("1 finding overdue",)),
        ({}, [finding(15), finding(16)], "not compliant", ("2 findings overdue",)),
        ({}, [finding(900, Severity.NEGLIGIBLE)], "compliant", ()),
        ({}, [finding(900, status=Status.NO_FIX)], "compliant", ()),
        ({}, [finding(900, status=Status.UNDETERMINED)], "compliant", ()),
        ({"reboot_pending": True}, [], "not compliant", ("reboot pending",)),
        ({"contact": Contact.SILENT}, [], "unknown", ("silent",)),
        ({"contact": Contact.SILENT}, [finding(15)], "unknown", ("silent", "1 finding overdue")),
        ({"contact": Contact.NEVER}, [], "unknown", ("never reported",)),
        ({"contact": Contact.UNSCANNED}, [], "unknown", ("not scanned yet",)),
        ({"platform": "debian:4.0"}, [], "unknown", ("no feed for debian:4.0",)),
        ({"platform": ""}, [], "unknown", ("platform not known",)),
    ],
)
def test_a_host_is_compliant_not_compliant_or_unknown(facts, findings, verdict, reasons):
    line, _ = Counting(basis()).add(host(**facts), findings)

    assert (line.verdict, line.reasons) == (verdict, reasons)


def test_unknown_hosts_are_in_no_count_of_compliance():
    made = report(
        (host("a"), []),
        (host("b"), [finding(15)]),
        (host("c", reboot_pending=True), []),
        (host("d", contact=Contact.SILENT), []),
    )

    head = made.headline
    assert (head.compliant, head.not_compliant) == (Share(1, 3), Share(2, 3))
    assert (head.judged, head.unknown, head.hosts) == (Share(3, 4), Share(1, 4), 4)
    assert head.reboot_pending == 1


def test_of_nothing_there_is_no_percentage():
    made = report()

    assert str(made.headline.compliant) == "0 of 0"
    assert made.headline.compliant.percent == ""
    assert made.sla_total.met == Share(0, 0)
    assert made.patch_times[-1].from_release == Duration(0, None, None, None)
    assert made.verification.verified == Share(0, 0)


@pytest.mark.parametrize(
    ("n", "of", "text"),
    [
        (999, 1000, "999 of 1,000 (99.9 %)"),
        (9999, 10000, "9,999 of 10,000 (99.9 %)"),  # only all is 100 %
        (3, 3, "3 of 3 (100.0 %)"),
        (2, 3, "2 of 3 (66.6 %)"),
        (0, 3, "0 of 3 (0.0 %)"),
    ],
)
def test_a_percentage_stands_beside_its_numbers_and_is_rounded_down(n, of, text):
    assert str(Share(n, of)) == text


def test_due_dates_are_met_by_what_was_closed_in_time_of_all_that_is_decided():
    made = report(
        (host(), [finding(1), finding(15), finding(20)]),
        closed=[closed(10), closed(12), closed(14), closed(15), closed(5, Severity.NEGLIGIBLE)],
    )

    high = next(line for line in made.sla if line.severity == "high")
    assert (high.open_within, high.open_overdue) == (1, 2)
    assert (high.closed_in_time, high.closed_late) == (3, 1)
    assert high.met == Share(3, 6)
    assert made.sla_total.closed_no_due == 1


def test_what_the_vendor_takes_back_is_nobodys_merit():
    made = report((host(), []), closed=[closed(10), closed(10, patched=False)])

    assert (made.sla_total.met, made.withdrawn) == (Share(1, 1), 1)


def test_time_to_patch_is_from_release_and_from_detection():
    made = report((host(), []), closed=[closed(days) for days in range(1, 11)])

    total = made.patch_times[-1]
    assert total.from_detection == Duration(10, 5 * 86400 + 43200, 9 * 86400, 5 * 86400 + 43200)
    assert total.from_release.median == total.from_detection.median + 86400


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=50))
def test_durations_are_summed_up_by_rank(lengths):
    made = duration(Counter(lengths))

    ordered = sorted(lengths)
    assert made.n == len(lengths)
    assert sum(length <= made.p90 for length in lengths) * 10 >= 9 * len(lengths)
    assert made.p90 in lengths
    assert ordered[0] <= made.median <= ordered[-1]
    assert made.mean == sum(lengths) // len(lengths)


def test_blind_spots_name_what_could_not_be_judged():
    made = report(
        (host("a", contact=Contact.SILENT), []),
        (host("b", contact=Contact.NEVER), []),
        (host("c", platform="debian:4.0"), []),
        (host("d"), [finding(1, status=Status.UNDETERMINED, reason="'?' is not a dpkg version")]),
        feeds=(FeedState("debian", 1, "00", NOON, NOON, 1, 1, stale=True),),
    )

    assert [
        (spot.kind, spot.what, spot.hosts, spot.names) for spot in made.coverage.blind_spots
    ] == [
        ("never reported", "", Share(1, 4), ("b",)),
        ("no feed", "debian:4.0", Share(1, 4), ("c",)),
        ("silent", "", Share(1, 4), ("a",)),
        ("stale feed", "debian", Share(3, 4), ()),
    ]
    assert made.coverage.undetermined_reasons == {
        "the installed or the fixed version cannot be read": 1
    }


def test_without_a_catalogue_nothing_is_said_of_exploitation():
    made = report((host(), [finding(1)]))

    assert made.exploited.catalogue is None
    assert made.exploited.overdue == Share(0, 0)


def test_tasks_count_as_done_only_when_verified():
    plan = PlanDone(
        1,
        "openssl",
        "olga",
        "completed_with_failures",
        "00",
        NOON - DAY,
        NOON,
        (),
        10,
        {"verified": 6, "failed": 1, "lost": 1, "skipped": 1, "unfinished": 1},
        8,
        0,
        0,
    )

    checked = report(plans=(plan,)).verification

    assert checked.verified == Share(6, 8)
    assert (checked.failed, checked.other, checked.unfinished) == (2, 1, 1)


@pytest.mark.parametrize(
    ("age", "days"), [(0, 1), (11, 1), (12, 7), (83, 7), (84, 14), (168, 30), (2000, 30)]
)
def test_the_trend_has_twelve_periods_as_long_as_the_history_allows(age, days):
    made = report(standings=(Standing(NOON - age * DAY, 9, 9, 8, 1, 1),))

    assert made.period_days == days
    assert len(made.trend) == 12
    assert made.trend[-1].ends == NOON


def test_a_period_shows_its_last_scan():
    def standing(hours, compliant):
        return Standing(NOON - timedelta(hours=hours), 9, 9, compliant, 1, 1)

    made = report(standings=(standing(50, 1), standing(30, 2), standing(25, 3), standing(0, 4)))

    shown = [period.standing and period.standing.compliant for period in made.trend[-3:]]
    assert shown == [1, 3, 4]


statuses = st.sampled_from([Status.AFFECTED, Status.NO_FIX, Status.UNDETERMINED])
findings = st.builds(finding, st.integers(0, 200), st.sampled_from(Severity), statuses)
fleets = st.lists(
    st.tuples(
        st.builds(
            host,
            st.text("abc", min_size=1, max_size=3),
            contact=st.sampled_from(Contact),
            platform=st.sampled_from(["debian:12", "debian:4.0", ""]),
            reboot_pending=st.booleans(),
        ),
        st.lists(findings, max_size=4),
    ),
    max_size=8,
)


@given(fleets)
def test_every_host_and_every_finding_is_counted_once(fleet):
    made = report(*fleet)

    head, total = made.headline, made.sla_total
    number = sum(len(found) for _, found in fleet)
    assert head.compliant.n + head.not_compliant.n == head.judged.n
    assert head.judged.n + head.unknown.n == head.hosts == len(fleet)
    assert sum(made.states.values()) == sum(made.by_severity.values()) == number
    assert total.open_within + total.open_overdue == head.overdue.of
    assert total.open_overdue == head.overdue.n


def exploited(age, *days, kev=True):
    """A finding of one flaw a day that CISA names, each in the catalogue."""
    made = finding(age, kev=kev)
    flaws = tuple(FlawNote(f"CVE-2026-{n}", kev=True, kev_due=day) for n, day in enumerate(days, 1))
    return made._replace(judged=replace(made.judged, exploited=flaws))


def test_exploited_findings_are_counted_against_the_policy_and_against_cisa_s_own_day():
    late, today = (NOON - DAY).date(), NOON.date()
    made = report(
        (host("a"), [exploited(20, late), exploited(1, today), finding(20, kev=False)]),
        (host("b"), [exploited(1, today, late), exploited(1)]),
        (host("c"), []),
        kev=KevCatalogue("KEV", 2, NOON),
    ).exploited

    assert made.open_findings == 4
    assert made.hosts == Share(2, 3)
    assert made.overdue == Share(1, 4)
    assert made.overdue_by_cisa == Share(2, 3)  # the day itself is not over; one has no day
    assert [(each.cve, each.due, each.open_findings, each.hosts) for each in made.flaws] == [
        ("CVE-2026-2", late, 1, Share(1, 3)),
        ("CVE-2026-1", today, 3, Share(2, 3)),
    ]

"""One flaw, one finding."""

import pytest

from patchmgr.domain.advisories import Severity, Status
from patchmgr.domain.folding import Telling, fold


def telling(ref, *cves, feed="ubuntu", aliases=(), status=Status.AFFECTED, severity=Severity.LOW):
    is_record = any(ref.endswith(cve) for cve in cves)
    return Telling(
        hash(ref + feed),
        ref,
        frozenset(cves),
        frozenset(aliases),
        feed,
        is_record,
        status,
        severity,
    )


def folded(*tellings):
    return {each.kept.ref: sorted(other.ref for other in each.others) for each in fold(tellings)}


A, B = "CVE-2026-1000", "CVE-2026-2000"


@pytest.mark.parametrize(
    ("tellings", "findings"),
    [
        ([telling("USN-1", A, B), telling("UBUNTU-" + A, A)], {"USN-1": ["UBUNTU-" + A]}),
        ([telling("USN-1", A), telling("UBUNTU-" + B, B)], {"USN-1": [], "UBUNTU-" + B: []}),
        ([telling("DSA-1-1", A), telling("DSA-1-2", A)], {"DSA-1-1": [], "DSA-1-2": []}),
        (
            [telling("ALSA-1", A, feed="osv"), telling("ALSA-1", A, feed="updateinfo")],
            {"ALSA-1": ["ALSA-1"]},
        ),
        (
            [telling("PYSEC-1", A, aliases=["GHSA-1"]), telling("GHSA-1", A)],
            {"GHSA-1": ["PYSEC-1"]},
        ),
        (
            [telling("PYSEC-1", A), telling("GHSA-1", A, aliases=["PYSEC-1"])],
            {"GHSA-1": ["PYSEC-1"]},
        ),
        ([telling("DSA-1", A), telling("ORG-1", A, feed="csv")], {"DSA-1": ["ORG-1"]}),
        ([telling("DSA-1", A), telling("A-1", A, feed="csv")], {"DSA-1": ["A-1"]}),
        ([telling("DSA-1", A), telling("A-1", A, feed="osv")], {"DSA-1": ["A-1"]}),
        ([telling("B-1", A, feed="csv"), telling("A-1", A, feed="osv")], {"B-1": ["A-1"]}),
        ([telling("USN-1", A), telling("ORG-1", A, B, feed="csv")], {"USN-1": [], "ORG-1": []}),
        ([telling("USN-1"), telling("UBUNTU-" + A, A)], {"USN-1": [], "UBUNTU-" + A: []}),
        ([telling("DSA-1", A), telling("ORG-1", feed="csv")], {"DSA-1": [], "ORG-1": []}),
        ([telling(A, A, feed="debian"), telling(A, A, feed="redhat-csaf")], {A: [A]}),
    ],
)
def test_what_tells_of_one_flaw_is_one_finding(tellings, findings):
    assert folded(*tellings) == findings
    assert folded(*reversed(tellings)) == findings


def test_of_two_tellings_the_one_that_can_be_acted_on_is_kept():
    without = telling("A-1", A, feed="one", status=Status.NO_FIX)

    assert folded(without, telling("B-1", A, feed="two")) == {"B-1": ["A-1"]}


@pytest.mark.parametrize(
    ("advisory", "records", "severity"),
    [
        (Severity.UNKNOWN, [Severity.HIGH], Severity.HIGH),
        (Severity.UNKNOWN, [Severity.LOW, Severity.HIGH], Severity.HIGH),
        (Severity.LOW, [Severity.HIGH], Severity.LOW),
        (Severity.UNKNOWN, [], Severity.UNKNOWN),
    ],
)
def test_a_severity_that_only_records_name_is_that_of_the_finding(advisory, records, severity):
    named = [telling(f"UBUNTU-{A}", A, feed=f"{each}", severity=each) for each in records]

    (found,) = fold([telling("USN-1", A, severity=advisory), *named])

    assert found.severity is severity

"""What became of every statement that names a package: why it is a finding, and why it is not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.advisories import Advisory, Fix, Kind, Match, Severity, Status
from patchmgr.domain.matching import Subject, concerns, why_not
from patchmgr.domain.modules import NO_MODULES
from patchmgr.domain.weighing import Said, weigh

BUILD = Subject("rhel:9", "rpm", "nodejs", "1:16.0-1.el9", "nodejs", "1:16.0-1.el9", "x86_64")
MODULAR = replace(BUILD, version="1:16.0-1.module+el9.1.0+1+abc", module="nodejs:16")


def fix(fixed="1:16.9-1.el9", status=Status.AFFECTED, **more):
    return Fix("rhel:9", "nodejs", Match.BINARY, status, fixed, scheme="rpm", **more)


@pytest.mark.parametrize(
    ("subject", "statement", "why"),
    [
        (BUILD, fix(), ""),
        (BUILD, fix(arch="x86_64 aarch64"), ""),
        (BUILD, fix(arch="noarch"), ""),
        (
            BUILD,
            fix(arch="aarch64 s390x"),
            "it is for aarch64 and s390x, and this build is for x86_64",
        ),
        (
            BUILD,
            fix("1:16.9-1.module+el9.1.0+9+def", module="nodejs:16"),
            "it is for the module stream nodejs:16, and this is a build of no module",
        ),
        (
            BUILD,
            fix("1:16.9-1.module+el9.1.0+9+def"),
            "it is for a module stream, and this is a build of no module",
        ),
        (MODULAR, fix(), "it is for builds of no module, and this is a build of nodejs:16"),
        (
            MODULAR,
            fix("1:18.9-1.module+el9.1.0+9+def", module="nodejs:18"),
            "it is for the module stream nodejs:18, and this is a build of nodejs:16",
        ),
        (BUILD, fix(channel="eus"), "it is for hosts entitled to eus, and this one is not"),
        (replace(BUILD, platform="rhel:9/eus"), fix(channel="eus"), ""),
        (BUILD, fix(channel="els"), ""),  # everybody is affected; the fix is for subscribers
        (BUILD, fix(channel="ksplice"), "it is for ksplice builds, and this is not one"),
        (
            replace(BUILD, version="2:16.0-1.ksplice1.el9"),
            fix(),
            "it is for ordinary builds, and this is a ksplice build",
        ),
        (
            replace(BUILD, manager="pypi"),
            fix(),
            "it compares versions as rpm, and this is a package of pypi",
        ),
        (
            replace(BUILD, origin="NodeSource"),
            fix(),
            "NodeSource built it, and the vendor speaks of its own builds only",
        ),
    ],
)
def test_a_statement_that_is_not_about_a_build_says_why(subject, statement, why):
    assert why_not(statement, subject) == why


SUBJECTS = st.builds(
    replace,
    st.sampled_from([BUILD, MODULAR]),
    platform=st.sampled_from(["rhel:9", "rhel:9/eus", "ol:9"]),
    manager=st.sampled_from(["rpm", "rpm", "pypi"]),
    arch=st.sampled_from(["x86_64", "noarch", "i686", ""]),
    origin=st.sampled_from(["", "Red Hat, Inc.", "EPEL"]),
    version=st.sampled_from([BUILD.version, MODULAR.version, "1:16.0-1.ksplice1.el9"]),
)
STATEMENTS = st.builds(
    fix,
    st.sampled_from(["", "1:16.9-1.el9", "1:16.9-1.module+el9.1.0+9+def"]),
    st.sampled_from(Status),
    arch=st.sampled_from(["", "x86_64", "i686 noarch"]),
    module=st.sampled_from(["", "nodejs:16", "nodejs:18"]),
    channel=st.sampled_from(["", "eus", "els", "ksplice", "fips"]),
)


@given(SUBJECTS, STATEMENTS)
def test_there_is_a_reason_exactly_where_it_does_not_concern(subject, statement):
    about_it = concerns(statement, subject, NO_MODULES) and not subject.foreign

    assert (why_not(statement, subject) == "") is about_it


def said(number, ref, *statements, cves=(), feed="redhat", kind=Kind.SECURITY):
    about = Advisory(ref, cves or (ref,), kind=kind)
    return [Said(number, about, feed, each) for each in statements]


def weighed(*statements, subject=BUILD):
    return weigh(subject, [each for part in statements for each in part], {})


def test_one_statement_of_an_advisory_decides_and_the_others_say_so():
    first, second = weighed(said(1, "A", fix("1:16.5-1.el9"), fix("1:16.9-1.el9")))

    assert (second.is_finding, second.yields) == (True, "")
    assert (first.is_finding, first.yields) == (False, "another statement of A decides")


def test_a_flaw_is_told_once_and_who_else_tells_it_is_named():
    kept, other = weighed(
        said(1, "RHSA-1", fix(), cves=("CVE-1",)),
        said(2, "CVE-1", fix(severity=Severity.HIGH), cves=("CVE-1",), feed="osv"),
    )

    assert [(each.about.ref, each.feed) for each in kept.also] == [("CVE-1", "osv")]
    assert kept.severity is Severity.HIGH  # nobody else rated it
    assert other.yields == "RHSA-1 of feed redhat tells the same flaw"


def test_what_fixes_bugs_makes_no_finding():
    (only,) = weighed(said(1, "RHBA-1", fix(), kind=Kind.BUGFIX))

    assert only.verdict is None
    assert only.unrelated == "the advisory fixes bugs, and only security advisories make findings"


def test_a_host_s_own_line_of_updates_has_the_word():
    main_line, own = weighed(
        said(1, "CVE-1", fix(), cves=("CVE-1",)),
        said(2, "RHSA-1", fix("1:16.0-1.el9"), cves=("CVE-1",)),
        subject=replace(BUILD, platform="rhel:9/eus"),
    )[:1] + weighed(
        said(2, "RHSA-1", fix("1:16.0-1.el9", channel="eus"), cves=("CVE-1",)),
        subject=replace(BUILD, platform="rhel:9/eus"),
    )
    both = weighed(
        said(1, "CVE-1", fix(), cves=("CVE-1",)),
        said(2, "RHSA-1", fix("1:16.0-1.el9", channel="eus"), cves=("CVE-1",)),
        subject=replace(BUILD, platform="rhel:9/eus"),
    )

    assert main_line.is_finding
    assert not own.is_finding
    assert "own line of updates" in both[0].yields
    assert not any(each.is_finding for each in both)


def test_a_vendor_s_not_affected_does_not_decide_against_what_it_calls_affected():
    first, second = weighed(said(1, "A", fix(), fix(status=Status.NOT_AFFECTED, reason="rebuilt")))

    assert first.is_finding
    assert (second.verdict.status, second.yields) == (Status.NOT_AFFECTED, "")

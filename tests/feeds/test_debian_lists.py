"""Debian's text lists, and what all its documents say together."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from patchmgr.domain.advisories import Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS

CASE = Path(__file__).parents[1] / "data" / "cases" / "osv-debian9-postgres"
DEBIAN = FEEDS["debian"]
URL = "https://tracker.example/list"


def read(text):
    return DEBIAN.read(URL, text.encode())


def join(*documents):
    """What documents say together; each is text, or the tracker's JSON as an object."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in documents]
    together = DEBIAN.join(tuple(each for text in texts for each in read(text).advisories))
    return {each.ref: each for each in together}


def says(advisory):
    return {fix.platform: (fix.status.value, fix.fixed, fix.reason) for fix in advisory.fixes}


def tracker(**releases):
    return {"pkg": {"CVE-2026-1000": {"releases": releases}}}


def resolved(version, **more):
    return {"status": "resolved", "fixed_version": version, **more}


DSA = """\
[01 Mar 2026] DSA-6000-1 pkg - security update
\t{CVE-2026-1000}
\t[bookworm] - pkg 1.0-1+deb12u1
"""
CVE = """\
CVE-2026-1000 (Some flaw ...)
\t{DSA-6000-1}
\t- pkg 2.0-1 (medium; bug #1)
\t[bullseye] - pkg <no-dsa> (Minor issue)
"""


@pytest.fixture(scope="module")
def whole_lists():
    bodies = {name: gzip.decompress((CASE / f"{name}.gz").read_bytes()) for name in LISTS}
    return {name: DEBIAN.read(name, body) for name, body in bodies.items()}


LISTS = {"DLA.list": 3534, "DSA-2018-2020.list": 777}


@pytest.mark.parametrize(("name", "count"), LISTS.items())
def test_a_whole_list_is_read_with_nothing_set_aside(name, count, whole_lists):
    page = whole_lists[name]

    assert (len(page.advisories), page.set_aside, page.skipped) == (count, (), {})


@pytest.mark.parametrize(
    ("expected", "column", "by_source"),
    [("expected.csv", "name", False), ("expected_source_aware.csv", "binary", True)],
)
def test_exactly_the_findings_of_the_recorded_case(
    expected, column, by_source, whole_lists, found, rows
):
    advisories = DEBIAN.join(tuple(a for page in whole_lists.values() for a in page.advisories))
    packages = rows(CASE / "packages.csv")
    names_only = [{"name": row["name"], "version": row["version"]} for row in packages]

    findings = found("debian:9", packages if by_source else names_only, advisories)

    assert findings == sorted((row[column], row["advisory"]) for row in rows(CASE / expected))


def test_a_record_gives_up_what_an_advisory_covers():
    together = join(tracker(bookworm=resolved("1.0-1+deb12u1"), sid=resolved("2.0-1")), DSA)

    assert says(together["DSA-6000-1"]) == {"debian:12": ("affected", "1.0-1+deb12u1", "")}
    assert says(together["CVE-2026-1000"]) == {"debian:rolling": ("affected", "2.0-1", "")}


def test_a_record_of_which_nothing_is_left_is_gone():
    assert set(join(tracker(bookworm=resolved("1.0-1")), DSA)) == {"DSA-6000-1"}


@pytest.mark.parametrize(
    "release",
    [
        resolved("1.0-1+deb12u2"),  # a point release went further than the advisory
        {"status": "open"},  # the advisory's fix was not enough
        {"status": "undetermined"},
        resolved("1-"),
    ],
)
def test_a_record_keeps_what_no_advisory_covers(release):
    assert "debian:12" in says(join(tracker(bookworm=release), DSA)["CVE-2026-1000"])


def test_the_highest_of_several_updates_is_what_covers():
    update = DSA.replace("6000-1", "6000-2").replace("deb12u1", "deb12u2")

    together = join(tracker(bookworm=resolved("1.0-1+deb12u2")), DSA, update)

    assert set(together) == {"DSA-6000-1", "DSA-6000-2"}


def test_a_regression_update_is_an_advisory_of_its_own():
    together = join(
        DSA, "[09 Mar 2026] DSA-6000-2 pkg - regression update\n\t[bookworm] - pkg 1.0-1+deb12u2\n"
    )

    assert together["DSA-6000-2"].cves == ()
    assert says(together["DSA-6000-2"]) == {"debian:12": ("affected", "1.0-1+deb12u2", "")}
    assert not together["DSA-6000-2"].is_record


# Source: captn3m0/debian-elts-advisories @ 69928a5bf034, facts of the Extended LTS tracker.
ELA = """\
[23 Oct 2020] ELA-300-1 openjdk-8 - security update
\t{CVE-2020-14779 CVE-2020-14781}
\t[jessie] - openjdk-8 8u272-b10-0+deb8u1
"""


def test_what_extended_lts_fixes_is_for_who_subscribes():
    (advisory,) = read(ELA).advisories

    assert (advisory.ref, advisory.cves) == ("ELA-300-1", ("CVE-2020-14779", "CVE-2020-14781"))
    assert advisory.url == "https://deb.freexian.com/extended-lts/tracker/ELA-300-1"
    assert says(advisory) == {"debian:8": ("affected", "8u272-b10-0+deb8u1", "")}
    assert {fix.channel for fix in advisory.fixes} == {"elts"}


def test_a_record_without_a_fix_gives_way_to_extended_lts():
    record = """\
CVE-2020-14779 (Some flaw ...)
\t{DSA-4779-1 ELA-300-1}
\t- openjdk-8 8u272-b10-1
\t[jessie] - openjdk-8 <end-of-life> (no longer supported)
\t[stretch] - openjdk-8 <no-dsa> (Minor issue)
"""
    together = join(record, ELA)

    assert set(together) == {"CVE-2020-14779", "ELA-300-1"}
    assert "debian:8" not in says(together["CVE-2020-14779"])
    assert says(together["CVE-2020-14779"])["debian:9"][0] == "no_fix"


def test_an_advisory_is_as_severe_as_the_flaws_it_names():
    release = resolved("1.0-1", urgency="high")

    advisory = join(tracker(bookworm=release, sid=resolved("2", urgency="low")), DSA)["DSA-6000-1"]

    assert advisory.severity is Severity.HIGH
    assert advisory.fixes[0].severity is Severity.HIGH


def test_a_line_without_a_suite_is_for_every_release_that_has_none_of_its_own():
    (record,) = read(CVE).advisories

    assert says(record) == {
        "debian:rolling": ("affected", "2.0-1", ""),
        "debian:11": ("no_fix", "", "no DSA planned: Minor issue"),
        "debian:12": ("affected", "2.0-1", "as in unstable"),
        "debian:13": ("affected", "2.0-1", "as in unstable"),
        "debian:14": ("affected", "2.0-1", "as in unstable"),
    }
    assert {fix.severity for fix in record.fixes} == {Severity.MEDIUM}


def test_what_follows_from_unstable_gives_way_to_the_advisory_of_a_release():
    record = join(CVE, DSA)["CVE-2026-1000"]

    assert "debian:12" not in says(record)
    assert says(record)["debian:13"] == ("affected", "2.0-1", "as in unstable")
    assert record.aliases == ()


def test_what_follows_from_unstable_gives_way_to_the_trackers_own_word():
    (listed,) = read(CVE).advisories
    (known,) = read(json.dumps(tracker(bookworm=resolved("0")))).advisories

    (record,) = DEBIAN.join((replace(listed, fixes=listed.fixes + known.fixes),))

    assert says(record)["debian:12"] == ("not_affected", "", "never affected")


def test_what_follows_from_unstable_is_undetermined_while_the_advisory_is_not_read():
    record = join(CVE)["CVE-2026-1000"]

    assert says(record)["debian:12"] == (
        "undetermined",
        "2.0-1",
        "DSA-6000-1, which was not read, may say which version is fixed",
    )
    assert says(record)["debian:rolling"] == ("affected", "2.0-1", "")


@pytest.mark.parametrize(
    ("year", "releases"),
    [
        (2005, 14),
        (2021, 7),
        (2026, 5),
        (2031, 2),
    ],
)
def test_a_release_past_its_end_is_not_looked_into(year, releases):
    (record,) = read(f"CVE-{year}-1000\n\t- pkg 1.0\n").advisories

    assert len(record.fixes) == releases


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        ("<unfixed>", Status.NO_FIX, "no fixed version yet"),
        ("", Status.NO_FIX, "no fixed version yet"),
        ("<removed>", Status.NO_FIX, "removed from Debian"),
        ("<end-of-life>", Status.NO_FIX, "end of life"),
        ("<no-dsa>", Status.NO_FIX, "no DSA planned"),
        ("<postponed> (Minor)", Status.NO_FIX, "no DSA planned: Minor (postponed)"),
        ("<ignored> (Minor)", Status.NO_FIX, "no DSA planned: Minor (ignored)"),
        ("<not-affected> (Windows)", Status.NOT_AFFECTED, "Windows"),
        ("<itp> (bug #1)", Status.NOT_AFFECTED, "not in Debian"),
        (
            "<undetermined>",
            Status.UNDETERMINED,
            "Debian has not determined whether it is affected",
        ),
        ("<new-word>", Status.UNDETERMINED, "Debian says <new-word>"),
        ("1-", Status.UNDETERMINED, "the fixed version '1-' cannot be read"),
        ("0", Status.NOT_AFFECTED, "never affected"),
        ("1.0-1 (bug #1)", Status.AFFECTED, ""),
    ],
)
def test_every_word_of_the_lists_has_one_of_our_statuses(line, status, reason):
    for text in (
        f"CVE-2026-1000\n\t[bookworm] - pkg {line}\n",
        f"[01 Mar 2026] DSA-6000-1 pkg - update\n\t[bookworm] - pkg {line}\n",
    ):
        (advisory,) = read(text).advisories
        (fix,) = advisory.fixes
        assert (fix.platform, fix.status, fix.reason) == ("debian:12", status, reason)


@pytest.mark.parametrize(
    "text",
    [
        "CVE-2026-1000\n\tRESERVED\n",
        "CVE-2026-1000 (x)\n\tNOT-FOR-US: x\n",
        "CVE-2026-1000\n\tREJECTED\n\t- pkg 1.0\n",
        "CVE-2026-1000\n\tTODO: check\n\tNOTE: - pkg 1.0\n",
        "CVE-2026-1000\n\t- pkg <not-affected> (Only on Windows)\n",
    ],
)
def test_a_record_that_does_not_concern_debian_is_no_advisory(text):
    page = read(text)

    assert (page.advisories, page.set_aside) == ((), ())


def test_a_flaw_without_an_id_has_the_name_that_the_tracker_gives_it():
    (advisory,) = read("CVE-2023-XXXX [a flaw]\n\t- pkg 1.0 (low; bug #42)\n").advisories

    assert (advisory.ref, advisory.cves) == ("TEMP-0000042-771187", ())
    assert advisory.title == "a flaw"


def test_a_line_that_cannot_be_read_is_set_aside_and_the_others_are_kept():
    page = read(DSA + "\t[trixie - pkg 2.0\n\tpkg is fixed\n" + DSA.replace("6000", "6001") * 9)

    assert [(each.ref, each.where) for each in page.set_aside] == [
        ("DSA-6000-1", "DSA-6000-1, line 4"),
        ("DSA-6000-1", "DSA-6000-1, line 5"),
    ]
    assert [len(each.fixes) for each in page.advisories] == [1, 1]


@pytest.mark.parametrize(
    "text",
    [
        "[01 Mar 2026] x\n[01 Mar 2026] y\n" + DSA,
        "[41 Mar 2026] DSA-1-1 x\n[01 Mrz 2026] DSA-2-1 y\n",
        "CVE-2026-1\n\t- x 1\nnothing\n",
    ],
)
def test_a_list_that_is_mostly_odd_is_refused(text):
    with pytest.raises(FeedMalformedError, match=r"^https://tracker\.example/list: 2 of "):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"stretch": {"major-version": "9", "support": "lts"}}',
        "389-directory-server;cpe:/a:fedoraproject:389_directory_server\n",
    ],
)
def test_what_lies_beside_the_lists_in_the_trackers_repository_says_nothing(text):
    assert read(text).advisories == ()


def test_a_dtsa_has_a_date_of_its_own_form():
    (advisory,) = read(
        "[August 26th, 2005] DTSA-1-1 kismet - various\n\t{CVE-2005-2626}\n\t[etch] - kismet 1\n"
    ).advisories

    assert advisory.published.isoformat() == "2005-08-26T00:00:00+00:00"

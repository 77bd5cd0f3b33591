"""OSV: which versions of which platform a record means, and what databases do their own way."""

import csv
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.advisories import Fix, Kind, Match, Severity, Status
from patchmgr.domain.matching import judge
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.base import Page
from patchmgr.feeds.formats.osv_builds import earliest_builds, streams
from patchmgr.feeds.formats.osv_places import Place, place
from patchmgr.feeds.formats.osv_spans import Event, Span, spans, with_later_fix, with_listed

URL = "https://osv.example/all.json"
DATA = Path(__file__).parents[1] / "data" / "feeds" / "osv"
OSV = FEEDS["osv"]
DEBIAN = {"ecosystem": "Debian:12", "name": "pkg"}
ENDS = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}]


def record(ref="DSA-1-1", *affected, **fields):
    listed = affected or ({"package": DEBIAN, "ranges": ENDS},)
    return {"id": ref, "modified": "2026-01-01T00:00:00Z", "affected": list(listed), **fields}


def read(*records):
    return OSV.read(URL, json.dumps(records).encode())


def one(*args, **fields):
    (advisory,) = read(record(*args, **fields)).advisories
    return advisory


def events(text):
    """Events written as ``+1 -2 <=3``: introduced in 1, fixed in 2, last affected in 3."""
    kinds = {"+": "introduced", "-": "fixed", "<=": "last_affected"}
    pairs = [(each.rstrip("0123456789."), each.lstrip("+-<=")) for each in text.split()]
    return [Event(**{kinds[sign]: version}) for sign, version in pairs]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+0 -2", [("", "2", "")]),
        ("+0", [("", "", "")]),
        ("+1 <=3", [("1", "", "3")]),
        ("+0 -2 +3 -4", [("", "2", ""), ("3", "4", "")]),
        ("-4 +3 +0 -2", [("", "2", ""), ("3", "4", "")]),
        ("+10 -11 +9 -9.5", [("9", "9.5", ""), ("10", "11", "")]),
        ("+0 -2 +2 -3", [("", "2", ""), ("2", "3", "")]),
        ("+0 +1 -2", [("", "2", "")]),
        ("+0 -2 -5", [("", "2", "")]),
        ("+3 <=3", [("3", "", "3")]),
        ("-2", [("", "2", "")]),
        ("", []),
    ],
)
def test_a_span_opens_where_a_flaw_came_in_and_closes_where_it_ends(text, expected):
    assert list(spans("dpkg", events(text))) == [Span(*each) for each in expected]


def test_events_that_cannot_be_ordered_are_taken_as_they_stand():
    assert spans("dpkg", [*events("+0 -2"), Event(introduced="?"), Event(fixed="??")]) == (
        Span("", "2"),
        Span("?", "??"),
    )


def test_a_listed_version_outside_all_spans_is_affected_too():
    found = with_listed("dpkg", [Span("1", "2")], ["1", "1.5", "2", "0.9", "2.0", "not a version"])

    assert found == (
        Span("1", "2"),
        Span("0.9", last_affected="0.9"),
        Span("2", last_affected="2"),
        Span("2.0", last_affected="2.0"),
    )


def test_who_has_a_version_of_a_span_that_only_ended_can_go_to_the_next_fix():
    found = with_later_fix("dpkg", [Span("", "", "1"), Span("2", "3"), Span("4", "", "5")])

    assert found == (Span("", "3", "1"), Span("2", "3"), Span("4", "", "5"))


@pytest.mark.parametrize(
    ("ecosystem", "expected"),
    [
        ("PyPI", Place("pypi", "pep440")),
        ("crates.io", Place("cargo", "semver")),
        ("AlmaLinux:8", Place("almalinux:8", "rpm", Match.BINARY)),
        ("Rocky Linux:9", Place("rocky:9", "rpm")),
        ("Debian:12", Place("debian:12", "dpkg")),
        ("Alpine:v3.19", Place("alpine:3.19", "apk")),
        ("Ubuntu:25.10", Place("ubuntu:25.10", "dpkg")),
        ("Ubuntu:22.04:LTS", Place("ubuntu:22.04", "dpkg")),
        ("Ubuntu:Pro:20.04:LTS", Place("ubuntu:20.04", "dpkg", channel="esm")),
        ("Ubuntu:Pro:FIPS:16.04:LTS", Place("ubuntu:16.04", "dpkg", channel="fips")),
        (
            "Ubuntu:Pro:FIPS-updates:20.04:LTS",
            Place("ubuntu:20.04", "dpkg", channel="fips-updates"),
        ),
        (
            "Ubuntu:Pro:22.04:LTS:Realtime:Kernel",
            Place("ubuntu:22.04", "dpkg", channel="realtime-kernel"),
        ),
        ("Red Hat:enterprise_linux:9::appstream", Place("rhel:9", "rpm", Match.BINARY)),
        ("Red Hat:enterprise_linux:10.1", Place("rhel:10", "rpm", Match.BINARY)),
        ("Red Hat:rhel_eus:9.2::baseos", Place("rhel:9.2", "rpm", Match.BINARY, "eus")),
        ("Red Hat:enterprise_linux_eus:10.0", Place("rhel:10.0", "rpm", Match.BINARY, "eus")),
        ("SUSE:Linux Enterprise Server 15 SP4", Place("sles:15.4", "rpm")),
        ("SUSE:Linux Enterprise Server 15 SP3-LTSS", Place("sles:15.3", "rpm", channel="ltss")),
        ("SUSE:Linux Enterprise Module for Basesystem 15 SP6", Place("sles:15.6", "rpm")),
        ("SUSE:Linux Enterprise Micro 5.3", Place("sle-micro:5.3", "rpm")),
        ("SUSE:Linux Enterprise Server for SAP Applications 15 SP4", Place("sles_sap:15.4", "rpm")),
        ("openSUSE:Leap 15.6", Place("opensuse-leap:15.6", "rpm")),
        ("openSUSE:Leap 42.3", Place("opensuse:42.3", "rpm")),
        ("openSUSE:Tumbleweed", Place("opensuse-tumbleweed:rolling", "rpm")),
        ("Wolfi", Place("wolfi:rolling", "apk")),
        ("Chainguard", Place("chainguard:rolling", "apk")),
        ("Azure Linux:3", Place("azurelinux:3.0", "rpm")),
        ("Azure Linux:2", Place("mariner:2.0", "rpm")),
        ("Azure Linux:9", None),
        ("Packagist", None),
        ("Hex", None),
        ("Pub", None),
        ("openEuler:22.03-LTS-SP1", None),  # without the epochs of its packages
        ("SUSE:Manager Server 4.3", None),
        ("Debian", None),
        ("Alpine:edge", None),
        ("Ubuntu:Pro:Something-New:24.04:LTS", None),
        ("Red Hat:openshift:4.15::el9", None),
        ("Root:PyPI", None),
        ("Bitnami", None),
        ("Maven:https://maven.example", None),
        ("", None),
    ],
)
def test_an_ecosystem_names_a_release_and_its_versions_or_is_skipped(ecosystem, expected):
    assert place(ecosystem) == expected


def test_what_has_no_place_is_counted():
    package = {"ecosystem": "Bitnami", "name": "curl"}

    page = read(record("CGA-1", {"package": package, "ranges": ENDS}), record())

    assert [each.ref for each in page.advisories] == ["DSA-1-1"]
    assert page.skipped == {"Bitnami": 1}


@pytest.mark.parametrize(
    ("ref", "kind"),
    [
        ("ALSA-2026:A009", Kind.SECURITY),
        ("ALBA-2020:3036", Kind.BUGFIX),
        ("ALEA-2021:1869", Kind.ENHANCEMENT),
        ("RLBA-2024:1", Kind.BUGFIX),
        ("SUSE-RU-2024:1-1", Kind.BUGFIX),
        ("openSUSE-FU-2024:1-1", Kind.ENHANCEMENT),
        ("PYSEC-2021-98", Kind.SECURITY),
    ],
)
def test_only_security_is_security(ref, kind):
    assert one(ref).kind is kind


@pytest.mark.parametrize(
    ("fields", "cves"),
    [
        ({"aliases": ["CVE-2026-10001", "GHSA-a"]}, ("CVE-2026-10001",)),
        ({"upstream": ["UBUNTU-CVE-2026-10001", "CVE-2026-10001"]}, ("CVE-2026-10001",)),
        ({"related": ["CVE-2026-10001"]}, ("CVE-2026-10001",)),
        ({"related": ["CVE-2026-2222"], "aliases": ["CVE-2026-10001"]}, ("CVE-2026-10001",)),
        ({"ref": "ALPINE-CVE-2026-10001", "related": ["CVE-2026-2222"]}, ("CVE-2026-10001",)),
        ({"ref": "DSA-1-1"}, ()),
    ],
)
def test_cves_are_those_of_the_flaw(fields, cves):
    assert one(**fields).cves == cves


def test_a_related_flaw_of_a_language_package_is_another_flaw():
    package = {"ecosystem": "npm", "name": "left-pad"}
    affected = {"package": package, "versions": ["1.0.0"]}

    assert one("GHSA-a", affected, related=["CVE-2026-10001"], aliases=["PYSEC-1"]).cves == ()


def test_other_ids_of_the_flaw_are_its_aliases():
    advisory = one("PYSEC-1", aliases=["CVE-2026-10001", "GHSA-a", "GHSA-a"])

    assert advisory.aliases == ("GHSA-a",)


@pytest.mark.parametrize(
    ("fields", "severity"),
    [
        ({"summary": "Important: firefox security update"}, Severity.HIGH),
        ({"database_specific": {"severity": "MODERATE"}}, Severity.MEDIUM),
        ({"severity": [{"type": "Ubuntu", "score": "negligible"}]}, Severity.NEGLIGIBLE),
        (
            {
                "severity": [
                    {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
                    {"type": "Ubuntu", "score": "low"},
                ]
            },
            Severity.LOW,
        ),
        (
            {"severity": [{"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:C/I:C/A:C"}]},
            Severity.HIGH,
        ),
        ({"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}]}, Severity.UNKNOWN),
        ({"database_specific": {"severity": ["odd"]}}, Severity.UNKNOWN),
        ({}, Severity.UNKNOWN),
    ],
)
def test_the_vendors_word_counts_before_a_score(fields, severity):
    advisory = one(**fields)

    assert advisory.severity is severity
    assert {fix.severity for fix in advisory.fixes} == {severity}


def test_a_package_has_its_own_severity_or_that_of_the_advisory():
    urgent = {"package": DEBIAN, "ranges": ENDS, "ecosystem_specific": {"urgency": "high"}}
    calm = {
        **urgent,
        "package": {**DEBIAN, "name": "calm"},
        "ecosystem_specific": {"urgency": "low"},
    }
    silent = {"package": {**DEBIAN, "name": "silent"}, "ranges": ENDS}

    rated = {fix.package: fix.severity for fix in one("DSA-1-1", urgent, calm, silent).fixes}

    assert rated == {"pkg": Severity.HIGH, "calm": Severity.LOW, "silent": Severity.HIGH}


def test_suse_names_a_source_and_what_it_builds_with_versions():
    package = {"ecosystem": "SUSE:Linux Enterprise Server 15 SP4", "name": "curl"}
    binaries = [{"curl": "8.0-1", "libcurl4": "8.0-1", "curl-debuginfo": "8.0-1"}]
    affected = {"package": package, "ranges": ENDS, "ecosystem_specific": {"binaries": binaries}}

    said = [(fix.match, fix.package, fix.fixed) for fix in one("SUSE-SU-2026:1-1", affected).fixes]

    assert said == [(Match.BINARY, "curl", "8.0-1"), (Match.BINARY, "libcurl4", "8.0-1")]


def test_names_of_python_packages_are_normalised():
    package = {"ecosystem": "PyPI", "name": "Flask_.Cors"}

    (fix,) = one("PYSEC-1", {"package": package, "versions": ["1.0"]}).fixes

    assert (fix.package, fix.match, fix.scheme) == ("flask-cors", Match.SOURCE, "pep440")
    assert (fix.status, fix.introduced, fix.last_affected) == (Status.NO_FIX, "1.0", "1.0")


def build(fixed, package="httpd", module="httpd:2.4"):
    return Fix(
        "almalinux:8", package, Match.BINARY, Status.AFFECTED, fixed, scheme="rpm", module=module
    )


def test_of_several_builds_with_the_fix_the_earliest_ends_the_flaw():
    first = build("2.4.37-65.module_el8.10.0+4185+0955a0d7.8")
    later = build("2.4.37-65.module_el8.10.0+4190+704ad79b.8")
    plain = build("2.4.37-65.el8", module="")
    rebuilt = build("2.4.37-65.el8.alma", module="")
    other = build("2.4.37-70.module_el8.10.0+4190+704ad79b", package="mod_ssl")

    assert set(earliest_builds([later, first, rebuilt, plain, other])) == {first, plain, other}


def test_a_build_that_cannot_be_read_is_kept():
    odd, good = build("?"), build("1-1")

    assert set(earliest_builds([good, odd])) == {good, odd}


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ("Important: nodejs:14 security and bug fix update", ("nodejs:14",)),
        ("new module: postgresql:13", ("postgresql:13",)),
        (
            "Important: virt:rhel and virt-devel:rhel security update",
            ("virt:rhel", "virt-devel:rhel"),
        ),
        ("Important: varnish security update", ("",)),
    ],
)
def test_the_summary_names_the_stream_that_builds_are_for(summary, expected):
    assert streams("1-1.module_el8.5.0+1+aa", summary) == expected
    assert streams("1-1.el8", summary) == ("",)


RECORD = json.dumps(record())


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (RECORD, 1),
        (json.dumps(record(), indent=1), 1),
        (f"[{RECORD}]", 1),
        (f"{RECORD}\n{RECORD}\n\n", 2),
        (f"\ufeff{RECORD}", 1),
        (json.dumps(record(withdrawn="2026-01-01T00:00:00Z")), 0),
        (json.dumps(record("DSA-1-1", {"ranges": ENDS})), 0),
    ],
)
def test_a_document_is_one_record_an_array_or_lines(body, count):
    assert len(OSV.read(URL, body.encode()).advisories) == count


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"id": "X-1", "modified": "", "affected": {}}, "Expected `array | null`, got `object`"),
        ({"id": "", "modified": ""}, "its id is not one"),
        (record("X-1", {"package": {**DEBIAN, "name": "\0"}}), "the name of a package is not one"),
        (record("X-1", {"package": DEBIAN, "versions": ["1\n2"]}), "pkg: a version is not one"),
        (
            record(
                "X-1",
                {"package": DEBIAN, "ranges": [{"type": "ECOSYSTEM", "events": [{"limit": "3"}]}]},
            ),
            "pkg: a range of versions with a limit",
        ),
        (
            record("X-1", {"package": DEBIAN, "ranges": [{"events": [{"fixed": "1"}] * 2001}]}),
            "pkg: more ranges and versions than a package has",
        ),
    ],
)
def test_one_odd_record_is_set_aside_and_the_rest_goes_on(odd, reason):
    page = read(odd, record("DSA-1-1"), record("DSA-2-1"), record("DSA-3-1"))

    assert len(page.advisories) == 3
    (aside,) = page.set_aside
    assert aside.ref == odd["id"]
    assert reason in aside.reason


def test_a_document_that_is_mostly_odd_is_refused():
    with pytest.raises(FeedMalformedError, match=f"^{URL}: 2 of 3 records are not OSV's, such as"):
        read({"id": "X-1"}, {"id": "X-2"}, record())


def test_only_dumps_that_the_fleet_needs_are_fetched():
    fleet = frozenset({"almalinux:8", "rocky:9.4", "pypi", "debian:12", "ubuntu:22.04", "plan9:4"})

    assert [each.rpartition(".com/")[2] for each in OSV.addresses(fleet)] == [
        "AlmaLinux/all.zip",
        "PyPI/all.zip",
        "Rocky%20Linux/all.zip",
    ]


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_finds_in_python_requirements_what_osv_itself_answered():
    case = DATA / "pypi-requirements"
    advisories = OSV.read(URL, (case / "advisories.jsonl").read_bytes()).advisories

    found = {
        (package["name"], package["version"], advisory.ref)
        for package in rows(case / "inventory.csv")
        for advisory in advisories
        for fix in advisory.fixes
        if fix.package == package["name"]
        and judge(package["version"], fix).status is not Status.NOT_AFFECTED
    }

    assert found == {tuple(row.values()) for row in rows(case / "expected.csv")}


@given(st.data())
def test_a_damaged_document_is_refused_or_read_but_never_anything_else(data):
    whole = (DATA / "document-lines.jsonl").read_bytes()[:4000].rpartition(b"\n")[0]
    at = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, 40))
    body = whole[:at] + data.draw(st.binary(max_size=12)) + whole[at + length :]

    with suppress(FeedMalformedError):
        assert isinstance(OSV.read(URL, body), Page)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    field=st.sampled_from(
        ["id", "modified", "published", "summary", "aliases", "related", "severity", "affected"]
    ),
    value=JSON,
)
def test_a_value_of_any_kind_may_stand_anywhere(field, value):
    page = read({**record("X-1"), field: value}, *(record(f"DSA-{n}-1") for n in range(9)))

    assert len(page.advisories) + len(page.set_aside) >= 9

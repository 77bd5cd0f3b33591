"""An organisation's own advisories: what a row means, and what refuses the file."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.advisories import Match, Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.vendors.csv import COLUMNS

CASES = Path(__file__).parents[1] / "data" / "cases"
CSV = FEEDS["csv"]
URL = "own.csv"
HEADER = ",".join(COLUMNS)
GOOD = {"advisory": "A-1", "platform": "debian:12", "package": "x", "match": "source"}


def read(text, **more):
    return CSV.read(URL, text.encode(), **more)


def row(**values):
    return ",".join({**GOOD, **values}.get(column, "") for column in COLUMNS)


def table(*rows):
    return "\n".join((HEADER, *rows))


def one(**values):
    (advisory,) = read(table(row(**values))).advisories
    (fix,) = advisory.fixes
    return advisory, fix


@pytest.mark.parametrize(
    ("case", "platform"),
    [
        ("trivy-debian-10", "debian:10"),
        ("trivy-alpine-310", "alpine:3.10"),
        ("trivy-opensuse-leap-15.1", "opensuse-leap:15.1"),
    ],
)
def test_exactly_the_findings_of_the_recorded_case(case, platform, found, rows):
    advisories = CSV.read(URL, (CASES / case / "advisories.csv").read_bytes()).advisories

    findings = found(platform, rows(CASES / case / "packages.csv"), advisories)

    assert findings == sorted((r["package"], r["id"]) for r in rows(CASES / case / "expected.csv"))


@pytest.mark.parametrize(
    ("values", "status", "reason"),
    [
        ({"fixed": "1.0-2"}, Status.AFFECTED, ""),
        ({"status": "Affected", "fixed": "1.0-2"}, Status.AFFECTED, ""),
        ({}, Status.NO_FIX, "no fixed version named"),
        ({"status": "no_fix"}, Status.NO_FIX, "no fixed version named"),
        ({"status": "not_affected"}, Status.NOT_AFFECTED, ""),
        ({"status": "undetermined"}, Status.UNDETERMINED, ""),
    ],
)
def test_a_status_may_be_left_out(values, status, reason):
    _advisory, fix = one(**values)

    assert (fix.status, fix.fixed, fix.reason) == (status, values.get("fixed", ""), reason)


def test_a_row_says_all_that_an_advisory_has():
    advisory, fix = one(
        platform="rhel:9.4",
        match="BINARY",
        fixed="2:1.5-1",
        introduced="1.0-1",
        severity="Important",
        cves="cve-2026-1000  CVE-2026-1001",
        published="2026-03-01T12:00:00+02:00",
        title="words",
        url="https://example.org/a",
    )

    assert advisory.cves == ("CVE-2026-1000", "CVE-2026-1001")
    assert advisory.published == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert (advisory.title, advisory.url) == ("words", "https://example.org/a")
    assert (fix.match, fix.introduced, fix.fixed) == (Match.BINARY, "1.0-1", "2:1.5-1")
    assert (fix.scheme, fix.severity, advisory.severity) == ("rpm", Severity.HIGH, Severity.HIGH)


def test_rows_of_one_advisory_make_one():
    (advisory,) = read(
        table(
            row(fixed="1", severity="low", cves="CVE-2026-1001", published="2026-03-02"),
            row(package="y", severity="high", cves="CVE-2026-1000", published="2026-03-01"),
            row(fixed="1", severity="low", title="said later", url="https://example.org/a"),
        )
    ).advisories

    assert [fix.package for fix in advisory.fixes] == ["x", "y"]
    assert advisory.cves == ("CVE-2026-1001", "CVE-2026-1000")
    assert advisory.severity is Severity.HIGH
    assert advisory.published == datetime(2026, 3, 1, tzinfo=UTC)
    assert advisory.title == "said later"


@pytest.mark.parametrize(
    "text",
    [
        "package,match,advisory,platform,fixed\nx,source,A-1,debian:12,1",
        "\ufeffadvisory;platform;package;match;fixed\r\nA-1;debian:12;x;source;1\r\n\r\n",
        "Advisory\tPlatform\tPackage\tMatch\tFixed\n\nA-1\tdebian:12\tx\tsource\t1\n",
        '"advisory","platform","package","match","fixed"\n" A-1 ","debian:12","x","source","1"\n',
    ],
)
def test_columns_come_in_any_order_and_under_any_delimiter(text):
    (advisory,) = read(text).advisories

    assert advisory.ref == "A-1"
    assert [(fix.package, fix.fixed) for fix in advisory.fixes] == [("x", "1")]


def test_rows_that_name_no_platform_speak_of_the_one_that_was_given():
    text = "advisory,package,match,fixed\nA-1,x,source,1"

    (advisory,) = read(text, platform="debian:12").advisories

    assert advisory.fixes[0].platform == "debian:12"
    with pytest.raises(FeedMalformedError, match="column platform: is missing from the header"):
        read(text)


def test_a_python_package_has_its_normalised_name():
    _advisory, fix = one(platform="pypi", package="Foo_.Bar", fixed="1.0")

    assert (fix.package, fix.scheme) == ("foo-bar", "pep440")


def test_a_platform_that_we_do_not_know_has_no_scheme():
    _advisory, fix = one(platform="plan9:4", fixed="whatever-1")

    assert fix.scheme == ""


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"advisory": ""}, "column advisory: is empty; every row needs it"),
        ({"package": "a b"}, "column package: 'a b' has blanks or control characters"),
        ({"package": "x" * 201}, "is longer than 200 characters"),
        ({"platform": ""}, "column platform: is empty"),
        ({"platform": "debian:bookworm"}, "'debian:bookworm' is no platform; write ID:VERSION_ID"),
        ({"platform": "Debian:12"}, "'Debian:12' is no platform"),
        ({"platform": "rpm"}, "'rpm' is no platform"),
        ({"match": ""}, "column match: is empty"),
        ({"match": "name"}, "'name' is no kind of package name; write source or binary"),
        (
            {"status": "fixed"},
            "'fixed' is no status; write affected, no_fix, not_affected, undetermined, or nothing",
        ),
        ({"status": "affected"}, "column fixed: is empty; name the version, or write no_fix"),
        ({"status": "no_fix", "fixed": "1"}, "'1' does not go with the status no_fix"),
        ({"status": "not_affected", "introduced": "1"}, "column introduced: '1' does not go with"),
        ({"fixed": "1-"}, "'1-' is not a dpkg version, which debian:12 has"),
        ({"fixed": "1", "introduced": "2"}, "'2' is not older than the fixed version 1"),
        ({"severity": "bad"}, "column severity: 'bad' is no severity; write unknown, negligible"),
        ({"cves": "CVE-2026-1000/CVE-2026-1001"}, "are not CVE ids separated by spaces"),
        ({"published": "31.03.2026"}, "column published: '31.03.2026' is no date"),
        ({"published": "0001-01-01T00:00:00+14:00"}, "is no date"),
        ({"url": "javascript:x"}, "column url: 'javascript:x' is no http or https address"),
    ],
)
def test_a_bad_row_refuses_the_file_and_says_where(values, said):
    with pytest.raises(FeedMalformedError) as error:
        read(table(row(fixed="1"), row(**values)))

    assert f"{error.value}".startswith(f"{URL}: row 3, column ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; the first row is the header"),
        ("\n \n", "is empty; the first row is the header"),
        (HEADER, "has no row below its header"),
        (f"{HEADER},arch\n", "row 1: 'arch': no such column; known: advisory, platform"),
        (f"{HEADER},url\n", "row 1, column url: stands twice in the header"),
        ("advisory,platform,package\n", "row 1, column match: is missing from the header"),
        (table(row(), "A-2,debian:12"), "row 3: has 2 fields, the header has 12"),
        (table(row(), '"open'), "row 3: is not CSV"),
        (
            table(row(status="not_affected"), row(fixed="1")),
            "row 3, column status: 'affected' contradicts row 2, which speaks of the same package",
        ),
        (table(*[row(match="no")] * 9), "row 6, column match: 'no' is no kind of package name; "),
        (table(*[row(match="no")] * 9), "; and 4 more"),
    ],
)
def test_what_is_no_such_table_is_refused(text, said):
    with pytest.raises(FeedMalformedError) as error:
        read(text)

    assert str(error.value).startswith(f"{URL}: ")
    assert said in str(error.value)


def test_text_that_is_not_utf_8_is_refused_by_its_row():
    body = table(row(), row(title="€")).encode("cp1252")

    with pytest.raises(FeedMalformedError, match=r"own\.csv: row 3: is not UTF-8"):
        CSV.read(URL, body)


CELLS = st.sampled_from([*GOOD.values(), "", "1", "affected", "CVE-2026-1000", "2026-01-01", '"'])


@given(st.lists(st.lists(CELLS | st.text(max_size=8), max_size=13), max_size=4))
def test_whatever_the_cells_they_are_read_or_refused(lines):
    try:
        page = read(table(*(",".join(cells).replace("\ud800", "") for cells in lines)))
    except (FeedMalformedError, UnicodeEncodeError):
        return
    for advisory in page.advisories:
        assert advisory.ref.isprintable()
        assert advisory.title.isprintable()


@given(st.binary(max_size=200))
def test_whatever_the_bytes_they_are_refused(body):
    with pytest.raises(FeedMalformedError):
        CSV.read(URL, body)

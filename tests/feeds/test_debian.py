"""Debian's tracker: what is odd about it, and how much of that is forgiven."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.advisories import Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS

URL = "https://tracker.example/data/json"
GOOD = {"releases": {"bookworm": {"status": "resolved", "fixed_version": "1.2-3"}}}
DEBIAN = FEEDS["debian"]


def read(document):
    return DEBIAN.read(URL, json.dumps(document).encode())


def one(**release):
    (advisory,) = read({"pkg": {"CVE-2026-10001": {"releases": {"bookworm": release}}}}).advisories
    (fix,) = advisory.fixes
    return fix


@pytest.mark.parametrize(
    ("release", "status", "fixed", "reason"),
    [
        ({"status": "resolved", "fixed_version": "1.2-3"}, Status.AFFECTED, "1.2-3", ""),
        ({"status": "resolved", "fixed_version": "0"}, Status.NOT_AFFECTED, "", "never affected"),
        ({"status": "open"}, Status.NO_FIX, "", "no fixed version yet"),
        ({"status": "open", "nodsa": "Minor"}, Status.NO_FIX, "", "no DSA planned: Minor"),
        (
            {"status": "open", "nodsa": "Minor issue", "nodsa_reason": "postponed"},
            Status.NO_FIX,
            "",
            "no DSA planned: Minor issue (postponed)",
        ),
        ({"status": "open", "urgency": "end-of-life"}, Status.NO_FIX, "", "end of life"),
        (
            {"status": "undetermined"},
            Status.UNDETERMINED,
            "",
            "Debian has not determined whether it is affected",
        ),
        (
            {"status": "resolved"},
            Status.UNDETERMINED,
            "",
            "resolved, but without a fixed version",
        ),
        (
            {"status": "resolved", "fixed_version": "1-"},
            Status.UNDETERMINED,
            "",
            "the fixed version '1-' cannot be read",
        ),
        ({}, Status.UNDETERMINED, "", "the tracker says nothing of its status"),
        ({"status": "wontfix"}, Status.UNDETERMINED, "", "the tracker says 'wontfix'"),
    ],
)  # fmt: skip
def test_every_status_of_the_tracker_has_one_of_ours(release, status, fixed, reason):
    fix = one(**release)

    assert (fix.status, fix.fixed, fix.reason) == (status, fixed, reason)
    assert (fix.platform, fix.match, fix.scheme) == ("debian:12", "source", "dpkg")


@pytest.mark.parametrize(
    ("urgency", "severity"),
    [
        ("high", Severity.HIGH),
        ("high**", Severity.HIGH),
        ("medium*", Severity.MEDIUM),
        ("low", Severity.LOW),
        ("unimportant", Severity.NEGLIGIBLE),
        ("not yet assigned", Severity.UNKNOWN),
        ("end-of-life", Severity.UNKNOWN),
        ("", Severity.UNKNOWN),
        (None, Severity.UNKNOWN),
    ],
)
def test_urgency_is_severity(urgency, severity):
    assert one(status="open", urgency=urgency).severity is severity


def test_an_odd_record_is_set_aside_and_the_others_are_kept():
    odd = {"CVE-2026-2": {"releases": "none"}, "CVE-2026-3": [], "CVE-2026-4": {"releases": [1]}}

    page = read({"pkg": {f"CVE-2026-{n}": GOOD for n in range(100, 120)} | odd, "other": 7})

    assert len(page.advisories) == 20
    assert [(each.ref, each.where) for each in page.set_aside] == [
        ("CVE-2026-2", "pkg, CVE-2026-2"),
        ("CVE-2026-3", "pkg, CVE-2026-3"),
        ("CVE-2026-4", "pkg, CVE-2026-4"),
        ("", "other"),
    ]
    assert page.set_aside[0].reason == "Expected `object | array`, got `str` - at `$.releases`"


def test_a_document_that_is_odd_in_more_than_a_quarter_is_refused():
    records = {f"CVE-2026-{n}": GOOD for n in range(3)} | {"CVE-2026-9": 9}

    assert len(read({"pkg": records}).advisories) == 3
    with pytest.raises(FeedMalformedError, match=r"json: 2 of 5 records .* pkg, CVE-2026-9"):
        read({"pkg": records | {"CVE-2026-8": 8}})


@pytest.mark.parametrize("name", ["", "x" * 201, "a\x00b", "a\nb"])
def test_names_that_cannot_be_stored_are_set_aside(name):
    good = {"pkg": {f"CVE-2026-{n}": GOOD for n in range(9)}}

    assert len(read({**good, name: {"CVE-2026-1": GOOD}}).set_aside) == 1
    assert len(read({"pkg": {**good["pkg"], name: GOOD}}).set_aside) == 1


def test_an_advisory_has_the_statements_about_all_its_packages():
    (advisory,) = read({"b": {"CVE-2026-1000": GOOD}, "a": {"CVE-2026-1000": GOOD}}).advisories

    assert sorted(fix.package for fix in advisory.fixes) == ["a", "b"]


def test_titles_and_reasons_are_one_printable_line():
    (advisory,) = read(
        {"a": {"CVE-2026-1000": {"description": " x\n\x00y " + "word " * 90, **GOOD}}}
    ).advisories

    assert advisory.title.startswith("x y word")
    assert advisory.title.endswith("word…")
    assert len(advisory.title) <= 160


TEXT = st.text(max_size=12)
WORDS = st.sampled_from(["open", "resolved", "undetermined", "0", "1.2-3", "end-of-life"]) | TEXT
RELEASES = st.dictionaries(
    st.sampled_from(["bookworm", "sid", "zurg"]) | TEXT,
    st.dictionaries(
        st.sampled_from(["status", "fixed_version", "urgency", "nodsa", "nodsa_reason"]),
        WORDS | st.none(),
    )
    | WORDS,
    max_size=3,
)
RECORDS = st.dictionaries(
    st.sampled_from(["releases", "description"]), RELEASES | WORDS | st.lists(WORDS), max_size=3
)


@given(
    st.dictionaries(TEXT, st.dictionaries(TEXT, RECORDS | st.integers(), max_size=4), max_size=4)
)
def test_whatever_the_shape_it_is_read_or_refused(document):
    try:
        page = read(document)
    except FeedMalformedError:
        return
    for advisory in page.advisories:
        assert advisory.ref.isprintable()
        assert all(fix.reason.isprintable() for fix in advisory.fixes)


@given(st.binary(max_size=200))
def test_whatever_the_bytes_they_are_read_or_refused(body):
    with pytest.raises(FeedMalformedError):
        DEBIAN.read(URL, body)

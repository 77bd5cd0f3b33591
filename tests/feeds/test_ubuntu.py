"""Ubuntu: four forms of the same knowledge, what needs Pro, and each fix told once."""

import csv
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.advisories import Advisory, Fix, Match, Severity, Status
from patchmgr.domain.matching import judge
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.base import Page

URL = "https://ubuntu.example/document.json"
DATA = Path(__file__).parents[1] / "data" / "feeds" / "ubuntu"
UBUNTU = FEEDS["ubuntu"]
CVE = "CVE-2026-10001"


def read(document):
    return UBUNTU.read(URL, json.dumps(document).encode())


def one(document):
    (advisory,) = read(document).advisories
    (fix,) = advisory.fixes
    return fix


def osv(ecosystem="Ubuntu:22.04:LTS", *, ref="USN-1-1", purl=None, **specific):
    package = {"ecosystem": ecosystem, "name": "x", "purl": purl}
    ends = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}]
    affected = {"package": package, "ranges": ends, "ecosystem_specific": specific}
    return {"id": ref, "modified": "2026-01-01T00:00:00Z", "affected": [affected]}


PRO = "Ubuntu:Pro:18.04:LTS"


@pytest.mark.parametrize(
    ("document", "channel"),
    [
        (osv(availability="No subscription required"), ""),
        (osv(PRO, purl="pkg:deb/ubuntu/x@2?arch=source&distro=esm-infra/bionic"), "esm-infra"),
        (osv(PRO, purl="pkg:deb/ubuntu/x@2?arch=source&distro=esm-apps/bionic"), "esm-apps"),
        (osv(PRO, purl="pkg:deb/ubuntu/x?distro=esm-infra-legacy/trusty"), "esm-infra-legacy"),
        (osv(PRO, availability="Available with Ubuntu Pro: https://ubuntu.com/pro"), "esm-apps"),
        (
            osv(PRO, availability="Available with Ubuntu Pro (Infra-only): https://ubuntu.com/pro"),
            "esm-infra",
        ),
        (osv(PRO), "esm-infra"),
        (osv("Ubuntu:Pro:FIPS-updates:18.04:LTS"), "fips-updates"),
    ],
)
def test_a_fix_under_pro_names_the_service_that_has_it(document, channel):
    assert one(document).channel == channel


def test_notices_of_livepatches_change_no_package():
    page = read([osv(ref="LSN-0112-1"), osv()])

    assert [each.ref for each in page.advisories] == ["USN-1-1"]
    assert page.skipped == {"livepatch notices": 1}


def test_other_distributions_are_not_ubuntus_to_judge():
    page = read(osv("Debian:12"))

    assert (page.advisories, page.skipped) == ((), {"Debian:12": 1})


def vex(status, purl="pkg:deb/ubuntu/x@2-1?arch=source&distro=jammy", **fields):
    statement = {
        "vulnerability": {"name": CVE},
        "status": status,
        "products": [{"@id": purl}, {"@id": purl.replace("arch=source", "arch=amd64")}],
        **fields,
    }
    return {"@context": "https://openvex.dev/ns/v0.2.0", "statements": [statement]}


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [
        ({"status": "affected"}, Status.NO_FIX, "no fixed version yet"),
        (
            {"status": "affected", "action_statement": "no longer\nsupported"},
            Status.NO_FIX,
            "no longer supported",
        ),
        (
            {"status": "under_investigation"},
            Status.UNDETERMINED,
            "Ubuntu is still evaluating it",
        ),
        ({"status": "not_affected", "impact_statement": "no"}, Status.NOT_AFFECTED, "no"),
        ({"status": "odd"}, Status.UNDETERMINED, "Ubuntu says 'odd'"),
    ],
)
def test_a_vex_status_is_taken_at_its_word(said, status, reason):
    fix = one(vex(**said))

    assert (fix.platform, fix.package, fix.match) == ("ubuntu:22.04", "x", Match.SOURCE)
    assert (fix.status, fix.reason) == (status, reason)


@pytest.mark.parametrize(
    ("installed", "status"),
    [
        ("2-1", Status.NOT_AFFECTED),
        ("2-1ubuntu1", Status.NOT_AFFECTED),
        ("2-0", Status.UNDETERMINED),
        ("1", Status.UNDETERMINED),
    ],
)
def test_what_vex_calls_fixed_may_have_been_so_for_long(installed, status):
    assert judge(installed, one(vex("fixed"))).status is status


def test_a_package_url_is_decoded():
    fix = one(vex("fixed", "pkg:deb/ubuntu/x%2B%2B@2%2B1?arch=source&distro=esm-apps/focal"))

    assert (fix.platform, fix.package, fix.channel) == ("ubuntu:20.04", "x++", "esm-apps")
    assert fix.last_affected == "2+1~"


def test_a_release_that_vex_alone_knows_is_skipped():
    page = read(vex("affected", "pkg:deb/ubuntu/x@2?arch=source&distro=zany"))

    assert page.skipped == {"zany": 1}


def notice(sources=None, binaries=None, **fields):
    release = {"sources": sources or {"x": {"version": "2"}}, "allbinaries": binaries}
    return {"1-1": {"releases": {"focal": release}, **fields}}


@pytest.mark.parametrize(
    ("document", "channel"),
    [
        (notice(), ""),
        (notice({"x": {"version": "2ubuntu0.1~esm1"}}), "esm-infra"),
        (notice(binaries={"libx": {"source": "x", "pocket": "security"}}), ""),
        (notice(binaries={"libx": {"source": "x", "pocket": "esm-apps"}}), "esm-apps"),
        (notice(binaries={"libx": {"source": "x", "pocket": "brand-new"}}), "brand-new"),
    ],
)
def test_a_notice_of_the_database_tells_its_part_of_the_archive(document, channel):
    assert one(document).channel == channel


@pytest.mark.parametrize(
    ("action", "after"),
    [
        ("After a standard system update you need to reboot your computer.", "reboot"),
        ("you need to restart your session to make all the changes", "relogin"),
        ("you need to restart Firefox to make all the necessary changes", "restart"),
        ("In general, a standard system update will make all the necessary changes.", ""),
        (None, ""),
    ],
)
def test_the_action_of_a_notice_says_what_must_follow(action, after):
    assert one(notice(action=action)).after == after


def test_one_odd_notice_is_set_aside():
    document = {f"{n}-1": notice()["1-1"] for n in range(11, 21)}

    page = read(
        {**document, "5-1": {"releases": []}, "6-1": notice({"\0": {"version": "1"}})["1-1"]}
    )

    assert len(page.advisories) == 10
    assert [each.ref for each in page.set_aside] == ["USN-5-1", "USN-6-1"]


def fix(fixed="", platform="ubuntu:22.04", package="x", **fields):
    status = fields.pop("status", Status.AFFECTED if fixed else Status.NO_FIX)
    return Fix(platform, package, Match.SOURCE, status, fixed, scheme="dpkg", **fields)


def usn(*fixes, ref="USN-1-1", cves=(CVE,), **fields):
    return Advisory(ref, cves, fixes=fixes, **fields)


def record(*fixes, **fields):
    return Advisory(f"UBUNTU-{CVE}", (CVE,), fixes=fixes, **fields)


ESM = {"platform": "ubuntu:16.04", "channel": "esm-infra"}


@pytest.mark.parametrize(
    ("notices", "said", "left"),
    [
        ([usn(fix("2"))], [fix("2")], []),
        ([usn(fix("2"))], [fix("2"), fix("3", "ubuntu:24.04")], [fix("3", "ubuntu:24.04")]),
        ([usn(fix("2"))], [fix("2"), fix(platform="ubuntu:24.04")], [fix(platform="ubuntu:24.04")]),
        ([usn(fix("2"))], [fix("3")], [fix("3")]),
        ([usn(fix("2")), usn(fix("3"), ref="USN-1-2")], [fix("3")], []),
        ([usn(fix("2"), cves=())], [fix("2")], [fix("2")]),
        ([usn(fix("2"), cves=("CVE-2026-2222",))], [fix("2")], [fix("2")]),
        ([usn(fix("2"))], [fix("2", package="y")], [fix("2", package="y")]),
        ([usn(fix("2"))], [fix(status=Status.UNDETERMINED)], []),
        ([usn(fix("2", **ESM))], [fix("2", **ESM), fix(platform="ubuntu:16.04")], []),
        ([], [fix("2", **ESM), fix(platform="ubuntu:16.04")], [fix("2", **ESM)]),
        ([], [fix("2", "ubuntu:16.04"), fix(**ESM)], [fix("2", "ubuntu:16.04"), fix(**ESM)]),
        ([], [fix("2"), fix(status=Status.UNDETERMINED)], [fix("2")]),
        ([], [fix(platform="ubuntu:16.04"), fix(status=Status.NOT_AFFECTED, **ESM)], []),
        ([], [fix(platform="ubuntu:16.04"), fix(platform="ubuntu:16.04", channel="fips")],
         [fix(platform="ubuntu:16.04"), fix(platform="ubuntu:16.04", channel="fips")]),
    ],
)  # fmt: skip
def test_a_record_keeps_what_no_notice_of_its_cve_says(notices, said, left):
    joined = UBUNTU.join((*notices, record(*said)))

    assert [each for each in joined if each.ref.startswith("USN-")] == notices
    assert [f for each in joined if each.ref.startswith("UBUNTU-") for f in each.fixes] == left


def test_a_notice_takes_the_severity_of_its_cve():
    rated = record(fix("2", severity=Severity.LOW), severity=Severity.HIGH)

    (notice_,) = UBUNTU.join((usn(fix("2"), fix("2", package="y")), rated))

    assert notice_.severity is Severity.HIGH
    assert [each.severity for each in notice_.fixes] == [Severity.LOW, Severity.HIGH]


def found(inventory):
    advisories = UBUNTU.read(URL, (DATA / "focal" / "notices.jsonl").read_bytes()).advisories
    return {
        (name, advisory.ref)
        for name, version in inventory
        for advisory in advisories
        for each in advisory.fixes
        if (each.package, each.platform) == (name, "ubuntu:20.04")
        and judge(version, each).status is not Status.NOT_AFFECTED
    }


def test_nothing_applies_to_a_focal_image_whatever_other_releases_need():
    with (DATA / "focal" / "inventory.csv").open(newline="") as file:
        inventory = [(row["source_name"], row["version"]) for row in csv.DictReader(file)]
    fixed = [("pam", "1.3.1-5ubuntu4.7"), ("libcap2", "1:2.32-1ubuntu0.2"), ("perl", "5.30.0-9")]

    assert found([*inventory, *fixed]) == set()


def test_what_is_older_than_its_fix_is_found():
    assert found([("pam", "1.3.1-5ubuntu4.6"), ("libcap2", "1:2.32-1")]) == {
        ("pam", "USN-6588-1"),
        ("libcap2", "USN-7287-1"),
    }


def test_only_a_fleet_with_ubuntu_fetches_its_records():
    assert UBUNTU.addresses(frozenset({"ubuntu:24.04", "ubuntu:24", "ubuntu:22.04"})) == (
        f"{UBUNTU.start[0]}#platforms=ubuntu:22.04+ubuntu:24.04",
    )
    assert UBUNTU.addresses(frozenset({"debian:12"})) == ()


def test_of_the_dump_only_the_releases_of_the_fleet_are_taken():
    body = (DATA / "document-osv.json").read_bytes()
    whole = UBUNTU.read("all.zip", body).advisories
    platforms = {fix.platform for each in whole for fix in each.fixes}
    assert len(platforms) > 1
    some = min(platforms)

    page = UBUNTU.read(f"all.zip#platforms={some}+ubuntu:2.04", body)

    assert page.advisories == tuple(
        replace(each, fixes=tuple(fix for fix in each.fixes if fix.platform == some))
        for each in whole
        if any(fix.platform == some for fix in each.fixes)
    )
    assert UBUNTU.read("all.zip#platforms=ubuntu:2.04", body).advisories == ()


@given(data=st.data(), name=st.sampled_from(["osv", "vex", "database"]))
def test_a_damaged_document_is_refused_or_read_but_never_anything_else(data, name):
    whole = (DATA / f"document-{name}.json").read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, 40))
    body = whole[:at] + data.draw(st.binary(max_size=12)) + whole[at + length :]

    with suppress(FeedMalformedError):
        assert isinstance(UBUNTU.read(URL, body), Page)


ODD = st.none() | st.integers() | st.text(max_size=4) | st.lists(st.integers(), max_size=2)


@given(
    key=st.sampled_from(["timestamp", "cves", "releases", "title", "action", "statements"]),
    value=ODD | st.dictionaries(st.text(max_size=3), ODD, max_size=2) | st.floats(),
)
def test_a_value_of_any_kind_may_stand_anywhere(key, value):
    for document in (vex("fixed"), {"1-1": {**notice()["1-1"], key: value}}):
        with suppress(FeedMalformedError):
            read({**document, key: value} if "statements" in document else document)

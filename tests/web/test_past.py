"""The past, the fleet's software and coverage, as people see them and programs ask for them."""

import csv
import io
import json
import re
from datetime import timedelta

import pytest

from inventory.package_import import import_packages
from inventory.submissions import submit_report
from patchmgr.config import Settings
from patchmgr.domain.accounts import Role
from patchmgr.services import sign_ins
from web.app import create_app
from web.auth import COOKIE

THEN = "2026-02-01T00:00:00Z"


def words(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.fixture
def api(fleet, admin):
    """Return the JSON of an address of the API that must answer well."""

    def get(path, **query):
        answer = admin.get(f"/api/v1{path}", query_string=query)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    return get


def test_a_host_page_shows_its_history_with_what_changed(fleet, admin):
    page = admin.get("/hosts/web-1").text

    assert "1 updated" in page
    assert "First inventory, 4 packages" in words(page)
    assert "bash amd64 5.2.15-2" in words(page)
    assert '/hosts/web-1/difference"' in page


def test_a_host_is_shown_as_it_was_with_its_findings_packages_and_facts(fleet, admin, statements):
    (*_, first) = re.findall(r'href="(/hosts/web-1/past[^"]*)"', admin.get("/hosts/web-1").text)
    assert first in admin.get("/hosts/web-1/history").text
    statements.clear()
    page = admin.get(first.replace("&amp;", "&")).text
    assert len(statements) <= 12
    said = words(page)

    assert "web-1 as of 2026-01-21 09:30:00 UTC" in said
    assert "Open findings 6" in said
    assert "openssl libssl3, openssl 3.0.15-1~deb12u1 → 3.0.17-1~deb12u2 High" in said
    assert "Undetermined 1" in said
    assert "Site vienna" in said
    assert "Not kept of the past" in said
    assert "Nothing is known of before." in said
    (later,) = re.findall(r'href="([^"]*)" rel="next"', page)
    after = words(admin.get(later.replace("&amp;", "&")).text)
    assert "1 updated then" in after
    assert "Unchanged since." in after


def test_a_host_at_a_time_of_which_nothing_is_known_says_so(fleet, admin):
    early = words(admin.get("/hosts/web-1/past?at=2020-03-03").text)

    assert "Findings are not known" in early
    assert "No inventory of this host was known then." in early
    assert "Not known: no scan had noted them then." in early
    assert "is no time" in words(admin.get("/hosts/web-1/past?at=soon").text)
    assert admin.get("/hosts/web-1/past").headers["Location"] == "/hosts/web-1"
    assert admin.get("/hosts/nobody/past?at=2026-03-01").status_code == 404


def test_a_difference_is_a_link_that_says_who_and_when(fleet, admin):
    page = admin.get("/hosts/web-1/difference?other=web-2").text

    assert "web-1 compared with web-2" in page
    said = words(page)
    assert "libssl3 amd64 3.0.15-1~deb12u1 3.0.17-1~deb12u2 Newer" in said
    assert "Fact web-1 web-2 Environment production staging" in said
    rows = csv.DictReader(
        io.StringIO(admin.get("/hosts/web-1/difference?other=web-2&kind=removed&format=csv").text)
    )
    assert sorted(row["name"] for row in rows) == ["bash", "openssl"]


def test_what_is_not_kept_of_the_past_is_said(fleet, admin, api):
    then, both = f"/hosts/web-1/packages?at={THEN}", f"/hosts/web-1/difference?from={THEN}"

    for page in (then, both):
        assert "what its repositories offer" in words(admin.get(page).text)
    assert "Not kept of the past" not in admin.get("/hosts/web-1/difference?other=web-2").text
    assert "offers" in api("/hosts/web-1/past", at=THEN)["facts_not_kept"]
    assert "offers" in api("/hosts/web-1/difference", **{"from": THEN})["facts_not_kept"]
    assert api("/hosts/web-1/difference", other="web-2")["facts_not_kept"] == []


def test_what_cannot_be_compared_is_said_beside_its_field(fleet, admin):
    assert "no host is called" in admin.get("/hosts/web-1/difference?other=nobody").text
    assert "is no time" in admin.get("/hosts/web-1/difference?to=soon").text
    assert (
        "is not a dpkg version"
        in admin.get("/software/hosts?name=curl&compare=below&than=x y").text
    )


def test_findings_are_listed_as_they_were_known_and_say_so(fleet, admin, statements):
    address = "/findings?host=web-1&at=2026-01-21T09:30:00Z"
    admin.get("/findings")
    statements.clear()
    page = admin.get(f"{address}&sort=due").text
    assert len(statements) <= 12
    said = words(page)

    assert "6 findings" in said
    assert "As of 2026-01-21 09:30:00 UTC: what was open then" in said
    assert re.search(r'href="/hosts/web-1/past.at=2026-01-21T09(:|%3A)30', page)
    assert 'href="/findings?host=web-1"' in page
    assert "leave out the instant of the past" in said
    assert ">Due<" in page
    lines = list(csv.DictReader(io.StringIO(admin.get(f"{address}&format=csv").text)))
    assert ("openssl", "3.0.15-1~deb12u1") in {(row["package"], row["installed"]) for row in lines}
    assert "Findings are not known" in words(admin.get("/findings?at=2019-01-01").text)
    assert "Not looked for" in words(admin.get("/findings?at=yesterday").text)


def test_software_leads_to_versions_and_these_to_their_hosts(fleet, admin):
    software = admin.get("/software").text
    assert 'href="/software/dpkg/curl"' in software
    versions = admin.get("/software/dpkg/libssl3").text
    (old,) = re.findall(r'href="(/software/hosts[^"]*3\.0\.15[^"]*)"', versions)

    hosts = admin.get(old.replace("&amp;", "&")).text

    assert 'href="/hosts/web-1"' in hosts
    assert 'href="/hosts/web-2"' not in hosts


def test_who_had_something_is_a_list_with_its_csv(fleet, admin):
    address = "/software/hosts?name=bash&at=2026-02-01T00:00"

    assert "5.2.15-2" in admin.get(address).text
    assert "when the packages of 2 hosts were known" in words(admin.get(address).text)
    (row,) = csv.DictReader(io.StringIO(admin.get(f"{address}&format=csv").text))
    assert (row["hostname"], row["versions"]) == ("web-1", "5.2.15-2")


def test_a_name_with_strokes_is_a_package_like_any(fleet, admin, sqlite_db, clock, tmp_path):
    path = tmp_path / "more.csv"
    path.write_text("hostname,manager,name,version\nweb-1,npm,@scope/name,1.2.3\n")
    import_packages(sqlite_db, path, actor="test", now=clock(), mode="merge")
    (address,) = re.findall(r'href="(/software/npm/[^"]*)"', admin.get("/software?q=scope").text)

    assert "1.2.3" in admin.get(address).text
    assert admin.get("/software/npm/nothing").status_code == 404
    assert admin.get("/software/nobody/curl").status_code == 404


def test_what_reports_leave_unjudged_is_shown_with_why(fleet, admin, api, sqlite_db, clock):
    assert "Not judged" not in words(admin.get("/hosts/web-1").text)
    parts = [
        {"name": "rails", "version": "7", "purl": "pkg:gem/rails@7"},
        {"name": "nginx", "version": "1.2"},
        {"name": "odd", "purl": "pkg:gem/odd"},
    ]
    submit_report(
        sqlite_db,
        host="web-1",
        os="",
        format="cyclonedx",
        text=json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": parts}),
        actor="test",
        now=clock(),
    )

    coverage, found = words(admin.get("/coverage").text), api("/coverage")
    assert "nginx 1.2: has no package URL and 1 more odd: has no version" in coverage
    assert (found["not_judged"], found["not_judged_hosts"][0]["of"]) == (2, {"cyclonedx": 2})
    page, host = words(admin.get("/hosts/web-1").text), api("/hosts/web-1")
    assert "2 entries of the last report in cyclonedx: nginx 1.2: has no package URL" in page
    assert host["not_judged_why"]["cyclonedx"][1] == "odd: has no version"


def test_every_number_of_coverage_is_as_long_as_its_list(fleet, admin, api):
    page, numbers = admin.get("/coverage").text, api("/coverage")
    lists = {
        "went_silent": "/hosts?state=went_silent",
        "never_reported": "/hosts?state=never",
        "unknown_platform": "/hosts?state=no_platform",
        "silent": "/hosts?state=silent",
        "unknown_source": "/software?doubt=no_source",
        "foreign_origin": "/software?doubt=foreign",
    }

    for name, address in lists.items():
        rows = list(csv.reader(io.StringIO(admin.get(f"{address}&format=csv").text)))
        assert len(rows) - 1 == numbers[name], name
        assert name == "silent" or f'href="{address}"' in page


def test_the_api_answers_for_the_past(api):
    then = api("/hosts/web-1/past", at=THEN)
    history = api("/hosts/web-1/history")
    difference = api("/hosts/web-1/difference", **{"from": THEN})

    assert {p["name"]: p["version"] for p in then["packages"]}["bash"] == "5.2.15-2"
    assert (then["facts"]["site"], then["history_since"]) == ("vienna", None)
    assert [(step["changed"], step["added"]) for step in history["items"]] == [(1, 0), (None, None)]
    assert [(c["before"], c["after"]) for c in difference["changed"]] == [
        (["5.2.15-2"], ["5.2.15-3"])
    ]
    assert api("/hosts/web-1/difference", other="web-2")["added"] == []


def test_the_api_answers_for_software(api):
    assert api("/software", search="curl")["items"][0]["hosts"] == 2
    assert [v["hosts"] for v in api("/software/versions", manager="dpkg", name="libssl3")] == [1, 1]
    found = api("/software/installations", name="openssl", source="true", below="3.0.16")
    assert [(host["hostname"], len(host["packages"])) for host in found["items"]] == [("web-1", 2)]
    assert (found["total"], found["unclear"], found["hosts_known"]) == (1, [], 2)


def test_the_packages_of_the_fleet_are_listed_as_of_an_instant(fleet, admin, api):
    address = "/software?q=bash&at=2026-02-01"
    page = admin.get(address).text

    said = words(page)
    assert "As of 2026-02-01 23:59:59 UTC, when the packages of 2 hosts were known" in said
    (bash,) = re.findall(r'href="(/software/dpkg/bash[^"]*)"', page)
    versions = admin.get(bash.replace("&amp;", "&")).text
    assert "5.2.15-2" in versions
    assert "5.2.15-3" not in versions
    (hosts,) = re.findall(r'href="(/software/hosts[^"]*5\.2\.15-2[^"]*)"', versions)
    assert 'href="/hosts/web-1"' in admin.get(hosts.replace("&amp;", "&")).text
    (row,) = csv.DictReader(io.StringIO(admin.get(f"{address}&format=csv").text))
    assert (row["name"], row["hosts"]) == ("bash", "1")
    found = api("/software", search="bash", at=THEN)
    assert (found["hosts_known"], found["items"][0]["hosts"]) == (2, 1)
    was = api("/software/versions", manager="dpkg", name="bash", at=THEN)
    assert [each["version"] for each in was] == ["5.2.15-2"]
    assert api("/software")["hosts_known"] == 2


def test_an_instant_that_cannot_be_read_is_said_beside_its_field(fleet, admin):
    for path in ("/software", "/software/dpkg/bash", "/hosts/web-1/packages"):
        page = words(admin.get(f"{path}?at=soon").text)
        assert "is no time; write it as" in page
        assert "Not looked for" in page
        assert admin.get(f"{path}?at=soon&format=csv").status_code == 422


def test_before_anything_is_known_no_is_not_the_answer(fleet, admin, api):
    for path in ("/software", "/software/dpkg/bash"):
        page = admin.get(f"{path}?at=2020-03-03T00:00").text
        assert "At 2020-03-03 00:00:00 UTC no host had an inventory yet" in words(page)
    assert api("/software", at="2020-03-03T00:00:00Z")["hosts_known"] == 0
    query = {"manager": "dpkg", "name": "bash", "at": "2020-03-03T00:00:00Z"}
    assert admin.get("/api/v1/software/versions", query_string=query).status_code == 404
    page = admin.get("/software/hosts?name=bash&at=2020-03-03T00:00").text

    assert "Nothing is known of that time" in words(page)
    assert api("/software/installations", name="bash", at="2020-03-03T00:00:00Z")["total"] == 0
    difference = api("/hosts/web-1/difference", **{"from": "2020-03-03T00:00:00Z"})
    assert (difference["packages_compared"], difference["added"]) == (False, [])
    page = words(admin.get("/hosts/web-1/difference?other=silent-1").text)
    assert "Packages are not compared No inventory is known of one side." in page
    then, now = api("/findings", at="2020-03-03T00:00:00Z"), api("/findings")
    assert (then["total"], then["judged_since"]) == (0, now["judged_since"])
    assert api("/findings", at=now["judged_since"])["total"] > 0


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/hosts/web-1/past", "at"),
        ("/hosts/silent-1/difference", "from"),
        ("/software/installations?name=curl&below=1&above=2", "above"),
        ("/software/installations?name=", "name"),
        ("/software?sort=password", "sort"),
    ],
)
def test_the_api_names_the_field_that_is_wrong(fleet, admin, path, field):
    answer = admin.get(f"/api/v1{path}")

    assert answer.status_code == 422
    assert field in answer.get_json()["errors"]


def test_pages_say_since_when_the_past_is_kept(sqlite_db, settings, clock, fleet, person):
    kept = Settings(
        **{
            **{name: getattr(settings, name) for name in ("home", "database_url", "secret_key")},
            "keep_history_days": 10,
        }
    )
    browser = create_app(sqlite_db, kept, clock).test_client()
    key = sign_ins.sign_in(
        sqlite_db, person(Role.VIEWER), "a long enough phrase", address="127.0.0.1", now=clock()
    )
    browser.set_cookie(COOKIE, key)
    old = (clock() - timedelta(days=20)).strftime("%Y-%m-%dT%H:%M")

    for address in (
        f"/hosts/web-1/packages?at={old}",
        f"/hosts/web-1/difference?from={old}",
        f"/software/hosts?name=bash&at={old}",
        f"/software?at={old}",
        f"/hosts/web-1/past?at={old}",
        f"/software/dpkg/bash?at={old}",
    ):
        assert "History is kept since" in browser.get(address).text
    assert "kept since" in browser.get("/hosts/web-1/history").text

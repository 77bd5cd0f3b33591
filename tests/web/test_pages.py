"""Each page shows what there is, says what to do when there is nothing, and asks few questions."""

import csv
import io
import json
import re

import pytest

from patchmgr.db import models
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Severity
from patchmgr.services import audit, tokens
from patchmgr.services.scan import scan
from patchmgr.services.sync import sync

EMPTY = {
    "/": "Nothing has been scanned yet",
    "/hosts": "No hosts yet",
    "/findings": "No open findings",
    "/advisories": "No advisories yet",
    "/feeds": "No feed has been synced yet",
    "/policies": "None has been put in force yet",
    "/coverage": "No hosts yet",
    "/software": "No packages yet",
    "/software/hosts?name=bash": "No host has an inventory",
    "/search": "Search the fleet",
    "/search?q=zzz": "Nothing is called that",
    "/admin/jobs": "No scheduler has run yet",
    "/admin/health": "Nothing is wrong with the service",
    "/admin/users": "No tokens yet",
    "/admin/audit": "1</strong> entry",
    "/account": "Preferences",
}
PAGES = {
    "/": "Open findings",
    "/hosts": "web-1",
    "/hosts?state=silent": "silent-1",
    "/hosts/web-1": "3.0.17-1~deb12u2",
    "/hosts/web-1/packages": "libssl3",
    "/policies": "Critical: within 7 days",
    "/policies/1": "In force",
    "/policies/preset/severity": "comes with the service",
    "/hosts/web-1/packages?at=2026-02-01": "5.2.15-2",
    "/hosts/web-1/history": "1 updated",
    "/hosts/web-1/difference": "5.2.15-3",
    "/hosts/web-1/difference?other=web-2": "Criticality",
    "/hosts/web-1/difference?from=2026-02-01": "5.2.15-2",
    "/hosts/web-1/difference?from=2000-01-01": "no inventory is known",
    "/hosts/web-1/difference?other=nobody": "no host is called",
    "/hosts/web-1/difference?from=yesterday": "is no time",
    "/hosts?state=never": "silent-1",
    "/hosts?state=went_silent": "Nothing matches",
    "/software": "libssl3",
    "/software?sort=-hosts": "libssl3",
    "/software?q=SSL": "libssl3",
    "/software?platform=debian:12&manager=dpkg": "libssl3",
    "/software?doubt=foreign": "Nothing matches",
    "/software/dpkg/libssl3": "3.0.17-1~deb12u2",
    "/software/hosts": "Name a package",
    "/software/hosts?name=openssl&source=yes&compare=below&than=3.0.16": "web-1",
    "/software/hosts?name=libssl3&at=2026-02-01T00:00": "As of",
    "/software/hosts?name=nothing": "Nothing is called that",
    "/software/hosts?name=bash&than=1": "no host has",
    "/software/hosts?name=bash&compare=below&than=%23": "bash",
    "/hosts/silent-1": "has never reported",
    "/hosts/web-2": "Affected, no fix yet",
    "/hosts/old-1": "No feed speaks of centos:6",
    "/findings": "CVE-2026-1001",
    "/findings?status=no_fix": "curl",
    "/findings?severity=high%2B": "libssl3",
    "/findings?overdue=yes": "libssl3",
    "/findings/web-1/libssl3": "is older than",
    "/findings/web-2/libssl3": "Nothing is open for",
    "/findings/web-1/curl": "has nothing to install",
    "/advisories": "CVE-2026-1001",
    "/advisories?affecting=yes": "CVE-2026-1001",
    "/advisories/CVE-2026-1001": "3.0.17-1~deb12u2",
    "/cves/cve-2026-1001": "CVE-2026-1001",
    "/feeds": "Debian",
    "/feeds/debian": "Revisions",
    "/coverage": "centos:6",
    "/search?q=ssl": "libssl3",
    "/admin/jobs": "scan",
    "/admin/jobs/scan": "4 hosts",
    "/admin/users": "the-admin",
    "/admin/users/1": "Save role",
    "/admin/users/1/disable": "Every sign-in of the account ends",
    "/admin/audit": "hosts.import",
    "/admin/audit?check=yes": "The chain is whole",
    "/admin/audit?action=hosts.import": "hosts.csv",
    "/admin/health": "Current",
    "/account": "Europe/Vienna",
}


@pytest.mark.parametrize(("address", "said"), EMPTY.items())
def test_a_page_without_anything_says_so_and_what_to_do(admin, address, said):
    answer = admin.get(address)

    assert answer.status_code == 200
    assert said in answer.text


@pytest.mark.parametrize(("address", "said"), PAGES.items())
def test_a_page_shows_what_there_is_in_few_statements(fleet, admin, statements, address, said):
    statements.clear()

    answer = admin.get(address)

    assert answer.status_code == 200
    assert said in answer.text
    assert len(statements) <= 12, statements


def test_a_host_without_a_recent_report_is_not_called_clean(fleet, admin):
    page = admin.get("/hosts/silent-1").text

    assert "counts as not compliant" in page


@pytest.mark.parametrize(
    ("host", "judged"), [("web-2", True), ("old-1", False)], ids=["feed", "no feed"]
)
def test_nothing_is_said_to_need_no_update_where_no_feed_speaks(fleet, admin, host, judged):
    page = admin.get(f"/hosts/{host}").text
    told = admin.get(f"/api/v1/hosts/{host}").json

    assert told["has_feed"] is judged
    assert ("No feed speaks of centos:6." in page) is not judged
    assert "Nothing to install" not in page or judged


def test_why_names_feed_revision_comparison_policy_row_and_what_would_change(fleet, admin):
    page = re.sub(r"<[^>]+>|\s+", " ", admin.get("/findings/web-1/libssl3").text)
    page = re.sub(r"\s+", " ", page)

    assert (
        "openssl 3.0.15-1~deb12u1 is older than 3.0.17-1~deb12u2 , which fixes CVE-2026-1001"
        in page
    )
    for evidence in (
        "debian , revision 1",
        "source package openssl at 3.0.15-1~deb12u1",
        "by the rules of dpkg",
        "by row severity-high of policy severity version 1",
        "an inventory with source openssl at 3.0.17-1~deb12u2 or newer",
    ):
        assert evidence in page


def test_packages_of_one_source_stand_together_on_the_page_of_a_host(fleet, admin):
    page = re.sub(r"<[^>]+>|\s+", " ", admin.get("/hosts/web-1").text)
    words = " ".join(page.split())

    assert "openssl libssl3 , openssl 3.0.15-1~deb12u1" in words
    assert words.count("3.0.17-1~deb12u2") == 1
    assert 'href="/findings?host=web-1&amp;package=openssl"' in admin.get("/hosts/web-1").text


@pytest.mark.parametrize("sort", ["host", "-host", "package", "-advisory", "-severity", "due"])
def test_findings_sort_by_their_headers(fleet, admin, sort):
    rows = list(csv.DictReader(io.StringIO(admin.get(f"/findings?sort={sort}&format=csv").text)))

    values = [row[sort.removeprefix("-")] for row in rows]
    words = [severity.word for severity in Severity]
    rank = words.index if sort == "-severity" else str
    dated = [rank(value) for value in values if value or sort != "due"]
    assert dated == sorted(dated, reverse=sort.startswith("-"))
    assert len(rows) == 7
    assert "" not in values[: len(dated)]


def test_a_filtered_list_is_a_link_with_chips_that_remove_a_filter(fleet, admin):
    page = admin.get("/findings?status=affected&host=web-1").text

    assert 'href="/findings?host=web-1"' in page  # the chip of the status
    assert 'href="/findings?status=affected"' in page  # the chip of the host
    assert "Clear all" in page


def test_a_filter_that_matches_nothing_offers_to_clear_it(fleet, admin):
    page = admin.get("/hosts?q=nothing-like-it").text

    assert "Nothing matches these filters" in page
    assert "No hosts yet" not in page


def test_what_the_table_does_not_know_is_left_out_of_the_view(fleet, admin):
    page = admin.get("/hosts?sort=password&platform=%3Cscript%3E&cols=nothing&from=-5").text

    assert "<script>" not in page
    assert "web-1" in page


def test_a_cursor_that_nobody_gave_is_bad_input(fleet, admin):
    assert admin.get("/hosts?cursor=nonsense").status_code == 422


def test_the_csv_is_exactly_the_view(fleet, admin):
    answer = admin.get("/findings?status=affected&cols=severity&cols=advisory&format=csv")

    rows = list(csv.reader(io.StringIO(answer.text)))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="findings.csv"'
    assert rows[0] == ["host", "severity", "advisory"]
    assert ["web-1", "high", "CVE-2026-1001"] in rows
    assert len(rows) == 1 + 4  # two packages of openssl, two flaws


def test_a_cell_of_the_csv_is_no_formula(sqlite_db, admin, fleet):
    with sqlite_db.writing() as session:
        host = session.query(models.Host).filter_by(hostname="web-1").one()
        host.owner, host.tags = "=cmd()", ["=cmd()", "pci"]

    rows = list(
        csv.DictReader(
            io.StringIO(admin.get("/hosts?cols=hostname&cols=owner&cols=tags&format=csv").text)
        )
    )

    found = next(row for row in rows if row["hostname"] == "web-1")
    assert (found["owner"], found["tags"]) == ("'=cmd()", "'=cmd() pci")


def test_a_long_list_has_pages_with_the_true_total(sqlite_db, clock, admin, tmp_path):
    from inventory.host_import import import_hosts

    names = "\n".join(f"host-{number:03d},debian,12" for number in range(120))
    (tmp_path / "many.csv").write_text(f"hostname,os_id,os_release\n{names}\n", encoding="utf-8")
    import_hosts(sqlite_db, tmp_path / "many.csv", actor="test", now=clock())

    seen = []
    address = "/hosts?sort=-hostname"
    while address:
        page = admin.get(address).text
        assert ">120</strong> hosts" in page
        seen += re.findall(r'href="/hosts/(host-\d+)"', page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        address = following[1].replace("&amp;", "&") if following else None

    assert seen == [f"host-{number:03d}" for number in reversed(range(120))]
    assert len(list(csv.reader(io.StringIO(admin.get("/hosts?format=csv").text)))) == 121


def test_columns_can_be_chosen(fleet, admin):
    page = admin.get("/hosts?cols=site").text

    assert "vienna" in page
    assert 'data-label="Owner"' not in page


def test_searching_for_an_exact_name_leads_there(fleet, admin):
    assert admin.get("/search?q=WEB-1").location == "/hosts/web-1"


def test_what_one_may_not_do_is_not_offered(fleet, client):
    page = client(Role.VIEWER).get("/admin/jobs").text

    assert "Run now" not in page
    assert "Users and tokens" not in page


def test_an_operator_asks_for_a_job(fleet, operator):
    answer = operator.post("/admin/jobs/scan", follow_redirects=True)

    assert "scan is asked for" in answer.text
    assert "Queued" in answer.text


def test_an_admin_adds_a_user_who_can_then_sign_in(admin, client):
    form = {"name": "bob", "role": "operator", "password": "a phrase of some length"}

    assert "bob can sign in." in admin.post("/admin/users", data=form, follow_redirects=True).text
    again = admin.post("/admin/users", data=form)
    bob = client(None).post("/sign-in", data=form)

    assert (again.status_code, bob.status_code) == (422, 303)
    assert "there is a user &#39;bob&#39; already" in again.text


def test_disabling_asks_once_and_names_whom(admin):
    admin.post(
        "/admin/users",
        data={"name": "bob", "role": "viewer", "password": "a phrase of some length"},
    )

    asked = admin.get("/admin/users/2/disable").text
    done = admin.post("/admin/users/2/disable", follow_redirects=True).text

    assert "Disable bob" in asked
    assert "bob is disabled." in done


def test_the_key_of_a_token_is_shown_once(admin):
    made = admin.post("/admin/tokens", data={"token-name": "ci", "token-role": "viewer"})

    assert "pm_" in made.text
    assert "pm_" not in admin.get("/admin/users").text


def test_a_runners_token_is_made_on_the_page_and_by_the_api_and_audited(
    admin, client, sqlite_db, clock
):
    page = admin.post("/admin/tokens", data={"token-name": "ansible", "token-role": "runner"})
    _, key = tokens.create(sqlite_db, "root", Role.ADMIN, actor="test", now=clock())
    program = {"headers": {"Authorization": f"Bearer {key}"}}
    made = client(None).post("/api/v1/tokens", json={"name": "awx", "role": "runner"}, **program)
    listed = client(None).get("/api/v1/tokens", **program).json
    runner = {"Authorization": f"Bearer {made.json['key']}"}

    assert "pmr_" in page.text
    assert made.status_code == 201
    assert {one["name"]: one["role"] for one in listed} == {
        "ansible": "runner", "awx": "runner", "root": "admin"}  # fmt: skip
    assert client(None).post("/api/v1/leases", json={}, headers=runner).json == []
    assert client(None).get("/api/v1/plans", headers=runner).status_code == 403
    revoked = client(None).post(f"/api/v1/tokens/{made.json['id']}/revoke", **program)
    assert revoked.status_code == 200
    assert client(None).post("/api/v1/leases", json={}, headers=runner).status_code == 401
    log = admin.get("/admin/audit?action=token.create").text
    assert log.count("runner") >= 2
    assert "token:root" in log


def test_only_an_admin_makes_tokens_by_the_api(client, sqlite_db, clock):
    _, key = tokens.create(sqlite_db, "op", Role.APPROVER, actor="test", now=clock())
    headers = {"Authorization": f"Bearer {key}"}

    for method in ("GET", "POST"):
        body = {"json": {"name": "x", "role": "admin"}} if method == "POST" else {}
        answer = client(None).open("/api/v1/tokens", method=method, headers=headers, **body)
        assert answer.status_code == 403


def test_a_scan_of_nothing_does_not_hide_what_to_do_first(sqlite_db, settings, clock, admin):
    scan(sqlite_db, now=clock(), settings=settings)

    page = admin.get("/").text

    assert "No hosts yet" in page
    assert "Import hosts" in page
    assert "0 of 0" not in page


def test_an_error_says_each_problem_once(admin):
    page = admin.get("/hosts?cursor=nonsense").text

    assert page.count("is not one that a page gave") == 1


def test_the_last_admin_is_not_offered_to_be_disabled(admin, operator):
    page = admin.get("/admin/users").text

    assert "the last admin" in page
    assert page.count(">Disable<") == 1  # the operator's


def test_an_audit_entry_about_a_plan_leads_there_and_leaves_out_what_is_empty(
    fleet, sqlite_db, clock, admin
):
    with sqlite_db.writing() as session:
        audit.record(
            session,
            at=clock(),
            actor="patchmgr",
            action="rollout.signal",
            subject="plan 7",
            details={"ring": "", "message": "why"},
        )

    page = admin.get("/admin/audit").text

    assert '<a href="/plans/7">plan 7</a>' in page
    assert "<dt>ring</dt>" not in page
    assert "<dt>message</dt><dd>why</dd>" in page


def test_jobs_say_what_they_do(fleet, admin):
    assert "compares what is installed with what vendors say" in admin.get("/admin/jobs").text
    assert "It compares what is installed" in admin.get("/admin/jobs/scan").text


def test_trouble_with_the_service_is_said_on_every_page(fleet, sqlite_db, clock, admin):
    with sqlite_db.writing() as session:
        feed = session.query(models.Feed).filter_by(name="debian").one()
        feed.state, feed.error = "failed", "the document is cut short"

    page = admin.get("/hosts").text

    assert "Feed debian: the document is cut short" in page


def test_a_feed_without_a_good_sync_for_long_is_trouble(fleet, admin):
    assert "has had no good sync for 48 h" in admin.get("/hosts").text


def test_a_schedule_that_stands_still_is_trouble(fleet, sqlite_db, clock, admin):
    with sqlite_db.writing() as session:
        session.query(models.ScheduledJob).update({"next_at": clock().replace(hour=1)})

    assert "No scheduler is running" in admin.get("/hosts").text


def test_a_changed_audit_entry_is_found(fleet, sqlite_db, admin):
    with sqlite_db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_entry_stays")
        connection.exec_driver_sql(
            "UPDATE audit_entry SET actor = 'x' WHERE action = 'hosts.import'"
        )

    assert "The chain is broken at entry" in admin.get("/admin/audit?check=yes").text


def test_times_are_in_the_viewers_zone_and_it_is_named(fleet, admin):
    admin.post("/account/preferences", data={"theme": "auto", "zone": "America/New_York"})

    assert "2026-03-02 01:30:00 America/New_York" in admin.get("/hosts/web-1").text


def test_the_service_says_that_it_is_alive_and_ready(client, fleet):
    nobody = client(None)

    assert nobody.get("/healthz").json == {"status": "alive"}
    assert nobody.get("/readyz").json["status"] == "ready"


def test_a_database_without_tables_is_not_ready(client, sqlite_db):
    with sqlite_db.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")

    answer = client(None).get("/readyz")

    assert (answer.status_code, answer.json["migrations"]) == (503, "needed")


def test_the_numbers_of_the_fleet_are_for_those_who_may_read_it(fleet, client, sqlite_db, clock):

    _, key = tokens.create(sqlite_db, "scraper", Role.VIEWER, actor="test", now=clock())
    browser = client(None)

    without = browser.get("/metrics").text
    with_token = browser.get("/metrics", headers={"Authorization": f"Bearer {key}"}).text

    assert 'patchmgr_job_last_run_seconds{job="scan"} 7200.0' in without
    assert "patchmgr_hosts" not in without
    assert "patchmgr_hosts 4.0" in with_token


# --- what catalogues say of flaws ----------------------------------------------------------------


@pytest.fixture
def catalogue(fleet, sqlite_db, settings, clock, tmp_path):
    """The catalogue of known exploited vulnerabilities lists one flaw of the fleet."""
    entry = {
        "cveID": "CVE-2026-1001",
        "dateAdded": "2026-02-20",
        "dueDate": "2026-03-13",
        "requiredAction": "Apply the update.",
        "knownRansomwareCampaignUse": "Known",
    }
    path = tmp_path / "kev.json"
    path.write_text(json.dumps({"count": 1, "vulnerabilities": [entry]}))
    sync(sqlite_db, "kev", settings=settings, now=clock(), actor="test", source=path)
    scan(sqlite_db, now=clock(), settings=settings)


def text_of(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def test_the_overview_does_not_call_unknown_none(fleet, admin):
    assert "Known exploited not known no catalogue is loaded" in text_of(admin.get("/"))


def test_the_overview_counts_what_is_exploited_and_opens_its_list(catalogue, admin, statements):
    statements.clear()
    page = admin.get("/")

    assert len(statements) <= 12
    assert "Known exploited 2 on 1 host" in text_of(page)
    assert 'href="/findings?kev=yes"' in page.text
    rows = csv.DictReader(io.StringIO(admin.get("/findings?kev=yes&format=csv&cols=kev").text))
    assert [row["kev"] for row in rows] == ["yes", "yes"]
    assert "Known exploited: Not listed" in text_of(admin.get("/findings?kev=no"))


def test_a_cve_and_the_reason_of_a_finding_name_the_catalogue_and_its_revision(catalogue, admin):
    for address in ("/cves/CVE-2026-1001", "/findings/web-1/libssl3"):
        page = text_of(admin.get(address))
        assert "added 2026-02-20, CISA wants it done by 2026-03-13, used in ransomware" in page
        assert "kev , revision 2, made" in page
    assert "not in the catalogue" in text_of(admin.get("/cves/CVE-2026-1002"))


def test_a_cve_of_which_no_catalogue_was_read_is_not_called_unexploited(fleet, admin):
    assert "not known: no catalogue" in text_of(admin.get("/cves/CVE-2026-1001"))

"""What hosts say of themselves: sent by a program, shown on pages, in few statements."""

import gzip
import json

import pytest

from inventory import submissions
from patchmgr.domain.accounts import Role
from patchmgr.services import tokens
from patchmgr.services.scan import scan

DPKG = (
    "libssl3\t3.0.15-1~deb12u1\tamd64\topenssl\t3.0.15-1~deb12u1\n"
    "openssl\t3.0.15-1~deb12u1\tamd64\topenssl\t3.0.15-1~deb12u1\n"
    "curl\t7.88.1-10+deb12u1\tamd64\tcurl\t7.88.1-10+deb12u1\n"
    "bash\t5.2.15-3\tamd64\tbash\t5.2.15-3\n"
)
OFFERED = "Listing...\nopenssl/stable 3.0.16-1~deb12u1 amd64 [upgradable from: 3.0.15-1~deb12u1]\n"
SECTIONS = {
    "os-release": "ID=debian\nVERSION_ID=12\n",
    "dpkg": DPKG,
    "uname": "6.1.0-18-amd64\n",
    "kernels": "/boot/vmlinuz-6.1.0-18-amd64\n/boot/vmlinuz-6.1.0-40-amd64\n",
    "needrestart": "NEEDRESTART-VER: 3.6\nNEEDRESTART-SVC: nginx.service\n",
    "apt-upgradable": OFFERED,
    "pro-status": "{",
}


def document(**sections):
    return json.dumps(
        {
            "version": 1,
            "collected_at": "2026-03-02T09:30:00Z",
            "host": {"hostname": "web-1", "machine_id": "c0ffee"},
            "sections": SECTIONS | sections,
        }
    )


@pytest.fixture
def reported(fleet, sqlite_db, settings, clock):
    given = {"host": "", "os": "", "format": "report", "text": document(), "actor": "test"}
    submissions.submit_report(sqlite_db, now=clock(), **given)
    scan(sqlite_db, now=clock(), settings=settings)


@pytest.fixture
def ask(app, sqlite_db, clock):
    _, token = tokens.create(sqlite_db, "reports", Role.OPERATOR, actor="test", now=clock())
    headers = {"Authorization": f"Bearer {token}"}

    def ask(method, path, **more):
        more["headers"] = headers | more.pop("headers", {})
        return app.test_client().open(f"/api/v1{path}", method=method, **more)

    return ask


def test_a_whole_report_is_taken_as_json_and_told_in_full(fleet, ask):
    body = gzip.compress(document().encode(), mtime=0)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}

    first = ask("POST", "/hosts/web-1/reports", data=body, headers=headers)
    again = ask("POST", "/hosts/web-1/reports", data=body, headers=headers)
    facts = ask("GET", "/hosts/web-1").json["facts"]

    assert first.status_code == 200, first.text
    assert (first.json["changed"], again.json["changed"]) == (True, False)
    assert (facts["reboot_pending"], facts["newest_kernel"]) == (True, "6.1.0-40-amd64")
    assert facts["services"] == ["nginx.service"]
    assert (facts["holds"], facts["modules"], facts["pro"]) == ([], None, None)
    assert facts["unreadable"] == {"pro-status": "line 1: is not JSON"}
    assert ask("GET", "/hosts/web-2").json["facts"]["reboot_pending"] is None


@pytest.mark.parametrize(
    "body", ["", "{", '{"version": 1}', document(dpkg="no columns\n"), "[" * 100_000]
)
def test_a_report_that_is_none_is_refused(fleet, ask, body):
    answer = ask("POST", "/hosts/web-1/reports", data=body, content_type="application/json")

    assert answer.status_code == 422
    assert ask("GET", "/hosts/web-1").json["facts"]["reported_at"] is None


def test_findings_say_and_are_asked_what_can_be_installed(reported, ask):
    found = {
        verdict: {
            (each["package"], each["advisory"], each["installable"])
            for each in ask("GET", f"/findings?host=web-1&installable={verdict}").json["items"]
        }
        for verdict in ("yes", "no", "unknown")
    }

    assert found == {
        "yes": {("openssl", "CVE-2026-1002", "yes")},
        "no": {
            ("openssl", "CVE-2026-1001", "no"),
            ("libssl3", "CVE-2026-1001", "no"),
            ("libssl3", "CVE-2026-1002", "no"),
        },
        "unknown": set(),
    }
    assert ask("GET", "/findings?installable=maybe").status_code == 422


PAGES = {
    "/hosts/web-1": (
        "nginx.service",
        "kernel 6.1.0-40-amd64 is installed and 6.1.0-18-amd64 runs",
        "Could not be read",
        "not reported",
        "not offered to this host",
    ),
    "/hosts/web-2": ("Nothing beside its packages", "Not reported"),
    "/hosts?state=reboot": ("web-1",),
    "/findings?installable=no": ("not offered to this host", "CVE-2026-1001"),
    "/findings?installable=yes&cols=installable": ("Yes",),
    "/findings/web-1/openssl": (
        "The host&#39;s repositories offer 3.0.16-1~deb12u1 from stable",
        "No repository of the host offers 3.0.17-1~deb12u2",
    ),
}


@pytest.mark.parametrize(("address", "said"), PAGES.items(), ids=PAGES)
def test_pages_say_what_is_known_and_what_is_not(reported, admin, statements, address, said):
    statements.clear()

    page = admin.get(address)

    assert page.status_code == 200
    for words in said:
        assert words in page.text
    assert len(statements) <= 12, statements

"""What repositories offer and what has no support any more, on the pages and in the API."""

import pytest
from sqlalchemy import select

from inventory import conflicts
from patchmgr.db import models
from patchmgr.domain.identity import Clash, Identity, Kind
from patchmgr.services.sync import sync

PACKAGES = """\
Package: bash
Version: 5.2.15-4
Architecture: amd64

Package: libssl3
Source: openssl
Version: 3.0.17-1~deb12u2
Architecture: amd64

Package: curl
Version: 7.88.1-10+deb12u1
Architecture: amd64
"""
RELEASES = """\
version,codename,series,created,release,eol,eol-lts,eol-elts
12,Bookworm,bookworm,2021-08-14,2023-06-10,2025-07-11,2025-12-31,2033-06-30
"""


@pytest.fixture
def told(fleet, sqlite_db, settings, clock, tmp_path):
    """The fleet, with a repository read and what is said of Debian 12's support."""
    files = {
        "dists/bookworm-security/Packages": ("archive", PACKAGES),
        "debian.csv": ("lifecycle", RELEASES),
    }
    for name, (feed, text) in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        given = {"source": path, "platform": "debian:12"}
        sync(sqlite_db, feed, settings=settings, now=clock(), actor="test", **given)
    ended = tmp_path / "security-support-ended.deb12"
    ended.write_text("curl 7.88.1-10 2026-01-31 nobody can\n")
    folder = tmp_path / "lifecycle"
    folder.mkdir()
    for path in (tmp_path / "debian.csv", ended):
        path.rename(folder / path.name)
    sync(sqlite_db, "lifecycle", settings=settings, now=clock(), actor="test", source=folder)


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/hosts/web-1", ["Updates available", "5.2.15-4", "bookworm-security"]),
        ("/hosts/web-2", ["Up to date"]),
        ("/coverage", ["Past standard support", "2025-07-12", "ELTS until 2033-07-01"]),
        ("/coverage", ["No security support", "ended on 2026-01-31"]),
        ("/feeds", ["offer", "support date"]),
        ("/feeds/archive", ["Offers"]),
        ("/feeds/lifecycle", ["Support dates"]),
    ],
)
def test_a_page_says_so_in_few_statements(admin, statements, address, said):
    statements.clear()

    text = admin.get(address).text

    assert [each for each in said if each not in text] == []
    assert len(statements) <= 12, "\n".join(s[:110] for s in statements)


@pytest.mark.usefixtures("told")
def test_coverage_takes_few_statements_also_when_it_has_something_of_everything(
    admin, statements, sqlite_db, clock
):
    with sqlite_db.reporting() as session:
        host_id = session.scalar(select(models.Host.id).where(models.Host.hostname == "web-1"))
    clash = Clash(Kind.SAME_NAME, host_id, "another machine has its name")
    conflicts.note(sqlite_db, conflicts.TwoMachinesError(Identity("web-1"), clash), now=clock())
    statements.clear()

    text = admin.get("/coverage").text

    for said in ("Refused machines", "Silent hosts", "No security support", "Past standard"):
        assert said in text
    assert len(statements) <= 12, "\n".join(s[:110] for s in statements)


@pytest.mark.usefixtures("told")
def test_the_explanation_of_a_finding_says_who_offers_the_fix_and_what_has_no_support(admin):
    assert "bookworm-security offers 3.0.17-1~deb12u2" in admin.get("/findings/web-1/libssl3").text
    curl = admin.get("/findings/web-1/curl").text
    assert "No security support" in curl
    assert "ended on 2026-01-31" in curl


@pytest.mark.usefixtures("fleet")
def test_a_page_says_nothing_of_what_nobody_has_told(admin):
    assert "Updates available" not in admin.get("/hosts/web-1").text
    coverage = admin.get("/coverage").text
    assert "Past standard support" not in coverage
    assert "No security support" not in coverage

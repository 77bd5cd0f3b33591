"""Compliance reports: made again byte for byte, signed, and honest about what is not known."""

import csv
import importlib
import json
import re
import shutil
import sys
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from inventory.host_import import import_hosts
from inventory.package_import import import_packages
from inventory.retirement import retire
from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.queries import report_endings, reports_made
from patchmgr.db.queries import reports as queries
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.compliance import Contact, Share
from patchmgr.domain.urgency import Clock, Policy
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import InputError, NotFoundError
from patchmgr.services import policies, reports, signing
from patchmgr.services.reports import manifest
from patchmgr.services.scan import scan
from patchmgr.services.sync import sync

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
ALL = ("html", "csv", "json", "xlsx")


class Fleet:
    """A small fleet that is driven through the same services as a real one."""

    def __init__(self, db, folder):
        self.db = db
        self.folder = folder
        self.settings = Settings(home=folder / "home", database_url=db.url, secret_key="0")
        self.settings.home.mkdir()

    def hosts(self, now, *rows):
        path = self.folder / "hosts.csv"
        header = "hostname,os_id,os_release,environment,site"
        path.write_text("\n".join([header, *rows, ""]))
        import_hosts(self.db, path, actor="test", now=now)

    def packages(self, now, *rows):
        path = self.folder / "packages.csv"
        path.write_text("\n".join(["hostname,manager,name,version,arch,source", *rows, ""]))
        import_packages(self.db, path, actor="test", now=now)

    def feed(self, now, **fixed):
        """Publish ``CVE-2026-000n`` of the n-th package, fixed in the version given."""
        path = self.folder / "tracker.json"
        document = {
            package: {f"CVE-2026-000{n}": {"releases": {"bookworm": _release(version)}}}
            for n, (package, version) in enumerate(fixed.items(), start=1)
        }
        path.write_text(json.dumps(document))
        sync(self.db, "debian", settings=self.settings, now=now, actor="test", source=path)

    def scan(self, now):
        scan(self.db, now=now, settings=self.settings)

    def report(self, at, formats=("json",), **options):
        return reports.make(
            self.db,
            at=at,
            formats=formats,
            settings=self.settings,
            actor="auditor",
            now=options.pop("now", at),
            **options,
        )

    def document(self, at, **options):
        made = self.report(at, **options)
        return json.loads((made.folder / "compliance.json").read_text())


def _release(version):
    if version is None:
        return {"status": "open", "urgency": "high"}
    return {"status": "resolved", "fixed_version": version, "urgency": "high"}


@pytest.fixture
def fleet(db, tmp_path):
    """web-1 and web-2 have an openssl to update; quiet-1 never reported; odd-1 has no feed."""
    return begun(Fleet(db, tmp_path))


def begun(made):
    made.hosts(
        START,
        "web-1,debian,12,production,north",
        "web-2,debian,12,test,south",
        "quiet-1,debian,12,production,north",
        "odd-1,haiku,5,test,south",
    )
    made.packages(
        START,
        "web-1,dpkg,libssl3,3.0.15-1,amd64,openssl",
        "web-1,dpkg,curl,7.88-1,amd64,curl",
        "web-2,dpkg,libssl3,3.0.15-1,amd64,openssl",
        "odd-1,dpkg,libssl3,3.0.15-1,amd64,openssl",
    )
    made.feed(START, openssl="3.0.17-1", curl=None)
    made.scan(START)
    return made


def patch(fleet, now):
    """web-1 gets its update, and a scan sees it."""
    fleet.packages(
        now,
        "web-1,dpkg,libssl3,3.0.17-1,amd64,openssl",
        "web-1,dpkg,curl,7.88-1,amd64,curl",
    )
    fleet.scan(now)


def verdicts(document):
    return {line["hostname"]: line["verdict"] for line in document["hosts"]}


def test_hosts_are_compliant_until_a_finding_is_overdue(fleet):
    early, late = START + 6 * DAY, START + 14 * DAY + timedelta(seconds=1)

    before = fleet.document(early)
    fleet.packages(late, "web-2,dpkg,libssl3,3.0.17-1,amd64,openssl")
    fleet.packages(late, "web-1,dpkg,libssl3,3.0.15-1,amd64,openssl")
    fleet.scan(late)
    after = fleet.document(late)

    assert before["headline"]["compliant"] == {"n": 2, "of": 2, "percent": "100.0 %"}
    assert before["headline"]["unknown"]["n"] == 2
    assert verdicts(after) == {
        "odd-1": "unknown",
        "quiet-1": "unknown",
        "web-1": "not compliant",
        "web-2": "compliant",
    }
    assert after["sla"]["all"]["met"] == {"n": 0, "of": 2, "percent": "0.0 %"}


def test_a_report_made_again_later_is_the_same_to_the_byte(fleet):
    at = START + 3 * DAY
    patch(fleet, START + 2 * DAY)
    first = fleet.report(at, ALL, out=fleet.folder / "first", now=at)

    later = at + 60 * DAY
    fleet.hosts(later, "web-1,debian,13,attic,moon", "new-1,debian,12,production,north")
    fleet.packages(later, "web-2,dpkg,libssl3,3.0.18-1,amd64,openssl")
    fleet.feed(later, openssl="3.0.19-1", curl="8.0-1")
    retire(fleet.db, "quiet-1", actor="test", now=later)
    policies.adopt(
        fleet.db,
        Policy("strict", 1, PRESETS["severity"].rows[-1:], Clock.DETECTED),
        actor="test",
        now=later,
    )
    fleet.scan(later)
    second = fleet.report(at, ALL, out=fleet.folder / "second", now=later + DAY)

    assert (first.folder, first.id, first.files) == (second.folder, second.id, second.files)
    for path in sorted((fleet.folder / "first").iterdir()):
        assert path.read_bytes() == (fleet.folder / "second" / path.name).read_bytes(), path.name


def test_silent_hosts_are_unknown(fleet):
    later = START + 8 * DAY
    fleet.packages(later, "web-2,dpkg,libssl3,3.0.15-1,amd64,openssl")
    fleet.scan(later)

    document = fleet.document(later)

    assert verdicts(document)["web-1"] == "unknown"
    line = next(line for line in document["hosts"] if line["hostname"] == "web-1")
    assert (line["reasons"], line["last_report"]) == (["silent"], "2026-03-02T09:30:00Z")
    # as of the third day it still reported, whatever is known now
    assert verdicts(fleet.document(START + 3 * DAY, now=later))["web-1"] == "compliant"


def test_without_a_scan_for_long_no_host_is_known(fleet):
    document = fleet.document(START + 8 * DAY)

    assert document["headline"]["unknown"] == {"n": 4, "of": 4, "percent": "100.0 %"}
    assert document["headline"]["compliant"] == {"n": 0, "of": 0, "percent": None}


def test_an_inventory_that_no_scan_has_seen_is_unknown(fleet):
    later = START + DAY
    fleet.packages(later, "web-1,dpkg,libssl3,3.0.14-1,amd64,openssl")

    assert verdicts(fleet.document(later))["web-1"] == "unknown"


def test_a_host_with_a_reboot_pending_is_not_compliant(fleet):
    later = START + DAY
    with fleet.db.writing() as session:
        session.execute(
            update(models.Host).where(models.Host.hostname == "web-2").values(reboot_pending=True)
        )
    fleet.scan(later)

    assert verdicts(fleet.document(later))["web-2"] == "not compliant"
    assert verdicts(fleet.document(START, now=later))["web-2"] == "compliant"


def test_a_retired_host_leaves_the_scope_and_stays_in_older_reports(fleet):
    later = START + DAY
    retire(fleet.db, "web-2", actor="test", now=later)
    fleet.scan(later)

    assert "web-2" not in verdicts(fleet.document(later))
    assert "web-2" in verdicts(fleet.document(START, now=later))


def test_an_empty_fleet_has_shares_of_nothing(db, tmp_path):
    document = Fleet(db, tmp_path).document(START)

    assert document["headline"]["compliant"] == {"n": 0, "of": 0, "percent": None}
    assert document["findings"] == []


@pytest.mark.parametrize(("days", "in_time", "late"), [(14, 1, 0), (15, 0, 1)])
def test_a_closed_finding_was_in_time_or_late(fleet, days, in_time, late):
    patch(fleet, START + days * DAY)

    document = fleet.document(START + 20 * DAY)

    total = document["sla"]["all"]
    assert (total["closed_in_time"], total["closed_late"]) == (in_time, late)
    (measured,) = [line for line in document["time_to_patch_seconds"] if line["severity"] == "all"]
    assert measured["from_detection"]["median"] == days * 86400


def test_an_update_to_another_vulnerable_version_closes_nothing(fleet):
    fleet.packages(START + DAY, "web-2,dpkg,libssl3,3.0.16-1,amd64,openssl")
    fleet.scan(START + DAY)

    document = fleet.document(START + 2 * DAY)

    assert document["sla"]["all"]["closed_in_time"] == 0
    assert document["sla"]["ended_by_vendor"] == 0
    (row,) = (row for row in document["findings"] if row["host"] == "web-2")
    assert (row["installed"], row["first_seen"]) == ("3.0.16-1", "2026-03-02T09:30:00Z")


def test_a_statement_taken_back_is_counted_apart(fleet):
    fleet.feed(START + DAY, openssl="3.0.14-1", curl=None)
    fleet.scan(START + DAY)

    document = fleet.document(START + 2 * DAY)

    assert document["sla"]["ended_by_vendor"] == 2
    assert document["sla"]["all"]["closed_in_time"] == 0


def test_a_restated_advisory_goes_on(fleet):
    fleet.feed(START + DAY, openssl="3.0.18-1", curl=None)
    fleet.scan(START + DAY)

    document = fleet.document(START + 2 * DAY)

    assert document["sla"]["ended_by_vendor"] == 0
    fixed = {row["fixed"] for row in document["findings"] if row["state"] == "within due"}
    assert fixed == {"3.0.18-1"}


def blind_spots(document):
    return {spot["kind"] for spot in document["coverage"]["blind_spots"]}


def test_a_stale_feed_is_a_blind_spot_until_it_is_synced_again(fleet):
    later = START + 3 * DAY
    stale = fleet.document(later)
    fleet.feed(later, openssl="3.0.17-1", curl=None)  # unchanged, but looked at
    fresh = fleet.document(later + timedelta(hours=1))

    assert blind_spots(stale) - blind_spots(fresh) == {"stale feed"}


def test_an_old_feed_that_no_host_needs_is_no_blind_spot(fleet):
    later = START + 3 * DAY
    assert "stale feed" in blind_spots(fleet.document(later))

    with fleet.db.writing() as session:
        revision = session.scalars(select(models.FeedRevision)).first()
        revision.counts = {**revision.counts, "platforms": {"alpine:3.20": 1, "rhel:9": 4}}
    assert "stale feed" not in blind_spots(fleet.document(later))

    with fleet.db.writing() as session:
        revision = session.scalars(select(models.FeedRevision)).first()
        revision.counts = {**revision.counts, "platforms": {"rhel:9": 4, "pypi": 1}}
    assert "stale feed" in blind_spots(fleet.document(later))


def test_the_policy_is_the_one_in_force_then_or_the_one_named(fleet):
    week = Policy("week", 1, (PRESETS["severity"].rows[0], *PRESETS["severity"].rows[-1:]))
    policies.adopt(fleet.db, week, actor="test", now=START + 2 * DAY)

    def used(**options):
        return fleet.document(now=START + 3 * DAY, **options)["provenance"]["policy"]["name"]

    assert used(at=START + DAY) == "severity"
    assert used(at=START + 3 * DAY) == "week"
    assert used(at=START + 3 * DAY, policy="severity") == "severity"
    with pytest.raises(NotFoundError, match="no policy 'nice'"):
        fleet.report(START, policy="nice")


def test_activating_a_policy_makes_a_version_of_it(fleet):
    policies.adopt(fleet.db, Policy("w", 1, PRESETS["severity"].rows), actor="a", now=START)
    who = {"actor": "a", "role": Role.ADMIN}
    again = policies.activate(fleet.db, "severity", now=START + DAY, **who)

    assert (again.name, again.version) == ("severity", 2)
    assert policies.activate(fleet.db, "severity", now=START + DAY, **who) == again
    with fleet.db.reading() as session:
        assert policies.active(session)[1] == again
        entries = session.scalars(
            select(models.AuditEntry.subject).where(models.AuditEntry.action == "policy.activate")
        ).all()
    assert entries == ["policy severity", "policy w", "policy severity"]


def test_before_any_policy_is_stored_the_default_is_in_force(db):
    with db.reading() as session:
        assert policies.active(session) == (0, PRESETS["severity"])

    number = policies.ensure_default(db, now=START)

    assert policies.ensure_default(db, now=START + DAY) == number
    with db.reading() as session:
        assert policies.active(session) == (number, PRESETS["severity"])


def test_the_csv_has_a_line_a_finding_in_order(fleet):
    made = fleet.report(START, ("csv",))

    with (made.folder / "findings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["host"], row["package"], row["status"], row["due"]) for row in rows] == [
        ("web-1", "curl", "no_fix", ""),
        ("web-1", "libssl3", "affected", "2026-03-16T09:30:00Z"),
        ("web-2", "libssl3", "affected", "2026-03-16T09:30:00Z"),
    ]
    assert rows[1]["decided_by"] == "severity-high"
    assert rows[1]["kev"] == ""


def test_cells_do_not_become_formulas(fleet):
    later = START + DAY
    evil = '=HYPERLINK("https://evil.example/","here")'
    with fleet.db.writing() as session:
        session.execute(
            update(models.Host)
            .where(models.Host.hostname == "web-1")
            .values(environment="=1+1", site="@SUM(A1)", owner=evil)
        )
    fleet.scan(later)

    made = fleet.report(later, ALL)

    for name in ("findings.csv", "hosts.csv"):
        with (made.folder / name).open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert "'=1+1" in cells
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    with zipfile.ZipFile(made.folder / "compliance.xlsx") as book:
        sheets = [book.read(name).decode() for name in book.namelist() if "sheet" in name]
    assert any("=1+1" in sheet for sheet in sheets)
    assert not any("<f>" in sheet or "<hyperlink" in sheet for sheet in sheets)


def test_the_html_needs_nothing_from_elsewhere_and_escapes(fleet):
    with fleet.db.writing() as session:
        session.execute(
            update(models.Host)
            .where(models.Host.hostname == "web-1")
            .values(environment="<script>alert(1)</script>")
        )
    fleet.scan(START + DAY)

    text = (fleet.report(START + DAY, ("html",)).folder / "compliance.html").read_text()

    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"(?:src|href)=\"(?!#)|url\(|@import", text)


@pytest.fixture(scope="module")
def kept(tmp_path_factory, _sqlite_template):
    """A folder with a report in every format that needs no system library; nothing changes it."""
    folder = tmp_path_factory.mktemp("kept")
    db = Database(f"sqlite:///{shutil.copy(_sqlite_template, folder / 'patchmgr.db')}")
    begun(Fleet(db, folder)).report(START, ALL, out=folder / "report")
    db.close()
    return folder


@pytest.fixture
def made(kept, tmp_path):
    """A report in a folder of its own, to be damaged."""
    return shutil.copytree(kept / "report", tmp_path / "report")


FILES = (
    "compliance.html",
    "compliance.json",
    "compliance.xlsx",
    "exceptions.csv",
    "findings.csv",
    "hosts.csv",
    "summary.csv",
)


def test_a_report_as_it_was_made_verifies(fleet):
    made = fleet.folder / "report"
    fleet.report(START, ALL, out=made)

    found = reports.verify(made)

    assert found.good
    assert {file.name: file.state for file in found.files} == dict.fromkeys(FILES, "good")
    public = signing.signing_key(fleet.settings.home).public_key()
    assert found.fingerprint == signing.fingerprint(public)
    assert reports.verify(made, key=made / "report-key.pub").trusted is True


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_each_file_is_watched(made, name, how):
    path = made / name
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"?")

    found = reports.verify(made)

    assert not found.good
    assert [file.name for file in found.files if file.state == how] == [name]


def test_a_manifest_made_to_fit_is_not_signed(made):
    (made / "findings.csv").write_text("host\n")
    path = made / "manifest.json"
    body = json.loads(path.read_text())
    body["files"]["findings.csv"]["sha256"] = manifest.digest(made / "findings.csv")
    path.write_text(json.dumps(body))

    found = reports.verify(made)

    assert all(file.state == "good" for file in found.files)
    assert not found.signed
    assert not found.good


def test_a_report_signed_by_somebody_else_shows_another_key(made, tmp_path):
    ours = shutil.copy(made / "report-key.pub", tmp_path / "ours.pub")
    (tmp_path / "theirs").mkdir()
    body = json.loads((made / "manifest.json").read_text())
    files = {name: made / name for name in body["files"]}
    key = signing.signing_key(tmp_path / "theirs")
    manifest.write(made / "manifest.json", files, {}, key)

    assert reports.verify(made).good  # whole, by the key whose fingerprint is told
    assert not reports.verify(made, key=ours).good


@pytest.mark.parametrize("name", ["manifest.json.sig", "manifest.json"])
def test_a_report_without_its_signature_or_manifest_does_not_verify(made, name):
    (made / name).unlink()

    if name == "manifest.json":
        with pytest.raises(NotFoundError):
            reports.verify(made)
    else:
        assert not reports.verify(made).good


def test_a_file_beside_the_report_is_told(made):
    (made / "more.csv").write_text("host\n")

    found = reports.verify(made)

    assert [file.name for file in found.files if file.state == "extra"] == ["more.csv"]
    assert found.good


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": "patchmgr report manifest 1", "files": [], "key": {"public": ""}}',
        '{"format": "another", "files": {}, "key": {"public": ""}}',
        '{"format": "patchmgr report manifest 1", "files": {}, "key": {"public": "no key"}}',
    ],
)
def test_what_is_no_manifest_is_refused(made, text):
    (made / "manifest.json").write_text(text)

    with pytest.raises(InputError):
        reports.verify(made)


@pytest.mark.parametrize(("format_", "suffix"), [("html", ".html"), ("csv", ".csv")])
def test_a_single_file_has_its_manifest_beside_it(fleet, format_, suffix):
    path = fleet.folder / f"march{suffix}"

    made = fleet.report(START, (format_,), out=path)

    beside = [f"march{suffix}", "report-key.pub", f"march{suffix}.manifest.json"]
    assert [each.name for each in made.written] == [*beside, f"march{suffix}.manifest.json.sig"]
    assert reports.verify(path).good
    path.write_bytes(path.read_bytes() + b" ")
    assert not reports.verify(path).good


@pytest.mark.parametrize(
    ("formats", "name"),
    [
        (("html",), "a.csv"),
        (("html", "csv"), "a.html"),
        (("html",), "missing/a.html"),
        (("odt",), "a.odt"),
        ((), "a"),
    ],
)
def test_a_target_that_cannot_be_is_refused_before_anything_is_made(fleet, formats, name):
    with pytest.raises(InputError):
        fleet.report(START, formats, out=fleet.folder / name)

    with fleet.db.reading() as session:
        assert reports_made.listing(session) == []
    assert not list(fleet.folder.glob("a*"))


def test_a_failed_report_leaves_nothing_behind(fleet, monkeypatch):
    def refuse(_home):
        raise InputError("no key today")

    monkeypatch.setattr(signing, "signing_key", refuse)
    with pytest.raises(InputError, match="no key today"):
        fleet.report(START, ALL, out=fleet.folder / "out")

    assert list(fleet.settings.reports.iterdir()) == []
    assert not (fleet.folder / "out").exists()


def test_reports_are_kept_listed_and_audited(fleet):
    made = fleet.report(START, ("csv", "html"))

    with fleet.db.reading() as session:
        (line,) = reports_made.listing(session)
        assert reports_made.get(session, made.id) == line
        page = reports.stored_file(session, made.id, "compliance.html", settings=fleet.settings)
        with pytest.raises(NotFoundError):
            reports.stored_file(session, made.id, "../report-key.pem", settings=fleet.settings)
        with pytest.raises(NotFoundError):
            reports.stored_file(session, made.id + 1, "compliance.html", settings=fleet.settings)
        entry = session.scalars(
            select(models.AuditEntry).where(models.AuditEntry.action == "report.make")
        ).one()
    assert (line.as_of, line.made_by, line.compliant) == (START, "auditor", Share(2, 2))
    assert line.formats == ("html", "csv")
    assert page.is_file()
    assert (entry.actor, entry.subject) == ("auditor", f"report {made.id}")


def test_the_key_is_the_owners_alone(fleet):
    fleet.report(START)

    path = fleet.settings.home / "report-key.pem"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_queries_do_not_grow_with_the_fleet(fleet, statements):
    with fleet.db.reading() as session:
        hosts = queries.hosts(session, START, scanned=START, silent_days=7)
        statements.clear()
        found = dict(queries.findings(session, START, hosts))
        endings = list(report_endings.closed(session, START - DAY, START, hosts))

    assert [host.contact for host in hosts] == [
        Contact.REPORTING,
        Contact.NEVER,
        Contact.REPORTING,
        Contact.REPORTING,
    ]
    assert sum(map(len, found.values())) == 3
    assert endings == []
    assert len(statements) <= 9


@pytest.mark.parametrize("name", ["../findings.csv", "/etc/passwd", "..", ""])
def test_a_manifest_cannot_name_files_elsewhere(made, name):
    body = json.loads((made / "manifest.json").read_text())
    body["files"][name] = {"sha256": ""}
    (made / "manifest.json").write_text(json.dumps(body))

    with pytest.raises(InputError, match="elsewhere"):
        reports.verify(made)


def _can_set_pdf():
    try:
        importlib.import_module("weasyprint")
    except (ImportError, OSError):  # OSError: Pango is missing
        return False
    return True


def test_a_pdf_is_the_same_each_time(fleet):
    if not _can_set_pdf():
        with pytest.raises(InputError, match=r"patchmgr\[pdf\]"):
            fleet.report(START, ("pdf",))
        return

    first = fleet.report(START, ("pdf",), out=fleet.folder / "a.pdf")
    second = fleet.report(START, ("pdf",), out=fleet.folder / "b.pdf", now=START + DAY)

    assert first.files == second.files
    assert (fleet.folder / "a.pdf").read_bytes() == (fleet.folder / "b.pdf").read_bytes()


def test_without_the_extra_a_pdf_is_refused_with_its_name(fleet, monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)

    with pytest.raises(InputError, match=r"patchmgr\[pdf\]"):
        fleet.report(START, ("pdf",))

    assert list(fleet.settings.reports.iterdir()) == []


# --- known exploited vulnerabilities -------------------------------------------------------------


def list_exploited(fleet, now, **days):
    """Let the catalogue list ``CVE-2026-000n``, each with CISA's day."""
    entries = [
        {"cveID": f"CVE-2026-000{name[1:]}", "dateAdded": "2026-02-20", "dueDate": day}
        for name, day in days.items()
    ]
    path = fleet.folder / "kev.json"
    path.write_text(json.dumps({"count": len(entries), "vulnerabilities": entries}))
    sync(fleet.db, "kev", settings=fleet.settings, now=now, actor="test", source=path)


def test_exploited_findings_have_their_section_and_the_past_has_its_own(fleet):
    before = fleet.document(START)["known_exploited"]
    list_exploited(fleet, START + DAY, _1="2026-03-05", _9="2026-03-05")
    fleet.scan(START + DAY)

    soon = fleet.document(START + 2 * DAY)["known_exploited"]
    late = fleet.document(START + 20 * DAY)["known_exploited"]

    assert (before["catalogue"], before["open_findings"]) == (None, 0)
    assert "was loaded" in before["note"]
    assert (soon["catalogue"]["entries"], soon["note"]) == (2, "")
    assert soon["open_findings"] == 2
    assert soon["hosts"] == {"n": 2, "of": 4, "percent": "50.0 %"}
    assert soon["overdue"]["n"] == soon["overdue_by_cisa"]["n"] == 0
    assert late["overdue"] == late["overdue_by_cisa"] == {"n": 2, "of": 2, "percent": "100.0 %"}
    (flaw,) = late["flaws"]
    assert (flaw["cve"], flaw["due"], flaw["open_findings"]) == ("CVE-2026-0001", "2026-03-05", 2)


def test_a_report_on_a_day_before_the_catalogue_changed_stays_byte_for_byte(fleet):
    at = START + 2 * DAY
    list_exploited(fleet, START + DAY, _1="2026-03-05")
    fleet.scan(START + DAY)
    first = fleet.report(at, formats=ALL)

    list_exploited(fleet, START + 3 * DAY, _2="2026-03-09")
    fleet.scan(START + 3 * DAY)
    again = fleet.report(at, formats=ALL, now=START + 4 * DAY)

    assert again.files == first.files
    with (first.folder / "findings.csv").open(newline="") as file:
        kev = {(row["advisory"], row["kev"]) for row in csv.DictReader(file)}
    assert kev == {("CVE-2026-0001", "yes"), ("CVE-2026-0002", "no")}


def test_a_report_by_a_directive_s_table_goes_by_what_was_known_then(fleet):
    list_exploited(fleet, START + DAY, _1="2026-03-05")
    fleet.scan(START + DAY)

    def overdue(day):
        report = fleet.document(START + day * DAY, policy="cisa-bod-26-04")
        return report["headline"]["overdue"]

    assert overdue(0.5) == {"n": 0, "of": 0, "percent": None}  # nothing known: on system upgrade
    assert overdue(15) == {"n": 2, "of": 2, "percent": "100.0 %"}

"""What catalogues say of flaws, as scripts see it: findings, due dates, explanations, CVEs."""

import csv
import io
import json

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.cli.app import App

RELEASE = {"status": "resolved", "fixed_version": "2", "urgency": "low"}
TRACKER = {
    name: {cve: {"releases": {"bookworm": RELEASE}}}
    for name, cve in {"openssl": "CVE-2026-1000", "curl": "CVE-2026-2000"}.items()
}
HOSTS = "hostname,os_id,os_release,exposure\nweb1,debian,12,public\n"
PACKAGES = "hostname,manager,name,version\nweb1,dpkg,openssl,1\nweb1,dpkg,curl,1\n"
KEV = {
    "count": 2,
    "vulnerabilities": [
        {
            "cveID": cve,
            "vulnerabilityName": "OpenSSL flaw",
            "dateAdded": "2026-01-02",
            "dueDate": "2026-01-23",
            "requiredAction": "Update it.",
            "knownRansomwareCampaignUse": "Known",
        }
        for cve in ("CVE-2026-1000", "CVE-2026-7777")
    ],
}
EPSS = """#model_version:v1,score_date:2026-03-01T12:55:00Z
cve,epss,percentile
CVE-2026-1000,0.93141,0.9987
"""
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
NVD = {
    "resultsPerPage": 1,
    "startIndex": 0,
    "totalResults": 1,
    "vulnerabilities": [
        {
            "cve": {
                "id": "CVE-2026-1000",
                "metrics": {
                    "cvssMetricV31": [
                        {
                            "source": "nvd@nist.gov",
                            "type": "Primary",
                            "cvssData": {"vectorString": VECTOR, "baseScore": 9.8},
                        }
                    ]
                },
                "weaknesses": [{"description": [{"value": "CWE-787"}]}],
            }
        }
    ],
}
OPTIONS = [{"Exploitation": "active"}, {"Automatable": "yes"}, {"Technical Impact": "total"}]
SSVC = {
    "cveMetadata": {"cveId": "CVE-2026-1000", "state": "PUBLISHED"},
    "containers": {
        "adp": [
            {
                "title": "CISA ADP Vulnrichment",
                "metrics": [{"other": {"type": "ssvc", "content": {"options": OPTIONS}}}],
            }
        ]
    },
}
DOCUMENTS = {
    "kev.json": json.dumps(KEV),
    "epss.csv": EPSS,
    "nvd.json": json.dumps(NVD),
    "ssvc.json": json.dumps(SSVC),
    "debian.json": json.dumps(TRACKER),
    "hosts.csv": HOSTS,
    "packages.csv": PACKAGES,
}


@pytest.fixture
def run(tmp_path, sqlite_url):
    app = App({"PATCHMGR_HOME": str(tmp_path / "home"), "PATCHMGR_DATABASE_URL": sqlite_url})
    for name, text in DOCUMENTS.items():
        (tmp_path / name).write_text(text)

    def run(*words):
        words = [str(word) for word in words]
        result = CliRunner().invoke(main, words, obj=app, catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    for kind in ("hosts", "packages"):
        assert run(kind, "import", tmp_path / f"{kind}.csv")[0] == 0
    assert run("feeds", "sync", "debian", "--from", tmp_path / "debian.json")[0] == 0
    yield run
    app.db.close()


@pytest.fixture
def enriched(run, tmp_path):
    """Sync every catalogue and scan; return what each sync printed."""
    names = ("kev.json", "epss.csv", "nvd.json", "ssvc.json")
    said = [run("feeds", "sync", name.split(".")[0], "--from", tmp_path / name) for name in names]
    assert run("scan")[0] == 0
    return said


def findings(run, *words):
    return list(csv.DictReader(io.StringIO(run("findings", "--format", "csv", *words)[1])))


def test_a_sync_says_how_many_cves_it_has_notes_about(enriched):
    assert [(code, out) for code, out, _ in enriched] == [
        (0, f"{name}: notes about {count} CVEs; {count} new, 0 changed, 0 withdrawn\n")
        for name, count in {"kev": 2, "epss": 1, "nvd": 1, "ssvc": 1}.items()
    ]


def test_findings_say_whether_they_are_known_to_be_exploited(run, enriched):
    assert [(row["advisory"], row["kev"]) for row in findings(run)] == [
        ("CVE-2026-2000", "no"),
        ("CVE-2026-1000", "yes"),
    ]
    assert [row["advisory"] for row in findings(run, "--kev", "yes")] == ["CVE-2026-1000"]
    assert [row["advisory"] for row in findings(run, "--kev", "no")] == ["CVE-2026-2000"]


def test_without_a_catalogue_nothing_is_said(run):
    run("scan")

    assert [row["kev"] for row in findings(run)] == ["", ""]
    assert findings(run, "--kev", "no") == []


def test_a_directive_s_table_decides_by_what_catalogues_say(run, enriched):
    run("policies", "activate", "cisa-bod-26-04")
    run("scan")

    lines = json.loads(run("findings", "explain", "web1", "openssl", "--json")[1])
    (said,) = lines["packages"][0]["considered"]
    other = json.loads(run("findings", "explain", "web1", "curl", "--json")[1])

    assert (said["due_row"], said["kev"]) == ("bod-26-04-15", "yes")
    assert {each["feed"] for each in said["flaws"]} == {"kev", "epss", "nvd", "ssvc"}
    assert other["packages"][0]["considered"][0]["due_row"] == "bod-26-04-public"


def test_an_explanation_names_what_each_catalogue_says_and_its_revision(run, enriched):
    code, out, _ = run("findings", "explain", "web1", "openssl")

    assert code == 0
    told = " ".join(out.split())
    assert "CVE-2026-1000 in kev revision 2 of" in told
    assert "known exploited: added 2026-01-02, CISA wants it done by 2026-01-23" in told
    assert "EPSS: 0.931, higher than 99.9% of all" in told
    assert f"CVSS: 9.8 {VECTOR} by nvd@nist.gov" in told
    assert "SSVC: exploitation active, automatable yes, technical impact total" in told


def test_a_cve_shows_everything_that_is_known_of_it(run, enriched):
    document = json.loads(run("cves", "show", "cve-2026-1000", "--json")[1])
    text = run("cves", "show", "CVE-2026-1000")[1]

    assert document["kev"] is True
    notes = {each["feed"]: each for each in document["notes"]}
    assert (notes["kev"]["kev_due"], notes["kev"]["kev_ransomware"]) == ("2026-01-23", True)
    assert (notes["epss"]["epss"], notes["epss"]["epss_percentile"]) == (0.93141, 0.9987)
    assert (notes["nvd"]["cvss"], notes["nvd"]["cwes"]) == (9.8, ["CWE-787"])
    assert notes["ssvc"]["ssvc_exploitation"] == "active"
    assert all(each["revision"] and each["revision_at"] for each in document["notes"])
    assert [each["advisory"] for each in document["advisories"]] == ["CVE-2026-1000"]
    assert "known exploited: yes" in text
    assert "used in ransomware campaigns" in text


def test_a_cve_that_only_a_catalogue_knows_is_shown(run, enriched):
    assert json.loads(run("cves", "show", "CVE-2026-7777", "--json")[1])["advisories"] == []
    assert "known exploited: no" in run("cves", "show", "CVE-2026-2000")[1]
    assert run("cves", "show", "CVE-2026-8888")[0] == 1


def test_feeds_status_counts_notes(run, enriched):
    lines = {each["name"]: each for each in json.loads(run("feeds", "status", "--json")[1])}

    assert (lines["kev"]["notes"], lines["kev"]["advisories"]) == (2, None)
    assert (lines["debian"]["notes"], lines["debian"]["advisories"]) == (None, 2)

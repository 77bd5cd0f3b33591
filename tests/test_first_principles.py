"""Small cases made from what vendors write of their formats, from files to findings.

Each is a host with a few packages, and just what must be found on it: nothing more, nothing less.
All of them are one fleet under the same feeds, through the command line of design.md 5.2.
"""

import csv
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data" / "first-principles"
INSTALLED = "install ok installed"

TRACKER = {  # Debian's tracker: source package -> CVE -> what it says of bookworm
    "curl": {"CVE-2026-1001": ("resolved", "7.88.1-10+deb12u8")},
    "glibc": {
        "CVE-2026-1002": ("resolved", "2.36-9+deb12u10"),
        "CVE-2026-1003": ("open", ""),
        "CVE-2026-1004": ("resolved", "0"),  # never affected
    },
    "php8.2": {"CVE-2026-1005": ("resolved", "8.2.28-1~deb12u1")},
    "nodejs": {"CVE-2026-1006": ("resolved", "18.20.4+dfsg-1~deb12u1")},
    "docker.io": {"CVE-2026-1007": ("resolved", "20.10.24+dfsg1-1+deb12u1")},
    "openssl": {"CVE-2026-1008": ("resolved", "3.0.15-1~deb12u1")},
    "bind9": {"CVE-2026-1009": ("resolved", "1:9.18.28-1~deb12u2")},
    "linux": {"CVE-2026-1010": ("resolved", "6.1.123-1")},
}
BULLETINS = {  # updateinfo: id -> (release, module, packages as name-[epoch:]version-release.arch)
    "ALSA-2026:2001": (
        "9",
        "",
        [
            "openssl-1:3.0.7-28.el9_4.x86_64",
            "openssl-libs-1:3.0.7-28.el9_4.x86_64",
            "openssl-libs-1:3.0.7-28.el9_4.i686",
        ],
    ),
    "ALSA-2026:2002": ("9", "", ["tzdata-2026a-1.el9.noarch"]),
    "ALSA-2026:2003": (
        "8",
        "nodejs:18",
        ["nodejs-1:18.20.4-1.module_el8.10.0+3905+7752e4a2.x86_64"],
    ),
    "ALSA-2026:2004": (
        "8",
        "nodejs:20",
        ["nodejs-1:20.16.0-1.module_el8.10.0+3899+63b0757f.x86_64"],
    ),
    "ALSA-2026:2005": ("9", "", ["kernel-core-0:5.14.0-503.11.1.el9_5.x86_64"]),
    "ALSA-2026:2006": ("9", "", ["kernel-rt-core-0:5.14.0-503.11.1.el9_5.x86_64"]),
    "ALSA-2026:2007": ("9", "", ["only-arm-0:1.0-2.el9.aarch64"]),
    "ALSA-2026:2008": ("9", "", ["httpd-0:2.4.57-11.el9_4.x86_64"]),
    "ALSA-2026:2009": ("8", "", ["glib2-0:2.56.4-165.el8_10.x86_64"]),
    "ALSA-2026:2010": ("9", "", ["becomes-noarch-0:2-1.el9.noarch"]),
}
NOTICES = {  # USN in OSV form: id -> (ecosystem, source, fixed, CVE)
    "USN-7001-1": ("Ubuntu:22.04:LTS", "curl", "7.81.0-1ubuntu1.18", "CVE-2026-3001"),
    "USN-7002-1": ("Ubuntu:Pro:18.04:LTS", "curl", "7.58.0-2ubuntu3.24+esm5", "CVE-2026-3001"),
    "USN-7003-1": (
        "Ubuntu:Pro:22.04:LTS",
        "node-express",
        "4.17.3-1ubuntu0.1~esm1",
        "CVE-2026-3002",
    ),
    "USN-7004-1": ("Ubuntu:22.04:LTS", "linux-aws", "5.15.0-1070.76", "CVE-2026-3003"),
    "USN-7005-1": ("Ubuntu:22.04:LTS", "linux", "5.15.0-130.140", "CVE-2026-3004"),
}
SECDB = {  # Alpine's: source -> fixed version -> CVEs; version "0" means never affected
    "busybox": {"1.36.1-r7": ["CVE-2026-4001"], "0": ["CVE-2026-4002"]},
    "openssl": {"3.1.7-r0": ["CVE-2026-4003"], "3.1.8-r0": ["CVE-2026-4004"]},
}


def library(ref, aliases):
    affected = {
        "package": {"ecosystem": "PyPI", "name": "flawed"},
        "ranges": [
            {
                "type": "ECOSYSTEM",
                "events": [
                    {"introduced": "1.0"},
                    {"fixed": "1.4.2"},
                    {"introduced": "2.0"},
                    {"last_affected": "2.3"},
                ],
            }
        ],
    }
    return {
        "id": ref,
        "modified": "2026-01-01T00:00:00Z",
        "aliases": aliases,
        "affected": [affected],
    }


LIBRARIES = [
    library("PYSEC-2026-1", ["CVE-2026-6001", "GHSA-aaaa-bbbb-cccc"]),
    library("GHSA-aaaa-bbbb-cccc", ["CVE-2026-6001"]),
    library("PYSEC-2026-2", []) | {"withdrawn": "2026-01-02T00:00:00Z"},
]
NEVRA = re.compile(r"(.+)-(?:([0-9]+):)?([^-]+)-([^-]+)\.([^.]+)")


def updateinfo(release):
    """Return the bulletins of a release as rpm-md has them."""
    updates = []
    for ref, (of, module, packages) in BULLETINS.items():
        if of != release:
            continue
        name, _, stream = module.partition(":")
        stated = (
            f'<module name="{name}" stream="{stream}" version="1" context="c" arch="x86_64"/>'
            if module
            else ""
        )
        rows = "".join(
            '<package name="{}" epoch="{}" version="{}" release="{}" arch="{}"/>'.format(
                *(part or "0" for part in NEVRA.fullmatch(each).groups())
            )
            for each in packages
        )
        updates.append(
            f'<update type="security" status="final"><id>{ref}</id><title>{ref}</title>'
            f"<release>AlmaLinux {release}</release>"
            f'<issued date="2026-01-01"/><severity>Important</severity><pkglist>'
            f'<collection short="c"><name>c</name>{stated}{rows}</collection></pkglist></update>'
        )
    return f"<updates>{''.join(updates)}</updates>"


def tracker():
    return {
        source: {
            cve: {
                "scope": "remote",
                "releases": {
                    "bookworm": {
                        "status": status,
                        "repositories": {"bookworm": "0"},
                        "urgency": "not yet assigned",
                        **({"fixed_version": fixed} if fixed else {}),
                    }
                },
            }
            for cve, (status, fixed) in flaws.items()
        }
        for source, flaws in TRACKER.items()
    }


def notice(ref, ecosystem, source, fixed, cve):
    return {
        "id": ref,
        "modified": "2026-01-01T00:00:00Z",
        "published": "2026-01-01T00:00:00Z",
        "upstream": [f"UBUNTU-{cve}", cve],
        "affected": [
            {
                "package": {"ecosystem": ecosystem, "name": source},
                "ranges": [
                    {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}
                ],
            }
        ],
    }


def secdb():
    packages = [{"pkg": {"name": source, "secfixes": fixes}} for source, fixes in SECDB.items()]
    return {"distroversion": "v3.18", "reponame": "main", "packages": packages}


@pytest.fixture
def feeds(tmp_path):
    """Write the vendors' documents, a folder a feed; return the folders."""
    files = {
        "debian/tracker.json": json.dumps(tracker()),
        "updateinfo/el9.xml": updateinfo("9"),
        "updateinfo/el8.xml": updateinfo("8"),
        "alpine/secdb.json": json.dumps(secdb()),
        "csv/own.csv": (DATA / "own.csv").read_text(),
        **{f"ubuntu/{ref}.json": json.dumps(notice(ref, *more)) for ref, more in NOTICES.items()},
        **{f"osv/{each['id']}.json": json.dumps(each) for each in LIBRARIES},
    }
    for name, text in files.items():
        path = tmp_path / "feeds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return sorted((tmp_path / "feeds").iterdir())


COLUMNS = ("manager", "name", "version", "arch", "source", "source_version", "module", "origin")


@dataclass(frozen=True)
class Case:
    about: str
    os_id: str
    release: str
    entitlements: str
    running: str | None  # a kernel, "" if the host does not say which; None: told in tables
    packages: list[dict[str, str]]
    found: list[str]


def cases():
    """Read cases.txt."""
    for paragraph in (DATA / "cases.txt").read_text().split("\n\n"):
        about, *lines = [line.strip() for line in paragraph.strip().splitlines()]
        if about.startswith("#"):
            continue
        _on, where, *running = lines[0].split()
        os_id, _, release = where.partition("/")[0].partition(":")
        found = [line.removeprefix("-> ") for line in lines if line.startswith("->")]
        yield Case(
            about,
            os_id,
            release,
            where.partition("/")[2],
            running[1].strip("-") if running else None,
            [package(line) for line in lines[1 : len(lines) - len(found)]],
            sorted(found),
        )


def package(text):
    """Read ``manager name version key=value ...``, blanks in values as underscores."""
    manager, name, version, *more = text.split()
    said = dict(each.split("=", 1) for each in more)
    if "origin" in said:
        said["origin"] = said["origin"].replace("_", " ")
    return (
        dict.fromkeys(COLUMNS, "") | {"manager": manager, "name": name, "version": version} | said
    )


CASES = {f"case-{number:03}": case for number, case in enumerate(cases())}


def table(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def report(host, case):
    """Return what a host that tells its kernel sends."""
    if case.packages[0]["manager"] == "rpm":
        rows = (
            [each["name"], "0", *each["version"].split("-"), each["arch"] or "x86_64"]
            for each in case.packages
        )
    else:
        rows = (
            [each["name"], each["version"], "amd64", each["source"], each["version"], INSTALLED]
            for each in case.packages
        )
    sections = {
        "os-release": f"ID={case.os_id}\nVERSION_ID={case.release}\n",
        case.packages[0]["manager"]: "".join("\t".join(row) + "\n" for row in rows),
    }
    if case.running:
        sections["uname"] = f"{case.running}\n"
    return {
        "version": 1,
        "collected_at": "2026-01-01T00:00:00Z",
        "host": {"hostname": host},
        "sections": sections,
    }


def test_just_what_must_be_found_is_found(run, feeds, tmp_path):
    told = {host: case for host, case in CASES.items() if case.running is None}
    hosts = [
        {
            "hostname": host,
            "os_id": case.os_id,
            "os_release": case.release,
            "entitlements": case.entitlements,
        }
        for host, case in told.items()
    ]
    packages = [{"hostname": host} | each for host, case in told.items() for each in case.packages]
    run("hosts", "import", table(tmp_path / "hosts.csv", hosts))
    run("packages", "import", table(tmp_path / "packages.csv", packages))
    for host in CASES.keys() - told.keys():
        (tmp_path / "report.json").write_text(json.dumps(report(host, CASES[host])))
        run("report", "submit", "--format", "report", tmp_path / "report.json")
    for folder in feeds:
        run("feeds", "sync", folder.name, "--from", folder)
    run("scan")

    found = {host: [] for host in CASES}
    for row in csv.DictReader(io.StringIO(run("findings", "--format", "csv"))):
        words = (row["package"], row["advisory"], row["status"], row["fixed"])
        found[row["host"]].append(" ".join(filter(None, words)))
    assert {
        case.about: (sorted(found[host]), case.found)
        for host, case in CASES.items()
        if sorted(found[host]) != case.found
    } == {}


def test_there_are_cases_with_and_without_findings():
    """The comparison above must not become one of nothing with nothing."""
    assert len(CASES) > 120
    assert sum(not case.found for case in CASES.values()) > 50
    assert sum(bool(case.found) for case in CASES.values()) > 50

"""A fleet on which days pass, what a feed says of its packages, and policies for it."""

import json
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from inventory import host_import, package_import, retirement, submissions
from patchmgr import config
from patchmgr.db import models
from patchmgr.db.queries import explanations
from patchmgr.db.queries import findings as queries
from patchmgr.db.queries.finding_filters import FindingFilter
from patchmgr.domain import exceptions
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Advisory, Fix, Match, Severity, Status
from patchmgr.domain.urgency import Clock, Policy, Row
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import ConflictError, NotFoundError
from patchmgr.feeds.crawl import Harvest
from patchmgr.services import exceptions as exception_service
from patchmgr.services import feed_store, policies, scan

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WHEN = {"actor": "test"}
CATALOGUES = ("kev", "scores")


class Fleet:
    """A fleet on which days pass: `wait` moves the clock, the rest happens at its instant."""

    def __init__(self, db, folder):
        self.db, self.folder, self.at = db, folder, NOON
        self.settings = config.load({"PATCHMGR_HOME": str(folder / "home")})
        with db.writing() as session:
            session.add_all(
                models.Feed(name=name, title="", enabled=True, state="never", error="")
                for name in ("made-up", *CATALOGUES)
            )

    def wait(self, days):
        self.at += days * DAY

    def hosts(self, text):
        path = self.folder / "hosts.csv"
        path.write_text(text)
        return host_import.import_hosts(self.db, path, now=self.at, **WHEN)

    def host(self, name, **facts):
        facts = {"os_id": "debian", "os_release": "12"} | facts
        self.hosts(f"hostname,{','.join(facts)}\n{name},{','.join(facts.values())}\n")

    def packages(self, **hosts):
        """Give each host its packages, each "name version" or "manager name version source"."""
        lines = ["hostname,manager,name,version,arch,source"]
        for host, packages in hosts.items():
            for each in packages:
                words = each.split()
                name, version, *source = words if words[0] != "pypi" else words[1:]
                manager = words[0] if words[0] == "pypi" else "dpkg"
                lines.append(f"{host},{manager},{name},{version},amd64,{(source or [''])[0]}")
        path = self.folder / "packages.csv"
        path.write_text("\n".join(lines) + "\n")
        package_import.import_packages(self.db, path, now=self.at, **WHEN)

    def report(self, host, packages, release="12"):
        """Let a host send its own listing; of a name with several versions the last stays."""
        lines = {each.split()[0]: each.split()[1] for each in packages}
        submissions.submit_report(
            self.db,
            host=host,
            os=f"debian:{release}",
            format="dpkg",
            text="".join(f"{name}\t{version}\n" for name, version in lines.items()),
            now=self.at,
            **WHEN,
        )

    def say(self, host, packages, offered, covers="all", *, kernel="", release="12"):
        """Let a host send a whole report: its packages, and what its repositories offer.

        ``offered`` is name -> version, None for not reported; with ``covers`` "named" nothing is
        said of other names.
        """
        here = {each.split()[0]: each.split()[1] for each in packages}
        sections = {
            "os-release": f"ID=debian\nVERSION_ID={release}\n",
            "dpkg": "".join(f"{name}\t{version}\tamd64\n" for name, version in here.items()),
        }
        if kernel:
            sections["uname"] = f"{kernel}\n"
        if offered is not None and covers == "all":
            sections["apt-upgradable"] = "Listing...\n" + "".join(
                f"{name}/stable {version} amd64 [upgradable from: 0]\n"
                for name, version in offered.items()
            )
        elif offered is not None:
            sections["apt-policy"] = "".join(
                f"{name}:\n  Installed: {here.get(name, '(none)')}\n  Candidate: {version}\n"
                f"  Version table:\n     {version} 500\n"
                "        500 http://mirror.example/debian stable/main amd64 Packages\n"
                for name, version in offered.items()
            )
        document = {
            "version": 1,
            "collected_at": self.at.isoformat(),
            "host": {"hostname": host},
            "sections": sections,
        }
        text = json.dumps(document)
        return submissions.submit_report(
            self.db, host="", os="", format="report", text=text, now=self.at, **WHEN
        )

    def retire(self, name):
        retirement.retire(self.db, name, now=self.at, **WHEN)

    def advise(self, *advisories):
        """Let the feed say just this from now on."""
        harvest = Harvest(tuple(advisories), {}, (), {})
        with self.db.writing(alone=True) as session:
            feed_store.store(session, "made-up", harvest, now=self.at, **WHEN)

    def note(self, feed, *notes):
        """Let a catalogue say just this from now on."""
        harvest = Harvest((), {}, (), {}, notes=tuple(notes))
        with self.db.writing(alone=True) as session:
            feed_store.store(session, feed, harvest, now=self.at, **WHEN)

    def adopt(self, policy):
        policies.adopt(self.db, policy, now=self.at, **WHEN)

    def scan(self, *, full=False):
        return scan.scan(self.db, now=self.at, settings=self.settings, full=full)

    def findings(self, at=None, **filters):
        """Return (host, package, installed, advisory, status, fixed) of every finding."""
        return [
            (line.host, line.package, line.installed, line.advisory, line.status, line.fixed)
            for line in self.lines(at, **filters)
        ]

    def lines(self, at=None, **filters):
        with self.db.reading() as session:
            wanted = FindingFilter(**filters)
            return list(queries.every(session, wanted, at, now=self.at))

    def allow(self, days, type_=exceptions.Type.RISK_ACCEPTED, **scope):
        """Record an exception that an approver decides alone; return its id."""
        added = exception_service.add(
            self.db,
            exceptions.Scope(**scope),
            type_,
            reason="behind a wall",
            expires_at=self.at + timedelta(days=days),
            role=Role.APPROVER,
            now=self.at,
            settings=self.settings,
            **WHEN,
        )
        return added.id

    def decide(self, days, scope, number):
        """Record an exception, or revoke one; nothing comes of what is not there, or over."""
        with suppress(NotFoundError, ConflictError):
            if scope:
                self.allow(days, **scope)
            else:
                self.revoke(number)

    def revoke(self, number):
        exception_service.revoke(self.db, number, role=Role.OPERATOR, now=self.at, **WHEN)

    def explain(self, host, package, at=None):
        with self.db.reading() as session:
            return explanations.explain(session, host, package, at=at or self.at)

    def stored(self):
        """Return everything that a scan keeps: judgements, exposures, counts and due dates."""
        judgement, exposure = models.Judgement, models.Exposure
        with self.db.reading() as session:
            open_judgements = session.execute(
                select(
                    judgement.package_version_id,
                    judgement.advisory_id,
                    judgement.fix_id,
                    judgement.status,
                    judgement.severity,
                    judgement.first_seen,
                    judgement.published,
                    judgement.class_id,
                ).where(judgement.until.is_(None))
            )
            open_exposures = session.execute(
                select(
                    exposure.host_id,
                    exposure.package_version_id,
                    exposure.first_seen,
                    exposure.candidate_id,
                ).where(exposure.until.is_(None))
            )
            return (
                sorted(map(repr, open_judgements)),
                sorted(map(repr, open_exposures)),
                counts(session),
                dues(session),
            )


def counts(session):
    """Return the stored counts by hostname, of hosts that have findings."""
    names = ("open_findings", "fixable", "undetermined", "worst", "excepted", "earliest_due")
    names += tuple(severity.word for severity in Severity)
    rows = session.execute(
        select(models.Host.hostname, models.HostCount).join(
            models.HostCount, models.HostCount.host_id == models.Host.id
        )
    )
    return {
        name: {each: getattr(row, each) for each in names}
        for name, row in rows
        if row.open_findings
    }


def dues(session):
    due = models.HostDue
    rows = session.execute(
        select(models.Host.hostname, due.due, due.findings)
        .join(due, due.host_id == models.Host.id)
        .where(due.findings != 0)
    )
    return {(name, at): number for name, at, number in rows}


def counted(lines):
    """Count findings as the scan does, from the findings themselves."""
    hosts = {}
    for line in lines:
        known = hosts.setdefault(line.host, Counter())
        known["open_findings"] += 1
        known["fixable"] += line.status == "affected"
        known["undetermined"] += line.status == "undetermined"
        known["excepted"] += bool(line.exception)
        known[line.severity.word] += 1
    names = ("open_findings", "fixable", "undetermined", "excepted")
    names += tuple(severity.word for severity in Severity)
    found = {host: {name: known[name] for name in names} for host, known in hosts.items()}
    for host, known in found.items():
        mine = [line for line in lines if line.host == host]
        known["worst"] = max(line.severity for line in mine)
        dated = [line.due for line in mine if line.due and not line.exception]
        known["earliest_due"] = min(dated, default=None)
    return found


def advisory(ref, *fixes, severity=Severity.MEDIUM, published=None):
    return Advisory(ref, (ref,), "", severity, published, "", fixes)


def fix(package, fixed="", status=Status.AFFECTED, *, on="debian:12", match=Match.SOURCE, **more):
    more = {"severity": Severity.MEDIUM, "scheme": "dpkg"} | more
    return Fix(on, package, match, status, fixed, **more)


DANGEROUS = Policy(
    "dangerous",
    1,
    (
        Row("kev", {"kev": ("yes",)}, 1, ""),
        Row("likely", {"epss_at_least": ("0.5",)}, 2, ""),
        Row("bad", {"cvss_at_least": ("7",), "automatable": ("yes",)}, 3, ""),
        Row("quiet", {"kev": ("no",)}, 60, ""),
        Row("rest", {}, 9, ""),
    ),
)
POLICIES = (
    PRESETS["severity"],
    Policy("quick", 1, (Row("public", {"exposure": ("public",)}, 1, ""), Row("rest", {}, 9, ""))),
    Policy(
        "published",
        1,
        (
            Row("prod", {"environment": ("prod",), "severity": ("high", "low")}, 3, ""),
            Row("rest", {}, None, ""),
        ),
        Clock.PUBLISHED,
    ),
    Policy("detected", 1, (Row("rest", {}, 5, ""),), Clock.DETECTED),
    PRESETS["cisa-bod-26-04"],
    DANGEROUS,
)


def first_seen(fleet):
    return {(line.host, line.advisory): (line.first_seen - NOON) / DAY for line in fleet.lines()}


@pytest.fixture
def fleet(db, tmp_path):
    return Fleet(db, tmp_path)


@pytest.fixture
def on_sqlite(sqlite_db, tmp_path):
    return Fleet(sqlite_db, tmp_path)

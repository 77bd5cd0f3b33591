"""The scan: the same findings by whatever way one gets there, dated, and remembered."""

import json
import os
import shutil
from collections import Counter
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from inventory import host_import, package_import, retirement, submissions
from patchmgr import config
from patchmgr.db import models
from patchmgr.db.queries import explained, explanations, installable
from patchmgr.db.queries import findings as queries
from patchmgr.db.queries.finding_filters import FindingFilter
from patchmgr.db.session import Database
from patchmgr.domain import exceptions
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Advisory, Fix, Match, Severity, Status
from patchmgr.domain.flaws import NOTHING_KNOWN, Danger, FlawNote
from patchmgr.domain.matching import SOURCE_UNKNOWN
from patchmgr.domain.urgency import Clock, Inputs, Policy, Row, decide, due_date
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


@pytest.fixture
def fleet(db, tmp_path):
    return Fleet(db, tmp_path)


@pytest.fixture
def on_sqlite(sqlite_db, tmp_path):
    return Fleet(sqlite_db, tmp_path)


# --- any way there leads to the same -------------------------------------------------------------

HOSTS = ("a", "b", "c")
VERSIONS = st.sampled_from(["1", "2", "3", "1:0", "none-such"])
INSTALLED = st.lists(
    st.tuples(st.sampled_from(["x", "y", "libx"]), VERSIONS, st.sampled_from(["", "x"])).map(
        " ".join
    ),
    min_size=1,
    max_size=4,
)
FIXES = st.builds(
    fix,
    st.sampled_from(["x", "y", "libx"]),
    st.sampled_from(["2", "3", "1:1", "not-one"]),
    st.sampled_from([*[Status.AFFECTED] * 3, *Status]),
    on=st.sampled_from(["debian:12", "debian:12", "debian:11"]),
    match=st.sampled_from(Match),
    severity=st.sampled_from(Severity),
    introduced=st.sampled_from(["", "", "2"]),
)
ADVISORIES = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C"]),
        st.lists(FIXES, max_size=3),
        st.sampled_from([None, NOON - DAY, NOON + 2 * DAY]),
    ),
    max_size=3,
    unique_by=lambda each: each[0],
)
NOTES = st.lists(
    st.builds(
        FlawNote,
        st.sampled_from(["A", "B", "C", "D"]),
        kev=st.booleans(),
        epss=st.sampled_from([None, 0.0996, 0.1004, 0.4, 0.6]),
        cvss=st.sampled_from([None, 6.9, 7.0, 9.8]),
        ssvc_automatable=st.sampled_from(["", "yes", "no"]),
    ),
    max_size=3,
    unique_by=lambda note: note.cve,
)
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
STEPS = st.one_of(
    st.tuples(st.just("packages"), st.dictionaries(st.sampled_from(HOSTS), INSTALLED, min_size=1)),
    st.tuples(st.just("advise"), ADVISORIES),
    st.tuples(st.just("note"), st.sampled_from(CATALOGUES), NOTES),
    st.tuples(
        st.just("host"),
        st.sampled_from(HOSTS),
        st.sampled_from(["prod", "test"]),
        st.sampled_from(["public", "internal"]),
        st.sampled_from(["12", "12", "11"]),
    ),
    st.tuples(st.just("report"), st.sampled_from(HOSTS), INSTALLED, st.sampled_from(["12", "11"])),
    st.tuples(
        st.just("say"),
        st.sampled_from(HOSTS),
        INSTALLED,
        st.none() | st.dictionaries(st.sampled_from(["x", "y", "libx"]), VERSIONS),
        st.sampled_from(["all", "named"]),
    ),
    st.tuples(st.just("retire"), st.sampled_from(HOSTS)),
    st.tuples(st.just("policy"), st.sampled_from(POLICIES)),
    st.tuples(
        st.just("except"),
        st.sampled_from([1, 2, 3, 90]),
        st.fixed_dictionaries(
            {},
            optional={
                "advisory": st.sampled_from(["A", "B"]),
                "cve": st.sampled_from(["A", "C"]),
                "package": st.sampled_from(["x", "libx"]),
                "host": st.sampled_from(HOSTS),
                "tag": st.sampled_from(["prod", "test"]),
            },
        ),
        st.integers(1, 3),
    ),
    st.tuples(st.just("scan")),
    st.tuples(st.just("scan")),
)


def play(fleet, steps):
    """Carry out ``steps``, a day apart; a host must be there to be given packages."""
    for name in HOSTS:
        fleet.host(name)
    retired = set()
    for kind, *what in steps:
        fleet.wait(1)
        match kind, what:
            case "packages", [hosts]:
                there = {host: each for host, each in hosts.items() if host not in retired}
                fleet.packages(**there)
            case "advise", [said]:
                fleet.advise(*(advisory(r, *f, published=p) for r, f, p in said))
            case "note", [feed, notes]:
                fleet.note(feed, *notes)
            case "host", [name, environment, exposure, release]:
                facts = {"environment": environment, "exposure": exposure, "tags": environment}
                fleet.host(name, os_release=release, **facts)
                retired.discard(name)
            case "report" | "say", [name, *said]:
                {"report": fleet.report, "say": fleet.say}[kind](name, *said)
                retired.discard(name)
            case "retire", [name] if name not in retired:
                fleet.retire(name)
                retired.add(name)
            case "policy" | "scan" | "except", _:
                {"policy": fleet.adopt, "scan": fleet.scan, "except": fleet.decide}[kind](*what)
    fleet.wait(1)
    fleet.scan()


def check(fleet):
    """Hold what an incremental scan left to the findings, and to a full scan."""
    incremental, lines = fleet.stored(), fleet.lines()
    with fleet.db.reading() as session:
        assert dates_out_of_date(session) == []
        assert counts(session) == counted(lines)
        assert dues(session) == Counter(
            (line.host, line.due) for line in lines if line.due and not line.exception
        )
    fleet.scan(full=True)
    assert fleet.stored() == incremental
    assert fleet.scan().changed is False
    assert explained_as_found(fleet) == found(lines)


def explained_as_found(fleet):
    """Return what explanations call findings, of every package of every host."""
    with fleet.db.reading() as session:
        there = list(
            session.scalars(select(models.Host.hostname).where(models.Host.retired_at.is_(None)))
        )
    every = Counter()
    for host in there:
        for package in ("x", "y", "libx"):
            with suppress(NotFoundError):
                every |= Counter(
                    (host, each.package_version_id, said.advisory, said.status, said.severity,
                     said.due, said.exceptions[0].label if said.exceptions else "",
                     said.installable)
                    for each in fleet.explain(host, package).installed
                    for said in each.findings
                )  # fmt: skip
    return every


def found(lines):
    return Counter(
        (
            x.host,
            x.package_version_id,
            x.advisory,
            x.status,
            x.severity,
            x.due,
            x.exception,
            x.installable,
        )
        for x in lines
    )


def test_of_statements_that_tie_the_scan_and_the_explanation_take_the_same(on_sqlite):
    on_sqlite.host("a")
    on_sqlite.packages(a=["x 1"])
    unreadable = [
        fix("x", "not-one", match=match, severity=severity)
        for match, severity in ((Match.BINARY, Severity.UNKNOWN), (Match.SOURCE, Severity.HIGH))
    ]
    on_sqlite.advise(advisory("C", *unreadable))
    on_sqlite.scan()

    assert explained_as_found(on_sqlite) == found(on_sqlite.lines())


def dates_out_of_date(session):
    """Return the open judgements whose advisory is said to be published at another time."""
    judgement, advisory = models.Judgement, models.Advisory
    query = (
        select(judgement.id)
        .join(advisory, advisory.id == judgement.advisory_id)
        .where(judgement.until.is_(None), judgement.published.is_distinct_from(advisory.published))
    )
    return list(session.scalars(query))


@pytest.fixture(scope="module")
def template(_sqlite_template):
    return _sqlite_template


@pytest.fixture(scope="module")
def postgresql(_postgresql, _postgresql_template):
    return _postgresql, _postgresql_template


@settings(max_examples=20)
@given(st.lists(STEPS, min_size=3, max_size=14))
def test_an_incremental_scan_comes_to_what_a_full_scan_comes_to(template, steps):
    with sqlite_fleet(template) as fleet, sqlite_fleet(template) as fresh:
        play(fleet, steps)
        check(fleet)
        play(fresh, [step for step in steps if step[0] != "scan"])
        assert fresh.findings() == fleet.findings()
        assert [x.installable for x in fresh.lines()] == [x.installable for x in fleet.lines()]


@contextmanager
def sqlite_fleet(template):
    with TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{shutil.copy(template, Path(folder) / 'patchmgr.db')}")
        yield Fleet(db, Path(folder))
        db.close()


@settings(max_examples=4)
@given(st.lists(STEPS, min_size=4, max_size=14))
def test_so_it_does_on_postgresql(postgresql, steps):
    server, template = postgresql
    name = f"scan_{os.getpid()}_{next(NUMBERS)}"
    server.run(f"CREATE DATABASE {name} TEMPLATE {template}")
    db = Database(server.url(name))
    with TemporaryDirectory() as folder:
        fleet = Fleet(db, Path(folder))
        play(fleet, steps)
        check(fleet)
    db.close()
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


NUMBERS = count()


# --- what is found -------------------------------------------------------------------------------


def test_statuses_that_make_a_finding(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1", "y 5", "z 1"])
    fleet.advise(
        advisory("A", fix("x", "2"), fix("y", "5")),
        advisory("B", fix("x", status=Status.NO_FIX, reason="postponed")),
        advisory("C", fix("x", status=Status.UNDETERMINED)),
        advisory("D", fix("x", status=Status.NOT_AFFECTED)),
        advisory("E", fix("z", "2", on="debian:11")),
    )

    fleet.scan()

    assert fleet.findings() == [
        ("a", "x", "1", "A", "affected", "2"),
        ("a", "x", "1", "B", "no_fix", ""),
        ("a", "x", "1", "C", "undetermined", ""),
    ]


def test_a_version_that_cannot_be_read_is_undetermined_and_not_safe(fleet):
    fleet.host("a")
    fleet.packages(a=["x vendor-build"])
    fleet.advise(advisory("A", fix("x", "2")))

    fleet.scan()

    (line,) = fleet.lines()
    assert (line.status, line.fixed, line.due) == ("undetermined", "", None)
    assert "'vendor-build' is not a dpkg version" in line.reason


def test_what_is_written_for_a_release_holds_for_its_minor_releases(fleet):
    fleet.host("a", os_id="rhel", os_release="9.4")
    fleet.host("b", os_id="rhel", os_release="9")
    fleet.packages(a=["x 1"], b=["x 1"])
    fleet.advise(
        advisory("A", fix("x", "2", on="rhel:9")), advisory("B", fix("x", "2", on="rhel:9.4"))
    )

    fleet.scan()

    assert [(line.host, line.advisory) for line in fleet.lines()] == [
        ("a", "A"),
        ("a", "B"),
        ("b", "A"),
    ]


def test_a_python_package_is_not_the_distribution_s_package_of_that_name(fleet):
    fleet.host("a")
    fleet.packages(a=["pypi requests 1", "x 1"])
    fleet.advise(advisory("A", fix("requests", "2")))

    fleet.scan()

    assert fleet.findings() == []
    assert fleet.explain("a", "requests").installed[0].considered == ()


def test_a_platform_without_a_feed_has_no_finding_but_is_known_to_be_blind(fleet):
    fleet.host("a", os_id="plan9", os_release="4")
    fleet.host("b")
    fleet.packages(a=["x 1"], b=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))

    fleet.scan()

    assert [line.host for line in fleet.lines()] == ["b"]
    assert (fleet.explain("a", "x").has_feed, fleet.explain("b", "x").has_feed) == (False, True)
    with fleet.db.reading() as session:
        snapshot = session.scalars(select(models.Snapshot)).one()
    assert (snapshot.hosts, snapshot.judged) == (2, 1)


def test_a_retired_host_leaves_findings_and_counts_at_once(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()

    fleet.wait(1)
    fleet.retire("a")

    assert fleet.findings() == []
    assert fleet.findings(at=fleet.at - timedelta(hours=1)) != []
    with fleet.db.reading() as session:
        assert (counts(session), dues(session)) == ({}, {})


def test_the_total_of_any_instant_is_that_of_its_list(fleet):
    fleet.host("a")
    fleet.host("b")
    fleet.packages(a=["x 1"], b=["x 1", "y 1"])
    fleet.advise(advisory("A", fix("x", "2")), advisory("B", fix("y", "2")))
    fleet.scan()
    fleet.wait(1)
    fleet.retire("a")
    fleet.wait(1)
    fleet.scan()
    fleet.wait(1)
    fleet.packages(b=["x 1", "y 2"])
    fleet.scan()

    half_a_day, found = timedelta(hours=12), []
    with fleet.db.reading() as session:
        for at in (fleet.at - half_a_day * number for number in range(8)):
            for filters in (FindingFilter(), FindingFilter(status="affected")):
                page = queries.listing(session, filters, at=at, limit=1)
                assert page.total == len(list(queries.every(session, filters, at))), at
                found.append(page.total)

    assert set(found) == {0, 1, 2, 3}


def test_nothing_new_is_no_work(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()

    again = fleet.scan()

    assert (again.versions, again.hosts, again.opened, again.closed) == (0, 0, 0, 0)
    assert again.findings == 1


# --- since when ----------------------------------------------------------------------------------


def first_seen(fleet):
    return {(line.host, line.advisory): (line.first_seen - NOON) / DAY for line in fleet.lines()}


def test_an_update_to_a_version_that_is_vulnerable_as_well_does_not_restart_the_clock(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "3")))
    fleet.scan()

    fleet.wait(5)
    fleet.packages(a=["x 2"])  # which nobody has had before
    fleet.scan()

    assert fleet.findings() == [("a", "x", "2", "A", "affected", "3")]
    assert first_seen(fleet) == {("a", "A"): 0}


def test_a_host_that_gets_a_vulnerable_version_later_has_the_finding_since_then(fleet):
    fleet.host("a")
    fleet.host("b")
    fleet.packages(a=["x 1"], b=["x 3"])
    fleet.advise(advisory("A", fix("x", "3")))
    fleet.scan()

    fleet.wait(5)
    fleet.packages(b=["x 2"])
    fleet.scan()

    assert first_seen(fleet) == {("a", "A"): 0, ("b", "A"): 5}


def test_a_changed_fix_keeps_the_time_of_first_sight(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", status=Status.NO_FIX)))
    fleet.scan()

    fleet.wait(5)
    fleet.advise(advisory("A", fix("x", "2", severity=Severity.HIGH)))
    fleet.scan()

    assert fleet.findings() == [("a", "x", "1", "A", "affected", "2")]
    assert first_seen(fleet) == {("a", "A"): 0}


def test_a_version_that_an_advisory_takes_in_later_is_found_then(fleet):
    fleet.host("a")
    fleet.host("b")
    fleet.packages(a=["x 1"], b=["x 2"])
    fleet.advise(advisory("A", fix("x", "2")), advisory("B", fix("x", "9")))
    fleet.scan()

    fleet.wait(5)
    fleet.advise(advisory("A", fix("x", "3")), advisory("B", fix("x", "9")))
    fleet.scan()

    assert first_seen(fleet) == {("a", "A"): 0, ("a", "B"): 0, ("b", "A"): 5, ("b", "B"): 0}


def test_a_finding_that_went_and_came_back_is_new(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()
    fleet.wait(1)
    fleet.packages(a=["x 2"])
    fleet.scan()

    fleet.wait(1)
    fleet.packages(a=["x 1"])
    fleet.scan()

    assert first_seen(fleet) == {("a", "A"): 2}


def test_findings_as_of_an_instant_are_what_was_known_then(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.wait(1)
    fleet.scan()
    fleet.wait(1)
    fleet.advise(advisory("A", fix("x", status=Status.NO_FIX)), advisory("B", fix("x", "2")))
    fleet.scan()
    fleet.wait(1)
    fleet.packages(a=["x 2"])
    fleet.scan()

    def known(day):
        return [(line.advisory, line.status) for line in fleet.lines(NOON + day * DAY)]

    assert known(0) == []  # imported, and not yet scanned
    assert known(1) == [("A", "affected")]
    assert known(1.9) == [("A", "affected")]
    assert known(2) == [("A", "no_fix"), ("B", "affected")]
    assert known(3) == [("A", "no_fix")]


# --- until when ---------------------------------------------------------------------------------


def test_an_advisory_that_is_dated_later_moves_the_due_date(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()
    assert [line.due for line in fleet.lines()] == [NOON + 30 * DAY]

    fleet.wait(1)
    fleet.advise(advisory("A", fix("x", "2"), published=NOON + DAY))
    fleet.scan()

    (line,) = fleet.lines()
    assert (line.first_seen, line.due) == (NOON, NOON + 31 * DAY)
    assert fleet.explain("a", "x").installed[0].considered[0].due == line.due
    with fleet.db.reading() as session:
        assert dues(session) == {("a", NOON + 31 * DAY): 1}


def test_another_policy_gives_other_due_dates_with_the_next_scan(fleet):
    fleet.host("a", exposure="public")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2", severity=Severity.CRITICAL)))
    fleet.scan()
    assert [line.due for line in fleet.lines()] == [NOON + 7 * DAY]

    fleet.wait(1)
    fleet.adopt(POLICIES[1])
    fleet.scan()

    assert [(line.due, line.due_row) for line in fleet.lines()] == [(NOON + DAY, "public")]
    with fleet.db.reading() as session:
        assert dues(session) == {("a", NOON + DAY): 1}
    assert [line.due for line in fleet.lines(NOON)] == [NOON + 7 * DAY]


def test_a_fact_that_the_policy_asks_for_changes_the_due_date(fleet):
    fleet.adopt(POLICIES[1])
    fleet.host("a", exposure="internal")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()

    fleet.hosts("hostname,exposure\na,public\n")
    fleet.scan()

    with fleet.db.reading() as session:
        assert dues(session) == {("a", NOON + DAY): 1}


WORDS = {
    "severity": [severity.word for severity in Severity],
    "exposure": ["public", "internal"],
    "environment": ["prod", "test"],
    "criticality": ["high", "low"],
    "kev": ["yes", "no"],
    "ransomware": ["yes"],
    "exploitation": ["none", "poc", "active"],
    "automatable": ["yes", "no"],
    "technical_impact": ["partial", "total"],
}
NUMBERS_ASKED = {"cvss_at_least": ["6.5", "7.0", "7.1"], "epss_at_least": ["0.25", "0.4"]}
ASKED = st.dictionaries(
    st.sampled_from(sorted(WORDS | NUMBERS_ASKED)), st.none(), min_size=1, max_size=4
).flatmap(lambda names: st.fixed_dictionaries({name: asked(name) for name in names}))


def asked(name):
    """What a row can ask of an input: words, or one number."""
    if name in NUMBERS_ASKED:
        return st.sampled_from(NUMBERS_ASKED[name]).map(lambda number: (number,))
    return st.lists(st.sampled_from(WORDS[name]), min_size=1, unique=True).map(tuple)


DAYS = st.one_of(st.none(), st.integers(0, 6))
TABLES = st.builds(
    lambda asked, last, clock: Policy(
        "made-up",
        1,
        (
            *(Row(str(i), when, days, "") for i, (when, days) in enumerate(asked)),
            Row("z", {}, last, ""),
        ),
        clock,
    ),
    st.lists(st.tuples(ASKED, DAYS), max_size=4),
    DAYS,
    st.sampled_from(Clock),
)


@pytest.fixture(scope="module")
def dated(_sqlite_template, tmp_path_factory):
    """Findings of every severity, published at several times or not, on hosts of all facts."""
    folder = tmp_path_factory.mktemp("dated")
    fleet = Fleet(Database(f"sqlite:///{shutil.copy(_sqlite_template, folder / 'p.db')}"), folder)
    fleet.hosts(
        "hostname,os_id,os_release,environment,exposure,criticality\n"
        "a,debian,12,prod,public,high\nb,debian,12,test,internal,low\nc,debian,12,,,\n"
    )
    fleet.packages(a=["x 1"], b=["x 1"], c=["x 1"])
    published = (None, NOON - 3 * DAY, NOON + 2 * DAY)
    fleet.advise(
        *(
            advisory(f"{severity.word}-{i}", fix("x", "2", severity=severity), published=at)
            for severity in Severity
            for i, at in enumerate(published)
        ),
        advisory("none", fix("x", status=Status.NO_FIX)),
    )
    names = [f"{severity.word}-{i}" for severity in Severity for i in range(3)]
    fleet.note("kev", *(KNOWN[name[-1]](name) for name in names if name[-1] == "1"))
    fleet.note("scores", *(KNOWN[name[-1]](name) for name in names if name[-1] == "2"))
    fleet.scan()
    yield fleet
    fleet.db.close()


# What catalogues say of an advisory's flaw, by the last letter of its name, and what it comes to.
KNOWN = {
    "1": lambda cve: FlawNote(
        cve, kev=True, kev_ransomware=True, ssvc_exploitation="active", ssvc_impact="total"
    ),
    "2": lambda cve: FlawNote(cve, cvss=7.0, epss=0.4, ssvc_automatable="no"),
}
DANGERS = {
    "0": Danger(kev=False),
    "1": Danger(True, True, "active", impact="total"),
    "2": Danger(False, automatable="no", cvss=70, epss=400),
}
FACTS = {"a": ("public", "prod", "high"), "b": ("internal", "test", "low"), "c": ("", "", "")}


@settings(max_examples=30)
@given(TABLES, st.integers(-4, 9))
def test_the_due_date_that_the_database_computes_is_the_policy_s(dated, table, day):
    dated.adopt(table)
    dated.scan()  # pages look only at hosts that a scan has counted as overdue
    moment, wanted = NOON + day * DAY, FindingFilter(overdue=True)

    lines = dated.lines()
    with dated.db.reading() as session:
        page = queries.listing(session, wanted, now=moment, limit=1000)

    for line in lines:
        danger = DANGERS.get(line.advisory[-1], NOTHING_KNOWN)
        row = decide(table, Inputs(line.severity, danger, *FACTS[line.host]))
        published = None if line.advisory == "none" else PUBLISHED[line.advisory[-1]]
        expected = due_date(row, published, NOON, table.clock)
        assert line.due == (expected if line.status == "affected" else None)
    overdue = [(line.host, line.advisory) for line in lines if line.due and line.due < moment]
    assert [(line.host, line.advisory) for line in page.lines] == overdue
    assert page.total == len(overdue)


PUBLISHED = {"0": None, "1": NOON - 3 * DAY, "2": NOON + 2 * DAY}


# --- what is known of its flaws ------------------------------------------------------------------


def exploited(cve):
    return FlawNote(cve, kev=True)


def known(fleet):
    return [(line.host, line.advisory, line.kev) for line in fleet.lines()]


def test_whether_a_flaw_is_exploited_is_not_known_until_a_catalogue_is_read(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")), advisory("B", fix("x", "2")))
    fleet.scan()
    assert known(fleet) == [("a", "A", None), ("a", "B", None)]

    fleet.wait(1)
    fleet.note("kev", exploited("A"))
    fleet.scan()

    assert known(fleet) == [("a", "A", True), ("a", "B", False)]
    assert [line.advisory for line in fleet.lines(kev="yes")] == ["A"]
    assert [line.advisory for line in fleet.lines(kev="no")] == ["B"]
    assert [line.kev for line in fleet.lines(NOON)] == [None, None]
    assert first_seen(fleet) == {("a", "A"): 0, ("a", "B"): 0}


def test_a_new_entry_of_the_catalogue_touches_only_what_it_is_about(fleet):
    for name in ("a", "b"):
        fleet.host(name)
    fleet.packages(a=["x 1"], b=["y 1"])
    fleet.advise(advisory("A", fix("x", "2")), advisory("B", fix("y", "2")))
    fleet.note("kev", exploited("Z"))
    fleet.adopt(DANGEROUS)
    fleet.scan()

    fleet.wait(1)
    fleet.note("kev", exploited("Z"), exploited("A"))
    result = fleet.scan()

    assert (result.full, result.versions, result.hosts) == (False, 1, 1)
    assert known(fleet) == [("a", "A", True), ("b", "B", False)]
    assert [(line.due, line.due_row) for line in fleet.lines()] == [
        (NOON + DAY, "kev"),
        (NOON + 60 * DAY, "quiet"),
    ]
    said = fleet.explain("a", "x").installed[0].considered[0]
    assert (said.due_row, said.danger.kev) == ("kev", True)
    assert [(line.feed, line.note) for line in said.notes] == [("kev", exploited("A"))]
    then = fleet.explain("a", "x", NOON).installed[0].considered[0]
    assert (then.due_row, then.notes) == ("quiet", ())


def test_a_score_that_moves_between_two_thresholds_changes_no_judgement(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.adopt(DANGEROUS)
    fleet.note("scores", FlawNote("A", epss=0.2))
    fleet.scan()

    fleet.wait(1)
    fleet.note("scores", FlawNote("A", epss=0.4))
    assert fleet.scan().changed is False
    fleet.wait(1)
    fleet.note("scores", FlawNote("A", epss=0.5))
    fleet.scan()

    assert [line.due_row for line in fleet.lines()] == ["likely"]
    assert [line.due_row for line in fleet.lines(NOON)] == ["rest"]


# --- why -----------------------------------------------------------------------------------------


def test_an_explanation_names_every_statement_and_what_it_was_compared_with(fleet):
    fleet.host("a")
    fleet.packages(a=["libx1 1-1 x"])
    fleet.advise(
        advisory("A", fix("x", "1-2", severity=Severity.HIGH), published=NOON - DAY),
        advisory("B", fix("x", "1-1")),
        advisory(
            "C", fix("libx1", status=Status.NOT_AFFECTED, match=Match.BINARY, reason="no SSL")
        ),
        advisory("D", fix("x", status=Status.NO_FIX, reason="postponed")),
    )
    fleet.scan()

    (found,) = fleet.explain("A", "libx1").installed

    said = {each.advisory: each for each in found.considered}
    assert list(said) == ["A", "D", "B", "C"]  # findings first, the worst first
    assert {ref: each.status for ref, each in said.items()} == {
        "A": "affected",
        "B": "not_affected",
        "C": "not_affected",
        "D": "no_fix",
    }
    assert (said["A"].matched_name, said["A"].scheme, said["A"].feed) == ("x", "dpkg", "made-up")
    assert said["A"].comparison == "1-1 is older than 1-2"
    assert (said["A"].first_seen, said["A"].due) == (NOON, NOON + 14 * DAY)
    assert said["A"].due_row == "severity-high"
    assert said["B"].comparison == "1-1 is 1-1"
    assert said["C"].comparison == "no SSL"
    assert explained.sentence(said["D"]) == (
        "no fix: the vendor calls x affected by D and has nothing to install (postponed)"
    )
    assert explained.what_would_change(said["A"]) == (
        "would change: an inventory with source x at 1-2 or newer"
    )


def test_an_explanation_as_of_an_instant_is_of_what_was_said_and_installed_then(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()
    fleet.wait(1)
    fleet.packages(a=["x 2"])
    fleet.advise(advisory("A", fix("x", "3")))
    fleet.scan()

    then, now = fleet.explain("a", "x", NOON).installed[0], fleet.explain("a", "x").installed[0]

    assert (then.installed, then.considered[0].fixed) == ("1", "2")
    assert (now.installed, now.considered[0].fixed) == ("2", "3")


def test_a_source_name_explains_all_that_was_built_from_it(fleet):
    fleet.host("a")
    fleet.packages(a=["libx1 1 x", "libx-dev 1 x", "y 1"])

    assert [each.package for each in fleet.explain("a", "x").installed] == ["libx-dev", "libx1"]


# --- what the hosts' own repositories offer --------------------------------------------------


BY_HOST = attrgetter("host", "package", "advisory", "package_version_id")


def installables(fleet, **filters):
    """Return host -> advisory -> whether it can be installed there."""
    found = {}
    for line in fleet.lines(**filters):
        found.setdefault(line.host, {})[line.advisory] = str(line.installable)
    return found


def test_applicable_and_installable_are_told_apart(fleet):
    fleet.say("a", ["x 1"], {"x": "2"})
    fleet.say("b", ["x 1"], {})
    fleet.say("c", ["x 1"], None)
    fleet.say("d", ["x 1"], {"x": "2"}, "named")
    fleet.say("e", ["x 1", "y 1"], {"y": "2"}, "named")
    fleet.advise(advisory("A", fix("x", "2")), advisory("B", fix("x", "3")))

    fleet.scan()

    assert installables(fleet) == {
        "a": {"A": "yes", "B": "no"},
        "b": {"A": "no", "B": "no"},
        "c": {"A": "unknown", "B": "unknown"},
        "d": {"A": "yes", "B": "no"},
        "e": {"A": "unknown", "B": "unknown"},
    }
    assert {line.reason for line in fleet.lines(installable="no")} == {
        f"1 is older than 2; {SOURCE_UNKNOWN}; no repository of the host offers 2",
        f"1 is older than 3; {SOURCE_UNKNOWN}; no repository of the host offers 3",
    }


@pytest.mark.parametrize("few", [0, installable.FEW], ids=["walked", "named"])
@pytest.mark.parametrize("wanted", ["yes", "no", "unknown"])
def test_a_filter_finds_and_counts_what_is_installable(fleet, wanted, few, monkeypatch):
    monkeypatch.setattr(installable, "FEW", few)
    fleet.say("a", ["x 1", "y 1"], {"x": "2"})
    fleet.say("b", ["x 1"], None)
    fleet.advise(advisory("A", fix("x", "2"), fix("y", "9")), advisory("B", fix("x", "3")))
    fleet.advise(
        advisory("A", fix("x", "2"), fix("y", "9")),
        advisory("B", fix("x", "3")),
        advisory("C", fix("x", status=Status.NO_FIX)),
    )
    fleet.scan()
    every = fleet.lines()

    mine = [(x.host, x.package, x.advisory) for x in every if x.installable == wanted]

    assert mine
    assert [(x.host, x.package, x.advisory) for x in fleet.lines(installable=wanted)] == mine
    with fleet.db.reading() as session:
        for sort in ("host", "package", "severity", "due"):
            for more in ({}, {"host": "a"}, *({"search": each} for each in "xaz")):
                filters = FindingFilter(installable=wanted, **more)
                page = queries.listing(session, filters, now=fleet.at, sort=sort)
                here = [x for x in page.lines if x.installable == wanted]
                there = list(queries.every(session, filters))
                assert sorted(here, key=BY_HOST) == there
                assert (page.total, len(here)) == (len(page.lines), len(page.lines))
                short = queries.listing(session, filters, now=fleet.at, sort=sort, limit=1)
                assert short.total == page.total
    assert [x for x in every if x.installable is None and x.advisory != "C"] == []


def test_what_is_offered_later_counts_from_the_next_scan(fleet):
    fleet.say("a", ["x 1"], {})
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()
    (before,) = fleet.lines()
    fleet.wait(1)

    assert fleet.say("a", ["x 1"], {"x": "2"}).changed == 1
    fleet.scan()

    (line,) = fleet.lines()
    assert (before.installable, line.installable) == ("no", "yes")
    assert line.first_seen == before.first_seen
    fleet.wait(1)
    assert fleet.say("a", ["x 1"], {"x": "2"}).unchanged == 1
    assert fleet.scan().changed is False


def test_a_changed_fix_is_compared_without_a_report(fleet):
    fleet.say("a", ["x 1"], {"x": "2"})
    fleet.advise(advisory("A", fix("x", "3")))
    fleet.scan()
    assert installables(fleet) == {"a": {"A": "no"}}

    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()

    assert installables(fleet) == {"a": {"A": "yes"}}


def test_what_was_on_offer_then_is_not_remembered(fleet):
    fleet.say("a", ["x 1"], {"x": "2"})
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()
    then = fleet.at
    fleet.wait(3)
    fleet.say("a", ["x 1"], {"x": "3"})
    fleet.scan()

    assert [x.installable for x in fleet.lines(then)] == ["unknown"]
    (said,) = fleet.explain("a", "x", then).installed[0].considered
    assert (said.installable, said.offered) == ("unknown", "")
    (said,) = fleet.explain("a", "x").installed[0].considered
    assert (said.installable, said.offered) == (
        "yes",
        "the host's repositories offer 3 from stable",
    )


def test_a_kernel_whose_successor_has_another_name_is_not_said_to_be_missing(fleet):
    kernel = "linux-image-6.1.0-18-amd64"
    fleet.say("a", [f"{kernel} 6.1.76-1"], {})
    fleet.advise(advisory("A", fix(kernel, "6.1.90-1")))

    fleet.scan()

    assert installables(fleet) == {"a": {"A": "unknown"}}


def test_the_kernel_that_a_report_says_runs_is_the_one_that_counts(fleet):
    kernels = ["linux-image-6.1.0-18-amd64 6.1.76-1", "linux-image-6.1.0-40-amd64 6.1.153-1"]
    fleet.advise(advisory("A", *(fix(each.split()[0], "6.1.99-1") for each in kernels)))
    fleet.say("a", kernels, None, kernel="6.1.0-18-amd64")
    fleet.scan()
    assert [x.package for x in fleet.lines()] == ["linux-image-6.1.0-18-amd64"]

    fleet.wait(1)
    fleet.say("a", kernels, None, kernel="6.1.0-40-amd64")
    fleet.scan()

    assert fleet.lines() == []

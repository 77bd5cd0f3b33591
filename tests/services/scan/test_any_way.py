"""The scan comes to the same by whatever way one gets there."""

import os
import shutil
from collections import Counter
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain.advisories import Match, Severity, Status
from patchmgr.domain.flaws import FlawNote
from patchmgr.errors import NotFoundError
from tests.services.scan.conftest import (
    CATALOGUES,
    DAY,
    NOON,
    POLICIES,
    Fleet,
    advisory,
    counted,
    counts,
    dues,
    fix,
)

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
            case "packages", [hosts] if hosts.keys() - retired:  # a file without a row is refused
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

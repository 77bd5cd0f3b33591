"""What hosts were like, how they differ, and who has or had what: on both databases."""

from collections import defaultdict
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from inventory import host_import, package_import, retirement
from patchmgr import config
from patchmgr.db import models
from patchmgr.db.queries import installations, past, software, software_then
from patchmgr.db.queries.installations import Wanted
from patchmgr.db.queries.software import SoftwareFilter
from patchmgr.errors import InputError, NotFoundError
from patchmgr.services import scan

DAY = timedelta(days=1)
SSL = {"openssl": "3.0.9-1", "libssl3": "3.0.9-1", "bash": "5.2-2"}
NEW = {"openssl": "3.0.15-1", "libssl3": "3.0.15-1", "bash": "5.2-2"}


class Fleet:
    """Hosts a, b and c of Debian 12, d of Debian 13; ``now`` moves on by a day when told."""

    def __init__(self, db, folder, now):
        self.db, self.folder, self.now = db, folder, now
        self.settings = config.load({"PATCHMGR_HOME": str(folder / "home")})
        self.hosts("a,debian,12,web", "b,debian,12,web", "c,debian,12,db", "d,debian,13,db")

    def hosts(self, *rows):
        path = self._write("hosts.csv", "hostname,os_id,os_release,environment", rows)
        host_import.import_hosts(self.db, path, actor="test", now=self.now)

    def has(self, **installed):
        rows = [
            f"{host},dpkg,{name},{version},amd64,{'openssl' if 'ssl' in name else name}"
            for host, packages in installed.items()
            for name, version in packages.items()
        ]
        path = self._write("packages.csv", "hostname,manager,name,version,arch,source", rows)
        package_import.import_packages(self.db, path, actor="test", now=self.now)
        scan.scan(self.db, now=self.now, settings=self.settings)

    def next_day(self):
        self.now += DAY

    def _write(self, name, header, rows):
        path = self.folder / name
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    def known(self, name, at=None):
        with self.db.reading() as session:
            return past.known(session, name, at)

    def difference(self, *sides):
        with self.db.reading() as session:
            return past.compared(session, *(past.known(session, *side) for side in sides))

    def who(self, name, **options):
        """Return host -> versions of those that have, or had, a package."""
        with self.db.reading() as session:
            found = installations.search(session, Wanted(name, **options), limit=None)
            assert found.hosts.total == len(found.hosts.lines)
            return {
                hit.hostname: sorted({package.version for package in hit.packages})
                for hit in found.hosts.lines
            }


@pytest.fixture
def fleet(db, tmp_path, now):
    made = Fleet(db, tmp_path, now)
    made.has(a=SSL, b=SSL, c=NEW, d=NEW)
    made.next_day()
    made.has(a=NEW)
    made.hosts("a,debian,12,test")
    made.next_day()
    made.has(a=NEW | {"curl": "8.1-1"})
    return made


def test_a_host_is_as_it_was_known_then(fleet, now):
    first, middle, last = (fleet.known("A", now + n * DAY) for n in range(3))

    assert [len(each.installed) for each in (first, middle, last)] == [3, 3, 4]
    assert [each.facts["environment"] for each in (first, middle, last)] == ["web", "web", "test"]
    assert (first.since, middle.since) == (now, now + DAY)
    assert fleet.known("a").facts["arch"] == ""


def test_before_anything_was_known_nothing_is_claimed(fleet, now):
    known = fleet.known("a", now - DAY)

    assert (known.facts, known.has_packages, len(known.installed)) == (None, False, 0)
    with fleet.db.reading() as session:
        assert past.compared(session, known, fleet.known("a")).packages == ()
    with pytest.raises(NotFoundError):
        fleet.known("nobody")


def test_two_instants_of_a_host_differ_in_what_changed_between(fleet, now):
    found = fleet.difference(("a", now), ("a",))

    assert [(c.name, c.before, c.after) for c in found.of("changed")] == [
        ("libssl3", ("3.0.9-1",), ("3.0.15-1",)),
        ("openssl", ("3.0.9-1",), ("3.0.15-1",)),
    ]
    assert [change.name for change in found.of("added")] == ["curl"]
    assert [(f.fact, f.before, f.after) for f in found.facts] == [("environment", "web", "test")]


def test_twins_on_different_releases_are_compared_by_name(fleet):
    found = fleet.difference(("c",), ("d",))

    assert found.packages == ()
    assert [fact.fact for fact in found.facts] == ["platform"]


def test_a_history_has_each_change_with_what_it_changed(fleet, now, statements):
    with fleet.db.reading() as session:
        number = session.scalar(select(models.Host.id).where(models.Host.hostname == "a"))
        statements.clear()
        page = past.timeline(session, number)
        assert len(statements) == 3
        first = past.timeline(session, number, limit=2)
        rest = past.timeline(session, number, limit=2, cursor=first.next)

    assert page.total == 3
    assert [step.since for step in page.lines] == [now + 2 * DAY, now + DAY, now]
    kinds = ("changed", "added", "removed")
    assert [[step.count(kind) for kind in kinds] for step in page.lines] == [
        [0, 1, 0],
        [2, 0, 0],
        [0, 0, 0],
    ]
    assert page.lines[-1].difference is None
    assert first.lines + rest.lines == page.lines
    assert rest.next is None


def test_who_has_an_older_version_now_and_who_had_it_then(fleet, now):
    assert fleet.who("openssl", below="3.0.15") == {"b": ["3.0.9-1"]}
    assert fleet.who("openssl", below="3.0.15", at=now) == {"a": ["3.0.9-1"], "b": ["3.0.9-1"]}
    assert fleet.who("openssl", above="3.0.9-1") == {name: ["3.0.15-1"] for name in "acd"}
    assert fleet.who("openssl", version="0:3.0.9-1") == {"b": ["3.0.9-1"]}
    assert fleet.who("openssl", at=now - DAY) == {}
    assert fleet.who("curl", at=now + 2 * DAY) == {"a": ["8.1-1"]}


def test_a_platform_a_manager_and_a_source_restrict_the_search(fleet):
    assert fleet.who("openssl", platform="debian:13") == {"d": ["3.0.15-1"]}
    assert fleet.who("openssl", manager="rpm") == {}
    with fleet.db.reading() as session:
        found = installations.search(
            session, Wanted("openssl", by_source=True, platform="debian:13")
        )
    assert [package.name for package in found.hosts.lines[0].packages] == ["libssl3", "openssl"]


def test_a_host_is_looked_for_while_it_was_in_the_fleet(fleet, now):
    fleet.next_day()
    retirement.retire(fleet.db, "b", actor="test", now=fleet.now)

    assert "b" not in fleet.who("openssl")
    assert "b" in fleet.who("openssl", at=fleet.now - DAY)
    assert "b" not in fleet.who("openssl", at=fleet.now)


def test_versions_that_cannot_be_compared_are_named(fleet):
    fleet.next_day()
    fleet.has(b={"openssl": "weird_version", "bash": "5.2-2"})
    with fleet.db.reading() as session:
        found = installations.search(session, Wanted("openssl", below="9"))

    assert found.versions_unclear == ["weird_version"]
    assert [hit.hostname for hit in found.hosts.lines] == ["a", "c", "d"]
    assert fleet.who("openssl", version="weird_version") == {"b": ["weird_version"]}


def test_a_version_that_no_scheme_reads_is_bad_input_as_are_two_limits(fleet):
    with fleet.db.reading() as session:
        for wanted, field in (
            (Wanted("openssl", below="not a version"), "below"),
            (Wanted("openssl", below="1", above="2"), "above"),
            (Wanted(""), "name"),
        ):
            with pytest.raises(InputError) as caught:
                installations.search(session, wanted)
            assert list(caught.value.problems) == [field]


def test_pages_of_hosts_go_on_where_the_last_one_ended(fleet, statements):
    seen, cursor = [], ""
    with fleet.db.reading() as session:
        while cursor is not None:
            statements.clear()
            page = installations.search(session, Wanted("bash"), limit=3, cursor=cursor).hosts
            assert len(statements) <= 5
            assert page.total == 4
            seen += [hit.hostname for hit in page.lines]
            cursor = page.next

    assert seen == ["a", "b", "c", "d"]


def test_software_has_every_package_with_its_versions_and_hosts(fleet):
    with fleet.db.reading() as session:
        page = software.listing(session)
        (only,) = software.listing(
            session, SoftwareFilter(platform="debian:13", search="SSL3")
        ).lines
        lines = software.versions(session, "dpkg", "openssl")
        choices = software.choices(session)
        with pytest.raises(NotFoundError):
            software.versions(session, "dpkg", "nothing")
        with pytest.raises(InputError):
            software.listing(session, sort="password")

    assert [(each.name, each.platforms, each.versions, each.hosts) for each in page.lines] == [
        ("bash", 2, 1, 4),
        ("curl", 1, 1, 1),
        ("libssl3", 2, 2, 4),
        ("openssl", 2, 2, 4),
    ]
    assert page.total == 4
    assert (only.name, only.versions, only.hosts) == ("libssl3", 1, 1)
    assert [(each.version, each.hosts) for each in lines] == [
        ("3.0.15-1", 2),
        ("3.0.15-1", 1),
        ("3.0.9-1", 1),
    ]
    assert choices == {"manager": ["dpkg"], "platform": ["debian:12", "debian:13"]}


def test_software_of_an_instant_is_what_hosts_had_then(fleet, now, statements):
    with fleet.db.reading() as session:
        then, early = (software_then.then(session, at) for at in (now, now - DAY))
        page = software.listing(session, then=then)
        (only,) = software.listing(
            session, SoftwareFilter(platform="debian:13", search="SSL3"), then=then
        ).lines
        lines = software.versions(session, "dpkg", "openssl", then=then)
        assert software.versions(session, "dpkg", "curl", then=then) == []
        assert software.hosts_of(session, "dpkg", "openssl", then=then) == 4
        assert software.listing(session, then=early).lines == ()
        with pytest.raises(NotFoundError):
            software.versions(session, "dpkg", "nothing", then=then)
        statements.clear()
        software.listing(
            session, SoftwareFilter(doubt="foreign"), then=software_then.then(session, now)
        )
        assert len(statements) <= 8

    assert (then.hosts_known, early.hosts_known) == (4, 0)
    assert [(each.name, each.platforms, each.versions, each.hosts) for each in page.lines] == [
        ("bash", 2, 1, 4),
        ("libssl3", 2, 2, 4),
        ("openssl", 2, 2, 4),
    ]
    assert (only.name, only.versions, only.hosts) == ("libssl3", 1, 1)
    assert [(each.version, each.hosts) for each in lines] == [
        ("3.0.15-1", 1),
        ("3.0.15-1", 1),
        ("3.0.9-1", 2),
    ]


@pytest.mark.parametrize("at", [None, 2 * DAY], ids=["now", "then"])
@pytest.mark.parametrize("sort", software.SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_of_software_are_all_of_it_once_and_in_order(fleet, now, sort, descending, at):
    with fleet.db.reading() as session:
        then = at and software_then.then(session, now + at)
        order = {"sort": sort, "descending": descending, "then": then}
        assert software.listing(session, then=then) == software.listing(session)
        whole = software.listing(session, limit=None, **order).lines
        seen, cursor = [], ""
        while cursor is not None:
            page = software.listing(session, limit=3, cursor=cursor, **order)
            seen += page.lines
            cursor = page.next

    assert tuple(seen) == whole
    values = [getattr(line, sort) for line in whole]
    assert values == sorted(values, reverse=descending)


def test_packages_in_doubt_are_counted_as_they_are_listed(fleet):
    fleet.next_day()
    path = fleet._write(
        "packages.csv",
        "hostname,manager,name,version,arch,source,origin"[: -len(",origin")],
        ["a,dpkg,nodejs,20.1-1nodesource1,amd64,nodejs", "a,dpkg,tool,1,amd64,", "a,pypi,six,1,,"],
    )
    package_import.import_packages(fleet.db, path, actor="test", now=fleet.now, mode="merge")
    with fleet.db.reading() as session:
        counts = software.doubtful(session)
        then = software_then.then(session, fleet.now)
        listed, were = (
            {
                doubt: [line.name for line in software.listing(session, filters, then=at).lines]
                for doubt in software.DOUBTS
                for filters in [SoftwareFilter(doubt=doubt)]
            }
            for at in (None, then)
        )

    assert were == listed
    assert listed == {"no_source": ["tool"], "foreign": ["nodejs"]}
    assert counts == {"no_source": 1, "foreign": 1}


names = st.sampled_from(("p", "q"))
fleets = st.lists(
    st.dictionaries(
        st.sampled_from("abc"),
        st.dictionaries(names, st.sampled_from("123"), min_size=1),
        min_size=1,
    ),
    min_size=1,
    max_size=4,
)


def test_who_had_what_is_what_was_imported_last_until_then(sqlite_db, tmp_path, now):
    number = iter(range(10_000))
    with sqlite_db.engine.connect() as connection:
        template = connection.exec_driver_sql("PRAGMA database_list").all()[0][2]
    sqlite_db.close()

    @settings(max_examples=10, suppress_health_check=list(HealthCheck))
    @given(fleets, names, st.sampled_from("0123"))
    def check(imports, name, limit):
        import shutil

        from patchmgr.db.session import Database

        folder = tmp_path / f"{next(number)}"
        folder.mkdir()
        db = Database(f"sqlite:///{shutil.copy(template, folder / 'patchmgr.db')}")
        made = Fleet(db, folder, now)
        state, expected = defaultdict(dict), []
        for installed in imports:
            made.has(**installed)
            state.update(installed)
            expected.append(
                {h: [v[name]] for h, v in state.items() if name in v and v[name] < limit}
            )
            made.next_day()
        for days, hosts in enumerate(expected):
            assert made.who(name, below=limit, at=now + days * DAY) == hosts
        assert made.who(name, below=limit) == expected[-1]
        db.close()

    check()

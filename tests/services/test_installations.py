"""How many hosts have what: the kept counts are what counting anew gives, whatever happened."""

from collections import Counter
from datetime import timedelta

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from inventory import host_import, package_import, retirement, sets, submissions
from patchmgr.db import migrate, models, package_sets
from patchmgr.services import installations

HOSTS = ("a", "b", "c", "d")
PACKAGES = [f"p{number}" for number in range(12)]
ARCHS = ("amd64", "i386")


class Fleet:
    """Does to a few hosts what can happen to them."""

    def __init__(self, db, folder, now):
        self.db, self.folder, self.now = db, folder, now
        self._write("hosts.csv", "hostname,os_id,os_release", [f"{n},debian,12" for n in HOSTS])
        host_import.import_hosts(db, folder / "hosts.csv", actor="test", now=now)

    def snapshot(self, host, installed):
        self._packages(host, installed, mode="snapshot")

    def merge(self, host, installed):
        self._packages(host, installed, mode="merge")

    def report(self, host, installed):
        listing = "".join(
            f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n"
            f"Architecture: {arch}\n\n"
            for name, version, arch in sorted(installed)
        )
        self._step()
        submissions.submit_report(
            self.db,
            host=host,
            os="debian:12",
            format="dpkg",
            text=listing,
            actor="test",
            now=self.now,
        )

    def upgrade(self, host, _installed):
        self._platform(host, "13")

    def retire(self, host, _installed):
        self._step()
        if host in self._active():
            retirement.retire(self.db, host, actor="test", now=self.now)

    def take_back(self, host, _installed):
        self._platform(host, "12")

    def _platform(self, host, release):
        self._step()
        self._write("hosts.csv", "hostname,os_id,os_release", [f"{host},debian,{release}"])
        host_import.import_hosts(self.db, self.folder / "hosts.csv", actor="test", now=self.now)

    def _packages(self, host, installed, mode):
        self._step()
        if host not in self._active():
            return
        rows = [f"{host},dpkg,{','.join(each)}" for each in sorted(installed)]
        self._write("packages.csv", "hostname,manager,name,version,arch", rows)
        path = self.folder / "packages.csv"
        package_import.import_packages(self.db, path, actor="test", now=self.now, mode=mode)

    def _active(self):
        with self.db.reading() as session:
            query = select(models.Host.hostname).where(models.Host.retired_at.is_(None))
            return set(session.scalars(query))

    def _step(self):
        self.now += timedelta(hours=1)

    def _write(self, name, header, rows):
        (self.folder / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def counted(db):
    """Return the stored counts: by version, and by package."""
    versions, software = models.VersionCount, models.Software
    with db.reading() as session:
        by_version = session.execute(select(versions.package_version_id, versions.hosts))
        columns = (software.platform, software.manager, software.name, software.hosts)
        by_name = session.execute(select(*columns))
        return dict(by_version.all()), {tuple(row[:3]): row[3] for row in by_name}


def counted_one_by_one(db):
    """Count from what each host has, without any of the arithmetic that keeps the counts."""
    versions, software = Counter(), Counter()
    with db.reading() as session:
        query = select(models.Host.package_set_id).where(models.Host.retired_at.is_(None))
        for set_id in session.scalars(query):
            rows = sets.packages_of(session, package_sets.members_of(session, set_id))
            versions.update(row.id for row in rows)
            software.update({(row.platform, row.manager, row.name) for row in rows})
    return dict(versions), dict(software)


installed = st.sets(
    st.tuples(st.sampled_from(PACKAGES), st.sampled_from("123"), st.sampled_from(ARCHS)),
    min_size=1,
    max_size=10,
)
what_happens = st.sampled_from(
    ("snapshot", "snapshot", "merge", "report", "report", "upgrade", "retire", "take_back")
)
steps = st.lists(st.tuples(what_happens, st.sampled_from(HOSTS), installed), max_size=8)
BASE = {(name, "1", "amd64") for name in PACKAGES}


def test_counts_are_what_counting_one_by_one_gives_after_anything_that_happens(
    sqlite_db, tmp_path, now
):
    number = iter(range(10_000))
    with sqlite_db.engine.connect() as connection:
        template = connection.exec_driver_sql("PRAGMA database_list").all()[0][2]
    sqlite_db.close()

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(steps)
    def check(happened):
        import shutil

        from patchmgr.db.session import Database

        folder = tmp_path / f"{next(number)}"
        folder.mkdir()
        db = Database(f"sqlite:///{shutil.copy(template, folder / 'patchmgr.db')}")
        fleet = Fleet(db, folder, now)
        for host in HOSTS[:3]:  # what is stored as a difference to another set
            fleet.snapshot(host, BASE | {(f"own-{host}", "1", "amd64")})
        for verb, host, what in happened:
            getattr(fleet, verb)(host, what if verb == "report" else what | {("p0", "1", "amd64")})
            assert counted(db) == counted_one_by_one(db), (verb, host, what)
        with db.reading() as session:
            assert installations.wrong(session) == []
        db.close()

    check()


@pytest.fixture
def fleet(db, tmp_path, now):
    made = Fleet(db, tmp_path, now)
    made.snapshot("a", BASE)
    made.snapshot("b", BASE | {("p0", "2", "amd64"), ("p1", "1", "i386")})
    made.report("c", {("p0", "3", "amd64")})
    return made


def test_a_host_counts_once_for_a_package_that_it_has_in_two_versions(fleet):
    _, software = counted(fleet.db)

    assert software["debian:12", "dpkg", "p0"] == 3
    assert software["debian:12", "dpkg", "p1"] == 2
    assert counted(fleet.db) == counted_one_by_one(fleet.db)


def test_both_databases_count_alike_through_upgrades_and_retirements(fleet):
    fleet.upgrade("b", ())
    fleet.retire("a", ())
    assert counted(fleet.db) == counted_one_by_one(fleet.db)

    fleet.take_back("a", ())
    fleet.retire("c", ())
    fleet.report("c", {("p0", "3", "amd64")})  # the same as before it retired

    assert counted(fleet.db) == counted_one_by_one(fleet.db)
    assert counted(fleet.db)[1]["debian:13", "dpkg", "p0"] == 1


def test_what_nobody_has_any_more_is_not_counted_as_nought(fleet):
    fleet.snapshot("b", BASE)

    versions, _ = counted(fleet.db)
    assert all(hosts > 0 for hosts in versions.values())


def test_counts_that_are_wrong_are_found_and_can_be_made_anew(fleet):
    right = counted(fleet.db)
    with fleet.db.writing() as session:
        session.execute(delete(models.Software).where(models.Software.name == "p3"))
        session.execute(update(models.VersionCount).values(hosts=models.VersionCount.hosts + 1))
        session.execute(
            update(models.Host).where(models.Host.hostname == "a").values(counted_set_id=None)
        )
    with fleet.db.reading() as session:
        problems = installations.wrong(session)
    assert any(
        "package debian:12 dpkg p3 is said to be on 0 hosts, and is on 2" in p for p in problems
    )
    assert any("host a is not counted" in p for p in problems)

    with fleet.db.writing() as session:
        installations.rebuild(session)

    with fleet.db.reading() as session:
        assert installations.wrong(session) == []
    assert counted(fleet.db) == right


def test_a_dry_run_and_a_refused_file_count_nothing(fleet):
    before = counted(fleet.db)
    fleet._write("packages.csv", "hostname,manager,name,version", ["a,dpkg,new,1"])

    package_import.import_packages(
        fleet.db, fleet.folder / "packages.csv", actor="test", now=fleet.now, dry_run=True
    )

    assert counted(fleet.db) == before


def test_what_was_there_before_counts_were_kept_is_counted_by_the_migration(fleet):
    right = counted(fleet.db)
    fleet.retire("a", ())
    fleet.take_back("a", ())
    for direction, revision in ((command.downgrade, "0009"), (command.upgrade, "head")):
        configuration = migrate.configuration()
        with migrate.changing(fleet.db) as connection:
            configuration.attributes["connection"] = connection
            direction(configuration, revision)

    assert counted(fleet.db) == right

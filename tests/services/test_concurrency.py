"""Several at work at once, on either database: nobody fails, and nothing is lost."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest
from sqlalchemy import func, select

from inventory import host_import, host_reports, package_import, submissions
from patchmgr import config
from patchmgr.db import models
from patchmgr.db.queries import findings as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import ConflictError
from patchmgr.services import accounts, installations, policies, scan, sync

ROUNDS = 4
HOSTS = 6


@pytest.fixture
def settings(tmp_path):
    return config.load({"PATCHMGR_HOME": str(tmp_path / "home")})


@pytest.fixture
def fleet(db, tmp_path, now, settings):
    path = tmp_path / "hosts.csv"
    rows = "".join(f"h{number},debian,12\n" for number in range(HOSTS))
    path.write_text("hostname,os_id,os_release\n" + rows)
    host_import.import_hosts(db, path, actor="test", now=now)
    tracker = tmp_path / "tracker.json"
    tracker.write_text(
        '{"x": {"CVE-2026-0001": {"releases": {"bookworm": {"status": "resolved", '
        '"fixed_version": "1000", "urgency": "high"}}}}}'
    )
    sync.sync(db, "debian", source=tracker, settings=settings, now=now, actor="test")
    return db


def at_once(*works):
    """Start ``works`` at the same time, each in a thread; raise what any of them raises."""
    gate = Barrier(len(works))

    def start(work):
        gate.wait()
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(start, work) for work in works]:
            done.result()


def test_imports_reports_dry_runs_and_scans_at_once(fleet, tmp_path, now, settings):
    def packages(who):
        def work():
            path = tmp_path / f"{who}.csv"
            for turn in range(ROUNDS):
                version = 1 + turn * 10 + who
                rows = [f"h{number},dpkg,x,{version}" for number in range(HOSTS)]
                rows += [f"h{number},dpkg,only-{who}-{turn},1" for number in range(HOSTS)]
                path.write_text("hostname,manager,name,version\n" + "\n".join(rows) + "\n")
                package_import.import_packages(fleet, path, actor="test", now=now, dry_run=who == 2)

        return work

    def report():
        for turn in range(ROUNDS):
            submissions.submit_report(
                fleet,
                host="h0",
                os="debian:12",
                format="dpkg",
                text=f"x\t{turn}\ny\t1\n",
                actor="test",
                now=now,
            )

    def facts():
        for turn in range(ROUNDS):
            path = tmp_path / "facts.csv"
            path.write_text(f"hostname,environment\nh1,{turn}\nnew-{turn},\n")
            host_import.import_hosts(fleet, path, actor="test", now=now)

    def scans():
        for _ in range(ROUNDS):
            scan.scan(fleet, now=now, settings=settings)

    at_once(packages(0), packages(1), packages(2), report, facts, scans)

    assert one_open_set_a_host(fleet)
    scan.scan(fleet, now=now, settings=settings)
    incremental = found(fleet)
    scan.scan(fleet, now=now, settings=settings, full=True)
    assert found(fleet) == incremental
    assert {host for host, *_ in incremental} == {f"h{number}" for number in range(HOSTS)}


def one_open_set_a_host(db):
    """Return whether the open row of each host's history, and only that, is what it points to."""
    past, host = models.HostPackageSet, models.Host
    with db.reading() as session:
        still = session.execute(
            select(past.host_id, func.count(), func.max(past.package_set_id))
            .where(past.until.is_(None))
            .group_by(past.host_id)
        )
        points = dict(
            session.execute(
                select(host.id, host.package_set_id).where(host.package_set_id.is_not(None))
            ).all()
        )
        return {number: set_id for number, count, set_id in still if count == 1} == points


def found(db):
    with db.reading() as session:
        return [
            (line.host, line.package, line.installed, line.advisory)
            for line in queries.every(session)
        ]


def test_two_files_that_bring_the_same_new_host_make_one(fleet, tmp_path, now):
    def hosts(who):
        path = tmp_path / f"hosts-{who}.csv"
        path.write_text("hostname,external_id\nnew,i-1\n")
        return lambda: host_import.import_hosts(fleet, path, actor="test", now=now)

    at_once(*map(hosts, range(4)))

    with fleet.reading() as session:
        query = select(func.count()).select_from(models.Host).where(models.Host.hostname == "new")
        assert session.scalar(query) == 1


def test_reports_of_one_new_host_at_once_make_one(fleet, now):
    def report(version):
        return lambda: submissions.submit_report(
            fleet,
            host="new",
            os="debian:12",
            format="dpkg",
            text=f"x\t{version}\n",
            actor="test",
            now=now,
        )

    at_once(*map(report, range(1, 5)))

    assert one_open_set_a_host(fleet)
    with fleet.reading() as session:
        history = session.scalar(
            select(func.count())
            .select_from(models.HostPackageSet)
            .join(models.Host, models.Host.id == models.HostPackageSet.host_id)
            .where(models.Host.hostname == "new")
        )
    assert history == 4


def test_a_machine_that_sends_its_report_again_before_it_was_answered_is_counted_once(db, now):
    def report(who):
        def work():
            for turn in range(ROUNDS):
                listing = f"x\t{turn}.{who}\nonly-{who}-{turn}\t1\n"
                document = {
                    "version": 1,
                    "collected_at": "2026-03-02T09:30:00Z",
                    "host": {"hostname": "h", "machine_id": "a" * 32},
                    "sections": {"os-release": "ID=debian\nVERSION_ID=12\n", "dpkg": listing},
                }
                body = json.dumps(document).encode()
                host_reports.take(db, body, speaker=None, actor="test", now=now)

        return work

    report(0)()
    at_once(*map(report, range(1, 4)))

    assert one_open_set_a_host(db)
    with db.reading() as session:
        assert installations.wrong(session) == []


def test_of_two_admins_who_give_each_other_another_role_one_stays(db, now):
    for name in ("ann", "bob"):
        accounts.add_user(db, name, Role.ADMIN, "a long pass phrase", actor="test", now=now)

    def demote(name):
        def work():
            with suppress(ConflictError):
                accounts.set_role(db, name, Role.VIEWER, actor="test", now=now)

        return work

    at_once(demote("ann"), demote("bob"))

    with db.reading() as session:
        roles = session.scalars(select(models.User.role).order_by(models.User.role)).all()
    assert roles == ["admin", "viewer"]


def test_of_policies_put_in_force_at_once_one_is(db, now):
    def activate(name):
        return lambda: policies.activate(db, name, actor="test", role=Role.ADMIN, now=now)

    at_once(*map(activate, [*PRESETS, *PRESETS]))

    with db.reading() as session:
        assert session.scalar(select(func.count()).where(models.Policy.active)) == 1

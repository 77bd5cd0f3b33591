"""Fifty hosts report at once while a scan and a feed sync run: nothing is lost, nobody hangs."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from threading import Barrier, Thread
from time import sleep

import pytest
from sqlalchemy import func, select

from inventory import documents, host_reports, machines
from patchmgr import config
from patchmgr.db import models
from patchmgr.db.queries import findings as queries
from patchmgr.db.turns import Turns
from patchmgr.domain.identity import Identity
from patchmgr.errors import OverloadedError
from patchmgr.services import enrolment, scan, sync

HOSTS = 50
ROUNDS = 3
THREADS = 16  # as many wait at once as a web worker has threads for
RELEASE = "ID=debian\nVERSION_ID=12\n"


class Reporting:
    """A host with a token, and a listing that differs from round to round."""

    def __init__(self, db, number, key, now):
        self.db, self.number, self.now = db, number, now
        self.said = {"hostname": f"h{number}", "machine_id": f"{number:031x}f"}
        enrolled = machines.enrol(
            db, key, documents.identity(self.said), address="127.0.0.1", now=now
        )
        self.token = enrolled.token
        self.refused = 0

    def sections(self, turn):
        names = ["x", *(f"shared-{n}" for n in range(30)), f"own-{self.number}-{turn}"]
        listing = "".join(f"{name}\t{turn + 1}\tall\n" for name in names)
        return {"os-release": RELEASE, "dpkg": listing}

    def report(self, turn):
        """Send a report as the collector does, again and again until it is taken."""
        sections = self.sections(turn)
        document = {"version": 1, "collected_at": "2026-03-02T09:30:00Z"}
        body = json.dumps(document | {"host": self.said, "sections": sections}).encode()
        digest = documents.digest(self.said, sections)
        asked = self.patiently(
            lambda speaker: host_reports.ask(self.db, speaker, digest, now=self.now)
        )
        if asked.wanted:
            self.patiently(
                lambda speaker: host_reports.take(
                    self.db, body, speaker=speaker, actor=speaker.name, now=self.now
                )
            )

    def patiently(self, call):
        while True:
            try:
                return call(enrolment.speaker_of(self.db, self.token))
            except OverloadedError:
                self.refused += 1


@pytest.fixture
def settings(tmp_path):
    return config.load({"PATCHMGR_HOME": str(tmp_path / "home")})


@pytest.fixture
def tracker(tmp_path):
    def make(fixed):
        path = tmp_path / f"tracker-{fixed}.json"
        status = {"status": "resolved", "fixed_version": fixed, "urgency": "high"}
        path.write_text(json.dumps({"x": {"CVE-2026-0001": {"releases": {"bookworm": status}}}}))
        return path

    return make


@pytest.fixture
def fleet(db, now):
    _, key = enrolment.create_token(db, "fleet", uses=HOSTS, actor="ann", now=now)
    return [Reporting(db, number, key, now) for number in range(HOSTS)]


def test_fifty_hosts_report_while_a_scan_and_a_sync_run(db, fleet, tracker, settings, now):
    gate = Barrier(2)

    def reports():
        gate.wait()
        with ThreadPoolExecutor(THREADS) as pool:
            for turn in range(ROUNDS):
                list(pool.map(Reporting.report, fleet, repeat(turn)))
                list(pool.map(Reporting.report, fleet[:20], repeat(turn)))  # unchanged

    def service():
        gate.wait()
        for turn in range(ROUNDS):
            path = tracker(f"{turn + 10}")
            sync.sync(db, "debian", source=path, settings=settings, now=now, actor="test")
            scan.scan(db, now=now, settings=settings)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(reports), pool.submit(service)]:
            done.result()

    past, host = models.HostPackageSet, models.Host
    with db.reading() as session:
        rows = session.execute(
            select(host.hostname, host.report_digest, func.count(past.id))
            .join(past, past.host_id == host.id)
            .group_by(host.id, host.hostname, host.report_digest)
        ).all()
        open_ones = session.scalar(select(func.count(past.id)).where(past.until.is_(None)))
    last = {each.said["hostname"]: documents.digest(each.said, each.sections(2)) for each in fleet}
    assert {name: bytes(digest) for name, digest, _ in rows} == last
    assert {count for *_, count in rows} == {ROUNDS}  # every change is kept, none twice
    assert open_ones == HOSTS

    scan.scan(db, now=now, settings=settings)
    incremental = found(db)
    scan.scan(db, now=now, settings=settings, full=True)
    assert found(db) == incremental
    assert {name for name, *_ in incremental} == set(last)


def found(db):
    with db.reading() as session:
        lines = queries.every(session)
        return sorted((line.host, line.package, line.installed, line.advisory) for line in lines)


def test_a_machine_that_enrols_many_times_at_once_is_one_host(db, now):
    _, key = enrolment.create_token(db, "fleet", uses=8, actor="ann", now=now)
    said = Identity("web", "1" * 31 + "a")

    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(lambda _: machines.enrol(db, key, said, address="", now=now), range(8))
        )

    assert len({each.host_id for each in made}) == 1
    with db.reading() as session:
        live = session.scalar(
            select(func.count()).where(
                models.ApiToken.kind == "host", models.ApiToken.revoked_at.is_(None)
            )
        )
    assert live == 1


def test_a_token_of_two_uses_lets_two_of_eight_in(db, now):
    _, key = enrolment.create_token(db, "fleet", uses=2, actor="ann", now=now)

    def enrol(number):
        said = Identity(f"h{number}", f"{number:031x}f")
        try:
            return machines.enrol(db, key, said, address="", now=now).hostname
        except machines.enrolment.AuthenticationError:
            return None

    with ThreadPoolExecutor(8) as pool:
        names = [name for name in pool.map(enrol, range(8)) if name]

    assert len(names) == 2
    with db.reading() as session:
        assert set(session.scalars(select(models.Host.hostname))) == set(names)


def test_who_finds_the_queue_full_is_refused_at_once():
    turns = Turns(at_once=1, waiting=0, patience=60, ask_again=7)

    with turns.taken(), pytest.raises(OverloadedError) as refused, turns.taken():
        pass

    assert refused.value.seconds == 7
    with turns.taken():
        pass


def test_who_waits_too_long_is_refused_and_takes_no_turn():
    turns = Turns(at_once=1, waiting=1, patience=0.01, ask_again=7)

    with turns.taken(), pytest.raises(OverloadedError), turns.taken():
        pass
    with turns.taken():
        pass


def test_turns_are_taken_in_the_order_in_which_they_were_asked_for():
    turns = Turns(at_once=1, waiting=10, patience=60, ask_again=7)
    order, threads = [], []

    def take(name):
        with turns.taken():
            order.append(name)

    with turns.taken():
        for name in range(5):
            threads.append(Thread(target=take, args=(name,)))
            threads[-1].start()
            while turns.waiting < len(threads):
                sleep(0)
    take("who came last")  # finds the turn handed over already, however quick it asks
    for thread in threads:
        thread.join()

    assert order == [0, 1, 2, 3, 4, "who came last"]


def test_an_error_in_a_turn_ends_it():
    turns = Turns(at_once=1, waiting=0, patience=60, ask_again=7)

    for _ in range(3):
        with pytest.raises(KeyError), turns.taken():
            raise KeyError


def test_hosts_seen_at_once_are_written_together(db, fleet, statements, now):
    with db.reading() as session:
        numbers = list(session.scalars(select(models.Host.id)))
    statements.clear()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda number: db.last_seen.note(number, now), numbers))

    updates = [each for each in statements if each.startswith("UPDATE host")]
    assert 1 <= len(updates) <= HOSTS
    with db.reading() as session:
        assert set(session.scalars(select(models.Host.reported_at))) == {now}

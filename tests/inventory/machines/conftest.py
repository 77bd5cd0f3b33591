"""Machines that enrol and report, and a fleet to which they do."""

import json

import pytest
from sqlalchemy import select

from inventory import (
    conflicts,
    documents,
    host_import,
    host_reports,
    machines,
)
from patchmgr.db import models
from patchmgr.db.queries import identity as queries
from patchmgr.services import audit, enrolment

M1, M2 = "1" * 31 + "a", "1" * 31 + "b"
P1, P2 = (f"4c4c4544-0042-3510-8052-b4c04f4d333{end}" for end in "12")
BOOTS = [f"7d3f2a10-0000-4000-8000-0000000000{n:02}" for n in range(9)]
RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\nVERSION_ID="12"\n'
LISTING = "openssl\t3.0.15-1\tamd64\topenssl\t3.0.15-1\tinstall ok installed\n"


class Machine:
    """A computer with a collector on it."""

    def __init__(self, fleet, hostname="web", machine_id=M1, product_uuid=P1, boot_id=BOOTS[1]):
        self.fleet = fleet
        self.said = {
            "hostname": hostname,
            "machine_id": machine_id,
            "product_uuid": product_uuid,
            "boot_id": boot_id,
            "addresses": ["192.0.2.10"],
        }
        self.sections = {"os-release": RELEASE, "dpkg": LISTING}
        self.token = ""

    def enrol(self, key, address="198.51.100.1"):
        enrolled = machines.enrol(
            self.fleet.db,
            key,
            documents.identity(self.said),
            address=address,
            now=self.fleet.now,
        )
        self.token = enrolled.token
        return enrolled

    def body(self):
        document = {"version": 1, "collected_at": "2026-03-02T09:30:00Z"}
        return json.dumps(document | {"host": self.said, "sections": self.sections}).encode()

    def digest(self):
        return documents.digest(self.said, self.sections)

    def speaker(self):
        return enrolment.speaker_of(self.fleet.db, self.token)

    def ask(self):
        return host_reports.ask(self.fleet.db, self.speaker(), self.digest(), now=self.fleet.now)

    def report(self):
        speaker = self.speaker() if self.token else None
        actor = speaker.name if speaker else "test"
        return host_reports.take(
            self.fleet.db, self.body(), speaker=speaker, actor=actor, now=self.fleet.now
        )


class Fleet:
    def __init__(self, db, folder, now):
        self.db, self.folder, self.now = db, folder, now

    def machine(self, **said):
        return Machine(self, **said)

    def enrolled(self, **said):
        made = self.machine(**said)
        made.enrol(self.key())
        return made

    def key(self, **more):
        return self.token(**more)[1]

    def token(self, **more):
        return enrolment.create_token(self.db, "fleet", actor="ann", now=self.now, **more)

    def hosts_csv(self, text):
        path = self.folder / "hosts.csv"
        path.write_text(text)
        return host_import.import_hosts(self.db, path, actor="ann", now=self.now)

    def host(self, name):
        with self.db.reading() as session:
            return session.scalar(select(models.Host).where(models.Host.hostname == name))

    def names(self):
        with self.db.reading() as session:
            query = select(models.Host.hostname).where(models.Host.retired_at.is_(None))
            return sorted(session.scalars(query))

    def conflicts(self, **more):
        with self.db.reading() as session:
            return queries.conflicts(session, **more)

    def resolve(self, conflict, resolution, **more):
        conflicts.resolve(self.db, conflict.id, resolution, actor="ann", now=self.now, **more)

    def audited(self, *actions):
        with self.db.reading() as session:
            assert audit.first_broken(session) is None
            rows = session.scalars(select(models.AuditEntry).order_by(models.AuditEntry.id))
            return [(row.action, row.subject, row.details) for row in rows if row.action in actions]


@pytest.fixture
def fleet(db, tmp_path, now):
    return Fleet(db, tmp_path, now)

"""Machines enrol and report: what is stored of them, and what is refused and shown."""

import hashlib
import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from inventory import (
    conflicts,
    documents,
    host_import,
    host_reports,
    machines,
    package_import,
    retirement,
)
from patchmgr.db import models
from patchmgr.db.queries import identity as queries
from patchmgr.domain.identity import Identity
from patchmgr.errors import (
    AuthenticationError,
    ConflictError,
    InputError,
    NotFoundError,
    OverloadedError,
)
from patchmgr.services import audit, enrolment, tokens
from patchmgr.services.sign_ins import ThrottledError

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


# Enrolment


def test_a_machine_exchanges_its_token_for_one_of_its_own_and_reports(fleet):
    web = fleet.machine()

    enrolled = web.enrol(fleet.key())
    made = web.report()

    assert enrolled.hostname == "web"
    assert (made.changed, made.packages, made.packages_added) == (True, 1, 1)
    host = fleet.host("web")
    assert (host.platform, host.machine_id, host.product_uuid) == ("debian:12", M1, P1)
    assert (host.boot_id, host.first_address, host.last_address) == (
        *(BOOTS[1], "192.0.2.10"),
        "192.0.2.10",
    )
    assert [action for action, *_ in fleet.audited("token.create", "host.enrol")] == [
        "token.create",
        "host.enrol",
    ]


def test_a_host_with_the_longest_name_reports(fleet):
    name = ".".join(["n" * 62] * 4)
    machine = fleet.enrolled(hostname=name)

    assert machine.report().changed
    assert fleet.names() == [name]


def test_a_one_time_token_is_for_one_machine(fleet):
    key = fleet.key()
    fleet.machine().enrol(key)

    with pytest.raises(AuthenticationError, match="used up"):
        fleet.machine(hostname="db", machine_id=M2, product_uuid=P2).enrol(key)

    assert fleet.names() == ["web"]


def test_a_token_of_many_uses_is_for_a_fleet(fleet):
    key = fleet.key(uses=2)

    for name, machine_id, product in (("web", M1, P1), ("db", M2, P2)):
        fleet.machine(hostname=name, machine_id=machine_id, product_uuid=product).enrol(key)

    assert fleet.names() == ["db", "web"]
    with pytest.raises(AuthenticationError):
        fleet.machine(hostname="third", machine_id="").enrol(key)


def test_a_token_expires_and_is_revoked(fleet, now):

    late, revoked = fleet.key(hours=1), fleet.token()
    tokens.revoke(fleet.db, revoked[0], actor="ann", now=now)
    fleet.now = now + timedelta(hours=1)

    for key in (late, revoked[1], "pme_nonsense", ""):
        with pytest.raises(AuthenticationError):
            fleet.machine().enrol(key)
    assert fleet.names() == []


def test_guessing_is_slowed_down_by_address(fleet):
    key = fleet.key()
    for _ in range(enrolment.FAILURES):
        with pytest.raises(AuthenticationError):
            fleet.machine().enrol("pme_guess")

    with pytest.raises(ThrottledError, match="enrolments") as refused:
        fleet.machine().enrol(key)

    assert refused.value.seconds > 0
    assert fleet.machine().enrol(key, address="198.51.100.2").hostname == "web"


def test_keys_are_kept_as_hashes(fleet):
    key = fleet.key()
    web = fleet.machine()
    web.enrol(key)

    with fleet.db.reading() as session:
        stored = {bytes(each) for each in session.scalars(select(models.ApiToken.token_hash))}

    assert stored == {hashlib.sha256(each.encode()).digest() for each in (key, web.token)}


@pytest.mark.parametrize("wrong", [{"uses": 0}, {"hours": 0}, {"uses": 2, "host": "web"}])
def test_a_token_that_cannot_be_is_refused(fleet, wrong):
    with pytest.raises(InputError):
        fleet.key(**wrong)


def test_a_token_for_a_host_that_is_not_there_is_refused(fleet):
    with pytest.raises(NotFoundError):
        fleet.key(host="nowhere")


def test_a_name_that_no_host_can_have_is_refused_and_costs_no_use(fleet):
    key = fleet.key()

    with pytest.raises(InputError, match=r"host\.hostname"):
        fleet.machine(hostname="no/name").enrol(key)

    assert fleet.machine().enrol(key).hostname == "web"


def test_enrolling_again_ends_the_first_token(fleet):
    web = fleet.enrolled()
    first = web.token
    web.enrol(fleet.key())

    with pytest.raises(AuthenticationError):
        enrolment.speaker_of(fleet.db, first)
    assert enrolment.speaker_of(fleet.db, web.token).hostname == "web"


def test_retiring_a_host_ends_its_token(fleet):
    web = fleet.enrolled()

    retirement.retire(fleet.db, "web", actor="ann", now=fleet.now)

    with pytest.raises(AuthenticationError, match="enrol the host again"):
        web.report()
    web.enrol(fleet.key())
    assert fleet.names() == ["web"]


# Reports


def test_an_unchanged_report_is_known_by_its_digest(fleet, statements):
    web = fleet.enrolled()
    assert web.ask().wanted
    web.report()
    fleet.now += timedelta(hours=1)
    speaker = web.speaker()
    statements.clear()

    again = host_reports.ask(fleet.db, speaker, web.digest(), now=fleet.now)

    assert (again.wanted, again.changed) == (False, False)
    assert fleet.host("web").reported_at == fleet.now
    writes = [each for each in statements if each.startswith("UPDATE")]
    assert len(writes) == 1
    with fleet.db.reading() as session:
        assert session.scalar(select(func.count()).select_from(models.HostPackageSet)) == 1


def test_a_changed_report_is_wanted_and_asks_for_a_scan(fleet):
    web = fleet.enrolled()
    web.report()
    web.sections["dpkg"] = LISTING.replace("3.0.15-1", "3.0.17-1")

    asked, made = web.ask(), web.report()

    assert asked.wanted
    assert (made.changed, made.packages_added, made.packages_removed) == (True, 1, 1)
    with fleet.db.reading() as session:
        runs = session.scalars(select(models.JobRun.job).where(models.JobRun.state == "queued"))
        assert list(runs) == ["scan"]


def test_what_another_way_brought_in_makes_the_report_wanted_again(fleet):
    web = fleet.enrolled()
    web.report()
    path = fleet.folder / "packages.csv"
    path.write_text("hostname,manager,name,version\nweb,dpkg,curl,1\n")
    package_import.import_packages(fleet.db, path, actor="ann", now=fleet.now)

    assert web.ask().wanted


def test_a_report_of_another_release_moves_the_host(fleet):
    web = fleet.enrolled()
    web.report()
    web.sections["os-release"] = RELEASE.replace("12", "13")

    made = web.report()

    assert made.changed
    assert fleet.host("web").platform == "debian:13"
    ((_, _, details),) = fleet.audited("host.platform")[-1:]
    assert details == {"from": "debian:12", "to": "debian:13"}


def test_a_report_that_was_changed_on_its_way_is_refused(fleet):
    web = fleet.enrolled()

    with pytest.raises(InputError, match="digest"):
        host_reports.take(
            fleet.db, web.body(), speaker=web.speaker(), digest=b"x", actor="t", now=fleet.now
        )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: d.pop("host"), "host"),
        (lambda d: d.pop("sections"), "sections"),
        (lambda d: d.update(version=2), "version"),
        (lambda d: d.update(version=True), "version"),
        (lambda d: d.update(colour="red"), "colour"),
        (lambda d: d.update(collected_at="yesterday"), "collected_at"),
        (lambda d: d.update(collected_at="2026-03-02T09:30:00"), "collected_at"),
        (lambda d: d.update(host=[]), "host"),
        (lambda d: d["host"].update(hostname=""), "host.hostname"),
        (lambda d: d["host"].update(hostname="a\x00b"), "host.hostname"),
        (lambda d: d["host"].update(machine_id=7), "host.machine_id"),
        (lambda d: d["host"].update(boot_id="x" * 65), "host.boot_id"),
        (lambda d: d["host"].update(addresses="here"), "host.addresses"),
        (lambda d: d["host"].update(addresses=["x"] * 65), "host.addresses"),
        (lambda d: d["host"].update(owner="me"), "host.owner"),
        (lambda d: d.update(sections=[]), "sections"),
        (lambda d: d["sections"].update(dpkg=7), "sections.dpkg"),
        (lambda d: d["sections"].update({str(n): "" for n in range(65)}), "sections"),
        (lambda d: d["sections"].update({"x" * 41: ""}), f"sections.'{'x' * 40}'"),
        (lambda d: d["sections"].update(dpkg="\ud800"), "body"),
        (lambda d: d["sections"].pop("dpkg"), "sections"),
    ],
)
def test_a_report_that_is_none_is_refused_by_its_part(fleet, change, field):
    web = fleet.enrolled()
    before = fleet.host("web").updated_at
    document = json.loads(web.body())
    change(document)

    with pytest.raises(InputError) as refused:
        host_reports.take(
            fleet.db,
            json.dumps(document).encode(),
            speaker=web.speaker(),
            actor="test",
            now=fleet.now,
        )

    assert list(refused.value.problems) == [field]
    assert (fleet.host("web").report_digest, fleet.host("web").updated_at) == (None, before)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b"\xff\xfe{}", b"[" * 200_000, b'{"a":' * 100_000),
        b'{"version": 1, "version": 1}',
        b'{"version": 1, "host": {}, "sections": {}, "collected_at": NaN}',
    ],
)
def test_what_is_no_report_at_all_is_refused(body):
    with pytest.raises(InputError):
        documents.read(body)


# Identity


def test_a_renamed_machine_keeps_its_history(fleet):
    web = fleet.enrolled()
    web.report()
    number = fleet.host("web").id
    web.said["hostname"] = "www"

    made = web.report()

    assert (made.host, made.changed) == ("www", False)
    assert fleet.names() == ["www"]
    assert fleet.host("www").id == number
    renamed = fleet.audited("host.identity")[-1]
    assert renamed == ("host.identity", "host www", {"changes": ["renamed"], "was": "web"})
    with fleet.db.reading() as session:
        assert [line.changes for line in queries.past(session, number)] == [
            ("renamed",),
            ("joined",),
        ]


def test_a_new_address_is_noted_and_changes_nothing_else(fleet):
    web = fleet.enrolled()
    web.report()
    web.said["addresses"] = ["192.0.2.99"]

    web.report()

    host = fleet.host("web")
    assert (host.first_address, host.last_address) == ("192.0.2.10", "192.0.2.99")
    assert [action for action, *_ in fleet.audited("host.identity")] == ["host.identity"]


def test_a_reinstalled_machine_continues(fleet):
    web = fleet.enrolled()
    web.report()
    number = fleet.host("web").id
    again = fleet.enrolled(machine_id=M2, boot_id=BOOTS[2])

    again.report()

    assert fleet.names() == ["web"]
    host = fleet.host("web")
    assert (host.id, host.machine_id) == (number, M2)
    assert fleet.audited("host.identity")[-1][2] == {"changes": ["reinstalled"]}
    assert fleet.conflicts() == []


def test_a_replaced_machine_continues_when_an_admin_says_so(fleet):
    fleet.enrolled()
    number = fleet.host("web").id
    other = fleet.machine(machine_id=M2, product_uuid=P2, boot_id=BOOTS[2])

    with pytest.raises(conflicts.TwoMachinesError):
        other.enrol(fleet.key())
    other.enrol(fleet.key(host="web"))

    assert fleet.host("web").id == number
    assert fleet.host("web").machine_id == M2


def test_two_machines_under_one_name_are_shown_and_not_merged(fleet):
    fleet.enrolled().report()
    other = fleet.machine(machine_id=M2, product_uuid=P2, boot_id=BOOTS[2])
    key = fleet.key()

    for _ in range(2):
        with pytest.raises(conflicts.TwoMachinesError, match="patchmgr hosts conflicts"):
            other.enrol(key)

    (conflict,) = fleet.conflicts()
    with fleet.db.reading() as session:
        assert queries.machine(session, conflict.host_id).conflicts == (conflict,)
    assert (conflict.kind, conflict.host, conflict.says, conflict.times) == (
        *("same_name", "web"),
        *("web", 2),
    )
    assert fleet.host("web").machine_id == M1
    assert [entry[1] for entry in fleet.audited("host.conflict")] == ["host web"]


def test_a_person_says_that_it_is_a_new_host_and_names_it(fleet):
    fleet.enrolled().report()
    other = fleet.machine(machine_id=M2, product_uuid=P2, boot_id=BOOTS[2])
    key = fleet.key()
    with pytest.raises(conflicts.TwoMachinesError):
        other.enrol(key)
    (conflict,) = fleet.conflicts()

    with pytest.raises(InputError, match="known host"):
        fleet.resolve(conflict, "new")
    fleet.resolve(conflict, "new", new_name="web-2")
    enrolled = other.enrol(key)
    made = other.report()

    assert (enrolled.hostname, made.host) == ("web-2", "web-2")
    assert fleet.names() == ["web", "web-2"]
    assert other.report().host == "web-2"
    assert fleet.conflicts() == []
    assert [line.state for line in fleet.conflicts(only_open=False)] == ["used"]
    assert fleet.audited("host.resolve")[0][2]["as"] == "new"


def test_a_person_says_that_it_is_the_same_host(fleet):
    fleet.enrolled().report()
    other = fleet.machine(machine_id=M2, product_uuid=P2, boot_id=BOOTS[2])
    key = fleet.key()
    with pytest.raises(conflicts.TwoMachinesError):
        other.enrol(key)

    fleet.resolve(fleet.conflicts()[0], "same")
    other.enrol(key)

    assert other.report().host == "web"
    assert fleet.names() == ["web"]
    assert fleet.host("web").product_uuid == P2


def test_a_dismissed_machine_stays_out(fleet):
    fleet.enrolled()
    other = fleet.machine(machine_id=M2, product_uuid=P2)
    key = fleet.key()
    with pytest.raises(conflicts.TwoMachinesError):
        other.enrol(key)

    fleet.resolve(fleet.conflicts()[0], "dismissed")

    with pytest.raises(conflicts.TwoMachinesError):
        other.enrol(key)
    assert fleet.conflicts() == []
    with pytest.raises(ConflictError, match="already"):
        fleet.resolve(fleet.conflicts(only_open=False)[0], "same")


def test_a_cloned_image_with_the_token_is_refused_and_its_original_goes_on(fleet):
    web = fleet.enrolled()
    web.report()
    clone = fleet.machine(hostname="web-copy", product_uuid=P2, boot_id=BOOTS[2])
    clone.token = web.token

    with pytest.raises(conflicts.TwoMachinesError, match="web-copy"):
        clone.report()
    web.sections["uname"] = "6.1.0\n"
    web.report()
    fleet.resolve(fleet.conflicts()[0], "new")
    with pytest.raises(conflicts.TwoMachinesError, match="enrolled"):
        clone.report()  # a token speaks for its host, whatever was decided
    clone.enrol(fleet.key())

    assert clone.report().host == "web-copy"
    assert fleet.names() == ["web", "web-copy"]
    assert web.report().host == "web"


def test_perfect_copies_that_report_in_turn_are_noticed(fleet):
    web = fleet.enrolled(product_uuid="")
    web.report()
    copy = fleet.machine(product_uuid="", boot_id=BOOTS[2])
    copy.token = web.token
    copy.report()  # looks like a reboot

    with pytest.raises(conflicts.TwoMachinesError, match="in turn"):
        web.report()

    (conflict,) = fleet.conflicts()
    assert conflict.kind == "alternating"
    with pytest.raises(ConflictError, match="machine-id and a name of its own"):
        fleet.resolve(conflict, "new", new_name="web-2")
    fleet.resolve(conflict, "same")  # it was set back to a snapshot
    assert web.report().host == "web"


def test_a_name_that_another_host_has_is_not_taken_over(fleet):
    fleet.hosts_csv("hostname,owner\ndb,ann\n")
    web = fleet.enrolled()
    web.said["hostname"] = "db"

    with pytest.raises(conflicts.TwoMachinesError, match="another host's name"):
        web.report()
    fleet.resolve(fleet.conflicts()[0], "same")
    made = web.report()

    assert made.host == "web"  # it keeps its name here, and its history
    assert fleet.names() == ["db", "web"]
    assert web.report().host == "web"


def test_a_host_that_came_by_a_file_is_the_machine_of_its_name(fleet):
    fleet.hosts_csv("hostname,external_id,owner\nWEB,i-0abc,ann\n")

    enrolled = fleet.machine().enrol(fleet.key())

    assert enrolled.hostname == "WEB"
    assert fleet.names() == ["WEB"]
    assert fleet.host("WEB").external_id == "i-0abc"


def test_a_host_filed_under_its_machine_id_is_that_machine(fleet):
    fleet.hosts_csv(f"hostname,external_id\nweb.example,{M1.upper()}\n")

    web = fleet.machine()
    web.enrol(fleet.key())
    fleet.hosts_csv(f"hostname,external_id\nrenamed.example,{M1.upper()}\n")

    assert web.report().host == "renamed.example"
    assert fleet.names() == ["renamed.example"]


def test_the_name_of_a_retired_host_is_free(fleet):
    fleet.enrolled().report()
    retirement.retire(fleet.db, "web", actor="ann", now=fleet.now)
    gone = fleet.host("web").id

    other = fleet.enrolled(machine_id=M2, product_uuid=P2, boot_id=BOOTS[2])

    assert other.report().host == "web"
    assert fleet.host("web").id != gone
    assert fleet.host(f"web~{gone}").retired_at is not None


def test_who_makes_conflicts_without_end_fills_no_table(fleet, monkeypatch):
    monkeypatch.setattr(conflicts, "OPEN_OF_A_HOST", 3)
    web = fleet.enrolled()
    web.said["product_uuid"] = P2
    for number in range(6):
        web.said["hostname"] = f"copy-{number}"
        with pytest.raises(conflicts.TwoMachinesError):
            web.report()

    assert len(fleet.conflicts()) == 3


def test_a_machine_without_a_token_is_known_by_what_it_says(fleet):
    web = fleet.machine()
    web.report()
    web.said["hostname"] = "www"
    web.report()

    assert fleet.names() == ["www"]


@pytest.mark.parametrize("wrong", [("perhaps", ""), ("same", "x"), ("new", "no/name")])
def test_what_is_no_resolution_is_refused(fleet, wrong):
    resolution, name = wrong

    with pytest.raises(InputError):
        conflicts.resolve(fleet.db, 1, resolution, new_name=name, actor="ann", now=fleet.now)


def test_a_conflict_that_is_not_there_is_not_found(fleet):
    with pytest.raises(NotFoundError):
        conflicts.resolve(fleet.db, 1, "same", actor="ann", now=fleet.now)


# Writing


def test_a_report_that_cannot_be_written_soon_is_put_off(fleet, monkeypatch):
    monkeypatch.setattr("patchmgr.db.session.PATIENCE", 0.05)
    web = fleet.enrolled()
    web.report()
    unchanged = web.speaker(), web.digest()
    web.sections["dpkg"] += LISTING.replace("openssl", "curl")

    with fleet.db.writing(alone=True) as session:
        session.execute(select(models.Host).with_for_update()).all()
        with pytest.raises(OverloadedError) as refused:
            web.report()
        with pytest.raises(OverloadedError):
            host_reports.ask(fleet.db, *unchanged, now=fleet.now)

    assert refused.value.seconds > 0
    assert web.report().changed


def test_the_digest_is_of_canonical_json():
    host, sections = Identity("wéb"), {"b": "ü\n", "a": '"\\\x01\x7f'}
    text = r'{"host":{"hostname":"wéb"},"sections":{"a":"\"\\\u0001' + "\x7f" + r'","b":"ü\n"}}'

    assert documents.digest({"hostname": host.hostname}, sections) == (
        hashlib.sha256(text.encode()).digest()
    )

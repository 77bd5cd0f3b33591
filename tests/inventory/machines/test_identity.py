"""Which host a machine is: renamed, reinstalled, replaced, copied."""

import pytest

from inventory import (
    conflicts,
    retirement,
)
from patchmgr.db.queries import identity as queries
from patchmgr.errors import (
    ConflictError,
    InputError,
    NotFoundError,
)
from tests.inventory.machines.conftest import BOOTS, M1, M2, P2


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

"""How a machine comes to a token of its own, and what ends it."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import select

from inventory import (
    retirement,
)
from patchmgr.db import models
from patchmgr.errors import (
    AuthenticationError,
    InputError,
    NotFoundError,
)
from patchmgr.services import enrolment, tokens
from patchmgr.services.sign_ins import ThrottledError
from tests.inventory.machines.conftest import BOOTS, M1, M2, P1, P2


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

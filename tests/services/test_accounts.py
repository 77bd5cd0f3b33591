"""Accounts on both databases, and many sign-ins at the same time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from patchmgr.db import models
from patchmgr.domain.accounts import FAILURES_OF_A_NAME, Role
from patchmgr.errors import AuthenticationError, ConflictError, InputError, NotFoundError
from patchmgr.services import accounts, audit, credentials, sign_ins, tokens
from patchmgr.services.sign_ins import ThrottledError

PASSWORD = "a long enough phrase"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def alice(db, now):
    accounts.add_user(db, "alice", Role.OPERATOR, PASSWORD, actor="test", now=now)
    return "alice"


def viewer(db, key, now):
    return sign_ins.viewer_of(db, key, now=now, longest=12 * HOUR, idle=HOUR)


def test_a_sign_in_is_known_by_its_key_until_it_ends(db, now, alice):
    key = sign_ins.sign_in(db, alice, PASSWORD, address="x", now=now)

    found = viewer(db, key, now)
    sign_ins.sign_out(db, found, now=now)

    assert (found.name, found.role, found.is_person) == ("alice", Role.OPERATOR, True)
    assert viewer(db, key, now) is None
    assert viewer(db, "another", now) is None


def test_many_wrong_passwords_at_once_do_not_pass_the_limit(db, now, alice):
    def attempt(_number):
        try:
            sign_ins.sign_in(db, alice, "wrong", address="x", now=now)
        except ThrottledError:
            return "waits"
        except AuthenticationError:
            return "checked"

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(attempt, range(3 * FAILURES_OF_A_NAME)))

    assert answers.count("checked") == FAILURES_OF_A_NAME


def test_a_flood_of_refusals_does_not_fill_the_audit_log(db, now, alice):
    for _ in range(3 * FAILURES_OF_A_NAME):
        with pytest.raises((ThrottledError, AuthenticationError)):
            sign_ins.sign_in(db, alice, "wrong", address="x", now=now)

    with db.reading() as session:
        counts = dict(
            session.execute(
                select(models.AuditEntry.action, func.count()).group_by(models.AuditEntry.action)
            ).all()
        )
        assert audit.first_broken(session) is None
    assert counts == {"user.add": 1, "session.refuse": FAILURES_OF_A_NAME, "session.throttle": 1}


@pytest.mark.parametrize("attempts", [1, FAILURES_OF_A_NAME + 1])
def test_a_password_typed_as_a_name_is_not_audited(db, now, alice, attempts):
    for typed in (*[PASSWORD] * attempts, alice):
        with pytest.raises((ThrottledError, AuthenticationError)):
            sign_ins.sign_in(db, typed, "wrong", address=f"of {typed[:5]}", now=now)

    with db.reading() as session:
        actors = session.scalars(select(models.AuditEntry.actor).order_by(models.AuditEntry.id))
        assert actors.all() == ["test", *[sign_ins.UNKNOWN] * attempts, alice]


def test_an_account_is_added_once(db, now, alice):
    with pytest.raises(ConflictError):
        accounts.add_user(db, alice, Role.VIEWER, PASSWORD, actor="test", now=now)


def test_a_bad_name_and_a_bad_password_are_said_together(db, now):
    with pytest.raises(InputError) as refused:
        accounts.add_user(db, "A B", Role.VIEWER, "short", actor="test", now=now)

    assert set(refused.value.problems) == {"name", "password"}


def test_the_last_admin_can_neither_be_disabled_nor_demoted(db, now):
    accounts.add_user(db, "root", Role.ADMIN, PASSWORD, actor="test", now=now)

    with pytest.raises(ConflictError):
        accounts.disable(db, "root", actor="test", now=now)
    with pytest.raises(ConflictError):
        accounts.set_role(db, "root", Role.VIEWER, actor="test", now=now)
    accounts.add_user(db, "other", Role.ADMIN, PASSWORD, actor="test", now=now)
    accounts.disable(db, "root", actor="test", now=now)


def test_a_disabled_account_can_be_enabled_again(db, now, alice):
    accounts.disable(db, alice, actor="test", now=now)
    with pytest.raises(AuthenticationError):
        sign_ins.sign_in(db, alice, PASSWORD, address="x", now=now)

    accounts.enable(db, alice, actor="test", now=now)

    assert sign_ins.sign_in(db, alice, PASSWORD, address="x", now=now)


def test_a_new_password_ends_every_sign_in(db, now, alice):
    key = sign_ins.sign_in(db, alice, PASSWORD, address="x", now=now)

    accounts.set_password(db, alice, "another long phrase", actor="test", now=now)

    assert viewer(db, key, now) is None


@pytest.mark.parametrize("change", ["password", "disable"])
def test_no_sign_in_begins_by_a_password_that_was_checked_before_it_ended(
    db, now, alice, monkeypatch, change
):
    checked = credentials.verifies

    def meanwhile(kept, password):
        if change == "password":
            accounts.set_password(db, alice, "another long phrase", actor="test", now=now)
        else:
            accounts.disable(db, alice, actor="test", now=now)
        return checked(kept, password)

    monkeypatch.setattr(credentials, "verifies", meanwhile)
    with pytest.raises(AuthenticationError):
        sign_ins.sign_in(db, alice, PASSWORD, address="x", now=now)

    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(models.UserSession)) == 0
        kept = session.scalar(select(models.User.password_hash))
    assert checked(kept, PASSWORD) is (change == "disable")


def test_a_token_is_known_by_its_key_until_it_is_revoked(db, now):
    number, key = tokens.create(db, "ci", Role.VIEWER, actor="test", now=now)

    found = tokens.authenticate(db, key, now=now)
    tokens.revoke(db, number, actor="test", now=now)

    assert (found.name, found.role, found.is_person) == ("token:ci", Role.VIEWER, False)
    with pytest.raises(AuthenticationError):
        tokens.authenticate(db, key, now=now)
    with pytest.raises(ConflictError):
        tokens.revoke(db, number, actor="test", now=now)
    with pytest.raises(NotFoundError):
        tokens.revoke(db, 99, actor="test", now=now)


def test_what_no_longer_counts_is_forgotten(db, now, alice):
    sign_ins.sign_in(db, alice, PASSWORD, address="x", now=now)
    with pytest.raises(AuthenticationError):
        sign_ins.sign_in(db, alice, "wrong", address="x", now=now)

    assert sign_ins.forget_old(db, now=now, longest=DAY) == 0
    assert sign_ins.forget_old(db, now=now + 2 * DAY, longest=DAY) == 3

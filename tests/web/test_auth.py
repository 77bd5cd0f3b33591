"""Signing in and out, throttling, sessions, tokens."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from patchmgr.db import models
from patchmgr.domain.accounts import FAILURE_WINDOW, FAILURES_OF_A_NAME, Role
from patchmgr.services import accounts, credentials, tokens
from web.auth import COOKIE

PASSWORD = "a long enough phrase"


@pytest.fixture
def alice(person):
    return person(Role.VIEWER)


def sign_in(browser, name, password=PASSWORD, target=""):
    return browser.post(f"/sign-in{target}", data={"name": name, "password": password})


def test_the_right_password_leads_to_the_page_asked_for(client, alice):
    browser = client(None)

    answer = sign_in(browser, alice, target="?next=/hosts")

    assert (answer.status_code, answer.location) == (303, "/hosts")
    assert browser.get("/hosts").status_code == 200


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(client, alice):
    answer = sign_in(client(None), alice)

    cookie = next(c for c in answer.headers.getlist("Set-Cookie") if c.startswith(COOKIE))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie  # the setting says plain HTTP


@pytest.mark.parametrize(("name", "password"), [("the-viewer", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_name_and_a_wrong_password_look_alike(client, alice, name, password):
    answer = sign_in(client(None), name, password)

    assert answer.status_code == 401
    assert "The name or the password is not right." in answer.text


def test_an_unknown_name_costs_a_hash_too(client, alice, monkeypatch):
    checked = []
    verify = credentials.verifies
    monkeypatch.setattr(credentials, "verifies", lambda *a: checked.append(a) or verify(*a))

    sign_in(client(None), "nobody")

    assert len(checked) == 1


def test_after_some_failures_even_the_right_password_waits(client, alice, clock):
    browser = client(None)
    for _ in range(FAILURES_OF_A_NAME):
        assert sign_in(browser, alice, "wrong").status_code == 401

    refused = sign_in(browser, alice)
    clock.at += FAILURE_WINDOW + timedelta(seconds=1)
    accepted = sign_in(browser, alice)

    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= FAILURE_WINDOW.total_seconds() + 1
    assert accepted.status_code == 303


def test_failures_for_many_names_from_one_address_wait_too(client, person, clock):
    browser = client(None)

    answers = [sign_in(browser, f"name-{number}").status_code for number in range(31)]

    assert answers == [401] * 30 + [429]


def test_signing_in_forgets_the_failures_before_it(client, alice):
    browser = client(None)
    for _ in range(FAILURES_OF_A_NAME - 1):
        sign_in(browser, alice, "wrong")

    sign_in(browser, alice)
    browser.post("/sign-out")

    assert sign_in(browser, alice, "wrong").status_code == 401


def test_a_disabled_account_cannot_sign_in(client, alice, sqlite_db, clock):
    accounts.disable(sqlite_db, alice, actor="test", now=clock())

    assert sign_in(client(None), alice).status_code == 401


def test_disabling_ends_the_sign_ins_there_are(client, alice, sqlite_db, clock):
    browser = client(Role.VIEWER)

    accounts.disable(sqlite_db, alice, actor="test", now=clock())

    assert browser.get("/hosts").status_code == 303


@pytest.mark.parametrize("passed", [timedelta(minutes=61), timedelta(hours=13)])
def test_a_sign_in_ends_by_itself(client, clock, passed):
    browser = client(Role.VIEWER)

    clock.at += passed

    assert browser.get("/hosts").status_code == 303


def test_a_sign_in_that_is_used_lasts_until_its_longest(client, clock):
    browser = client(Role.VIEWER)
    answers = []

    for _ in range(13):
        clock.at += timedelta(minutes=55)
        answers.append(browser.get("/account").status_code)

    assert answers == [200] * 13
    clock.at += timedelta(minutes=10)
    assert browser.get("/account").status_code == 303


def test_signing_out_makes_the_cookie_useless(client):
    browser = client(Role.VIEWER)
    key = browser.get_cookie(COOKIE).value

    browser.post("/sign-out")
    browser.set_cookie(COOKIE, key)

    assert browser.get("/hosts").status_code == 303


def test_neither_passwords_nor_keys_are_stored(client, sqlite_db, person):
    browser = client(Role.ADMIN)
    key = browser.get_cookie(COOKIE).value
    shown = browser.post("/admin/tokens", data={"token-name": "ci", "token-role": "viewer"}).text

    with sqlite_db.reading() as session:
        stored = repr(
            [
                session.execute(select(model.__table__)).all()
                for model in (models.User, models.UserSession, models.ApiToken, models.AuditEntry)
            ]
        )
    token = shown.split("pm_")[1].split("<")[0]
    assert key not in stored
    assert token not in stored
    assert PASSWORD not in stored
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in stored


def test_changing_the_password_asks_for_the_present_one(client, person):
    browser = client(Role.VIEWER)

    refused = browser.post(
        "/account/password", data={"current": "wrong", "password": "another long phrase"}
    )
    short = browser.post("/account/password", data={"current": PASSWORD, "password": "short"})
    accepted = browser.post(
        "/account/password", data={"current": PASSWORD, "password": "another long phrase"}
    )

    assert (refused.status_code, short.status_code, accepted.status_code) == (422, 422, 303)
    assert "this is not your password" in refused.text
    assert "use at least 12 characters" in short.text
    assert browser.get("/account").status_code == 303  # signed out everywhere
    assert sign_in(browser, person(Role.VIEWER), "another long phrase").status_code == 303


def test_the_theme_is_kept_with_the_account_and_for_the_sign_in_page(client):
    browser = client(Role.VIEWER)

    browser.post("/account/preferences", data={"theme": "dark", "zone": "Europe/Vienna"})

    assert 'data-theme="dark"' in browser.get("/account").text
    browser.post("/sign-out")
    assert 'data-theme="dark"' in browser.get("/sign-in").text


def test_a_zone_that_does_not_exist_is_refused_beside_its_field(client):
    answer = client(Role.VIEWER).post(
        "/account/preferences", data={"theme": "dark", "zone": "Mars/Olympus"}
    )

    assert answer.status_code == 422
    assert "name a zone such as Europe/Vienna" in answer.text


def test_the_last_admin_stays_one(client, sqlite_db, person):
    browser = client(Role.ADMIN)
    with sqlite_db.reading() as session:
        number = session.scalar(select(models.User.id))

    answer = browser.post(f"/admin/users/{number}/role", data={"role": "viewer"})

    assert answer.status_code == 409
    assert "is the last admin" in answer.text


def test_a_token_speaks_for_its_role_until_it_is_revoked(app, client, sqlite_db, clock):
    number, key = tokens.create(sqlite_db, "ci", Role.VIEWER, actor="test", now=clock())
    browser = client(None)
    headers = {"Authorization": f"Bearer {key}"}

    assert browser.get("/api/v1/hosts", headers=headers).status_code == 200
    tokens.revoke(sqlite_db, number, actor="test", now=clock())
    assert browser.get("/api/v1/hosts", headers=headers).status_code == 401


def test_a_token_is_of_no_use_for_pages(client, sqlite_db, clock):
    _, key = tokens.create(sqlite_db, "ci", Role.ADMIN, actor="test", now=clock())

    answer = client(None).get("/hosts", headers={"Authorization": f"Bearer {key}"})

    assert answer.status_code == 303


def test_what_is_done_to_accounts_is_audited(client, sqlite_db):
    browser = client(Role.ADMIN)
    browser.post(
        "/admin/users",
        data={"name": "bob", "role": "viewer", "password": "a phrase of some length"},
    )

    with sqlite_db.reading() as session:
        entries = session.execute(
            select(models.AuditEntry.actor, models.AuditEntry.action, models.AuditEntry.subject)
        ).all()
    assert ("the-admin", "user.add", "user bob") in entries
    assert ("the-admin", "session.start", "127.0.0.1") in entries

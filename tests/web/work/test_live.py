"""The live values of a rollout: read once for all who look at it, and nobody's but their own."""

import re
from datetime import timedelta

import pytest

from patchmgr.db import models
from patchmgr.domain.accounts import Role
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import Outcome
from patchmgr.services import credentials, rollouts
from patchmgr.services.rollouts import ResultRow
from web.auth import COOKIE
from web.plans import live

RINGS = (RingSettings("all", max_failures=5),)


def fail(works, plan_id, host):
    row = ResultRow(host, Outcome.FAILED, package="openssl", output="no space left")
    rollouts.report_results(
        works.db, plan_id, [row], actor="ann", role=Role.OPERATOR, now=works.clock()
    )


@pytest.fixture
def signed_in(works, strict_app):
    """Return the browser of a person with that name, role and zone; their forms need a token."""

    def make(name, role, zone=""):
        now = works.clock()
        who = models.User(name=name, role=role.value, password_hash="none", created_at=now,
                          theme="auto", zone=zone)  # fmt: skip
        with works.db.writing() as session:
            session.add(who)
            session.flush()
            session.add(
                models.UserSession(
                    token_hash=credentials.digest(name), user_id=who.id, created_at=now, seen_at=now
                )
            )
        browser = strict_app.test_client()
        browser.set_cookie(COOKIE, name)
        return browser

    return make


def live_of(browser, plan_id, mark=""):
    return browser.get(f"/plans/{plan_id}/_rollout", headers={"If-None-Match": mark})


def test_who_looks_at_what_is_known_costs_the_plan_no_statement(works, operator, statements):
    plan_id = works.started(rings=RINGS)
    mark = live_of(operator, plan_id).headers["ETag"]
    statements.clear()
    again = live_of(operator, plan_id, mark)
    shown = live_of(operator, plan_id)

    assert (again.status_code, again.data, shown.status_code) == (304, b"", 200)
    assert all("user_session" in one for one in statements)
    assert len(statements) == 2


def test_after_a_while_one_statement_tells_that_nothing_has_changed(
    works, operator, clock, statements
):
    plan_id = works.started(rings=RINGS)
    mark = live_of(operator, plan_id).headers["ETag"]
    clock.at += live.EVERY
    statements.clear()

    assert live_of(operator, plan_id, mark).status_code == 304
    who_asks, stamp = statements
    assert "user_session" in who_asks
    assert 'WHERE "plan".id = ' in stamp


@pytest.mark.parametrize("change", ["a result", "a minute", "another view", "another person"])
def test_a_rollout_is_shown_anew_when_it_is_another(works, operator, client, clock, change):
    plan_id = works.started(rings=RINGS)
    page = f"/plans/{plan_id}/_rollout"
    mark = operator.get(page).headers["ETag"]
    who = client(Role.APPROVER) if change == "another person" else operator
    if change == "a result":
        fail(works, plan_id, "web-1")
        clock.at += live.EVERY
    if change == "a minute":
        clock.at += timedelta(minutes=1)
    at = f"{page}?state=failed" if change == "another view" else page

    shown = who.get(at, headers={"If-None-Match": mark})

    assert shown.status_code == 200
    assert ("no space left" in shown.text) == (change == "a result")


def test_a_hundred_who_look_read_a_changing_plan_once(works, signed_in, clock, statements):
    plan_id = works.started(rings=RINGS)
    people = [signed_in(f"viewer-{number}", Role.VIEWER) for number in range(4)]
    for one in people:
        live_of(one, plan_id)
    fail(works, plan_id, "web-1")
    clock.at += live.EVERY
    statements.clear()

    texts = {live_of(one, plan_id).text for one in people}

    assert len(texts) == 1
    assert "no space left" in texts.pop()
    assert sum("task.output" in one for one in statements) == 1


def test_each_is_shown_what_their_role_and_zone_are_and_no_name(works, signed_in):
    plan_id = works.started(rings=RINGS)
    people = {
        "vera": signed_in("vera", Role.VIEWER),
        "otto": signed_in("otto", Role.OPERATOR),
        "olga": signed_in("olga", Role.OPERATOR, "Europe/Vienna"),
        "paul": signed_in("paul", Role.APPROVER, "Europe/Vienna"),
    }
    for _ in range(2):  # as the first, and as one who is shown what others were
        texts = {name: live_of(one, plan_id).text for name, one in people.items()}

        assert not any(name in text for text in texts.values() for name in people)
        assert {name: "Skip ring all" in text for name, text in texts.items()} == {
            "vera": False, "otto": False, "olga": False, "paul": True,
        }  # fmt: skip
        assert {name: "Leave it out" in text for name, text in texts.items()} == {
            "vera": False, "otto": True, "olga": True, "paul": True,
        }  # fmt: skip
        assert {name: "Europe/Vienna" in text for name, text in texts.items()} == {
            "vera": False, "otto": False, "olga": True, "paul": True,
        }  # fmt: skip


def test_what_one_has_done_to_a_plan_is_said_to_them_alone(works, signed_in):
    ann = signed_in("ann", Role.APPROVER)
    plan_id = works.create(actor="ann")
    works.do("propose", plan_id, "ann")
    bob, eve = (signed_in(name, Role.APPROVER) for name in ("bob", "eve"))

    for _ in range(2):
        texts = [live_of(one, plan_id).text for one in (ann, bob, eve)]

        assert ["You made, edited or proposed this plan" in text for text in texts] == [
            True, False, False,
        ]  # fmt: skip
        assert [">Approve</button>" in text for text in texts] == [False, True, True]


def test_the_forms_that_others_were_shown_too_are_each_viewer_s_own(works, signed_in):
    plan_id = works.started(rings=RINGS)
    first, second = (signed_in(name, Role.OPERATOR) for name in ("first", "second"))
    tokens = [
        re.search(r'name="csrf_token" value="([^"]+)"', live_of(one, plan_id).text)[1]
        for one in (first, second)
    ]

    def pause(browser, token):
        sent = {"reason": "look", "csrf_token": token}
        return browser.post(f"/plans/{plan_id}/pause", data=sent).status_code

    assert pause(second, tokens[0]) == 400
    assert pause(second, tokens[1]) == 303
    assert "Paused" in second.get(f"/plans/{plan_id}").text


def test_the_clock_is_that_of_the_answer_and_not_of_who_came_first(works, operator, clock):
    plan_id = works.started(rings=RINGS)
    live_of(operator, plan_id)
    clock.at += timedelta(seconds=20)

    assert f'data-now="{clock().isoformat()}"' in live_of(operator, plan_id).text


def test_a_view_that_cannot_be_read_disturbs_nobody(works, operator):
    plan_id = works.started(rings=RINGS)

    assert operator.get(f"/plans/{plan_id}/_rollout?cursor=nonsense").status_code == 422
    assert live_of(operator, plan_id).status_code == 200


def test_the_live_values_of_no_plan_are_not_found(works, operator):
    assert operator.get("/plans/99/_rollout").status_code == 404


def test_links_of_live_values_lead_to_the_page(works, operator):
    plan_id = works.started(rings=RINGS)

    text = live_of(operator, plan_id).text

    assert f'href="/plans/{plan_id}?state=leased"' in text
    assert "/_rollout?state" not in text.replace("data-live", "")

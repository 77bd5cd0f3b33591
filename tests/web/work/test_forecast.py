"""When a plan's rings run, in the browser: the forecast, its time line, and what a change would do.

All of it is the one simulation of `patchmgr.services.forecasts`.
"""

import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from patchmgr.db import models
from patchmgr.db.queries import plans as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.groups import GroupSettings
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.windows import Freeze, Window
from patchmgr.services import forecasts, freezes, windows
from web.plans.forecasts import SETTINGS

HOUR = timedelta(hours=1)
SOAKED = (
    RingSettings("canary", fields={"ring": "canary"}, max_failures=0, soak=24 * HOUR),
    RingSettings("broad", max_failures=1, max_concurrent=1),
)


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.parts = []

    def handle_data(self, data):
        self.parts.append(data)


def text(answer):
    reader = Text()
    reader.feed(answer.text)
    return " ".join(" ".join(reader.parts).split())


def exact(at):
    return f"{at:%a %d %b %Y, %H:%M}"


@pytest.fixture
def made(works):
    def ask(plan_id, **more):
        with works.db.reading() as session:
            return forecasts.forecast(session, plan_id, now=works.clock(), **more)

    return ask


@pytest.fixture
def late_window(works):
    """Hosts that may change only after what they have is due: one year from now."""
    at = works.clock() + timedelta(days=300)
    window = Window(
        "one-day", f"FREQ=YEARLY;BYMONTH={at.month};BYMONTHDAY={at.day}", 8 * HOUR, "UTC"
    )
    windows.add(works.db, window, actor="ann", role=Role.OPERATOR, now=works.clock())
    return window


def row(page, name):
    """Return the cells of the table row that begins with ``name``."""
    line = re.search(rf'data-label="Ring">{name}</td>(.*?)</tr>', page, re.DOTALL).group(1)
    reader = Text()
    reader.feed(line)
    return " ".join(" ".join(reader.parts).split())


def test_until_there_is_a_forecast_the_page_says_so_and_looks_again(works, operator):
    plan_id = works.create(rings=SOAKED)

    page = operator.get(f"/plans/{plan_id}/forecast").text
    assert "Computing:" in page
    assert 'hx-trigger="every 2s"' in page
    assert "who will be late" in text(operator.get(f"/plans/{plan_id}/risks"))
    assert "only what happened is shown" in operator.get(f"/plans/{plan_id}/times").text

    works.forecast()

    page = operator.get(f"/plans/{plan_id}/forecast").text
    assert "Computing: the plan" not in page
    assert 'hx-trigger="every 60s"' in page
    assert "who will be late" not in text(operator.get(f"/plans/{plan_id}/risks"))


def test_the_page_has_each_ring_as_the_simulation_has_it(works, operator, made):
    plan_id = works.create(rings=SOAKED)
    works.forecast()
    expected = made(plan_id)

    page = operator.get(f"/plans/{plan_id}/forecast").text

    canary, broad = expected.forecast.rings
    for ring in (canary, broad):
        assert exact(ring.starts) in row(page, ring.name)
        assert exact(ring.ends) in row(page, ring.name)
    assert broad.starts == canary.ends >= canary.starts + 24 * HOUR
    assert "0 of 4 0 % 0 of 8 0 %" in row(page, "Now")
    assert "1 of 4 25 % 2 of 8 25 %" in row(page, "canary")
    assert "4 of 4 100 % 8 of 8 100 %" in row(page, "broad")


def test_a_live_plan_is_forecast_from_where_it_stands(works, operator, made):
    plan_id = works.started(rings=SOAKED)
    works.tick()
    works.forecast()
    before = made(plan_id).forecast
    works.pass_time()
    works.tick()
    stale = operator.get(f"/plans/{plan_id}/forecast").text
    works.do("pause", plan_id, reason="lunch")

    moved = operator.get(f"/plans/{plan_id}/forecast").text
    assert 'hx-trigger="every 15s"' in stale
    assert "a newer one is being made" in moved
    works.pass_time()
    works.forecast()
    page = text(operator.get(f"/plans/{plan_id}/forecast"))
    assert "a newer one is being made" not in page
    assert "if the plan went on at once" in page
    after = made(plan_id).forecast
    assert after.rings[0].starts == before.rings[0].starts
    assert after.ends > before.ends


def test_hosts_without_a_window_in_time_are_named_with_when_they_could(
    works, operator, late_window
):
    rings = (RingSettings("all", window=late_window.name),)
    plan_id = works.create(rings=rings)
    works.forecast()
    opens = (works.clock() + timedelta(days=300)).replace(hour=0, minute=0, second=0, microsecond=0)

    page = text(operator.get(f"/plans/{plan_id}/forecast"))

    assert "4 hosts of ring all: no window before the due date" in page
    assert f"the earliest that all of them could begin is {exact(opens)}" in page
    assert f"web-3 all one-day {exact(opens + 3 * HOUR / 4)}" in page
    works.do("propose", plan_id)
    beside_the_decision = text(operator.get(f"/plans/{plan_id}/changes"))
    assert "4 hosts of ring all have no window before the due date." in beside_the_decision


def test_what_if_is_beside_what_is_and_changes_nothing(works, operator, made, late_window):
    plan_id = works.create(rings=SOAKED)
    works.forecast()
    with works.db.reading() as session:
        before = queries.get(session, plan_id, now=works.clock())
    now = made(plan_id).forecast.ends

    answer = operator.get(f"/plans/{plan_id}/forecast/what-if?soak=0m&max_concurrent=9")

    page = text(answer)
    assert answer.status_code == 200
    assert "The plan would end 1 d" in page
    assert "sooner" in row(answer.text.split('id="what-if"')[1], "broad")
    assert exact(now) in page
    later = text(
        operator.get(f"/plans/{plan_id}/forecast/what-if?window={late_window.name}&soak=0m")
    )
    assert "later: Sun 27 Dec 2026" in later
    assert "Hosts not done when due: 0 now, 4 then" in later
    with works.db.reading() as session:
        assert queries.get(session, plan_id, now=works.clock()) == before
    assert made(plan_id).forecast.ends == now


@pytest.mark.parametrize(
    ("asked", "field", "complaint"),
    [
        ("soak=soon", "soak", "is not a duration"),
        ("soak=3000h", "soak", "Up to 90 days"),
        ("max_concurrent=0", "max_concurrent", "A number of hosts, 1 or more"),
        ("max_concurrent=many", "max_concurrent", "A number of hosts, 1 or more"),
        ("start=noon", "start", "is no time"),
        ("window=gone", "window", "no maintenance window"),
        ("", "soak", "Change at least one"),
    ],
)
def test_a_what_if_that_cannot_be_says_so_beside_its_field(
    works, operator, asked, field, complaint
):
    plan_id = works.create()
    works.forecast()

    answer = operator.get(f"/plans/{plan_id}/forecast/what-if?{asked}")

    assert answer.status_code == 422
    label = answer.text.index(f'for="what-if-{field}"')
    following = [answer.text.find(f'for="what-if-{one}"', label + 1) for one in SETTINGS]
    ends = min([at for at in following if at > 0], default=len(answer.text))
    assert complaint in answer.text[label:ends]


def test_the_api_gives_the_forecast_that_is_kept_while_it_holds(works, operator):
    plan_id = works.create(rings=SOAKED)
    address = f"/api/v1/plans/{plan_id}/forecast"
    made = operator.get(address).json
    works.forecast()

    works.pass_time()
    kept = operator.get(address).json
    changed = operator.get(f"{address}?soak=1h").json
    works.do("propose", plan_id)
    anew = operator.get(address).json

    assert kept == made
    assert kept["made_at"] < changed["made_at"] == anew["made_at"]
    assert kept["forecast"]["starts"] < anew["forecast"]["starts"]


def test_a_plan_that_is_over_has_no_forecast(works, operator):
    plan_id = works.create()
    works.do("cancel", plan_id, reason="no")

    for path in ("forecast", "forecast/what-if?soak=1h"):
        assert "The plan is over" in operator.get(f"/plans/{plan_id}/{path}").text
    assert "/forecast" not in operator.get(f"/plans/{plan_id}/history").text


def test_plans_that_share_groups_or_hosts_are_named_as_not_taken_into_account(works, operator):
    everywhere = (GroupSettings("all", fields={"platform": "debian:12"}),)
    plan_id = works.create(groups=everywhere)
    other = works.create(groups=everywhere, title="Kernels")
    works.forecast()
    assert "plays this plan alone" not in operator.get(f"/plans/{plan_id}/forecast").text

    works.do("propose", other)
    works.do("approve", other, actor="bob")

    said = text(operator.get(f"/plans/{plan_id}/forecast"))
    assert f"Plan {other} Kernels (approved) has the group all and 4 hosts too." in said
    (beside,) = operator.get(f"/api/v1/plans/{plan_id}/forecast").json["beside"]
    assert (beside["plan"], beside["groups"], beside["hosts"]) == (other, 1, 4)


def test_a_what_if_asks_at_most_twelve_questions(works, admin, statements):
    plan_id = works.create(groups=(GroupSettings("all", fields={"platform": "debian:12"}),))
    works.forecast()
    admin.get("/plans")

    statements.clear()
    assert admin.get(f"/plans/{plan_id}/forecast/what-if?soak=1h").status_code == 200

    assert len(statements) <= 12, "\n".join(statements)


def test_the_time_line_says_what_the_forecast_says(works, operator, made):
    at = works.clock()
    freeze = Freeze("books", at + 5 * HOUR, at + 6 * HOUR, "closing")
    freezes.add(works.db, freeze, actor="ann", role=Role.OPERATOR, now=at)
    plan_id = works.create(rings=SOAKED)
    works.forecast()
    canary, broad = made(plan_id).forecast.rings

    page = operator.get(f"/plans/{plan_id}/times").text

    said = re.search(r'role="img" aria-label="([^"]*)"', page).group(1)
    days = "{:%a %d %b %H:%M}".format
    assert f"canary: 1 host from {days(canary.starts)}, until {days(canary.ends)}" in said
    assert f"broad: 3 hosts from {days(broad.starts)}, until {days(broad.ends)}" in said
    assert f"the last ring ends {days(broad.ends)}" in said
    assert '<rect class="soak"' in page
    assert page.count('class="frozen"') == 1


def test_an_exact_version_that_repositories_have_left_behind_is_a_risk(works, operator):
    plan_id = works.create()
    newer = {"package": "openssl", "target": "3.0.17", "offered": "3.0.18", "hosts": 2}
    with works.db.writing() as session:
        plan = session.get(models.Plan, plan_id)
        plan.summary = {**plan.summary, "superseded_targets": [newer]}

    said = text(operator.get(f"/plans/{plan_id}/risks"))

    assert "2 hosts would get openssl 3.0.17 exactly" in said
    assert "their repositories put 3.0.18 first" in said

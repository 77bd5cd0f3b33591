"""Forecasts that the service keeps: made when missing, when a plan moves, and as they age."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from patchmgr.db import models
from patchmgr.db.queries import forecasts as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.windows import Freeze
from patchmgr.services import forecasts, freezes, kept_forecasts, plan_drafts

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def refresh(fleet):
    return kept_forecasts.refresh(fleet.db, now=fleet.now)


def kept(fleet, plan_id):
    with fleet.db.reading() as session:
        return queries.of_plan(session, plan_id)


def cost(fleet, milliseconds):
    """Let the last forecasts have taken so long."""
    with fleet.db.writing() as session:
        session.execute(update(models.PlanForecast).values(took_ms=milliseconds))


def test_what_is_kept_is_the_forecast_of_that_instant(fleet):
    plan_id = fleet.create()
    with fleet.db.reading() as session:
        made = forecasts.forecast(session, plan_id, now=fleet.now)
    assert kept(fleet, plan_id) is None

    assert refresh(fleet).made == 1

    found = kept(fleet, plan_id)
    assert (found.made_at, found.is_current) == (fleet.now, True)
    assert found.made.forecast.rings == made.forecast.rings
    assert found.made.forecast.late == made.forecast.late
    assert (found.made.compliance, found.made.due) == (made.compliance, made.due)


def test_it_is_made_anew_when_the_plan_moves_on_and_only_then(sqlite_fleet):
    fleet = sqlite_fleet
    plan_id = fleet.create()
    refresh(fleet)
    cost(fleet, 0)
    fleet.now += 20 * SECOND
    assert refresh(fleet).made == 0

    fleet.do("propose", plan_id)

    assert not kept(fleet, plan_id).is_current
    assert refresh(fleet).made == 1
    assert kept(fleet, plan_id).is_current


def test_one_of_other_rings_is_no_forecast_of_the_plan(sqlite_fleet):
    fleet = sqlite_fleet
    plan_id = fleet.create()
    refresh(fleet)
    rings = (RingSettings("all"),)

    plan_drafts.edit(fleet.db, plan_id, rings=rings, actor="ann", role=Role.OPERATOR, now=fleet.now)

    assert kept(fleet, plan_id) is None


def test_a_freeze_that_comes_or_ends_moves_it(fleet):
    plan_id = fleet.create()
    refresh(fleet)
    cost(fleet, 0)
    before = kept(fleet, plan_id).made.forecast.ends
    fleet.now += SECOND
    freeze = Freeze("books", fleet.now, fleet.now + 72 * HOUR, "closing")
    assert kept(fleet, plan_id).is_current
    freezes.add(fleet.db, freeze, actor="ann", role=Role.OPERATOR, now=fleet.now)
    assert not kept(fleet, plan_id).is_current

    assert refresh(fleet).made == 1

    assert kept(fleet, plan_id).made.forecast.ends >= before + 71 * HOUR
    freezes.end(fleet.db, "books", actor="ann", role=Role.OPERATOR, now=fleet.now + SECOND)
    fleet.now += 2 * SECOND
    cost(fleet, 0)
    assert refresh(fleet).made == 1
    assert kept(fleet, plan_id).made.forecast.ends < before + HOUR


def test_a_plan_that_waits_is_forecast_again_every_quarter_of_an_hour(sqlite_fleet):
    fleet = sqlite_fleet
    plan_id = fleet.create()
    refresh(fleet)
    fleet.now += kept_forecasts.OLDEST - SECOND
    assert refresh(fleet).made == 0

    fleet.now += SECOND

    assert refresh(fleet).made == 1
    assert kept(fleet, plan_id).made.forecast.starts == fleet.now


def test_a_dear_forecast_is_made_less_often_however_the_plan_moves(sqlite_fleet):
    fleet = sqlite_fleet
    plan_id = fleet.create()
    refresh(fleet)
    cost(fleet, 3000)
    fleet.now += SECOND
    fleet.do("propose", plan_id)
    fleet.now += 58 * SECOND
    assert refresh(fleet).made == 0

    fleet.now += SECOND

    assert refresh(fleet).made == 1


@pytest.mark.parametrize("verb", ["cancel", "reject"])
def test_of_a_plan_that_is_over_nothing_is_kept(sqlite_fleet, verb):
    fleet = sqlite_fleet
    plan_id = fleet.create()
    fleet.do("propose", plan_id)
    refresh(fleet)

    fleet.do(verb, plan_id, actor="bob", reason="no")

    assert refresh(fleet).made == 0
    with fleet.db.reading() as session:
        assert session.scalars(select(models.PlanForecast)).all() == []


@pytest.mark.parametrize(
    "window",
    [{"name": "gone", "rrule": "FREQ=NEVER", "duration": 3600, "zone": "UTC"}, {"rrule": 3}],
)
def test_one_plan_that_cannot_be_forecast_keeps_no_other_from_it(sqlite_fleet, window):
    fleet = sqlite_fleet
    broken, sound = fleet.create(), fleet.create()
    with fleet.db.writing() as session:
        session.execute(
            update(models.Plan).where(models.Plan.id == broken).values(windows={"gone": window})
        )

    done = refresh(fleet)

    assert (done.made, list(done.failed)) == (1, [broken])
    assert kept(fleet, sound) is not None

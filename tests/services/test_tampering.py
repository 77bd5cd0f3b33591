"""One byte of an approved plan's content, changed behind its back: it cannot start.

Every column of every table that belongs to a plan is here: those that hold content must be noticed,
all others are named with the reason why they hold none. Tables and columns come from the models, so
one that is added later has to be decided about.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Integer, String, select, update
from sqlalchemy.exc import IntegrityError

from patchmgr.db import models
from patchmgr.db.base import Base
from patchmgr.domain.accounts import Role
from patchmgr.domain.groups import GroupSettings
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.terms import Terms
from patchmgr.domain.windows import Window
from patchmgr.errors import PatchmgrError
from patchmgr.services import proof, windows

HOUR = timedelta(hours=1)

# Tables that speak of a plan and hold none of its content.
NO_CONTENT = {
    "lease": "who holds an order; it is held against the content when it begins",
    "outbox": "effects that are decided; an order is held against the content when it begins",
    "package_hold": "what is known to be bad, whatever plans say: it only stops",
    "plan_event": "the timeline: what has happened",
    "plan_exclusion": "what is not carried out, for people to read",
    "plan_forecast": "what is expected, for people to read; it is made anew",
    "plan_version": "what the content was before, to show a difference",
    "planning_occasion": "which plan a policy has proposed, and when",
}

WHERE_IT_STANDS = "where the rollout stands, not what it does"
FOR_PEOPLE = "said to people; nothing is done by it"

NOT_CONTENT = {
    "plan": {
        **dict.fromkeys(
            ("state", "state_since", "state_by", "reason", "created_at", "proposed_at",
             "approved_at", "started_at", "finished_at", "halt_signals", "acknowledged",
             "live_tasks", "expires_at", "changed_at", "superseded_by", "revision", "broken_by",
             "broken_at", "broken_reason", "reviewed_by", "reviewed_at", "review_comment"),
            WHERE_IT_STANDS,
        ),
        **dict.fromkeys(("title", "selection", "summary", "policy"), FOR_PEOPLE),
        "series": "rings were drawn by it; which host is in which ring is content itself",
        "author": "said to people; `authors` says who may not approve",
    },
    "plan_ring": dict.fromkeys(
        ("state", "state_since", "started_at", "soak_until", "finished_at", "deadline", "reason",
         "tally", "probes"),
        WHERE_IT_STANDS,
    ),
    "task": dict.fromkeys(
        ("state", "state_since", "attempt", "misses", "deadline", "dispatched_at", "begun_at",
         "finished_at", "seen_at", "package", "not_back", "reason", "output", "reported_by",
         "acknowledged", "undo", "undo_asked_at", "undo_attempt", "undo_misses", "undo_until",
         "undo_given_at", "undo_begun_at", "undo_over", "undo_withdrawn_at", "went_back",
         "proof_after"),
        WHERE_IT_STANDS,
    ),
    "plan_group": {"unavailable": WHERE_IT_STANDS},
    "approval": {
        "comment": FOR_PEOPLE,
        "void_reason": FOR_PEOPLE,
    },
}  # fmt: skip


def tables_of_a_plan():
    return {
        table.name: table
        for table in Base.metadata.sorted_tables
        if table.name == "plan" or "plan_id" in table.c
    }


def columns_of(table):
    """Return the columns that say anything: all but the row's own number."""
    return [column for column in table.c if not column.primary_key]


CONTENT = [name for name in tables_of_a_plan() if name not in NO_CONTENT]


@pytest.fixture
def approved(fleet):
    """A plan with everything that a plan can have, approved. Beside it another one, to mix up."""
    nights = Window("nights", "FREQ=DAILY;BYHOUR=1", 5 * HOUR, "Europe/Berlin", ("2027-12-25",))
    days = Window("days", "FREQ=WEEKLY;BYDAY=SA", 20 * HOUR, "UTC", first="2026-01-03T10:00:00")
    for window in (nights, days):
        windows.add(fleet.db, window, actor="ann", role=Role.ADMIN, now=fleet.now)
    fleet.set_up(window="nights;days")
    rings = (
        RingSettings("canary", fields={"ring": "canary"}, max_failures=0, soak=2 * HOUR),
        RingSettings("rest", window="nights", max_concurrent=2, needs_approval=True),
    )
    groups = (
        GroupSettings("pair", hosts=("c1", "c2"), order=("c2", "c1")),
        GroupSettings("all", by="platform", max_unavailable=3),
    )
    whom = Selection(hosts=("c1", "c2", "b1"))
    more = {"approvals_needed": 2, "terms": Terms(approvers=("bob", "eve")), "groups": groups}
    plan_id = fleet.create(rings=rings, selection=whom, **more)
    fleet.create(selection=Selection(hosts=("b2",)))
    fleet.do("propose", plan_id)
    for name in ("bob", "eve"):
        fleet.do("approve", plan_id, actor=name)
    return plan_id


def stored_hash(fleet, plan_id):
    with fleet.db.reading() as session:
        return proof.stored_hash(session, plan_id, fleet.now)


def rows_of(fleet, table, plan_id):
    of_plan = table.c.id if table.name == "plan" else table.c.plan_id
    with fleet.db.reading() as session:
        return session.execute(select(table).where(of_plan == plan_id)).mappings().all()


def put(fleet, table, number, column, value):
    """Change one value of one row; return whether the database lets it happen."""
    try:
        with fleet.db.writing() as session:
            session.execute(update(table).where(table.c.id == number).values({column: value}))
    except IntegrityError:
        return False
    return True


def others(fleet, column, value):
    """Yield what ``column`` could be changed to, as little as possible."""
    keys = list(column.foreign_keys)
    if keys:
        with fleet.db.reading() as session:
            numbers = session.scalars(select(keys[0].column).order_by(keys[0].column)).all()
        yield from [number for number in numbers if number != value][:3]
    elif value is None:
        kinds = {String: "x", Integer: 1}
        yield next((one for kind, one in kinds.items() if isinstance(column.type, kind)), fleet.now)
    else:
        yield from one_byte_off(value)


def one_byte_off(value):
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, str):
        yield value[:-1] + chr(ord(value[-1]) ^ 1) if value else "x"
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, datetime):
        yield value + timedelta(seconds=1)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from (dict(value) | {key: other} for other in one_byte_off(one))
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from ([*value[:at], other, *value[at + 1 :]] for other in one_byte_off(one))
            yield [*value[:at], *value[at + 1 :]]
        yield [*value, "x"]


def test_every_table_of_a_plan_is_decided_about():
    assert {*NO_CONTENT, *NOT_CONTENT, *CONTENT} <= set(tables_of_a_plan())
    for name, reasons in NOT_CONTENT.items():
        assert set(reasons) <= {column.key for column in columns_of(tables_of_a_plan()[name])}


@pytest.mark.parametrize("name", CONTENT)
def test_no_byte_of_an_approved_plan_can_change_and_the_plan_start(fleet, approved, name):
    table = tables_of_a_plan()[name]
    unnoticed, tried = [], set()
    for row in rows_of(fleet, table, approved):
        for column in columns_of(table):
            if column.key in NOT_CONTENT.get(name, {}):
                continue
            for other in others(fleet, column, row[column.key]):
                tried.add(column.key)
                if not put(fleet, table, row["id"], column.key, other):
                    continue  # the database refuses
                try:
                    fleet.do("start", approved)
                    unnoticed.append(f"{column}: {row[column.key]!r} -> {other!r}")
                    _start_again(fleet, approved)
                except PatchmgrError:
                    pass
                assert put(fleet, table, row["id"], column.key, row[column.key])

    assert unnoticed == []
    assert tried == {column.key for column in columns_of(table)} - set(NOT_CONTENT.get(name, {}))
    fleet.do("start", approved)  # as it was, it can


@pytest.mark.parametrize("name", NOT_CONTENT)
def test_what_is_named_as_no_content_is_none(fleet, approved, name):
    table = tables_of_a_plan()[name]
    whole = stored_hash(fleet, approved)
    for row in rows_of(fleet, table, approved):
        for key in NOT_CONTENT[name]:
            other = next(others(fleet, table.c[key], row[key]), None)
            if other is not None and put(fleet, table, row["id"], key, other):
                assert stored_hash(fleet, approved) == whole, key
                put(fleet, table, row["id"], key, row[key])


def _start_again(fleet, plan_id):
    plan = models.Plan
    with fleet.db.writing() as session:
        values = {"state": "approved", "started_at": None}
        session.execute(update(plan).where(plan.id == plan_id).values(values))

"""One rollout from its proposal to its end, in which the process dies wherever it can.

Before every statement and every commit of each kind of act, in turn: nothing of the act may be left
then, and the act is done again, until it comes to its end. The story is the undisturbed one.
"""

from datetime import timedelta

from sqlalchemy import func, select

from patchmgr.db import models
from patchmgr.domain.groups import GroupSettings
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import Outcome
from patchmgr.services import rollouts

HOUR = timedelta(hours=1)
RINGS = (
    RingSettings("canary", fields={"ring": "canary"}, max_failures=0, soak=HOUR),
    RingSettings("broad", max_failures=1, needs_approval=True),
)
GROUPS = (GroupSettings("pair", hosts=("b1", "b2")),)
NEW = tuple(
    (name, version, source, version)
    for name, version, source in (
        ("openssl", "3.0.17-1~deb12u2", "openssl"),
        ("libssl3", "3.0.17-1~deb12u2", "openssl"),
        ("curl", "7.88.1-10+deb12u9", "curl"),
        ("bash", "5.2.15-2", "bash"),
    )
)
COUNTED = (models.PlanEvent, models.Outbox, models.AuditEntry, models.Approval)


def mark(fleet):
    """What no act leaves as it is: every one writes a line, and moves the plan's revision."""
    counts = [select(func.count(table.id)).scalar_subquery() for table in COUNTED]
    with fleet.db.reading() as session:
        return session.execute(select(models.Plan.revision, *counts)).one()


def told(fleet):
    """What the timeline, the outbox and the audit log say, without numbers of rows."""
    kinds = [(one.kind, one.ring, one.host_id, one.message) for one in fleet.rows(models.PlanEvent)]
    outbox = [(one.kind, one.payload) for one in fleet.rows(models.Outbox)]
    return kinds, outbox, [one.action for one in fleet.rows(models.AuditEntry)]


def undisturbed(_, work):
    work()


def dying_everywhere(fleet, work):
    """Do ``work`` with the process dying at its first statement, its second one, and so on."""
    before, nth = mark(fleet), 1
    while not fleet.dying_at(nth, work):
        assert mark(fleet) == before, f"death {nth} left something behind"
        nth += 1
    assert nth > 1


def story(fleet, act):
    """Play a rollout in which a host fails, gets another turn, and a ring needs its approval."""
    plan_id = fleet.create(rings=RINGS, groups=GROUPS)

    def do(verb, **more):
        act(fleet, lambda: fleet.do(verb, plan_id, **more))

    def tick(forward=timedelta(0)):
        fleet.now += forward
        # Of its ticks those that say something new: a ring passes, the plan is complete.
        chosen = act if forward else undisturbed
        chosen(fleet, lambda: rollouts.tick(fleet.db, now=fleet.now))

    def report(*hosts, **more):
        chosen = act if more else undisturbed  # what succeeds takes the way that failing takes
        chosen(fleet, lambda: fleet.report(plan_id, *hosts, **more))

    do("propose")
    do("approve", actor="bob")
    do("start")
    report("c1", outcome=Outcome.FAILED, package="curl")
    do("retry", hosts=["c1"], reason="the disk was full")
    do("acknowledge", reason="the disk was full")
    report("c1", "c2")
    fleet.now += HOUR
    fleet.inventory(dict.fromkeys(["c1", "c2"], NEW))
    tick()
    tick(2 * HOUR)
    fleet.do("approve", plan_id, actor="cid", ring="broad")
    do("pause", reason="an incident")
    fleet.do("resume", plan_id)
    report("b1", "b3")
    fleet.now += HOUR
    fleet.inventory(dict.fromkeys(["b1", "b3"], NEW))
    tick()
    tick()
    report("b2")
    fleet.now += HOUR
    fleet.inventory({"b2": NEW})
    tick(HOUR)
    return plan_id


def test_a_rollout_that_dies_at_every_statement_and_commit_tells_the_undisturbed_story(
    fleet, copied
):
    with copied() as quiet:
        plan_id = story(quiet, undisturbed)
        assert quiet.get(plan_id).state == "completed"
        expected = told(quiet)
    with copied() as haunted:
        story(haunted, dying_everywhere)

        assert told(haunted) == expected
        assert haunted.is_consistent()

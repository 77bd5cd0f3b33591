"""Policies that make plans: versions, what they select, and proposals on a schedule."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from patchmgr.db import models
from patchmgr.db.queries import change_history, plan_content
from patchmgr.db.queries import planning_policies as queries
from patchmgr.db.queries.change_history import InRing
from patchmgr.domain import plain_documents
from patchmgr.domain.accounts import Role
from patchmgr.domain.planning_policies import brief, from_json
from patchmgr.domain.plans import Selection
from patchmgr.domain.rollout.events import Outcome
from patchmgr.errors import ForbiddenError, InputError, NotFoundError
from patchmgr.services import planning_policies as service
from patchmgr.services import policy_files

DAY = timedelta(days=1)
RINGS = [{"name": "canary", "representative": 1, "max_failures": 0}, {"name": "rest"}]


def adopt(fleet, role=Role.ADMIN, actor="ann", **document):
    policy = from_json({"kind": "planning", "name": "monthly", "rings": RINGS} | document)
    return service.adopt(fleet.db, policy, actor=actor, role=role, now=fleet.now)


def make(fleet, **more):
    return service.create_plan(
        fleet.db, "monthly", actor="ann", role=Role.OPERATOR, now=fleet.now, **more
    )


def packages(fleet, plan_id):
    with fleet.db.reading() as session:
        return {line.package for line in plan_content.changes(session, plan_id, limit=99).lines}


def test_a_policy_makes_plans_as_it_says(fleet):
    adopt(
        fleet,
        title="Monthly",
        targets="at-least",
        approval={"needed": 2, "approvers": ["bob", "cid"], "valid": "48h"},
        findings=[{"packages": ["curl*"]}],
    )
    detail = fleet.get(make(fleet))

    assert (detail.title, detail.policy, detail.approvals_needed) == ("Monthly", "monthly 1", 2)
    assert (detail.terms.targets, detail.terms.approvers) == ("at-least", ("bob", "cid"))
    assert packages(fleet, detail.id) == {"curl"}
    assert [(ring.name, ring.hosts) for ring in detail.rings] == [("canary", 1), ("rest", 4)]
    (reached,) = detail.summary["coverage"]
    assert (reached["hosts"], reached["changes"], reached["of_changes"]) == (1, 1, 1)
    narrowed = make(fleet, narrowed=Selection(hosts=("b1",)))
    assert fleet.get(narrowed).summary["hosts"] == 1


@pytest.mark.parametrize(
    ("findings", "found"),
    [
        ([{"severity_at_least": "high"}], {"openssl", "libssl3"}),
        ([{"severity_at_least": "high"}, {"packages": ["curl"]}], {"openssl", "libssl3", "curl"}),
        ([{"except_packages": ["openssl"]}], {"curl"}),
        ([{"due_within_days": 3650}], {"openssl", "libssl3", "curl"}),
        ([{"types": ["security"]}], {"openssl", "libssl3", "curl"}),
    ],
)
def test_one_of_the_tables_must_hold(sqlite_fleet, findings, found):
    adopt(sqlite_fleet, findings=findings)

    assert packages(sqlite_fleet, make(sqlite_fleet)) == found


@pytest.mark.parametrize(
    "findings",
    [
        {"kev": True},
        {"cvss_at_least": 1.0},
        {"epss_at_least": 0.01},
        {"min_days_since_publication": 1},
        {"min_days_open": 1},
        {"types": ["bugfix"]},
    ],
)
def test_what_is_not_known_or_not_old_enough_is_not_selected(sqlite_fleet, findings):
    adopt(sqlite_fleet, findings=findings)

    with pytest.raises(Exception, match="no open finding is what was asked for"):
        make(sqlite_fleet)


def test_hosts_are_chosen_by_what_they_are(sqlite_fleet):
    adopt(sqlite_fleet, hosts={"platforms": ["debian:12"], "sites": ["nowhere"]})

    with pytest.raises(Exception, match="no open finding"):
        make(sqlite_fleet)
    with pytest.raises(InputError, match="the policy is for debian:12 only"):
        make(sqlite_fleet, narrowed=Selection(platforms=("debian:11",)))


def test_each_change_is_a_version_and_the_same_again_is_none(fleet):
    assert adopt(fleet).version == 1
    assert adopt(fleet).version == 1
    assert adopt(fleet, title="Other").version == 2
    with fleet.db.reading() as session:
        assert [one.policy.version for one in queries.versions(session, "monthly")] == [2, 1]
        assert [one.policy.title for one in queries.listing(session)] == ["Other"]
        with pytest.raises(NotFoundError):
            queries.get(session, "monthly", 9)
    with pytest.raises(ForbiddenError):
        adopt(fleet, role=Role.APPROVER)
    with pytest.raises(InputError, match="is an SLA policy"):
        adopt(fleet, name="severity")
    with pytest.raises(InputError, match="at most 190 characters"):  # plans name its version too
        adopt(fleet, name="p" * 199)


GROUPS = [
    {"name": "pair", "hosts": ["c1", "c2"], "max_unavailable": 1, "order": ["c2", "c1"]},
    {"by": "ring", "max_unavailable": "50%"},
]


def test_whom_a_policy_asks_can_approve_what_it_proposes_by_itself(sqlite_fleet):
    alone = {"approval": {"approvers": ["ann"]}}

    assert adopt(sqlite_fleet, **alone).version == 1  # others make its plans
    assert adopt(sqlite_fleet, actor="bob", schedule=WEEKLY, **alone).version == 2
    with pytest.raises(InputError, match="of those who are asked nobody can"):
        adopt(sqlite_fleet, schedule=WEEKLY, title="Other", **alone)  # she writes it


def test_plans_by_a_policy_have_its_groups(fleet):
    adopt(fleet, groups=GROUPS, schedule=WEEKLY)
    by_hand = fleet.get(make(fleet))
    fleet.now += DAY
    (by_itself,) = service.propose_due(fleet.db, now=fleet.now)

    for plan in (by_hand, fleet.get(by_itself.plan_id)):
        assert [(one["name"], one["by"], one["order"]) for one in plan.groups] == [
            ("pair", "", ["c2", "c1"]),
            ("ring", "ring", []),
        ]
    keys = {(row.plan_id, row.key, row.limit) for row in fleet.rows(models.PlanGroup)}
    assert keys == {(1, "pair", 1), (1, "ring=canary", 1), (2, "pair", 1), (2, "ring=canary", 1)}


def test_other_groups_are_another_version_and_what_people_write_is_the_same_policy(sqlite_fleet):
    assert adopt(sqlite_fleet).version == 1
    grouped = adopt(sqlite_fleet, groups=GROUPS, schedule=WEEKLY, findings=[{"kev": True}])
    assert grouped.version == 2

    written = brief(grouped)

    assert from_json(written) == grouped
    assert written["groups"] == [
        {"name": "pair", "hosts": ["c1", "c2"], "order": ["c2", "c1"]},
        {"name": "ring", "by": "ring", "max_unavailable": "50%"},
    ]
    assert set(written) == {"kind", "name", "version", "findings", "rings", "groups", "schedule"}
    assert brief(from_json({"name": "plain"})) == {
        "kind": "planning",
        "name": "plain",
        "version": 1,
    }


def test_both_kinds_leave_and_come_back_in_both_forms(fleet):
    adopt(fleet, title='A "quoted" title', schedule={"every": "month", "day": 31}, groups=GROUPS)
    for name in ("monthly", "severity"):
        for form in policy_files.FORMATS:
            with fleet.db.reading() as session:
                text = policy_files.export(session, name, form)
            kind, again, version = policy_files.take(
                fleet.db,
                policy_files.parsed(text, form),
                actor="ann",
                role=Role.ADMIN,
                now=fleet.now,
            )
            with fleet.db.reading() as session:
                written = policy_files.export(session, name, form)
            assert (again, version) == (name, 1)
            assert written == text
            assert kind == ("planning" if name == "monthly" else "sla")


@pytest.mark.parametrize(
    ("text", "form", "complaint"),
    [
        ("{", "json", "cannot be read as json"),
        ("[" * 100_000, "json", "nested too deeply"),
        ("x = ", "toml", "cannot be read as toml"),
        ("[]", "json", "a table of settings"),
        ("x" * (plain_documents.LONGEST + 1), "toml", "at most"),
        ('name = "x"', "toml", "kind"),
        ('kind = "planning"', "toml", "needs a name"),
        ('kind = "planning"\nname = "x"\ncolour = "red"', "toml", "colour: is not known"),
        ('kind = "planning"\nname = "x"\n[approval]\nneeded = 9', "toml", "from 1 to 5"),
        ('kind = "planning"\nname = "x"\n[approval]\napprovers = ["role:viewer"]', "toml", "none"),
        ('kind = "planning"\nname = "x"\n[[findings]]\ncvss_at_least = 11', "toml", "from 0 to 10"),
        ('kind = "planning"\nname = "x"\n[[findings]]\nkev = "yes"', "toml", "true or false"),
        ('kind = "planning"\nname = "x"\n[schedule]\nevery = "day"', "toml", "one of week"),
        ('kind = "planning"\nname = "x"\n[schedule]\nevery = "week"\nat = "25:00"', "toml", "at"),
        (
            'kind = "planning"\nname = "x"\n[[rings]]\nname = "a"\n[[rings]]\nname = "b"',
            "toml",
            "a",
        ),
        ('kind = "planning"\nname = "x"\ngroups = 3', "toml", "'x', groups: a list of tables"),
        (
            'kind = "planning"\nname = "x"\n[[groups]]\nby = "site"\nmax_unavailable = 0',
            "toml",
            "policy 'x', max_unavailable of group 'site': a number of hosts",
        ),
        (
            'kind = "planning"\nname = "x"\n[[groups]]\nby = "site"\n[[groups]]\nname = "site"',
            "toml",
            "two groups are called 'site'",
        ),
        ('kind = "sla"\nname = "x"', "toml", "needs exactly"),
    ],
)
def test_a_document_that_cannot_be_is_refused_with_what_is_wrong(
    sqlite_fleet, text, form, complaint
):
    with pytest.raises(InputError, match=complaint):
        policy_files.take(
            sqlite_fleet.db,
            policy_files.parsed(text, form),
            actor="ann",
            role=Role.ADMIN,
            now=sqlite_fleet.now,
        )


WEEKLY = {"every": "week", "weekday": "monday", "at": "12:00"}


def propose(fleet):
    return [(one.plan_id, one.outcome) for one in service.propose_due(fleet.db, now=fleet.now)]


def test_a_schedule_proposes_a_plan_once_for_each_occasion(fleet):
    adopt(fleet, schedule=WEEKLY)
    assert propose(fleet) == []  # 09:30 on a Monday
    fleet.now += 3 * timedelta(hours=1)

    assert propose(fleet) == [(1, "proposed plan 1")]
    assert propose(fleet) == []
    detail = fleet.get(1)
    assert (detail.state, detail.author, detail.policy) == ("proposed", "scheduler", "monthly 1")
    with pytest.raises(ForbiddenError, match="ann made, edited or proposed this plan"):
        fleet.do("approve", 1, actor="ann")


def test_missed_occasions_are_made_up_once_and_the_open_proposal_is_superseded(fleet):
    adopt(fleet, schedule=WEEKLY)
    fleet.now += DAY
    propose(fleet)
    fleet.now += 22 * DAY

    assert propose(fleet) == [(2, "proposed plan 2; it took the place of plan 1")]
    assert propose(fleet) == []
    assert (fleet.get(1).state, fleet.get(1).superseded_by) == ("superseded", 2)
    with fleet.db.reading() as session:
        days = [one.occasion for one in queries.occasions(session, "monthly")]
    assert days == [datetime(2026, 3, 23, 12, tzinfo=UTC), datetime(2026, 3, 2, 12, tzinfo=UTC)]


def test_a_process_that_dies_leaves_nothing_of_an_occasion_and_the_next_sees_to_it(sqlite_fleet):
    fleet = sqlite_fleet
    adopt(fleet, schedule=WEEKLY)
    fleet.now += DAY
    propose(fleet)
    fleet.now += 7 * DAY
    for nth in ("commit", *range(5, 200, 15)):
        if fleet.dying_at(nth, lambda: propose(fleet)):
            break
        assert [plan.state for plan in fleet.rows(models.Plan)] == ["proposed"]
        assert len(fleet.rows(models.PlanningOccasion)) == 1
    else:
        assert propose(fleet) == [(2, "proposed plan 2; it took the place of plan 1")]
    assert [plan.state for plan in fleet.rows(models.Plan)] == ["superseded", "proposed"]


def test_while_the_last_proposal_is_under_way_the_occasion_is_skipped(sqlite_fleet):
    fleet = sqlite_fleet
    adopt(fleet, schedule=WEEKLY)
    fleet.now += DAY
    propose(fleet)
    fleet.do("approve", 1, actor="bob")
    fleet.now += 7 * DAY

    said = "skipped: plan 1 of this policy is still under way"
    assert propose(fleet) == [(None, said)]
    with fleet.db.reading() as session:
        assert queries.occasions(session, "monthly")[0].outcome == said


def test_when_there_is_nothing_to_plan_the_occasion_says_so(sqlite_fleet):
    adopt(sqlite_fleet, schedule=WEEKLY, findings=[{"packages": ["nginx"]}])
    sqlite_fleet.now += DAY
    ((number, outcome),) = propose(sqlite_fleet)

    assert (number, outcome.startswith("nothing to plan")) == (None, True)


def test_a_schedule_counts_from_when_it_was_set(sqlite_fleet):
    adopt(sqlite_fleet)
    sqlite_fleet.now += 30 * DAY
    adopt(sqlite_fleet, schedule=WEEKLY)

    assert propose(sqlite_fleet) == []


def test_the_history_of_a_change_is_told_by_plan_and_ring(fleet):
    first = fleet.started()
    fleet.report(first, "c1")
    fleet.report(first, "c2", outcome=Outcome.FAILED, package="curl")
    with fleet.db.writing() as session:
        session.execute(
            update(models.Task).where(models.Task.state == "installed").values(state="verified")
        )
    second = fleet.create()
    with fleet.db.reading() as session:
        changes = plan_content.changes(session, second, limit=99).lines
        found = change_history.of_changes(session, second, [line.id for line in changes])
        few = change_history.of_changes(session, second, [line.id for line in changes], counted=1)
        earlier = plan_content.changes(session, first, limit=99).lines
        none = change_history.of_changes(session, first, [line.id for line in earlier])
    said = {line.package: found[line.id] for line in changes}
    without = {line.package: few[line.id] for line in changes}

    assert (said["curl"].verified, said["curl"].failed) == (1, 1)
    assert said["curl"].plans[0].failed_in == ("canary",)
    done = f"made on 1 host before (plan {first}: canary 1)"
    assert said["curl"].words == f"{done}, failed on 1 (canary of plan {first})"
    assert said["openssl"].words == done
    assert said["curl"].plans[0].rings == (InRing("canary", 1, 1), InRing("broad", 0, 0))
    assert without["curl"].words.startswith(f"made on 1 host before (plan {first}: 1), failed")
    assert without["curl"].plans[0].rings is None
    assert {one.words for one in none.values()} == {"first time this change is made here"}


def test_the_history_is_of_what_started_before_and_of_hosts_that_began(fleet):
    waits = fleet.create()
    urgent = fleet.started()  # made later, carried out first
    fleet.report(urgent, "c1", outcome=Outcome.FAILED, package="curl")
    with fleet.db.writing() as session:  # c2 did not answer in time
        session.execute(
            update(models.Task).where(models.Task.state == "leased").values(state="timed_out")
        )
    with fleet.db.reading() as session:
        changes = plan_content.changes(session, waits, limit=99).lines
        found = change_history.of_changes(session, waits, [line.id for line in changes])
    said = {line.package: found[line.id].words for line in changes}

    assert said["curl"] == f"never succeeded here, failed on 1 (canary of plan {urgent})"
    assert said["openssl"] == "first time this change is made here"

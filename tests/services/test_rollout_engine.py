"""The stored engine, which loads only what can change, does what the whole machine would do."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from patchmgr.db import models
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Match
from patchmgr.domain.content import Content, place
from patchmgr.domain.groups import GroupSettings, gather
from patchmgr.domain.plans import Change, Proposal, Selection
from patchmgr.domain.probes import Answer, Probe, ProbeKind
from patchmgr.domain.rings import HostFacts, RingSettings
from patchmgr.domain.rollout.events import Outcome
from patchmgr.domain.rollout.machine import advance, advance_all
from patchmgr.domain.windows import Window
from patchmgr.errors import PatchmgrError
from patchmgr.services import plan_drafts, planning, plans, probing, rollouts, verification
from patchmgr.services.rollout_load import Wanted, load

START = datetime(2026, 3, 27, 12, tzinfo=UTC)  # daylight saving begins in Berlin on the 29th
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
HOSTS = 40
SHOP = Probe("shop", ProbeKind.HTTP, "https://shop.example/", interval=HOUR)
GROUPS = (
    GroupSettings("pairs", by="group", max_unavailable=1, order=("hostname",)),
    GroupSettings("thirds", by="rack", max_unavailable_pct=40),
)
RINGS = (
    RingSettings("canary", percent=10, max_failures=1, soak=3 * HOUR, max_concurrent=2,
                 lease=2 * HOUR, wait=3 * DAY, verify=8 * HOUR, reboot=3 * HOUR, probes=(SHOP,)),
    RingSettings("early", percent=30, max_failures=2, soak=HOUR, max_concurrent=4,
                 lease=HOUR, wait=2 * DAY, verify=8 * HOUR),
    RingSettings("broad", max_failures=5, max_concurrent=7, lease=3 * HOUR, wait=2 * DAY),
)  # fmt: skip
NIGHT = Window("night", "FREQ=DAILY;BYHOUR=2;BYMINUTE=30", 4 * HOUR, "Europe/Berlin")
CHANGE = Change("debian:12", "dpkg", "openssl", "amd64", "openssl", "1-1", "2-1", Match.SOURCE)
OLD, NEW = 1, 2  # ids of the package sets with the version, each of that version alone
PEOPLE = {"actor": "ann", "role": Role.ADMIN}


@pytest.fixture
def db(sqlite_db):
    """A running plan on hosts whose inventories say nothing until they are told to."""
    empty = {column.name: None for column in models.Host.__table__.columns}
    empty |= dict.fromkeys(
        ("os_id", "os_release", "arch", "environment", "site", "owner", "criticality",
         "exposure", "ring", "window", "running_kernel"),
        "",
    )  # fmt: skip
    empty |= {
        "platform": "debian:12",
        "tags": [],
        "entitlements": [],
        "held": [],
        "reboot_pending": False,
    }
    empty |= {"created_at": START, "updated_at": START}
    numbers = range(1, HOSTS + 1)
    facts = [
        HostFacts(
            n,
            f"h{n:02}",
            window="night" if n % 3 else "",
            tags=(f"group=g{n // 3}", f"rack=r{n % 3}") if n % 5 else (),
        )
        for n in numbers
    ]
    with sqlite_db.writing() as session:
        for number, version in ((OLD, "1-1"), (NEW, "2-1")):
            session.add(_version(number, version))
            session.add(_set(number))
        session.flush()
        rows = [
            {**empty, "id": n, "hostname": f"h{n:02}", "package_set_id": OLD, "reported_at": START}
            for n in numbers
        ]
        session.execute(insert(models.Host), rows)
        content = Content(
            {CHANGE: list(numbers)},
            place(facts, RINGS, "s", {"night": NIGHT}),
            RINGS,
            {"night": NIGHT},
            approvals_needed=1,
            groups=GROUPS,
            gathered=gather(facts, GROUPS),
        )
        made = planning.Draft(content, Proposal(), START + 6 * DAY, {"changes": 1, "hosts": HOSTS})
        plan_drafts.keep(session, made, Selection(), title="t", series="s", actor="ann", now=START)
    plans.propose(sqlite_db, 1, **PEOPLE, now=START)
    plans.approve(sqlite_db, 1, actor="bob", role=Role.ADMIN, now=START)
    plans.start(sqlite_db, 1, **PEOPLE, now=START)
    return sqlite_db


def _version(number, version):
    return models.PackageVersion(
        id=number, platform="debian:12", manager="dpkg", name="openssl", version=version,
        arch="amd64", module="", origin="", source="openssl", source_version=version,
        judged_source="openssl", judged_version=version, digest=bytes([number]) * 32,
    )  # fmt: skip


def _set(number):
    members = number.to_bytes(4, "little")
    return models.PackageSet(
        id=number,
        digest=bytes([number]) * 32,
        members=members,
        lacks=b"",
        sketch=b"",
        size=1,
        created_at=START,
    )


def whole(session, now):
    """Every task of the plan, loaded."""
    return load(session, 1, Wanted(hosts=range(1, HOSTS + 1)), now).rollout


def expected_after_tick(db, now):
    """What the machine makes of the whole plan, ticked until nothing moves any more."""
    with db.reading() as session:
        rollout = whole(session, now)
        plan = session.get_one(models.Plan, 1)
        tick = rollouts.tick_event(session, plan, now)
        seen = verification.seen(session, 1, rollout, tick)
    tick = replace(tick, content_hash=rollout.content_hash)
    rollout, effects = advance_all(rollout, (*seen, tick))
    while effects:
        rollout, effects = advance(rollout, tick)
    return rollout


@pytest.mark.parametrize("seed", range(6))
def test_loading_what_can_change_comes_to_the_same_as_loading_all(db, seed):
    dice = random.Random(seed)
    now = START
    states = set()
    for _ in range(45):
        now += dice.choice([timedelta(minutes=5), HOUR, 4 * HOUR])
        for act in dice.sample([_report, _inventory, _decide, _forget, _probe], 3):
            act(db, dice, now)
        expected = expected_after_tick(db, now)
        while rollouts.tick(db, now=now).changed:
            pass
        with db.reading() as session:
            stored = whole(session, now)

        assert stored.tasks == expected.tasks
        assert stored.rings == expected.rings
        assert (stored.state, stored.signals) == (expected.state, expected.signals)
        assert stored.groups == expected.groups
        assert budgets_hold(stored)
        states |= {task.state for task in stored.tasks.values()} | {stored.state}
    assert len(states) >= 5, states


def _at_work(db, *states):
    with db.reading() as session:
        task, host = models.Task, models.Host
        query = select(host.hostname).join(task, task.host_id == host.id)
        return list(session.scalars(query.where(task.state.in_(states)).order_by(host.id)))


def _report(db, dice, now):
    names = [name for name in _at_work(db, "leased", "running") if dice.random() < 0.7]
    outcomes = [Outcome.INSTALLED] * 12 + [Outcome.RUNNING] * 4 + [Outcome.FAILED]
    rows = [
        rollouts.ResultRow(name, dice.choice(outcomes), reboot_pending=dice.random() < 0.1)
        for name in names
    ]
    if rows:
        rollouts.report_results(db, 1, rows, **PEOPLE, now=now)


def _inventory(db, dice, now):
    """Some hosts that were at work send an inventory with the new version."""
    names = _at_work(db, "running", "installed", "reboot_pending", "lost", "timed_out")
    with db.writing() as session:
        for name in names:
            if dice.random() < 0.6:
                session.execute(
                    update(models.Host)
                    .where(models.Host.hostname == name)
                    .values(package_set_id=NEW, reported_at=now, reboot_pending=dice.random() < 0.1)
                )


def _decide(db, dice, now):
    """People let signals pass, pause, resume and retry; what is not possible is refused."""
    failed = _at_work(db, "failed", "timed_out", "lost")
    decisions = [
        lambda: plans.acknowledge(db, 1, reason="seen", **PEOPLE, now=now),
        lambda: plans.acknowledge(db, 1, reason="seen", **PEOPLE, now=now),
        lambda: plans.resume(db, 1, **PEOPLE, now=now),
        lambda: plans.pause(db, 1, reason="wait", **PEOPLE, now=now),
        lambda: _retry(db, failed[:2], now),
        lambda: plans.acknowledge(db, 1, reason="known", hosts=failed[:1], **PEOPLE, now=now),
    ]
    for decision in dice.sample(decisions, 3):
        try:
            decision()
        except PatchmgrError:
            continue


def _retry(db, names, now):
    """They get another turn, since they are back at the old version."""
    plans.retry(db, 1, names, reason="again", **PEOPLE, now=now)
    with db.writing() as session:
        session.execute(
            update(models.Host)
            .where(models.Host.hostname.in_(names))
            .values(package_set_id=OLD, reported_at=now)
        )


def _probe(db, dice, now):
    """The service is mostly healthy."""
    status = dice.choice([200] * 9 + [503])
    probing.probe(db, now=now, asker=lambda _probe: Answer(status, b""))


def budgets_hold(rollout):
    down = Counter(
        key for task in rollout.tasks.values() if task.is_unavailable for key in task.groups
    )
    return all(
        budget.unavailable == down[key] and budget.unavailable <= budget.limit
        for key, budget in rollout.groups.items()
    )


def _forget(db, dice, now):
    """A freeze, now and then."""
    if dice.random() < 0.1:
        with db.writing() as session:
            session.add(
                models.Freeze(
                    name="f",
                    starts=now + dice.choice([-1, 2]) * HOUR,
                    ends=now + 9 * HOUR,
                    reason="r",
                    created_by="ann",
                    created_at=now,
                    changed_at=now,
                    revision=1,
                )
            )

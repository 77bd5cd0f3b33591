"""What happened to the demo's fleet in the last three months, told through the real services.

Nothing is written around them: every import, sync, scan, approval and result below is the call
that a person or a job would make, with the time it would have been made at.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from inventory import host_import, package_import
from patchmgr.cli.demo import fleet
from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.exceptions import Scope, Type
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import DEFAULT_RINGS, RingSettings
from patchmgr.domain.rollout.events import Outcome
from patchmgr.domain.windows import Freeze, Window
from patchmgr.feeds import FEEDS
from patchmgr.services import (
    accounts,
    exceptions,
    feeds,
    freezes,
    kept_forecasts,
    plan_drafts,
    plans,
    policies,
    reports,
    rollouts,
    scan,
    sync,
    windows,
)
from patchmgr.services.rollouts import ResultRow

BEGINS = 90  # days ago
PEOPLE = {
    "admin": Role.ADMIN,
    "operator": Role.OPERATOR,
    "approver": Role.APPROVER,
    "viewer": Role.VIEWER,
}
OPERATOR, APPROVER, ADMIN = "operator", "approver", "admin"

Progress = Callable[[int, int], None]  # steps done, steps in all


@dataclass(slots=True)
class Story:
    """The telling of it: where we are, and what has been patched through plans."""

    db: Database
    settings: Settings
    now: datetime
    folder: Path  # for the files that are imported
    machines: Sequence[fleet.Machine]
    patched: fleet.Patched = field(default_factory=dict)
    working: dict[int, tuple[str, ...]] = field(default_factory=dict)  # plan -> sources it updates

    def at(self, days_ago: float) -> datetime:
        return self.now - timedelta(days=days_ago)


def tell(story: Story, password: str, progress: Progress) -> None:
    """Fill an empty database with the story's people, fleet, feed, plans and reports."""
    _begin(story, password)
    days = [*range(BEGINS, 45, -5), *range(45, 29, -1), *range(27, 5, -4), 5, 4, 3, 2, 1]
    for step, day in enumerate(days):
        progress(step, len(days) + 1)
        _live(story, day)
        _plan(story, day)
    progress(len(days), len(days) + 1)
    _today(story)


def _begin(story: Story, password: str) -> None:
    start = story.at(BEGINS + 1)
    for name, role in PEOPLE.items():
        accounts.add_user(story.db, name, role, password, actor="demo", now=start)
    policies.ensure_default(story.db, now=start, actor=ADMIN)
    for window in (
        Window("nights", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH;BYHOUR=22;BYMINUTE=0;BYSECOND=0",
               timedelta(hours=4), "Europe/Berlin"),
        Window("sundays", "FREQ=WEEKLY;BYDAY=SU;BYHOUR=2;BYMINUTE=30;BYSECOND=0",
               timedelta(hours=6), "Europe/Dublin"),
    ):  # fmt: skip
        windows.add(story.db, window, actor=ADMIN, role=Role.ADMIN, now=start)
    year = story.now.year
    freeze = Freeze(
        "Year-end close",
        datetime(year, 12, 21, tzinfo=UTC),
        datetime(year + 1, 1, 4, tzinfo=UTC),
        "No changes while the books are closed",
    )
    freezes.add(story.db, freeze, actor=ADMIN, role=Role.ADMIN, now=start)
    # The demo's feed is an extract: the vendor's own would take back what it does not have. And a
    # demo asks nothing of the network by itself.
    for name in FEEDS:
        feeds.switch(story.db, name, on=False, actor=ADMIN, now=start)
    hosts = story.folder / "hosts.csv"
    fleet.write_hosts(hosts, story.machines)
    host_import.import_hosts(story.db, hosts, actor=ADMIN, now=story.at(BEGINS))


def _live(story: Story, day: float) -> None:
    """Let a day pass: the feed is read, hosts report, the scan runs, plans move."""
    now = story.at(day)
    feed, packages = story.folder / "tracker.json", story.folder / "packages.csv"
    fleet.write_feed(feed, days_ago=int(day))
    sync.sync(story.db, "debian", settings=story.settings, now=now, actor="scheduler", source=feed)
    fleet.write_packages(packages, story.machines, days_ago=int(day), patched=story.patched)
    package_import.import_packages(story.db, packages, actor=ADMIN, now=now + timedelta(minutes=10))
    scan.scan(story.db, now=now + timedelta(minutes=15), settings=story.settings)
    rollouts.tick(story.db, now=now + timedelta(minutes=20))
    for plan_id, sources in story.working.items():
        _carry_out(story, plan_id, sources, now + timedelta(hours=2))
    rollouts.tick(story.db, now=now + timedelta(hours=3))


def _carry_out(story: Story, plan_id: int, sources: Iterable[str], now: datetime) -> None:
    """Do the work that a plan has handed out, and report it installed."""
    rows = [ResultRow(host, Outcome.INSTALLED) for host in _leased(story, plan_id)]
    if rows:
        _report(story, plan_id, rows, now)
    _patch(story, [row.host for row in rows], sources, now)


def _patch(story: Story, hosts: Iterable[str], sources: Iterable[str], now: datetime) -> None:
    """Let ``hosts`` have the newest version of ``sources`` from ``now`` on."""
    days_ago = (story.now - now).days
    for host in hosts:
        story.patched.setdefault(host, {}).update(dict.fromkeys(sources, days_ago))


def _leased(story: Story, plan_id: int) -> list[str]:
    with story.db.reading() as session:
        task, host = models.Task, models.Host
        return list(
            session.scalars(
                select(host.hostname)
                .join(task, task.host_id == host.id)
                .where(task.plan_id == plan_id, task.state == "leased")
                .order_by(host.hostname)
            )
        )


def _report(story: Story, plan_id: int, rows: Sequence[ResultRow], now: datetime) -> None:
    rollouts.report_results(
        story.db, plan_id, rows, actor=OPERATOR, role=Role.OPERATOR, now=now, file="results.csv"
    )


def _plan(story: Story, day: int) -> None:
    """Make the plans that begin on this day."""
    match day:
        case 44:
            plan_id = _proposed(
                story, "September libraries", ("libevent", "libde265", "libssh2"), day
            )
            _started(story, plan_id, day)
            story.working[plan_id] = ("libevent", "libde265", "libssh2")
        case 31:
            plan_id = _proposed(story, "Perl, everywhere at once", ("perl",), day, _ALL_AT_ONCE)
            plans.reject(
                story.db,
                plan_id,
                reason="One ring for the whole fleet: put a canary first.",
                actor=APPROVER,
                role=Role.APPROVER,
                now=story.at(day - 0.2),
            )
        case 30:
            story.working.clear()
            reports.make(
                story.db,
                at=story.at(day),
                formats=("html", "csv", "json"),
                settings=story.settings,
                actor=ADMIN,
                now=story.at(day - 0.1),
            )
        case 27:
            number = _excepted(
                story, Scope(package="perl"), "Replaced with the next image of the fleet.", day
            )
            exceptions.approve(
                story.db,
                number,
                actor=APPROVER,
                role=Role.APPROVER,
                now=story.at(day - 0.3),
            )
        case 3:
            plan_id = _proposed(
                story, "OpenSSL, Expat and Brotli", ("openssl", "expat", "brotli"), day, _SHORT_SOAK
            )
            _started(story, plan_id, day)
            story.working[plan_id] = ("openssl", "expat", "brotli")
        case 2:
            plan_id = _proposed(
                story, "Python 3.11 interpreter", ("python3.11",), day, _CANARY_FIRST
            )
            _started(story, plan_id, day)
            _fail(story, plan_id, day)


_ANY_TIME = tuple(replace(ring, window="any") for ring in DEFAULT_RINGS)
_SHORT_SOAK = tuple(
    replace(ring, soak=min(ring.soak, timedelta(hours=12)), min_soak=timedelta(0))
    for ring in _ANY_TIME
)
_ALL_AT_ONCE = (RingSettings("everywhere", max_failures=10),)
_CANARY_FIRST = (
    RingSettings(
        "canary", fields={"environment": "test"}, percent=5, max_failures=0,
        soak=timedelta(hours=24), min_soak=timedelta(hours=6), window="any",
    ),
    RingSettings("broad", max_failures=5),
)  # fmt: skip


def _proposed(
    story: Story,
    title: str,
    packages: tuple[str, ...],
    day: float,
    rings: Sequence[RingSettings] = _ANY_TIME,
) -> int:
    plan_id = plan_drafts.create(
        story.db,
        title=title,
        selection=Selection(packages=packages),
        rings=rings,
        actor=OPERATOR,
        role=Role.OPERATOR,
        now=story.at(day - 0.13),
    )
    now = story.at(day - 0.14)
    plans.propose(story.db, plan_id, actor=OPERATOR, role=Role.OPERATOR, now=now)
    return plan_id


def _excepted(story: Story, scope: Scope, reason: str, day: float) -> int:
    """Let the operator ask for not acting yet; return the exception's id."""
    added = exceptions.add(
        story.db,
        scope,
        Type.DEFERRAL,
        reason=reason,
        expires_at=story.at(day - 60),
        owner="platform team",
        actor=OPERATOR,
        role=Role.OPERATOR,
        now=story.at(day - 0.2),
        settings=story.settings,
    )
    return added.id


def _started(story: Story, plan_id: int, day: float) -> None:
    plans.approve(
        story.db,
        plan_id,
        actor=APPROVER,
        role=Role.APPROVER,
        now=story.at(day - 0.2),
        comment="Checked against the change calendar.",
    )
    now = story.at(day - 0.25)
    plans.start(story.db, plan_id, actor=OPERATOR, role=Role.OPERATOR, now=now)
    rollouts.tick(story.db, now=story.at(day - 0.26))


def _fail(story: Story, plan_id: int, day: float) -> None:
    """Let two canaries fail the same way, which halts the plan."""
    output = (
        "dpkg: error processing package python3.11-minimal (--configure):\n"
        " installed package post-installation script subprocess returned error exit status 1\n"
        "E: Sub-process /usr/bin/dpkg returned an error code (1)"
    )
    leased = _leased(story, plan_id)
    rows = [
        ResultRow(host, Outcome.FAILED, package="python3.11-minimal", output=output)
        for host in leased[:2]
    ] + [ResultRow(host, Outcome.INSTALLED) for host in leased[2:4]]
    _report(story, plan_id, rows, story.at(day - 0.35))
    _patch(story, [row.host for row in rows[2:]], ("python3.11",), story.at(day - 0.35))
    rollouts.tick(story.db, now=story.at(day - 0.36))


def _today(story: Story) -> None:
    """Leave the fleet as a shift finds it: something runs, something waits, something is halted."""
    running = dict(story.working)
    story.working.clear()
    _live(story, 0.2)
    for plan_id, sources in running.items():
        leased = _leased(story, plan_id)
        done, begun = leased[: len(leased) // 3], leased[len(leased) // 3 : len(leased) // 2]
        rows = [ResultRow(host, Outcome.INSTALLED) for host in done]
        rows += [ResultRow(host, Outcome.RUNNING) for host in begun]
        if rows:
            _report(story, plan_id, rows, story.at(0.05))
        _patch(story, done, sources, story.at(0.05))
    _proposed(story, "PostgreSQL 15.20", ("postgresql-15",), 0.18, DEFAULT_RINGS)
    plan_drafts.create(
        story.db,
        title="apt on the web tier",
        selection=Selection(packages=("apt",)),
        actor=OPERATOR,
        role=Role.OPERATOR,
        now=story.at(0.03),
    )
    _live(story, 0.14)
    _excepted(story, Scope(package="python3.11"), "Waits for the interpreter's own fix.", 0.3)
    rollouts.tick(story.db, now=story.now)
    kept_forecasts.refresh(story.db, now=story.now)

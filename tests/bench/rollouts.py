"""``.venv/bin/python tests/bench/rollouts.py``: a plan for many hosts, simulated and ticked.

The simulated plan has several windows and zones, groups, failures and reboots; the stored one runs,
on SQLite and on PostgreSQL, so that a tick does what it does every few seconds. The CPU of the
database server is counted.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import figures  # beside this file, as the others
import stores
from sqlalchemy import insert

from patchmgr.db import migrate, models
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Match
from patchmgr.domain.content import Content, place
from patchmgr.domain.groups import GroupSettings, gather
from patchmgr.domain.plans import Change, Proposal, Selection
from patchmgr.domain.rings import HostFacts, RingSettings
from patchmgr.domain.simulation.player import simulate
from patchmgr.domain.simulation.reading import scenario_from_json
from patchmgr.services import plan_drafts, planning, plans, rollouts

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SIMULATION, TICK = 60, 1  # seconds of CPU that 100,000 hosts may take
RINGS = (
    RingSettings("canary", percent=1, max_failures=5),
    RingSettings("broad", max_failures=1000, max_concurrent=500),
)
GROUPS = (GroupSettings("racks", by="rack", max_unavailable_pct=25),)
CHANGE = Change("debian:12", "dpkg", "openssl", "amd64", "openssl", "1-1", "2-1", Match.SOURCE)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("hosts", nargs="?", type=int, default=100_000)
    asked.add_argument("--json", type=Path, help="where to write the figures besides")
    options = asked.parse_args()
    print(f"{'step':<36}{'cpu s':>8}{'budget':>8}")
    kept = [taken("simulation", SIMULATION, lambda: played(options.hosts))]
    for name in ("sqlite", "postgresql"):
        with (
            tempfile.TemporaryDirectory(prefix="patchmgr-bench-") as folder,
            stores.opened(name, Path(folder)) as store,
        ):
            kept += ticked(store, options.hosts)
    figures.keep(options.json, "rollouts", kept)
    slow = [each["step"] for each in kept if each["cpu_s"] > each["budget_s"]]
    if slow and options.hosts >= 100_000:
        sys.exit(f"over budget: {', '.join(slow)}")


def ticked(store: stores.Store, hosts: int) -> list[dict[str, Any]]:
    """Return what the ticks cost of a plan for ``hosts`` hosts that was just started."""
    store.home.mkdir(exist_ok=True)
    db = Database(
        store.environ.get("PATCHMGR_DATABASE_URL", f"sqlite:///{store.home / 'patchmgr.db'}")
    )
    migrate.upgrade(db)
    running(db, hosts)
    moments = {"after the start": NOW, "without news": NOW + timedelta(seconds=5)}
    kept = [
        taken(
            f"{store.name}, tick {name}",
            TICK,
            lambda at=at: rollouts.tick(db, now=at),
            store.postmaster,
        )
        for name, at in moments.items()
    ]
    db.close()
    return kept


def taken(
    name: str, budget: float, step: Callable[[], object], postmaster: int = 0
) -> dict[str, Any]:
    """Do a step, print and return the CPU seconds that it took here and in the database server."""
    before = time.process_time() + stores.cpu(postmaster)
    step()
    spent = time.process_time() + stores.cpu(postmaster) - before
    print(f"{name:<36}{spent:>8.2f}{budget:>8}")
    return {"step": name, "cpu_s": spent, "budget_s": budget}


def played(hosts: int) -> int:
    """Simulate a plan with everything that costs; return the lines of its log."""
    night = {"name": "night", "rrule": "FREQ=DAILY;BYHOUR=1", "duration": "5h"}
    scenario = scenario_from_json(
        {
            "start": NOW.isoformat(),
            "windows": [night],
            "rings": [ring.to_json() for ring in RINGS],
            "groups": [{"by": "group", "max_unavailable": "25%"}],
            "behaviour": {"failure_rate": 0.002, "reboot_rate": 0.3, "duration": ["5m", "20m"]},
            "acknowledge_after": "1h",
            "fleets": [
                {
                    "count": hosts,
                    "groups": max(1, hosts // 20),
                    "windows": ["night", "any"],
                    "zones": ["Europe/Berlin", "America/New_York", "Asia/Tokyo"],
                }
            ],
        }
    )
    return sum(1 for _ in simulate(scenario))


def running(
    db: Database, hosts: int, *, rings: tuple[RingSettings, ...] = RINGS, now: datetime = NOW
) -> None:
    """Store a plan for ``hosts`` hosts and start it."""
    numbers = range(1, hosts + 1)
    facts = [HostFacts(number, f"h{number}", tags=(f"rack=r{number // 20}",)) for number in numbers]
    words = (
        "os_id", "os_release", "arch", "environment", "site", "owner", "criticality", "exposure",
        "ring", "window", "running_kernel",
    )  # fmt: skip
    empty = {column.name: None for column in models.Host.__table__.columns}
    empty |= dict.fromkeys(words, "") | {"created_at": now, "updated_at": now}
    empty |= {"platform": "debian:12", "tags": [], "entitlements": [], "held": []}
    empty |= {"reboot_pending": False}
    content = Content(
        {CHANGE: list(numbers)},
        place(facts, rings, "s", {}),
        rings,
        {},
        approvals_needed=1,
        groups=GROUPS,
        gathered=gather(facts, GROUPS),
    )
    summary = {"changes": 1, "hosts": len(facts), "advisories": 1, "findings": 1}
    made = planning.Draft(content, Proposal(), None, summary | {"severity": "high"})
    with db.writing() as session:
        rows = [{**empty, "id": number, "hostname": f"h{number}"} for number in numbers]
        session.execute(insert(models.Host), rows)
        plan_drafts.keep(session, made, Selection(), title="t", series="s", actor="ann", now=now)
    plans.propose(db, 1, actor="ann", role=Role.ADMIN, now=now)
    plans.approve(db, 1, actor="bob", role=Role.ADMIN, now=now)
    plans.start(db, 1, actor="ann", role=Role.ADMIN, now=now)


if __name__ == "__main__":
    main()

"""``.venv/bin/python tests/bench/rollouts.py``: a plan for many hosts, simulated and ticked.

The simulated plan has several windows and zones, groups, failures and reboots; the stored one is on
SQLite and runs, so that a tick does what it does every few seconds.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
from patchmgr.services import planning, plans, rollouts

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SIMULATION, TICK = 60, 1  # seconds of CPU that 100,000 hosts may take
RINGS = (
    RingSettings("canary", percent=1, max_failures=5),
    RingSettings("broad", max_failures=1000, max_concurrent=500),
)
GROUPS = (GroupSettings("racks", by="rack", max_unavailable_pct=25),)
CHANGE = Change("debian:12", "dpkg", "openssl", "amd64", "openssl", "1-1", "2-1", Match.SOURCE)


def main() -> None:
    hosts = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    slow = []
    print(f"{'step':<28}{'cpu s':>8}{'budget':>8}")
    with tempfile.TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{Path(folder) / 'bench.db'}")
        migrate.upgrade(db)
        running(db, hosts)
        steps: list[tuple[str, float, Callable[[], object]]] = [
            ("simulation", SIMULATION, lambda: played(hosts)),
            ("tick after the start", TICK, lambda: rollouts.tick(db, now=NOW)),
            ("tick without news", TICK, lambda: rollouts.tick(db, now=NOW + timedelta(seconds=5))),
        ]
        for name, budget, step in steps:
            before = time.process_time()
            step()
            took = time.process_time() - before
            print(f"{name:<28}{took:>8.2f}{budget:>8}")
            if hosts >= 100_000 and took > budget:
                slow.append(name)
        db.close()
    sys.exit(f"over budget: {', '.join(slow)}" if slow else 0)


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


def running(db: Database, hosts: int) -> None:
    """Store a plan for ``hosts`` hosts and start it."""
    numbers = range(1, hosts + 1)
    facts = [HostFacts(number, f"h{number}", tags=(f"rack=r{number // 20}",)) for number in numbers]
    words = (
        "os_id", "os_release", "arch", "environment", "site", "owner", "criticality", "exposure",
        "ring", "window", "running_kernel",
    )  # fmt: skip
    empty = {column.name: None for column in models.Host.__table__.columns}
    empty |= dict.fromkeys(words, "") | {"created_at": NOW, "updated_at": NOW}
    empty |= {"platform": "debian:12", "tags": [], "entitlements": [], "held": []}
    empty |= {"reboot_pending": False}
    content = Content(
        {CHANGE: list(numbers)},
        place(facts, RINGS, "s", {}),
        RINGS,
        {},
        approvals_needed=1,
        groups=GROUPS,
        gathered=gather(facts, GROUPS),
    )
    made = planning.Draft(content, Proposal(), None, {"changes": 1, "hosts": len(facts)})
    with db.writing() as session:
        rows = [{**empty, "id": number, "hostname": f"h{number}"} for number in numbers]
        session.execute(insert(models.Host), rows)
        plans.keep(session, made, Selection(), title="t", series="s", actor="ann", now=NOW)
    plans.propose(db, 1, actor="ann", role=Role.ADMIN, now=NOW)
    plans.approve(db, 1, actor="bob", role=Role.ADMIN, now=NOW)
    plans.start(db, 1, actor="ann", role=Role.ADMIN, now=NOW)


if __name__ == "__main__":
    main()

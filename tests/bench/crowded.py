"""A database in which every page has something to show: the demo's story, and a large fleet on top.

The demo has plans, exceptions, reports and a past; the generated fleet has the numbers, a plan for
all of it that runs, and a long audit log. Its advisories come as an organisation's own: the demo's
feed stays what it is. Files wait to be decided on, and a policy makes plans by itself.
"""

import csv
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from generate import Fleet  # beside this file, as the others
from stores import Store, environment

SEVERITIES = ("critical", "high", "high", "medium", "medium", "medium", "low", "low")
COLUMNS = ("advisory", "platform", "package", "match", "status", "fixed", "severity", "cves")
ENTRIES = 100_000  # of the audit log
RUNS = 500  # of a job: the newest, that are kept
PLANNED = 20  # advisories, of which the large plan installs the fixes
CONFLICTS = 40  # machines that were refused
DONE = 300  # hosts that have reported
FILES = 30  # uploads that wait for a decision
BAD_ROWS = 200  # in each of them


def fill(store: Store, fleet: Fleet) -> None:
    """Load the demo and ``fleet``, in processes of their own."""
    advisories = fleet.feed.with_suffix(".csv")
    write_advisories(fleet.feed, advisories)
    if store.postmaster:
        _run(store, "-m", "patchmgr", "db", "upgrade")
    for words in (
        ("demo",),
        ("hosts", "import", str(fleet.hosts)),
        ("packages", "import", str(fleet.packages)),
        ("feeds", "sync", "csv", "--from", str(advisories)),
        ("scan",),
        ("packages", "import", str(fleet.changed)),
        ("scan",),
    ):
        _run(store, "-m", "patchmgr", *words)
    _run(store, str(Path(__file__)))


def write_advisories(feed: Path, path: Path) -> None:
    """Write the generated feed as an organisation's own advisories, of every severity."""
    document = json.loads(feed.read_text())
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        number = 0
        for source, flaws in document.items():
            for cve, flaw in flaws.items():
                fixed = flaw["releases"]["bookworm"]["fixed_version"]
                severity = SEVERITIES[number % len(SEVERITIES)]
                name = f"ORG-{number:05}"
                row = (name, "debian:12", source, "source", "affected", fixed, severity, cve)
                writer.writerow(row)
                number += 1


def _run(store: Store, *words: str) -> None:
    subprocess.run(
        [sys.executable, *words], check=True, env=environment(store), stdout=subprocess.DEVNULL
    )


def crowd() -> None:
    """Add what no file brings: a plan for everybody under way, and the log of busy years."""
    from patchmgr.cli.app import App
    from patchmgr.db import session as sessions

    app = App()
    _log(app)
    _refuse(app)
    _plan(app)
    _intake(app)
    _govern(app)
    with app.db.writing() as session:
        sessions.refresh_statistics(session)


def _plan(app: object) -> None:
    from dataclasses import replace

    from patchmgr.domain.accounts import Role
    from patchmgr.domain.plans import Selection
    from patchmgr.domain.rings import DEFAULT_RINGS
    from patchmgr.domain.rollout.events import Outcome
    from patchmgr.services import plan_drafts, plans, rollouts
    from patchmgr.services.rollouts import ResultRow

    now = app.now - timedelta(hours=3)
    wide = {"window": "any", "soak": timedelta(0), "min_soak": timedelta(0), "max_failures": 100}
    rings = tuple(replace(ring, **wide) for ring in DEFAULT_RINGS)
    operator = {"actor": "operator", "role": Role.OPERATOR}
    refs = tuple(f"ORG-{number:05}" for number in range(PLANNED))
    number = plan_drafts.create(
        app.db,
        title="Everything, everywhere",
        selection=Selection(advisories=refs),
        rings=rings,
        now=now,
        **operator,
    )
    plans.propose(app.db, number, now=now, **operator)
    plans.approve(app.db, number, actor="approver", role=Role.APPROVER, now=now)
    plans.start(app.db, number, now=now, **operator)
    rollouts.tick(app.db, now=now)
    rows = [ResultRow(host, Outcome.INSTALLED) for host in _leased(app, number)]
    rollouts.report_results(app.db, number, rows, now=now, file="results.csv", **operator)
    rollouts.tick(app.db, now=app.now)


def _leased(app: object, plan_id: int) -> list[str]:
    from sqlalchemy import select

    from patchmgr.db.models import Host, Task

    query = select(Host.hostname).join(Task, Task.host_id == Host.id)
    with app.db.reading() as session:
        handed_out = query.where(Task.plan_id == plan_id, Task.state == "leased").limit(DONE)
        return list(session.scalars(handed_out))


def _log(app: object) -> None:
    """Add years of audit entries and job runs; they are looked at, and prove nothing."""
    from sqlalchemy import insert

    from patchmgr.db import models

    entry = {"actor": "scheduler", "action": "host.retire", "details": {}}
    run = {"job": "scan", "trigger": "schedule", "state": "succeeded", "summary": "", "error": ""}
    minutes = [app.now - timedelta(minutes=number) for number in range(ENTRIES)]
    entries = [
        {**entry, "at": at, "subject": f"host {number}", "previous": "", "hash": f"{number:064x}"}
        for number, at in enumerate(minutes)
    ]
    runs = [{**run, "started_at": at, "finished_at": at} for at in minutes[:RUNS]]
    with app.db.writing() as session:
        session.execute(insert(models.AuditEntry), entries)
        session.execute(insert(models.JobRun), runs)


def _intake(app: object) -> None:
    """Add files that wait for a decision, one that has not come whole, and how a source is read."""
    import io

    from inventory import import_work, pieces, sources, uploads
    from inventory.csv_header import Reading
    from inventory.uploads import Wish

    now, folder = app.now, app.settings.uploads
    by = {"actor": "operator", "now": now}
    wish = Wish("hosts", source="cmdb")
    rows = [f"moved{number:04},debian:12,production" for number in range(1000)]
    bad = [f"broken {number},debian:12,production" for number in range(BAD_ROWS)]
    content = "\n".join(["hostname,platform,environment", *rows, *bad]).encode()
    for number in range(FILES):
        uploads.receive(
            app.db, io.BytesIO(content), wish, filename=f"{number}.csv", uploads=folder, **by
        )
    import_work.work(app.db, folder, lambda: now)
    half = {"filename": "large.csv", "size": 1 << 20, "modified": 0, "largest": 1 << 21}
    pieces.begin(app.db, wish, uploads=folder, **half, **by)
    sources.save(app.db, "cmdb", "hosts", Reading(), **by)


def _govern(app: object) -> None:
    """Add a policy that makes plans, a token, and the forecasts that a running service keeps."""
    import tomllib

    from patchmgr.domain.accounts import Role
    from patchmgr.services import kept_forecasts, policy_files, tokens
    from web.planning_policies import EXAMPLE

    admin = {"actor": "admin", "now": app.now}
    policy_files.take(app.db, tomllib.loads(EXAMPLE), role=Role.ADMIN, **admin)
    tokens.create(app.db, "dashboard", Role.VIEWER, **admin)
    kept_forecasts.refresh(app.db, now=app.now)


def _refuse(app: object) -> None:
    """Add machines that were refused, as hosts that may be others are."""
    from sqlalchemy import insert, select

    from patchmgr.db import models

    said = ("machine_id", "product_uuid", "boot_id", "address", "new_name", "resolved_by")
    line = dict.fromkeys(said, "") | {"kind": "same_name", "why": "it is another machine"}
    line |= {"state": "open", "times": 2, "first_at": app.now, "last_at": app.now}
    with app.db.writing() as session:
        hosts = session.execute(
            select(models.Host.id, models.Host.hostname)
            .where(models.Host.hostname.startswith("host0000"))
            .limit(CONFLICTS)
        )
        rows = [
            {**line, "key": bytes(32), "host_id": number, "hostname": name}
            for number, name in hosts
        ]
        session.execute(insert(models.IdentityConflict), rows)


if __name__ == "__main__":
    crowd()

"""``make bench``: imports and scans at several sizes, each beside its reference and its budget.

Every step runs in a process of its own, so that its peak memory is its own. CPU seconds are
compared, since a machine that does other things besides makes the others mean little; those of a
database server count as well.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import figures  # beside this file, as the others
import table
from budgets import BUDGETS, DATABASE_MB, FROM, LINEAR, Measure, judged
from generate import Fleet, Shape, generate
from pages import PAGE_BUDGET, pages
from steps import NUMPY, POSTMASTER, READER, THEN
from stores import Store, environment, opened

STEPS = Path(__file__).with_name("steps.py")
DATABASES = ("sqlite", "postgresql")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("hosts", nargs="+", type=int)
    asked.add_argument("--databases", default=",".join(DATABASES))
    asked.add_argument("--json", type=Path, help="where to write the figures besides")
    options = asked.parse_args()
    results = []
    for hosts in options.hosts:
        with tempfile.TemporaryDirectory(prefix="patchmgr-bench-") as folder:
            print(f"\n{hosts} hosts: making the fleet", file=sys.stderr)
            fleet = generate(Path(folder), Shape(hosts))
            for name in options.databases.split(","):
                with opened(name, Path(folder)) as store:
                    results.append(bench(store, fleet, hosts))
    lines = [linear(results, result) for result in results]
    figures.keep(options.json, "fleets", results)
    if any(lines) or any(not one["within"] for each in results for one in each["budgets"]):
        sys.exit(1)


def bench(store: Store, fleet: Fleet, hosts: int) -> dict[str, object]:
    """Run every step on a fleet of ``hosts``; print a table and return it as data."""
    if store.postmaster:
        measured(store, "schema", "db", "upgrade")
    measures = {}
    for name, call in steps(fleet).items():
        measures[name] = measured(store, name, *call)
        print(f"  {store.name}, {name}: {measures[name].work:.1f} s", file=sys.stderr)
    budgets = BUDGETS if hosts >= FROM else ()
    checked = [judged(budget, measures, hosts) for budget in budgets]
    size = store.megabytes
    checked += [{"step": "database", "within": size <= DATABASE_MB * hosts / FROM}] * bool(budgets)
    written = fleet.packages.stat().st_size / 1e6
    table.show(f"{hosts} hosts, packages.csv of {written:.0f} MB, {store.name}", measures, checked)
    table.size(size, hosts)
    shown = pages(store)
    if budgets:
        checked += [{"step": p["page"], "within": p["p95_ms"] <= PAGE_BUDGET} for p in shown]
    return {
        "hosts": hosts,
        "database": store.name,
        "findings": findings(store),
        "database_mb": round(size, 1),
        "measures": [asdict(measure) for measure in measures.values()],
        "pages": shown,
        "budgets": checked,
    }


def linear(results: list[dict[str, object]], result: dict[str, object]) -> bool:
    """Say how the full scan grew from a tenth of the hosts, and return whether it was too much."""
    smaller = next(
        (
            one
            for one in results
            if one["hosts"] * 10 == result["hosts"] >= 10 * FROM
            and one["database"] == result["database"]
        ),
        None,
    )
    if smaller is None:
        return False
    now, before = (
        next(m for m in one["measures"] if m["step"] == "full scan") for one in (result, smaller)
    )
    times = (now["cpu"] + now["server"]) / (before["cpu"] + before["server"])
    said = f"{times:.1f} times the full scan, at most {LINEAR}"
    print(f"{result['database']}: ten times the hosts, {said}")
    return times > LINEAR


def steps(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    packages = str(fleet.packages)
    changed = ("packages", "import", str(fleet.changed))
    feed, more, again = (
        ("feeds", "sync", "debian", "--from", str(path))
        for path in (fleet.feed, fleet.more, fleet.again)
    )
    scan = (THEN, "scan", THEN)
    return {
        "csv.reader": (READER, packages),
        "hosts import": ("hosts", "import", str(fleet.hosts)),
        "packages import": ("packages", "import", packages),
        "packages import again": ("packages", "import", packages),
        "feed sync": feed,
        "full scan": ("scan",),
        "numpy pass": (NUMPY,),
        "scan, nothing changed": ("scan",),
        # The service scans in a process that has done so before; the last call is what is measured.
        "scan after 1 % changed": ("scan", THEN, *changed, THEN, "scan"),
        "first after one advisory": ("scan", THEN, *more, THEN, "scan"),
        "scan after one advisory": (*feed, *scan, *more, *scan, *again, THEN, "scan"),
        "full scan again": ("scan", "--full"),
    }


def measured(store: Store, name: str, *call: str) -> Measure:
    """Run one step in a process of its own."""
    done = subprocess.run(
        [sys.executable, STEPS, *call],
        capture_output=True,
        check=False,
        env=environment(store) | {POSTMASTER: str(store.postmaster)},
        text=True,
    )
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stdout}{done.stderr}")
    return Measure(name, *json.loads(done.stdout.splitlines()[-1]))


def findings(store: Store) -> int:
    """Return how many findings are open at the end."""
    from sqlalchemy import text

    from patchmgr.cli.app import App

    with App(store.environ).db.reading() as session:
        total = session.scalar(text("SELECT sum(open_findings) FROM host_count"))
    return int(total or 0)


if __name__ == "__main__":
    main()

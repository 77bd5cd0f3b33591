"""``make bench``: imports and scans at several sizes, each beside its reference and its budget.

Every step runs in a process of its own, so that its peak memory is its own. CPU seconds are
compared, since a machine that does other things besides makes the others mean little.
"""

import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from generate import Fleet, generate  # beside this file

HEADINGS = ("step", "wall s", "cpu s", "peak MB", "ratio", "budget", "")


@dataclass(frozen=True)
class Measure:
    """What a step took."""

    step: str
    wall: float  # seconds
    cpu: float  # seconds, of all its threads
    peak: float  # MB, of a process that did only this


@dataclass(frozen=True)
class Budget:
    """``step`` may take ``factor`` times the CPU of ``reference``, ``seconds``, and ``peak`` MB.

    What is 0 or "" is not limited.
    """

    step: str
    reference: str = ""
    factor: float = 0
    seconds: float = 0
    peak: int = 0


BUDGETED_FROM = 10_000  # hosts; in a smaller fleet, opening the database outweighs the work
THEN = "then"  # between the calls of one step
BUDGETS = (
    Budget("packages import", "csv.reader", 1.5, peak=600),
    Budget("packages import again", "csv.reader", 1.2, peak=600),
    Budget("full scan", seconds=10, peak=500),
    Budget("scan after 1 % changed", "full scan", 0.05),
    Budget("scan after one advisory", "full scan", 0.05),
)
DATABASE_MB = 300  # for 10,000 hosts


def main() -> None:
    if sys.argv[1] == "--step":
        one_step(*sys.argv[2:])
        return
    results = []
    for hosts in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory(prefix="patchmgr-bench-") as folder:
            results.append(bench(Path(folder), hosts))
    print(json.dumps(results))
    if any(not line["within"] for result in results for line in result["budgets"]):
        sys.exit(1)


def bench(folder: Path, hosts: int) -> dict[str, object]:
    """Run every step on a fleet of ``hosts``; print a table and return it as data."""
    print(f"\n{hosts} hosts: making the fleet", file=sys.stderr)
    fleet = generate(folder, hosts)
    home = folder / "home"
    measures = {}
    for name, call in steps(fleet).items():
        measures[name] = measured(home, name, *call)
        print(f"  {name}: {measures[name].cpu:.1f} s", file=sys.stderr)
    size = sum(path.stat().st_size for path in home.glob("patchmgr.db*")) / 1e6
    budgets = BUDGETS if hosts >= BUDGETED_FROM else ()
    checked = [judged(budget, measures) for budget in budgets]
    show(hosts, measures, checked, size, fleet)
    return {
        "hosts": hosts,
        "findings": findings(home),
        "database_mb": round(size, 1),
        "measures": [asdict(measure) for measure in measures.values()],
        "budgets": checked,
    }


def steps(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    packages = str(fleet.packages)
    changed = ("packages", "import", str(fleet.changed))
    feed = ("feeds", "sync", "debian", "--from", str(fleet.feed))
    more = ("feeds", "sync", "debian", "--from", str(fleet.more))
    again = ("feeds", "sync", "debian", "--from", str(fleet.again))
    return {
        "csv.reader": ("reader", packages),
        "hosts import": ("hosts", "import", str(fleet.hosts)),
        "packages import": ("packages", "import", packages),
        "packages import again": ("packages", "import", packages),
        "feed sync": feed,
        "full scan": ("scan",),
        "scan, nothing changed": ("scan",),
        # The service scans in a process that has done so before; the last call is what is measured.
        "scan after 1 % changed": ("scan", THEN, *changed, THEN, "scan"),
        "first after one advisory": ("scan", THEN, *more, THEN, "scan"),
        "scan after one advisory": (
            *feed,
            THEN,
            "scan",
            THEN,
            *more,
            THEN,
            "scan",
            THEN,
            *again,
            THEN,
            "scan",
        ),
        "full scan again": ("scan", "--full"),
    }


def measured(home: Path, name: str, *call: str) -> Measure:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PATCHMGR_")}
    done = subprocess.run(
        [sys.executable, __file__, "--step", *call],
        capture_output=True,
        check=False,
        env=environ | {"PATCHMGR_HOME": str(home)},
        text=True,
    )
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stdout}{done.stderr}")
    wall, cpu, peak = json.loads(done.stdout.splitlines()[-1])
    return Measure(name, wall, cpu, peak)


def one_step(*call: str) -> None:
    """Do one step in this process and print what its last call took."""
    *before, last = calls(call)
    app = None if last[0] == "reader" else opened()
    for each in before:
        work(each, app)()
    step = work(last, app)  # imports the program, which is not what is measured
    start, cpu = time.perf_counter(), time.process_time()
    step()
    taken = [time.perf_counter() - start, time.process_time() - cpu]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps([round(value, 3) for value in (*taken, peak)]))


def calls(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    for word in words:
        if word == THEN:
            found.append(())
        else:
            found[-1] += (word,)
    return found


def opened() -> object:
    """Return the program with its database, as a service has it open from scan to scan."""
    from patchmgr.cli.app import App

    return App()


def work(call: tuple[str, ...], app: object) -> Callable[[], object]:
    if call[0] == "reader":
        return lambda: read_only(Path(call[1]))
    import click

    from patchmgr.cli import main as patchmgr

    patchmgr.get_command(click.Context(patchmgr), call[0])  # imports what the command needs
    return lambda: patchmgr(list(call), prog_name="patchmgr", obj=app, standalone_mode=False)


def read_only(path: Path) -> int:
    with path.open(newline="") as file:
        return sum(1 for _row in csv.reader(file))


def judged(budget: Budget, measures: dict[str, Measure]) -> dict[str, object]:
    measure = measures[budget.step]
    ratio = measure.cpu / measures[budget.reference].cpu if budget.reference else 0.0
    within = (
        (not budget.reference or ratio <= budget.factor)
        and (not budget.seconds or measure.wall <= budget.seconds)
        and (not budget.peak or measure.peak <= budget.peak)
    )
    return asdict(budget) | {"ratio": round(ratio, 3), "within": within}


def show(
    hosts: int,
    measures: dict[str, Measure],
    checked: list[dict[str, object]],
    size: float,
    fleet: Fleet,
) -> None:
    by_step = {line["step"]: line for line in checked}
    rows = [HEADINGS]
    for name, measure in measures.items():
        line = by_step.get(name, {})
        limits = (
            f"{line['factor']} x {line['reference']}" if line.get("reference") else "",
            f"{line['seconds']} s" if line.get("seconds") else "",
            f"{line['peak']} MB" if line.get("peak") else "",
        )
        rows.append(
            (
                name,
                f"{measure.wall:.2f}",
                f"{measure.cpu:.2f}",
                f"{measure.peak:.0f}",
                f"{line['ratio']:.2f}" if line.get("reference") else "",
                ", ".join(filter(None, limits)),
                {True: "ok", False: "OVER", None: ""}[line.get("within")],
            )
        )
    print(f"\n{hosts} hosts, packages.csv of {fleet.packages.stat().st_size / 1e6:.0f} MB")
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )
    print(f"database {size:.0f} MB (budget {DATABASE_MB * hosts / 10_000:.0f} MB)")


def findings(home: Path) -> int:
    """Return how many findings are open at the end."""
    import sqlite3

    with sqlite3.connect(home / "patchmgr.db") as connection:
        (total,) = connection.execute("SELECT sum(open_findings) FROM host_count").fetchone()
        return int(total)


if __name__ == "__main__":
    main()

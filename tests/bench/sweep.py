"""``tests/bench/sweep.py HOSTS``: every page and API listing, its filters, orders and largest page.

Each is asked for in this process; counted are its CPU and that of the database server, its
statements, and whether a statement reads the whole of a large table. What is over its budget is
printed, and the slowest of each kind.
"""

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import addresses  # beside this file, as the others
import crowded
import figures
import stores
from generate import Shape, generate
from sqlalchemy import event, select, text
from werkzeug.test import TestResponse

CPU_MS, STATEMENTS = 200, 12  # the budget
WORTH = 120  # ms of CPU from which an address is measured again: what took less once is within
TIMES = 5
SHOWN = 40
# Lists of hosts may read the hosts, a line each; distinct versions hardly grow with the fleet.
SMALL = {"host", "host_count", "software", "package_version", "version_count"}
# What may read the whole of a large table, and why. Nothing else may.
READ_WHOLE = (
    # Who has what, now and then, is told by the sets that hosts have: all of them (ADR 0008).
    (r"/software\b|/coverage", {"package_set", "host_package_set"}),
    # What is offered over what is counted for each version, from an index alone.
    (r"/findings\?.*installable=", {"exposure"}),
    # What nearly each finding matches has a true total, from an index alone.
    (r"/findings\?.*\b(q|search)=src\b", {"exposure"}),
    # What a plan for everybody does is most of what all plans do here.
    (r"/plans/\d+\b", {"task", "plan_item"}),
    # Its total is true, and a search in it looks at each entry, since none is like another.
    (r"^/admin/audit", {"audit_entry"}),
)
SLOW = re.compile(r"^/admin/audit\?check=yes")  # proves the whole log when somebody asks for it


@dataclass(slots=True)
class Line:
    """What an address took."""

    address: str
    cpu_ms: float
    statements: int
    scans: list[str] = field(default_factory=list)  # large tables that it read as a whole

    @property
    def over(self) -> list[str]:
        found = [f"{self.cpu_ms:.0f} ms"] * (self.cpu_ms > CPU_MS and not SLOW.match(self.address))
        found += [f"{self.statements} statements"] * (self.statements > STATEMENTS)
        return found + [f"reads all of {table}" for table in self.scans]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("hosts", nargs="?", type=int, default=10_000)
    asked.add_argument("--databases", default="sqlite,postgresql")
    asked.add_argument("--json", type=Path, help="where to write the figures besides")
    options = asked.parse_args()
    kept, over = [], False
    with tempfile.TemporaryDirectory(prefix="patchmgr-bench-") as folder:
        fleet = generate(Path(folder), Shape(options.hosts))
        for name in options.databases.split(","):
            with stores.opened(name, Path(folder)) as store:
                crowded.fill(store, fleet)
                lines, missing = sweep(store)
            over = show(store.name, lines, missing) or over
            kept += [{"database": store.name, **asdict(line)} for line in lines]
    figures.keep(options.json, "sweep", kept)
    sys.exit(over)


def sweep(store: stores.Store, only: str = "") -> tuple[list[Line], list[str]]:
    """Return what each address took, and the routes that could not be asked for."""
    from patchmgr.cli.app import App
    from patchmgr.services import sign_ins
    from web.api.document import openapi
    from web.app import create_app
    from web.auth import COOKIE

    program = App(store.environ)
    console = create_app(program.db, program.settings, now)
    key = sign_ins.sign_in(program.db, "admin", password(store), address="127.0.0.1", now=now())
    person = console.test_client()
    person.set_cookie(COOKIE, key)
    large = large_tables(program.db)
    addresses.WORDS["at"] = ("2100-01-01T00:00:00Z", before_the_last_scan(program.db))
    found, missing = addresses.pages(person.get, console.url_map)
    more, missed = addresses.listings(person.get, openapi())
    meter = Meter(program.db, store.postmaster, large)
    asked = [each for each in (*found, *more) if re.search(only, each)]
    lines = [line for each in asked if (line := meter.measured(person, each)) is not None]
    taken = {urlsplit(line.address).path for line in lines}
    missed += sorted({urlsplit(each).path for each in asked} - taken)  # refused however asked
    program.db.close()
    return lines, missing + missed


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 -- a served console runs on the real clock


def password(store: stores.Store) -> str:
    return (store.home / "demo-password").read_text().strip()


def before_the_last_scan(db: Any) -> str:
    """Return an instant of the past at which the whole fleet was there."""
    from patchmgr.db.models import ScanRun

    with db.reading() as session:
        at = session.scalars(select(ScanRun.at).order_by(ScanRun.at.desc())).first()
    return (at - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def large_tables(db: Any) -> dict[str, int]:
    """Return the rows of each table that has at least as many as there are hosts."""
    from patchmgr.db.base import Base

    with db.reading() as session:
        names = [name for name in Base.metadata.tables if name not in SMALL]
        rows = {n: session.scalar(text(f'SELECT count(*) FROM "{n}"')) or 0 for n in names}
        hosts = session.scalar(text("SELECT count(*) FROM host")) or 0
    return {name: count for name, count in rows.items() if count >= hosts // 2 and count > 1000}


class Meter:
    """Asks for addresses, and says what each took."""

    def __init__(self, db: Any, postmaster: int, large: dict[str, int]) -> None:
        self._db, self._postmaster, self._large = db, postmaster, large
        self._said: list[tuple[str, Any]] = []
        self._scans: dict[Any, set[str]] = {}
        event.listen(db.engine, "before_cursor_execute", self._note)

    def measured(self, person: Any, address: str) -> Line | None:
        """Return what an address took; None where it is refused, as some orders of filters are."""
        self._said.clear()
        if (first := self._asked(person, address)) is None:
            return None
        said = list(self._said)
        times = [first]
        while min(times) > WORTH and len(times) < TIMES + 1:
            times.append(self._asked(person, address))
        scans = set().union(*(self._scanned(*each) for each in said))
        allowed = set().union(*(may for where, may in READ_WHOLE if re.search(where, address)))
        taken = statistics.median(times[1:] or times)  # the first may have to load something
        return Line(address, round(taken, 1), len(said), sorted(scans - allowed))

    def _asked(self, person: Any, address: str) -> float | None:
        start = time.process_time() + stores.cpu(self._postmaster)
        answer: TestResponse = person.get(address)
        spent = time.process_time() + stores.cpu(self._postmaster) - start
        if answer.status_code >= 500:
            sys.exit(f"{address} answered {answer.status_code}: {answer.text[:500]}")
        return spent * 1000 if answer.status_code < 400 else None

    def _note(self, _connection: Any, _cursor: Any, said: str, values: Any, *_more: Any) -> None:
        if said.lstrip().upper().startswith(("SELECT", "WITH")):
            self._said.append((said, values))

    def _scanned(self, said: str, values: Any) -> set[str]:
        """Return the large tables that a statement reads as a whole."""
        if not any(re.search(rf"\b{name}\b", said) for name in self._large):
            return set()
        if (found := self._scans.get((said, str(values)))) is None:
            with self._quietly() as connection:
                found = (self._in_server if self._postmaster else self._in_file)(
                    connection, said, values
                )
            self._scans[said, str(values)] = found
        return found

    @contextmanager
    def _quietly(self) -> Iterator[Any]:
        event.remove(self._db.engine, "before_cursor_execute", self._note)
        try:
            with self._db.reading() as session:
                yield session.connection()
        finally:
            event.listen(self._db.engine, "before_cursor_execute", self._note)

    def _in_file(self, connection: Any, said: str, values: Any) -> set[str]:
        """SQLite says what it would scan, and runs; a scan that a LIMIT ends soon is none."""
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", values).fetchall()
        names = dict(re.findall(r'"?\b(\w+)"? AS (\w+)', said)) | {n: n for n in self._large}
        scanned = {m for row in plan for m in re.findall(r"^SCAN (\w+)", row[3])}
        tables = {name for name in self._large if name in scanned or names.get(name) in scanned}
        if not tables:
            return set()
        steps = 0

        def step() -> int:
            nonlocal steps
            steps += 1000
            return 0

        raw = connection.connection.dbapi_connection
        raw.set_progress_handler(step, 1000)
        connection.exec_driver_sql(said, values).fetchall()
        raw.set_progress_handler(None, 0)
        return {name for name in tables if steps >= 2 * self._large[name]}

    def _in_server(self, connection: Any, said: str, values: Any) -> set[str]:
        """PostgreSQL says what it would read; what may be a whole table is run and counted."""

        def wholes(how: str) -> list[dict[str, Any]]:
            (plan,) = connection.exec_driver_sql(f"EXPLAIN ({how}) {said}", values).scalar_one()
            return [one for one in nodes(plan["Plan"]) if self._may_be_whole(one)]

        if not wholes("FORMAT JSON"):
            return set()
        found: set[str] = set()
        for node in wholes("ANALYZE, TIMING OFF, FORMAT JSON"):
            name, removed = node["Relation Name"], node.get("Rows Removed by Filter", 0)
            rows = (node.get("Actual Rows", 0) + removed) * node.get("Actual Loops", 1)
            if rows >= self._large[name] / 2:
                found.add(name)
        return found

    def _may_be_whole(self, node: dict[str, Any]) -> bool:
        is_scan = node["Node Type"] in ("Seq Scan", "Index Only Scan", "Index Scan")
        return is_scan and "Index Cond" not in node and node.get("Relation Name") in self._large


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


def show(name: str, lines: list[Line], missing: list[str]) -> bool:
    """Print what is over its budget and the slowest; return whether anything is."""
    bad = sorted((line for line in lines if line.over), key=lambda line: -line.cpu_ms)
    print(f"\n{name}: {len(lines)} addresses, {len(bad)} over {CPU_MS} ms, {STATEMENTS} statements")
    for line in bad:
        print(
            f"  {line.cpu_ms:6.0f} ms {line.statements:3}  {line.address}: {'; '.join(line.over)}"
        )
    print("the slowest:")
    for line in sorted(lines, key=lambda line: -line.cpu_ms)[:SHOWN]:
        print(f"  {line.cpu_ms:6.0f} ms {line.statements:3}  {line.address}")
    for route in missing:
        print(f"  nothing led to {route}")
    return bool(bad or missing)


if __name__ == "__main__":
    os.environ.setdefault("TZ", "UTC")
    main()

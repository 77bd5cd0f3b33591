"""``.venv/bin/python tests/bench/viewers.py``: many people look at one rollout while it moves.

The real web server shows a plan for 3,000 hosts. A hundred people of several roles and zones, each
signed in with a session of their own, ask for its live values every three seconds, as their
browsers do; meanwhile results of hosts come in, so that every question finds something new. Counted
is the CPU of the web server alone: results are stored by this process. For comparison each of them
then looks at something of their own, so that nothing can be shared.
"""

import argparse
import http.client
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import figures  # beside this file, as the others
import stores
from rollouts import running
from sqlalchemy import insert

from patchmgr.db import migrate, models
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import Outcome
from patchmgr.services import credentials, rollouts
from patchmgr.services.rollouts import ResultRow
from web.plans import live

PEOPLE, HOSTS = 100, 3_000
EVERY = live.EVERY.seconds  # between two questions of one browser
RESULTS = 5  # that come in each second
BUDGET = 0.5  # of one core, that the people may take all together
ROLES = (Role.VIEWER, Role.VIEWER, Role.OPERATOR, Role.APPROVER)
ZONES = ("", "Europe/Vienna")


@dataclass
class Seen:
    """What people got: how long each answer took, and how large it was."""

    seconds: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)  # status of what is no answer


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("seconds", nargs="?", type=float, default=15)
    asked.add_argument("--people", type=int, default=PEOPLE)
    asked.add_argument("--json", type=Path, help="where to write the figures besides")
    options = asked.parse_args()
    print(f"{'who look at a rollout':<36}{'cpu a second':>13}{'answers a second':>18}{'95 %':>9}")
    kept = []
    with (
        tempfile.TemporaryDirectory(prefix="patchmgr-bench-") as folder,
        stores.opened("sqlite", Path(folder)) as store,
    ):
        store.home.mkdir()
        db = Database(f"sqlite:///{store.home / 'patchmgr.db'}")
        keys = prepare(db, options.people)
        with served(store) as (address, pid):
            for name, alike in (
                ("all at the same", True),
                ("each at something of their own", False),
            ):
                kept.append(watched(db, address, pid, keys, options.seconds, name, alike=alike))
        db.close()
    figures.keep(options.json, "viewers", kept)
    wrong = sum(each["wrong"] for each in kept)
    if wrong or kept[0]["cpu_a_second"] > BUDGET:
        sys.exit(f"over budget, or {wrong} wrong answers")


def prepare(db: Database, people: int) -> list[str]:
    """Store a plan under way and people who are signed in; return the keys of their cookies."""
    migrate.upgrade(db)
    now = _now()
    ring = RingSettings("all", max_failures=HOSTS, max_concurrent=HOSTS)
    running(db, HOSTS, rings=(ring,), now=now)
    rollouts.tick(db, now=now)
    keys = [secrets.token_urlsafe(32) for _ in range(people)]
    with db.writing() as session:
        users = [
            {
                "id": number,
                "name": f"person-{number}",
                "role": ROLES[number % len(ROLES)].value,
                "password_hash": "none",
                "created_at": now,
                "theme": "auto",
                "zone": ZONES[number % 3 % len(ZONES)],
            }
            for number in range(1, people + 1)
        ]
        session.execute(insert(models.User), users)
        signed_in = [
            {
                "token_hash": credentials.digest(key),
                "user_id": number,
                "created_at": now,
                "seen_at": now,
            }
            for number, key in enumerate(keys, start=1)
        ]
        session.execute(insert(models.UserSession), signed_in)
    return keys


@contextmanager
def served(store: stores.Store) -> Iterator[tuple[str, int]]:
    """Run the web server alone; yield its address and process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "patchmgr", "web", "--port", "0"],
        env=stores.environment(store),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = re.search(r"http://\S+", process.stdout.readline()).group()
        urllib.request.urlopen(f"{address}/healthz", timeout=60).close()  # until it has begun
        yield address, process.pid
    finally:
        process.terminate()
        process.communicate(timeout=60)


def watched(
    db: Database, address: str, pid: int, keys: list[str], seconds: float, name: str, *, alike: bool
) -> dict[str, object]:
    """Let people look for some seconds while results come in; print and return what it costs."""
    stop, seen = threading.Event(), Seen()
    with ThreadPoolExecutor(len(keys) + 1) as threads:
        people = []
        for number, key in enumerate(keys):
            path = "/plans/1/_rollout" + ("" if alike else f"?search={number}")
            after = EVERY * number / len(keys)
            people.append(threads.submit(look, address, path, key, after, stop, seen))
        while len(seen.seconds) < len(keys) and not any(one.done() for one in people):
            time.sleep(0.1)  # until each was answered once
        time.sleep(EVERY)  # all have come, and what is made once is made
        seen.seconds.clear()
        before, began = stores.cpu(pid), time.monotonic()
        report(db, began + seconds)
        spent, took = stores.cpu(pid) - before, time.monotonic() - began
        answers = len(seen.seconds)
        stop.set()
    for one in people:
        one.result()
    within = statistics.quantiles(seen.seconds, n=20)[-1]
    print(f"{name:<36}{spent / took:>13.2f}{answers / took:>18.1f}{within * 1000:>6.0f} ms")
    return {
        "who": name,
        "people": len(keys),
        "cpu_a_second": spent / took,
        "answers_a_second": answers / took,
        "within_95_ms": within * 1000,
        "bytes": statistics.mean(seen.sizes),
        "wrong": len(seen.wrong),
    }


def look(
    address: str, path: str, key: str, after: float, stop: threading.Event, seen: Seen
) -> None:
    """Ask again and again as one browser: over one connection, naming what was got last."""
    there = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    mark = ""
    stop.wait(after)
    while not stop.is_set():
        began = time.monotonic()
        headers = {"Cookie": f"patchmgr_session={key}", "HX-Request": "true"}
        there.request("GET", path, headers=headers | ({"If-None-Match": mark} if mark else {}))
        got = there.getresponse()
        body = got.read()
        seen.seconds.append(time.monotonic() - began)
        if got.status == 200:
            seen.sizes.append(len(body))
            mark = got.headers["ETag"]
        elif got.status != 304:
            seen.wrong.append(got.status)
        stop.wait(EVERY)
    there.close()


def report(db: Database, until: float) -> None:
    """Take the results of one host after the other, each in a step of its own, until then."""
    with db.reading() as session:
        waiting = (
            session.query(models.Host.hostname)
            .join(models.Task, models.Task.host_id == models.Host.id)
            .filter(models.Task.state == "leased")
            .order_by(models.Host.id)
        )
        names = iter([name for (name,) in waiting])
    began = time.monotonic()
    for number, name in enumerate(names):
        if time.monotonic() > until:
            return
        row = ResultRow(name, Outcome.INSTALLED, output="dpkg says something\n" * 20)
        rollouts.report_results(db, 1, [row], actor="bench", role=Role.ADMIN, now=_now())
        # Until the next one is due, however long this one took.
        time.sleep(max(0.0, began + (number + 1) / RESULTS - time.monotonic()))


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


if __name__ == "__main__":
    main()

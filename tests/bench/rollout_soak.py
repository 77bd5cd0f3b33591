"""A rollout of many hosts through the API while the service is killed; then it is judged.

Web server and scheduler are real processes, which end by SIGKILL at random. The hosts are played by
`playing_host`; each keeps a journal of what was done on it. Every other host has a window, which is
open for most of each minute. When the plan is done, its canaries are rolled back, in the same way.
At the end a checker that knows nothing of the service's code reads journals and timeline. Called by
``make soak``, for SQLite and PostgreSQL, and by a test.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "execution"))
from playing_host import AwayError, PlayingHost
from stores import Store, environment, opened

from inventory import host_import, package_import
from patchmgr import config
from patchmgr.db import migrate, models
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.domain.windows import Window
from patchmgr.services import enrolment, scan, sync, tokens, windows

OLD, NEW = "3.0.15-1~deb12u1", "3.0.17-1~deb12u2"
CANARIES = 5
PLAYERS = 6  # threads that play hosts
OPEN_FROM, OPEN_SECONDS = 10, 40  # of each minute, the window that every other host has
EXPECTED = 1  # seconds of work, which must fit into what is left of a window
EACH_MINUTE = Window(
    "each minute",
    f"FREQ=HOURLY;BYMINUTE={','.join(map(str, range(60)))};BYSECOND={OPEN_FROM}",
    timedelta(seconds=OPEN_SECONDS),
    "Europe/Berlin",
)


@dataclass
class Found:
    """What a soak left behind."""

    journals: dict[str, list[dict[str, Any]]]
    events: list[tuple[float, str, str, str]]  # at, kind, ring, host
    states: dict[str, str]
    plan: str
    freezes: list[tuple[float, float]]
    at_once: int  # hosts of a ring that may be at work
    windowed: frozenset[str]  # hosts that have a window
    taken_back: frozenset[str]  # hosts that were to go back
    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


class Service:
    """Web server and scheduler as processes that can be killed and started again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self.kills: Counter[str] = Counter()
        self.start("web", "--port", "0")
        said = self._processes["web"].stdout.readline()
        self.address = re.search(r"http://\S+", said).group()
        self._port = self.address.rsplit(":", 1)[1]
        self.start("scheduler")

    def start(self, half: str, *arguments: str) -> None:
        environ = environment(self._store) | {
            "PATCHMGR_TICK_SECONDS": "1",
            "PATCHMGR_SCAN_MINUTES": "60",
            "PATCHMGR_DEBIAN_URL": "http://127.0.0.1:9/",  # nobody listens there
        }
        self._processes[half] = subprocess.Popen(
            [sys.executable, "-m", "patchmgr", half, *arguments],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def kill(self, half: str) -> None:
        """End one half in the middle of whatever it does."""
        process = self._processes.pop(half)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        self.kills[half] += 1

    def again(self, half: str) -> None:
        self.kill(half)
        self.start(half, *(("--port", self._port) if half == "web" else ()))

    def end(self) -> None:
        for half in list(self._processes):
            self.kill(half)


def soak(
    hosts: int, *, kill_every: float, limit: float, seed: int = 1, database: str = "sqlite"
) -> Found:
    """Carry out a plan of ``hosts`` hosts, for at most ``limit`` seconds; return what became."""
    with (
        tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name,
        opened(database, Path(name)) as store,
    ):
        folder = Path(name) / "files"
        folder.mkdir()
        db, keys, operator, approver = prepare(folder, store, hosts)
        service = Service(store)
        try:
            return _Soak(db, service, folder, keys, operator, seed).run(approver, kill_every, limit)
        finally:
            service.end()
            db.close()


def prepare(
    folder: Path, store: Store, hosts: int
) -> tuple[Database, dict[str, tuple[int, str]], str, str]:
    """Make the fleet; return its database, id and token by host, and two people's tokens."""
    settings = config.load(dict(store.environ))
    now = datetime.fromtimestamp(time.time(), UTC)
    db = Database(settings.database_url)
    migrate.upgrade(db)
    names = [f"h{number:05}" for number in range(hosts)]
    windows.add(db, EACH_MINUTE, actor="soak", role=Role.ADMIN, now=now)
    lines = (
        f"{name},debian,12,{'canary' if number < CANARIES else ''},"
        f"{EACH_MINUTE.name if number % 2 else ''}\n"
        for number, name in enumerate(names)
    )
    _write(folder / "hosts.csv", "hostname,os_id,os_release,ring,window\n", lines)
    host_import.import_hosts(db, folder / "hosts.csv", actor="soak", now=now)
    header = "hostname,manager,name,version,arch,source,source_version\n"
    lines = (f"{name},dpkg,openssl,{OLD},amd64,openssl,{OLD}\n" for name in names)
    _write(folder / "packages.csv", header, lines)
    package_import.import_packages(db, folder / "packages.csv", actor="soak", now=now)
    fix = {"status": "resolved", "urgency": "high", "fixed_version": NEW}
    release = {"bookworm": fix | {"repositories": {"bookworm": NEW}}}
    tracker = {"openssl": {"CVE-2026-1001": {"scope": "local", "releases": release}}}
    (folder / "tracker.json").write_text(json.dumps(tracker))
    sync.sync(
        db, "debian", source=folder / "tracker.json", settings=settings, now=now, actor="soak"
    )
    scan.scan(db, now=now, settings=settings)
    with db.writing() as session:
        keys = {
            row.hostname: (row.id, enrolment.give_host_token(session, row, actor="soak", now=now))
            for row in session.query(models.Host)
        }
    made = [
        tokens.create(db, name, Role.ADMIN, actor="soak", now=now)[1]
        for name in ("operator", "approver")
    ]
    return db, keys, made[0], made[1]


def _write(path: Path, header: str, lines: Iterable[str]) -> None:
    path.write_text(header + "".join(lines))


class _Soak:
    def __init__(
        self,
        db: Database,
        service: Service,
        folder: Path,
        keys: dict[str, tuple[int, str]],
        operator: str,
        seed: int,
    ) -> None:
        self._db, self._service, self._folder = db, service, folder
        self._keys, self._operator = keys, operator
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._at_once = max(10, min(100, len(keys) // 5))
        self._freezes: list[tuple[float, float]] = []
        self._http = threading.local()

    def run(self, approver: str, kill_every: float, limit: float) -> Found:
        began = time.time()
        plan = self._start(approver)
        names = list(self._keys)
        with ThreadPoolExecutor(PLAYERS + 1) as threads:
            plays = [
                threads.submit(self._play, names[number::PLAYERS], number)
                for number in range(PLAYERS)
            ]
            plays.append(threads.submit(self._kill, kill_every))
            try:
                while time.time() < began + limit and not any(map(_failed, plays)):
                    time.sleep(0.3)
                    if not self._freezes and time.time() > began + limit / 20:
                        self._freeze()
                    if self._plan_state(plan) != "running":
                        self._take_back(plan, began + limit, plays)
                        break
            finally:
                self._stop.set()
            for one in plays:
                one.result()
        return self._found(plan, time.time() - began)

    def _start(self, approver: str) -> int:
        """Make the plan, and start it, as two people would."""
        common = {
            "max_concurrent": self._at_once,
            "expected": f"{EXPECTED}s",
            "reboot_reserve": "0s",
            "soak": "0s",
            "lease": "1m",
            "max_attempts": 20,
        }
        rings = [
            {"name": "canary", "fields": {"ring": "canary"}, "max_failures": 0, **common},
            {"name": "broad", "max_failures": 0, **common},
        ]
        made = self._call("/plans", {"rings": rings, "terms": {"execution": "agent"}})
        plan = int(made["id"])
        self._call(f"/plans/{plan}/propose")
        body = {"content_hash": made["content_hash"]}
        self._call(f"/plans/{plan}/approve", body, key=approver)
        self._call(f"/plans/{plan}/start")
        return plan

    def _take_back(self, plan: int, until: float, plays: list[Future[None]]) -> None:
        """Roll the canaries back, in a freeze first, and wait for them to say that they have."""
        self._freeze()
        self._call(f"/plans/{plan}/roll-back", {"ring": "canary", "reason": "the soak wants it"})
        while time.time() < until and not any(map(_failed, plays)):
            with self._db.reading() as session:
                task, ring = models.Task, models.Ring
                states = session.query(task.state).join(ring, ring.id == task.ring_id)
                left = states.where(ring.name == "canary", task.state != "rolled_back").count()
            if not left:
                return
            time.sleep(0.3)

    def _freeze(self) -> None:
        starts = datetime.fromtimestamp(time.time(), UTC) + timedelta(seconds=2)
        ends = starts + timedelta(seconds=3)
        body = {"name": "soak", "starts": starts.isoformat(), "ends": ends.isoformat(),
                "reason": "the soak freezes"}  # fmt: skip
        self._call("/freezes", body)
        self._freezes.append((starts.timestamp(), ends.timestamp()))

    def _play(self, names: list[str], number: int) -> None:
        """Play hosts in turn until all have reported and been looked at."""
        chance = random.Random(number)
        hosts = {name: self._host(name) for name in names}
        while hosts and not self._stop.is_set():
            for name in list(hosts)[: self._at_once]:  # they get their turn in order
                if self._stop.is_set():
                    return
                try:
                    did = self._turn(hosts[name], chance)
                except AwayError:
                    time.sleep(0.1)
                    continue
                if did == "reported":
                    went_back = hosts[name].lines[-1]["order"]["kind"] == "roll_back"
                    self._inventory(name, OLD if went_back else NEW)
                    if went_back or name not in self._canaries:
                        del hosts[name]
                elif did == "killed":
                    hosts[name] = self._host(name)
            time.sleep(0.2)

    def _turn(self, host: PlayingHost, chance: random.Random) -> str:
        """Let a host do what it can now; its own process is killed at times, too."""
        while True:
            did = host.step()
            if did == "started" and chance.random() < 0.1:
                self._twin(host)
            if did in ("nothing", "refused", "reported"):
                return did
            if chance.random() < 0.1:
                return "killed"

    def _host(self, name: str) -> PlayingHost:
        number, key = self._keys[name]
        return PlayingHost(
            self._service.address, number, key, self._folder / f"{name}.jsonl", http=self._session
        )

    def _twin(self, host: PlayingHost) -> None:
        """Begin once more with the same token, as a copy of the machine would: it must not."""
        twin = PlayingHost(
            host.address, host.host_id, host.token, host.journal.with_suffix(".twin"),
            http=self._session,
        )  # fmt: skip
        line = host.lines[-1] | {"run": "another-run"}
        status, answer = twin._claim(line, "begin")
        assert status == 409, (status, answer)

    @property
    def _canaries(self) -> list[str]:
        return list(self._keys)[:CANARIES]

    def _inventory(self, name: str, version: str) -> None:
        """Send what is installed now, until it was taken."""
        line = f"openssl\t{version}\tamd64\topenssl\t{version}\tinstall ok installed\n"
        while not self._stop.is_set():
            try:
                answer = self._session.post(
                    f"{self._service.address}/api/v1/hosts/{name}/reports?format=dpkg",
                    data=line,
                    headers={
                        "Authorization": f"Bearer {self._operator}",
                        "Content-Type": "text/plain",
                    },
                    timeout=10,
                )
                if answer.status_code == 200:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.2)

    def _kill(self, every: float) -> None:
        """End a half of the service again and again, but not before it has come back."""
        while not self._stop.wait(every * (0.5 + self._random.random())):
            self._service.again(self._random.choice(("web", "scheduler")))
            while not self._stop.is_set() and not self._is_up():
                time.sleep(0.1)

    def _is_up(self) -> bool:
        try:
            answer = self._session.get(f"{self._service.address}/healthz", timeout=10)
        except requests.RequestException:
            return False
        return answer.status_code == 200

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._http, "session"):
            self._http.session = requests.Session()
        found: requests.Session = self._http.session
        return found

    def _call(self, path: str, body: Any = None, key: str = "") -> dict[str, Any]:
        """Call the API as a person would: again until it answers; done already is done."""
        for _ in range(100):
            try:
                answer = requests.post(
                    f"{self._service.address}/api/v1{path}",
                    json=body,
                    headers={"Authorization": f"Bearer {key or self._operator}"},
                    timeout=30,
                )
            except requests.RequestException:
                time.sleep(0.2)
                continue
            if answer.status_code == 409 and path.endswith("/roll-back"):
                return {}  # it was asked for by a call whose answer was lost
            if answer.status_code in (200, 201):
                found: dict[str, Any] = answer.json()
                return found
            raise AssertionError(f"{path}: {answer.status_code} {answer.text}")
        raise AssertionError(f"{path}: no answer")

    def _plan_state(self, plan: int) -> str:
        with self._db.reading() as session:
            return session.get_one(models.Plan, plan).state

    def _found(self, plan: int, seconds: float) -> Found:
        event, host, task = models.PlanEvent, models.Host, models.Task
        with self._db.reading() as session:
            rows = session.query(event, host.hostname).outerjoin(host, host.id == event.host_id)
            events = [
                (row.at.timestamp(), row.kind, row.ring, name or "")
                for row, name in rows.where(event.plan_id == plan).order_by(event.id)
            ]
            tasks = session.query(host.hostname, task.state).join(task, task.host_id == host.id)
            states = dict(tasks.where(task.plan_id == plan).all())
            state = session.get_one(models.Plan, plan).state
        journals = {
            path.stem: [json.loads(line) for line in path.read_text().splitlines()]
            for path in self._folder.glob("*.jsonl")
        }
        return Found(
            journals,
            events,
            states,
            state,
            self._freezes,
            self._at_once,
            frozenset(list(self._keys)[1::2]),
            frozenset(self._canaries),
            self._service.kills,
            seconds,
        )


def _failed(play: Future[None]) -> bool:
    return play.done() and play.exception() is not None


def problems(found: Found) -> list[str]:
    """Judge what was done: nothing twice, nothing lost, nothing when or beside what it may not."""
    return [
        *_twice_or_lost(found),
        *_outside(found),
        *_too_many(found),
        *_before_its_ring(found),
    ]


HANDED_OUT = ("dispatched", "roll_back_dispatched")
BEGUN = {"install": "task_running", "roll_back": "roll_back_begun"}
CHANGES = (*HANDED_OUT, *BEGUN.values())
ONCE = ("task_installed", "task_verified", "task_rolled_back")
# What lets a host begin again: it never heard that it might, and had not.
TAKEN_BACK = {"task_running": "task_deferred", "roll_back_begun": "roll_back_recalled"}


def _twice_or_lost(found: Found) -> list[str]:
    bad = [] if found.plan == "completed" else [f"the plan is {found.plan}"]
    at = {(kind, host): at for at, kind, _, host in found.events}
    for host, state in found.states.items():
        goes_back = host in found.taken_back
        if state != ("rolled_back" if goes_back else "verified"):
            bad.append(f"{host} is {state}")
        for order, times in (("install", 1), ("roll_back", int(goes_back))):
            lines = [x for x in found.journals.get(host, []) if x["order"]["kind"] == order]
            did = Counter(line["did"] for line in lines)
            if (did["started"], did["ended"], did["reported"]) != (times, times, times):
                bad.append(f"{host}, {order}: {dict(did)}")
            begun = at.get((BEGUN[order], host), float("inf"))
            bad += [
                f"{host} started before it was let begin"
                for line in lines
                if line["did"] == "started" and line["at"] < begun
            ]
            wanted = OLD if order == "roll_back" else NEW
            bad += [
                f"{host}, {order}: it was to have {item['to']}"
                for line in lines
                for item in line["order"]["work"]
                if item["to"] != wanted
            ]
    counts = Counter((kind, host) for _, kind, _, host in found.events if host)
    bad += [
        f"{host}: {kind} {count} times"
        for (kind, host), count in counts.items()
        if (kind in ONCE and count > 1)
        or (kind in TAKEN_BACK and count > 1 + counts[TAKEN_BACK[kind], host])
    ]
    return bad


def _outside(found: Found) -> list[str]:
    """Return what was handed out or begun in a freeze, or when no window is open long enough."""
    return [
        *(
            f"{host}: {kind} outside its window, at second {at % 60:.1f}"
            for at, kind, _, host in found.events
            if kind in CHANGES
            and host in found.windowed
            and not OPEN_FROM <= at % 60 <= OPEN_FROM + OPEN_SECONDS - EXPECTED
        ),
        *_frozen(found),
    ]


def _frozen(found: Found) -> list[str]:
    return [
        f"{host}: {kind} in a freeze"
        for at, kind, _, host in found.events
        for starts, ends in found.freezes
        if kind in CHANGES and starts <= at < ends
    ]


def _too_many(found: Found) -> list[str]:
    at_work: dict[str, set[str]] = defaultdict(set)
    bad = []
    for _, kind, ring, host in found.events:
        if not host:
            continue
        if kind in CHANGES:
            at_work[ring].add(host)
        else:
            at_work[ring].discard(host)
        if len(at_work[ring]) > found.at_once:
            bad.append(f"ring {ring}: {len(at_work[ring])} hosts at work")
    return bad


def _before_its_ring(found: Found) -> list[str]:
    passed = False
    bad = []
    for _, kind, ring, host in found.events:
        passed = passed or (kind == "ring_passed" and ring == "canary")
        if kind == "dispatched" and ring == "broad" and not passed:
            bad.append(f"{host} was handed out before the canary passed")
    return bad


def main(hosts: int, limit: float, *databases: str) -> None:
    has_failed = False
    for database in databases or ("sqlite", "postgresql"):
        found = soak(hosts, kill_every=10, limit=limit, database=database)
        bad = problems(found)
        states = Counter(found.states.values())
        kills = ", ".join(f"{half} {count}" for half, count in found.kills.items())
        print(
            f"{database}: rollout of {hosts} hosts in {found.seconds:.0f} s: {dict(states)}; "
            f"killed: {kills}",
            flush=True,
        )
        for problem in bad[:20]:
            print(f"  {problem}")
        has_failed = has_failed or bool(bad)
    if has_failed:
        sys.exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:])

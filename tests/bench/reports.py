"""``make bench-reports``: host reports a second through the served console, on both databases.

Hosts with a token each speak HTTP over connections that stay open, as a proxy in front would. The
clients run beside the service on the same cores; what they use of them is told.

First every connection sends as soon as it is answered, which shows how many reports a second there
can be; a queue is always full then, so how long one takes says nothing but that number again. Then
reports come at the rate of the budget, whether or not those before are answered, and how long each
takes is counted from the moment it was due.
"""

import argparse
import gzip
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, cycle
from pathlib import Path
from urllib.parse import urlsplit

import figures  # beside this file, as the others
import stores

from inventory import documents, machines
from patchmgr.cli.app import App
from patchmgr.services import enrolment

HOSTS, PACKAGES = 300, 700
CONNECTIONS = 16
DATABASES = ("sqlite", "postgresql")
BUDGET = {"unchanged": 500, "changed": 50}  # a second
SLOWEST = 250  # ms, of 99 %


@dataclass(frozen=True)
class Speaker:
    """A host with a token."""

    number: int
    token: str
    said: dict[str, object]


@dataclass(frozen=True)
class Result:
    kind: str
    offered: int  # a second; 0: as many as can be
    seconds: float
    times: list[float]  # of each request, s
    answers: dict[int, int]
    cpu: float  # s, of the service and its database


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("seconds", nargs="?", type=float, default=10.0, help="of each load")
    asked.add_argument("--json", type=Path, help="where to write the figures besides")
    options = asked.parse_args()
    lines = []
    for name in DATABASES:
        with (
            tempfile.TemporaryDirectory(prefix="patchmgr-bench-") as folder,
            stores.opened(name, Path(folder)) as store,
            served(store) as service,
        ):
            lines += [(name, result) for result in measured(store, service, options.seconds)]
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, with this")
    print("database    report     offered  reports      /s  p50 ms  p99 ms  cpu ms  answers")
    late, kept = False, []
    for name, result in lines:
        rate = len(result.times) / result.seconds
        ms = [taken * 1000 for taken in sorted(result.times)]
        p99 = ms[int(len(ms) * 0.99)]
        refused = len(ms) - result.answers.get(200, 0)
        late |= p99 > SLOWEST if result.offered else rate < BUDGET[result.kind]
        late |= refused > 0
        print(
            f"{name:11} {result.kind:10} {result.offered or 'all':>7} {len(ms):8} {rate:7.0f} "
            f"{statistics.median(ms):7.1f} {p99:7.1f} {result.cpu / len(ms) * 1000:7.1f}"
            f"  {result.answers}"
        )
        kept.append(
            {
                "database": name,
                "report": result.kind,
                "offered": result.offered,
                "reports": len(ms),
                "a_second": rate,
                "p50_ms": statistics.median(ms),
                "p99_ms": p99,
                "cpu_ms": result.cpu / len(ms) * 1000,
                "answers": result.answers,
            }
        )
    print(f"budget: a second {BUDGET}, 99 % of as many within {SLOWEST} ms, none refused")
    print("cpu ms: of the service and its database, a report; the clients use the same cores")
    figures.keep(options.json, "reports", kept)
    sys.exit(late)


@dataclass(frozen=True)
class Service:
    """The served console, and the processes that do its work."""

    address: str
    pids: tuple[int, ...]

    def cpu(self) -> float:
        return sum(map(stores.cpu, self.pids))


@contextmanager
def served(store: stores.Store) -> Iterator[Service]:
    """Serve a fresh database by the real command until the block ends."""
    environ = stores.environment(store)
    patchmgr = [sys.executable, "-m", "patchmgr"]
    subprocess.run([*patchmgr, "db", "upgrade"], check=True, env=environ, capture_output=True)
    process = subprocess.Popen(
        [*patchmgr, "serve", "--port", "0"], env=environ, stdout=subprocess.PIPE, text=True
    )
    try:
        address = re.search(r"http://\S+", process.stdout.readline()).group()
        yield Service(address, tuple(filter(None, (process.pid, store.postmaster))))
    finally:
        process.terminate()
        process.communicate(timeout=60)


def measured(store: stores.Store, service: Service, seconds: float) -> Iterator[Result]:
    speakers = enrolled(store)
    first = [request(each, listing(each.number, 0)) for each in speakers]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(partial(one, service.address), first))
    asks = [question(each, listing(each.number, 0)) for each in speakers]
    yield load("unchanged", service, cycle(asks), seconds)
    yield load("unchanged", service, cycle(asks), seconds, offered=BUDGET["unchanged"])
    more = int(BUDGET["changed"] * seconds * 6 / len(speakers)) + 1
    changed = iter(
        [
            request(each, listing(each.number, turn))
            for turn in range(1, more + 1)
            for each in speakers
        ]
    )
    yield load("changed", service, changed, seconds)
    yield load("changed", service, changed, seconds, offered=BUDGET["changed"])


def enrolled(store: stores.Store) -> list[Speaker]:
    app = App(stores.environment(store))
    db, now = app.db, app.now
    _, key = enrolment.create_token(db, "bench", uses=HOSTS, actor="bench", now=now)
    speakers = []
    for number in range(HOSTS):
        said = {"hostname": f"bench-{number}", "machine_id": f"{number:031x}f"}
        made = machines.enrol(db, key, documents.identity(said), address="", now=now)
        speakers.append(Speaker(made.host_id, made.token, said))
    db.close()
    return speakers


def listing(number: int, turn: int) -> dict[str, str]:
    """Return sections of a Debian host; from turn to turn one in a hundred packages is newer."""
    drift = random.Random(number * 1000 + turn)
    newer = set(drift.sample(range(PACKAGES), PACKAGES // 100)) if turn else set()
    lines = [
        f"package-{n}\t{1 + (n in newer) * turn}.0-1\tamd64\tsource-{n // 3}\t1.0-1"
        "\tinstall ok installed\n"
        for n in range(PACKAGES)
    ]
    return {"os-release": "ID=debian\nVERSION_ID=12\n", "dpkg": "".join(lines)}


def question(speaker: Speaker, sections: dict[str, str]) -> bytes:
    digest = documents.digest(speaker.said, sections).hex()
    return http(speaker, f"?digest={digest}", b"")


def request(speaker: Speaker, sections: dict[str, str]) -> bytes:
    document = {"version": 1, "collected_at": "2026-03-02T09:30:00Z", "host": speaker.said}
    body = gzip.compress(json.dumps(document | {"sections": sections}).encode(), 6, mtime=0)
    return http(speaker, "", body, "Content-Encoding: gzip\r\n")


def http(speaker: Speaker, query: str, body: bytes, more: str = "") -> bytes:
    head = (
        f"POST /api/v1/hosts/{speaker.number}/reports{query} HTTP/1.1\r\nHost: bench\r\n"
        f"Authorization: Bearer {speaker.token}\r\nContent-Type: application/json\r\n{more}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def load(
    kind: str, service: Service, requests: Iterator[bytes], seconds: float, *, offered: int = 0
) -> Result:
    """Send ``requests`` over `CONNECTIONS` for a while, each when one is free or when it is due."""
    times: list[float] = []
    answers: dict[int, int] = {}
    guard = threading.Lock()
    before, start = service.cpu(), time.perf_counter()
    ends = start + seconds
    dues = (start + number / offered for number in count()) if offered else None

    def client() -> None:
        with connected(service.address) as connection:
            while True:
                with guard:
                    due = next(dues) if dues else time.perf_counter()
                    body = next(requests, None) if due < ends else None
                if body is None:
                    return
                time.sleep(max(0, due - time.perf_counter()))
                status = exchange(connection, body)
                taken = time.perf_counter() - due
                with guard:
                    times.append(taken)
                    answers[status] = answers.get(status, 0) + 1

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for done in [pool.submit(client) for _ in range(CONNECTIONS)]:
            done.result()
    taken = time.perf_counter() - start
    return Result(kind, offered, taken, times, answers, service.cpu() - before)


def one(address: str, body: bytes) -> None:
    with connected(address) as connection:
        if (status := exchange(connection, body)) != 200:
            raise SystemExit(f"a first report was answered {status}")


def connected(address: str) -> socket.socket:
    parts = urlsplit(address)
    connection = socket.create_connection((parts.hostname, parts.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(connection: socket.socket, body: bytes) -> int:
    """Send a request, read its whole answer, and return the status."""
    connection.sendall(body)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += received(connection)
    head, _, rest = answer.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    while len(rest) < length:
        rest += received(connection)
    return int(head.split(b" ", 2)[1])


def received(connection: socket.socket) -> bytes:
    part = connection.recv(65536)
    if not part:
        raise SystemExit("the service closed a connection")
    return part


if __name__ == "__main__":
    main()

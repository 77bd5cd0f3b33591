"""How quickly pages and API listings come, on whatever fleet a database holds."""

import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import requests
from stores import Store, cpu, environment

PAGE_BUDGET = 200  # ms within which 95 % of the answers come
REQUESTS = 20  # of each
PATIENCE = 60  # seconds
NAME, PASSWORD = "bench", "correct horse battery staple"
PAGES = (
    "/",
    "/hosts",
    "/hosts?sort=-open_findings",
    "/hosts?q=host0042",
    "/hosts/{host}",
    "/hosts/{host}/history",
    "/hosts/{host}/difference?other=host000043",
    "/software",
    "/software?sort=-hosts",
    "/software?doubt=foreign",
    "/software/hosts?name=libsrc0004-1",
    "/software/hosts?name=src0004&source=yes&compare=below&than=999&at=2100-01-01",
    "/findings",
    "/findings?severity=high",
    "/findings?environment=production",
    "/advisories",
    "/coverage",
    "/plans",
    "/feeds",
    "/reports",
    "/admin/jobs",
    "/search?q=src0042",
)
LISTINGS = (
    "/api/v1/hosts",
    "/api/v1/hosts?sort=open_findings",
    "/api/v1/findings",
    "/api/v1/findings?platform=debian:12",
    "/api/v1/advisories",
    "/api/v1/hosts/{host}/packages",
    "/api/v1/software",
    "/api/v1/software/installations?name=libsrc0004-1",
    "/api/v1/coverage",
)


def pages(store: Store) -> list[dict[str, object]]:
    """Ask for every page and listing a few times; print and return how long they took."""
    found = []
    with served(store) as (address, service), requests.Session() as person:
        sign_in(person, address)
        key = made(store, ["tokens", "create", "bench", "--role", "viewer"]).split()[-1]
        for path in (*PAGES, *LISTINGS):
            headers = {"Authorization": f"Bearer {key}"} if path.startswith("/api") else {}
            before = cpu(service) + cpu(store.postmaster)
            times = sorted(asked(person, address + path.format(host=HOST), headers))
            used = cpu(service) + cpu(store.postmaster) - before
            found.append(
                {
                    "page": path,
                    "median_ms": round(statistics.median(times)),
                    "p95_ms": round(times[int(len(times) * 0.95) - 1]),
                    "cpu_ms": round(used / (REQUESTS + 1) * 1000),
                }
            )
    print(f"\n{'page':42} median ms  p95 ms (budget {PAGE_BUDGET})  cpu ms")
    for one in found:
        print(f"{one['page']:42} {one['median_ms']:9}  {one['p95_ms']:6} {one['cpu_ms']:20}")
    return found


HOST = "host000042"


def asked(person: requests.Session, url: str, headers: dict[str, str]) -> Iterator[float]:
    """Yield the milliseconds that each answer took; the first one warms up and is not counted."""
    for number in range(REQUESTS + 1):
        start = time.perf_counter()
        answer = person.get(url, headers=headers, timeout=PATIENCE)
        taken = (time.perf_counter() - start) * 1000
        if answer.status_code != requests.codes.ok or "sign-in" in answer.url:
            sys.exit(f"{url} answered {answer.status_code} at {answer.url}")
        if number:
            yield taken


@contextmanager
def served(store: Store) -> Iterator[tuple[str, int]]:
    """Serve pages and API, without a schedule that would come between, until the block ends.

    Yields the address and the process that serves.
    """
    made(store, ["users", "add", NAME, "--role", "viewer", "--password-stdin"], PASSWORD + "\n")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    web = subprocess.Popen(
        [sys.executable, "-m", "patchmgr", "web", "--port", str(port)],
        env=environment(store),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address)
        yield address, web.pid
    finally:
        web.terminate()
        web.wait(PATIENCE)


def sign_in(person: requests.Session, address: str) -> None:
    form = person.get(f"{address}/", timeout=PATIENCE)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text).group(1)
    fields = {"csrf_token": token, "name": NAME, "password": PASSWORD}
    person.post(form.url, data=fields, timeout=PATIENCE)


def made(store: Store, command: list[str], said: str = "") -> str:
    """Run a command of the program, with ``said`` on its input, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "patchmgr", *command],
        check=True,
        env=environment(store),
        input=said,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return done.stdout


def _wait_for(address: str) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            if requests.get(f"{address}/healthz", timeout=PATIENCE).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    sys.exit(f"nothing answered at {address}")

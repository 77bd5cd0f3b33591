"""``make soak``: people at the demo's pages for a while; errors, times and memory at the end."""

import re
import statistics
import sys
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from served import Served, served_demo  # beside this file

PEOPLE = 8
PAGES = ("/", "/hosts", "/findings", "/advisories", "/plans", "/feeds", "/reports", "/healthz")
GROWTH = 1.5  # memory at the end over memory half way


def main(seconds: float) -> None:
    with served_demo() as demo:
        stop = threading.Event()
        times: dict[str, list[float]] = defaultdict(list)
        errors: list[str] = []
        sessions = [signed_in(demo) for _ in range(PEOPLE)]
        with ThreadPoolExecutor(PEOPLE) as people:
            for session in sessions:
                people.submit(walk, session, demo.address, stop, times, errors)
            time.sleep(seconds / 2)
            before = memory(demo.pid)
            time.sleep(seconds / 2)
            after = memory(demo.pid)
            stop.set()
    for path, taken in sorted(times.items()):
        at_95 = statistics.quantiles(taken, n=20)[-1] if len(taken) > 1 else taken[0]
        print(f"{path:14} {len(taken):6} requests   95 % within {at_95 * 1000:5.0f} ms")
    print(f"memory {before:.0f} MB, then {after:.0f} MB; {len(errors)} errors")
    for error in errors[:20]:
        print(f"  {error}")
    if errors or after > before * GROWTH:
        sys.exit(1)


def signed_in(demo: Served) -> requests.Session:
    session = requests.Session()
    form = session.get(f"{demo.address}/", timeout=60)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text).group(1)
    fields = {"csrf_token": token, "name": "viewer", "password": demo.password}
    session.post(form.url, data=fields, timeout=60)
    return session


def walk(
    session: requests.Session,
    address: str,
    stop: threading.Event,
    times: dict[str, list[float]],
    errors: list[str],
) -> None:
    """Go from page to page until ``stop``."""
    while not stop.is_set():
        for path in PAGES:
            start = time.perf_counter()
            try:
                answer = session.get(address + path, timeout=60)
            except requests.RequestException as error:
                errors.append(f"{path}: {error}")
                continue
            times[path].append(time.perf_counter() - start)
            if answer.status_code >= 400 or "sign-in" in answer.url:
                errors.append(f"{path}: {answer.status_code} {answer.url}")


def memory(pid: int) -> float:
    """Return the resident memory of a process and all below it, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    own = int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1000
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return own + sum(memory(int(child)) for child in children)


if __name__ == "__main__":
    main(float(sys.argv[1]))

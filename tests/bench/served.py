"""The demo, served on a free port by the real command, for the scripts beside this file."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import stores  # beside this file

PATIENCE = 60  # seconds


@dataclass(frozen=True)
class Served:
    """A running service: where it is, its process, and the password of its demo users."""

    address: str
    pid: int
    password: str
    started: float  # when, on the monotonic clock


@contextmanager
def served_demo(database: str = "sqlite") -> Iterator[Served]:
    """Load the demo into a home of its own and serve it until the block ends."""
    with (
        tempfile.TemporaryDirectory(prefix="patchmgr-demo-") as folder,
        stores.opened(database, Path(folder)) as store,
    ):
        environ = stores.environment(store)
        environ["PATCHMGR_DEBIAN_URL"] = "http://127.0.0.1:9/"  # nobody listens there
        patchmgr = [sys.executable, "-m", "patchmgr"]
        if store.postmaster:
            subprocess.run([*patchmgr, "db", "upgrade"], check=True, env=environ)
        subprocess.run([*patchmgr, "demo"], check=True, env=environ, stdout=subprocess.DEVNULL)
        started = time.monotonic()
        process = subprocess.Popen(
            [*patchmgr, "serve", "--port", "0"], env=environ, stdout=subprocess.PIPE, text=True
        )
        try:
            address = re.search(r"http://\S+", process.stdout.readline()).group()
            password = (store.home / "demo-password").read_text().strip()
            yield Served(address, process.pid, password, started)
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)

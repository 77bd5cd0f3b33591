"""One step of the bench, in a process of its own: ``steps.py CALL [then CALL …]``.

Prints what the last call took: seconds, CPU seconds, peak memory in MB, and the CPU seconds of the
database server whose process `POSTMASTER` names.
"""

import csv
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from stores import cpu as cpu_of  # beside this file

POSTMASTER = "BENCH_POSTMASTER"
THEN = "then"  # between the calls of one step
READER = "csv.reader"  # merely reads the file
NUMPY = "numpy"  # merely finds the members of all sets that are in a list


def main(words: list[str]) -> None:
    *before, last = calls(words)
    app = None if last[0] == READER else opened()
    for each in before:
        work(each, app)()
    step = work(last, app)  # imports the program, which is not what is measured
    server = int(os.environ.get(POSTMASTER, "0"))
    before_it = cpu_of(server) if server else 0.0
    start, cpu = time.perf_counter(), time.process_time()
    step()
    taken = [time.perf_counter() - start, time.process_time() - cpu]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    served = cpu_of(server) - before_it if server else 0.0
    print(json.dumps([round(value, 4) for value in (*taken, peak, served)]))


def calls(words: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for word in words:
        if word == THEN:
            found.append([])
        else:
            found[-1].append(word)
    return found


def opened() -> object:
    """Return the program with its database, as a service has it open from scan to scan."""
    from patchmgr.cli.app import App

    return App()


def work(call: list[str], app: object) -> Callable[[], object]:
    if call[0] == READER:
        return lambda: read_only(Path(call[1]))
    if call[0] == NUMPY:
        return bare_pass(app)
    import click

    from patchmgr.cli import main as patchmgr

    patchmgr.get_command(click.Context(patchmgr), call[0])  # imports what the command needs
    return lambda: patchmgr(list(call), prog_name="patchmgr", obj=app, standalone_mode=False)


def read_only(path: Path) -> int:
    with path.open(newline="") as file:
        return sum(1 for _row in csv.reader(file))


def bare_pass(app: object) -> Callable[[], object]:
    """Return a scan that has everything prepared: which hosts have one of the judged versions.

    The limit of any scan with numpy: nothing is read, compared as text, or stored.
    """
    import numpy as np
    from sqlalchemy import select

    from patchmgr.db import models, package_sets

    with app.db.reading() as session:
        query = select(models.Host.package_set_id).where(models.Host.package_set_id.is_not(None))
        of_hosts = list(session.scalars(query))
        judged = list(session.scalars(select(models.Judgement.package_version_id).distinct()))
        sets = package_sets.members(session, set(of_hosts))
    ends = np.cumsum([len(sets[number]) for number in of_hosts])
    members = np.concatenate([sets[number] for number in of_hosts])
    flags = np.zeros(int(members.max()) + 1, bool)
    flags[judged] = True

    def scan() -> int:
        hits = np.flatnonzero(flags[members])
        return len(np.searchsorted(ends, hits, side="right"))

    return scan


if __name__ == "__main__":
    main(sys.argv[1:])

"""How long `patchmgr serve` takes from its start to a served page, with the demo loaded."""

import argparse
import sys
import time
from pathlib import Path

import figures  # beside this file, as the others
import requests
from served import served_demo

BUDGET = 5.0  # seconds


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--json", type=Path, help="where to write the figures besides")
    options = asked.parse_args()
    kept = {name: started(name) for name in ("sqlite", "postgresql")}
    for name, seconds in kept.items():
        print(f"{name}: cold start to a served page {seconds:.1f} s (budget {BUDGET:.0f} s)")
    figures.keep(options.json, "start", {"budget_s": BUDGET, "seconds": kept})
    sys.exit(max(kept.values()) > BUDGET)


def started(database: str) -> float:
    """Return the seconds from the start to the first page, which must be a good one."""
    with served_demo(database) as demo:
        answer = requests.get(demo.address, timeout=60)
        seconds = time.monotonic() - demo.started
    answer.raise_for_status()
    return seconds


if __name__ == "__main__":
    main()

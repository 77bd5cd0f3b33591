"""How long `patchmgr serve` takes from its start to a served page, with the demo loaded."""

import sys
import time

import requests
from served import served_demo  # beside this file

BUDGET = 5.0  # seconds


def main() -> None:
    with served_demo() as demo:
        answer = requests.get(demo.address, timeout=60)
        taken = time.monotonic() - demo.started
    print(f"cold start to a served page {taken:.1f} s (budget {BUDGET:.0f} s)")
    sys.exit(taken > BUDGET or not answer.ok)


if __name__ == "__main__":
    main()

"""``make bench-growth``: how the cost grows, one thing at a time; writes the plot of the docs."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from generate import Fleet, Shape, generate  # beside this file, as the others
from plot import Line, Panel, drawn
from steps import THEN
from stores import Store, environment, opened

STEPS = Path(__file__).with_name("steps.py")
HOSTS = 2_000
IMPORT, FULL, AGAIN = "packages import", "full scan", "scan after changes"


@dataclass(frozen=True)
class Series:
    """What is varied, and the fleets that differ in only that."""

    title: str
    shapes: Mapping[float, Shape]  # by what is shown beneath
    shown: tuple[str, ...]  # steps


SERIES = (
    Series(
        "hosts",
        {hosts: Shape(hosts) for hosts in (500, 1_000, 2_000, 4_000, 8_000)},
        (IMPORT, FULL, AGAIN),
    ),
    Series(
        "distinct package versions",
        {
            _versions: Shape(HOSTS, sources=_versions // 6)
            for _versions in (3_300, 6_600, 13_200, 26_400)
        },
        (IMPORT, FULL, AGAIN),
    ),
    Series(
        "advisories",
        {number: Shape(HOSTS, advisories=number) for number in (195, 390, 780, 1_560, 3_120)},
        (FULL, AGAIN),
    ),
    Series(
        "hosts that changed, in percent",
        {100 / one_in: Shape(HOSTS, changed=one_in) for one_in in (100, 50, 20, 10, 4, 2)},
        (AGAIN,),
    ),
)


def main(picture: Path) -> None:
    panels = []
    for series in SERIES:
        taken = {at: measured(shape) for at, shape in series.shapes.items()}
        print(f"\n{series.title:>32}  " + "  ".join(f"{step:>20}" for step in series.shown))
        for at, steps in taken.items():
            print(f"{at:32,.0f}  " + "  ".join(f"{steps[step]:18.3f} s" for step in series.shown))
        lines = [
            Line(step, [(at, steps[step]) for at, steps in taken.items()]) for step in series.shown
        ]
        panels.append(Panel(series.title, lines))
    picture.write_text(drawn(panels))


def measured(shape: Shape) -> dict[str, float]:
    """Return the CPU seconds of each step on a fleet of ``shape``, on SQLite."""
    with tempfile.TemporaryDirectory(prefix="patchmgr-bench-") as folder:
        fleet = generate(Path(folder), shape)
        with opened("sqlite", Path(folder)) as store:
            return {name: cpu(store, call) for name, call in steps(fleet).items()}


def steps(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    feed = ("feeds", "sync", "debian", "--from", str(fleet.feed))
    hosts = ("hosts", "import", str(fleet.hosts))
    changed = ("packages", "import", str(fleet.changed))
    return {
        IMPORT: (*hosts, THEN, "packages", "import", str(fleet.packages)),
        FULL: (*feed, THEN, "scan"),
        AGAIN: ("scan", THEN, *changed, THEN, "scan"),
    }


def cpu(store: Store, call: tuple[str, ...]) -> float:
    done = subprocess.run(
        [sys.executable, STEPS, *call],
        check=True,
        env=environment(store),
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1])[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]))

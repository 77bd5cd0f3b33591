"""``make bench-versions``: the keys of each scheme beside the usual libraries, in one run.

Versions are those of the vectors and of a real Debian machine, spread to as many distinct ones as a
large fleet has. ``cold`` is a key of a version whose segments nobody has seen, ``warm`` once they
are cached. Libraries give objects rather than keys, and do part of their work when these are
compared; so both are also measured at what a key is for: sorting.
"""

import csv
import gzip
import random
import re
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import semver
import univers.versions
from debian.debian_support import NativeVersion
from packaging.version import Version

from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

DATA = Path(__file__).parents[1] / "data"
DISTINCT = 10_000
ROUNDS = 3  # the best counts
BUDGET = 20e-6  # seconds a key, cold

LIBRARIES: dict[str, dict[str, Callable[[str], Any]]] = {
    "alpm": {"univers": univers.versions.ArchLinuxVersion},
    "apk": {"univers": univers.versions.AlpineLinuxVersion},
    "dpkg": {"python-debian": NativeVersion, "univers": univers.versions.DebianVersion},
    "gem": {"univers": univers.versions.RubygemsVersion},
    "maven": {"univers": univers.versions.MavenVersion},
    "nuget": {"univers": univers.versions.NugetVersion},
    "pep440": {"packaging": Version, "univers": univers.versions.PypiVersion},
    "rpm": {"univers": univers.versions.RpmVersion},
    "semver": {"semver": semver.Version.parse, "univers": univers.versions.SemverVersion},
}
HEADINGS = (
    "scheme", "library", "versions", "cold keys/s", "warm keys/s", "objects/s", "x cold", "x warm",
    "x sort",
)  # fmt: skip
LAST_NUMBER = re.compile(r"[0-9]+(?=[^0-9]*$)")


def main() -> None:
    rows = [HEADINGS]
    slow = set()
    for scheme, key in SCHEMES.items():
        known = spread(sorted(readable(key, versions(scheme))))
        for name, make in LIBRARIES[scheme].items():
            shared = sorted(readable(make, known))
            random.Random(1).shuffle(shared)
            cold, row = measured(scheme, name, make, shared)
            rows.append(row)
            if cold > BUDGET:
                slow.add(scheme)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    if slow:
        sys.exit(f"more than {BUDGET * 1e6:.0f} µs a key: {', '.join(sorted(slow))}")


def measured(
    scheme: str, name: str, make: Callable[[str], Any], texts: list[str]
) -> tuple[float, tuple[str, ...]]:
    """Return the seconds of a cold key, and the table's row."""
    key = SCHEMES[scheme]
    cold = best(lambda: list(map(key, texts)), before=lambda: forget(scheme))
    warm = best(lambda: list(map(key, texts)))
    theirs = best(lambda: list(map(make, texts)))
    sorting = best(lambda: sorted(texts, key=key), before=lambda: forget(scheme))
    their_sorting = best(lambda: sorted(texts, key=make))
    count = len(texts)
    return cold / count, (
        scheme,
        name,
        f"{count:,}",
        *(f"{count / seconds:,.0f}" for seconds in (cold, warm, theirs)),
        *(f"{theirs / seconds:.1f}" for seconds in (cold, warm)),
        f"{their_sorting / sorting:.1f}",
    )


def versions(scheme: str) -> set[str]:
    """Return the versions of the scheme's vectors; for dpkg also those of a real machine."""
    found = set()
    for path in (DATA / "vectors" / scheme).glob("*.txt"):
        for line in path.read_text().splitlines():
            left, _relation, right, *_why = line.split()
            found |= {left, right}
    if scheme == "dpkg":
        with gzip.open(DATA / "apt-bookworm" / "packages.csv.gz", "rt") as file:
            found |= {row["version"] for row in csv.DictReader(file)}
    return found


def spread(known: list[str]) -> list[str]:
    """Return `DISTINCT` versions: ``known``, and ones like them with another last number."""
    found = dict.fromkeys(known)
    step = 0
    while len(found) < DISTINCT:
        step += 1
        found |= dict.fromkeys(later(text, step) for text in known)
    return list(found)[:DISTINCT]


def later(text: str, step: int) -> str:
    return LAST_NUMBER.sub(lambda match: str(int(match[0]) + step), text)


def readable(make: Callable[[str], Any], texts: Iterable[str]) -> set[str]:
    """Return those of ``texts`` that ``make`` reads."""
    found = set()
    for text in texts:
        try:
            sorted([make(text), make(text)])  # some find out only when they compare
        except (VersionError, ValueError, TypeError, AttributeError):
            continue
        found.add(text)
    return found


def forget(scheme: str) -> None:
    """Empty the caches of a scheme's module."""
    for cached in vars(sys.modules[SCHEMES[scheme].__module__]).values():
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()


def best(work: Callable[[], object], before: Callable[[], object] = int) -> float:
    """Return the CPU seconds of ``work``, the best of several; ``before`` is not counted."""
    times = []
    for _ in range(ROUNDS):
        before()
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


if __name__ == "__main__":
    main()

"""What tests of feeds share: judging an inventory by what a feed says."""

import csv

import pytest

from patchmgr.domain.advisories import OPEN
from patchmgr.domain.matching import Subject, assess, decisive
from patchmgr.domain.packages import scheme_of_platform


@pytest.fixture
def found():
    """Return (package, advisory) of each finding that ``advisories`` make on ``packages``.

    ``packages`` are rows of an inventory as mappings: name, version, source, source_version.
    """

    def find(platform, packages, advisories):
        subjects = [
            Subject(
                platform,
                scheme_of_platform(
                    platform
                ),  # systems have one manager, and one scheme of its name
                row["name"],
                row["version"],
                row.get("source") or row["name"],
                row.get("source_version") or row["version"],
                row.get("arch", ""),
            )
            for row in packages
        ]
        return sorted(
            (subject.name, advisory.ref)
            for advisory in advisories
            for subject in subjects
            if _status(subject, advisory) in OPEN
        )

    return find


def _status(subject, advisory):
    judged = [
        (fix, verdict)
        for fix in advisory.fixes
        if fix.platform == subject.platform and subject.named(fix.match)[0] == fix.package
        if (verdict := assess(subject, fix)) is not None
    ]
    decided = decisive(judged)
    return decided[1].status if decided else None


@pytest.fixture
def rows():
    """Return the rows of a CSV file as mappings."""

    def read(path):
        with path.open(newline="") as text:
            return list(csv.DictReader(text))

    return read

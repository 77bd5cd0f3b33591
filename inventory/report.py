"""What a host's report says, whatever package manager it came from."""

from dataclasses import dataclass

from patchmgr.domain.packages import Package


@dataclass(frozen=True, slots=True)
class Listing:
    """The packages installed on a host, and those its administrator holds back."""

    packages: frozenset[Package]
    held: frozenset[str] = frozenset()

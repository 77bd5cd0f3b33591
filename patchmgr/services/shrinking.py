"""A feed that loses much of what it says is not believed without a person's word.

A mirror half copied, a vendor's page half made, a file of the wrong year: all of it reads well, and
would withdraw what hosts are still to be patched for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FEWEST = 2  # losing one is what happens when a vendor takes it back


@dataclass(frozen=True, slots=True)
class Change:
    """How many of a kind a feed has, and would have."""

    kind: str  # "advisories", "notes"
    before: int
    after: int

    def exceeds(self, percent: int) -> bool:
        """Return whether more than ``percent`` of what there is would go, and more than one."""
        lost = self.before - self.after
        return lost >= FEWEST and lost * 100 > self.before * percent

    def __str__(self) -> str:
        return f"from {self.before} to {self.after} {self.kind}"


def unconfirmed(
    confirmed: Mapping[str, Sequence[int]], losses: tuple[Change, ...]
) -> tuple[Change, ...]:
    """Return the losses beyond those that a person has confirmed: kind -> (before, after)."""
    return tuple(
        each
        for each in losses
        if each.kind not in confirmed or each.after < confirmed[each.kind][1]
    )


def why(name: str, losses: tuple[Change, ...], percent: int) -> str:
    """Return what to tell the person who has to confirm ``losses``."""
    what = " and ".join(map(str, losses))
    return (
        f"it would shrink {what}, by more than {percent} %, so it is held and what it said before"
        f" stays; if that is right, confirm it: patchmgr feeds sync {name} --accept-smaller"
    )

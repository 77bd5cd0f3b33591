"""What a virtual host does with an order. Every draw is a hash of the seed and of what it is for.

So a host does the same in every run of a seed, whatever happens to the others.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

Span = tuple[timedelta, timedelta]  # from, to; drawn evenly in between

_NONE = timedelta(0)
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)


class Course(StrEnum):
    """How an attempt goes."""

    SUCCEEDS = "succeeds"
    FAILS = "fails"
    OFFLINE = "offline"  # the order is never begun
    HANGS = "hangs"  # begun, and no word any more
    LOST = "lost"  # installed, gone for a reboot, never back
    UNVERIFIED = "unverified"  # says installed, and its inventory does not show it


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How often hosts go astray, and how long things take. Rates are shares from 0 to 1."""

    failure_rate: float = 0.0
    offline_rate: float = 0.0
    hang_rate: float = 0.0
    lost_rate: float = 0.0
    unverified_rate: float = 0.0
    reboot_rate: float = 0.0  # of the successful, those that need a reboot
    fails_first: int = 0  # so many attempts fail whatever the rates say
    offline_until: datetime | None = None
    begin: Span = (_NONE, _NONE)  # from the order to its begin
    duration: Span | None = None  # of the work; None: ten minutes, or what the ring expects if less
    reboot: Span | None = None  # None: five minutes, or the ring's reserve if less
    inventory: Span = (15 * _MINUTE, 15 * _MINUTE)  # from the end to the next inventory
    package: str = ""  # the one that fails


@dataclass(frozen=True, slots=True)
class Dice:
    """Draws that depend on the seed, the host, the attempt and what is drawn, and nothing else."""

    seed: int

    def share(self, host: int, attempt: int, what: str) -> float:
        """Return a number from 0 up to 1."""
        text = f"{self.seed}\0{host}\0{attempt}\0{what}".encode()
        drawn = hashlib.blake2b(text, digest_size=7).digest()
        return int.from_bytes(drawn) / 2**56

    def length(self, span: Span, host: int, attempt: int, what: str) -> timedelta:
        """Return a length inside ``span``, in whole minutes where it is a range."""
        low, high = span
        if low >= high:
            return low
        steps = (high - low) // _MINUTE
        if steps == 0:
            return low
        return low + int(self.share(host, attempt, what) * (steps + 1)) * _MINUTE


def course(behaviour: Behaviour, dice: Dice, host: int, attempt: int) -> Course:
    """Return how this attempt goes."""
    if attempt <= behaviour.fails_first:
        return Course.FAILS
    rates = (
        (Course.OFFLINE, behaviour.offline_rate),
        (Course.FAILS, behaviour.failure_rate),
        (Course.HANGS, behaviour.hang_rate),
        (Course.LOST, behaviour.lost_rate),
        (Course.UNVERIFIED, behaviour.unverified_rate),
    )
    if not any(rate for _, rate in rates):
        return Course.SUCCEEDS
    drawn = dice.share(host, attempt, "course")
    for what, rate in rates:
        if drawn < rate:
            return what
        drawn -= rate
    return Course.SUCCEEDS


def needs_reboot(behaviour: Behaviour, dice: Dice, host: int, attempt: int) -> bool:
    rate = behaviour.reboot_rate
    return rate > 0 and dice.share(host, attempt, "reboot") < rate


def whole_seconds(length: timedelta) -> timedelta:
    return length // _SECOND * _SECOND

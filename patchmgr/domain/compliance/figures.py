"""Figures over many values: statistics of durations, and the periods of a trend."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from patchmgr.domain.compliance.basis import PERIODS, Standing
from patchmgr.domain.compliance.values import Duration, Period

_DAY = timedelta(days=1)


def duration(seconds: Counter[int]) -> Duration:
    """Return the statistics of durations given as how often each length, in seconds, was seen.

    The median of an even number is the mean of the two in the middle; p90 is by nearest rank.
    """
    n = seconds.total()
    if not n:
        return Duration(0, None, None, None)
    ordered = sorted(seconds.items())
    middle = _ranked(ordered, (n + 1) // 2) + _ranked(ordered, n // 2 + 1)
    return Duration(
        n=n,
        median=middle // 2,
        p90=_ranked(ordered, (9 * n + 9) // 10),
        mean=sum(length * times for length, times in ordered) // n,
    )


def _ranked(ordered: Sequence[tuple[int, int]], rank: int) -> int:
    """Return the ``rank``-th smallest length, counting from 1."""
    for length, times in ordered:
        rank -= times
        if rank <= 0:
            return length
    raise ValueError(f"rank past the end by {rank}")


def trend(as_of: datetime, standings: Sequence[Standing]) -> tuple[int, tuple[Period, ...]]:
    """Return the days of a period and the last 12 periods, oldest first.

    A period is the shortest of a day, a week and two weeks that shows all there is, else 30 days.
    """
    age = as_of - standings[0].at if standings else timedelta(0)
    days = next((length for length in (1, 7, 14) if age < length * PERIODS * _DAY), 30)
    ends = [as_of - n * days * _DAY for n in reversed(range(PERIODS))]
    last: dict[datetime, Standing] = {}
    for standing in standings:
        behind = (as_of - standing.at) // (days * _DAY)
        if 0 <= behind < PERIODS:
            last[ends[PERIODS - 1 - behind]] = standing
    return days, tuple(Period(end, last.get(end)) for end in ends)

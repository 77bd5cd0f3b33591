"""A maintenance window in words: ``Saturdays 22:00 for 4 h, Europe/Berlin``.

Only what a rule says exactly is said. A rule with a part that has no words here gives none, and is
shown as it is written.

Source: RFC 5545, 3.3.10 (recurrence rules); counted as `patchmgr.domain.rules` counts.
"""

import re
from calendar import day_name, month_name
from collections.abc import Callable, Mapping, Sequence

from patchmgr.domain import durations
from patchmgr.domain.rules import EPOCH, filled, rule_parts
from patchmgr.domain.windows import Window

Parts = Mapping[str, str]

_WEEK = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ORDINALS = {
    1: "first",
    2: "second",
    3: "third",
    4: "fourth",
    5: "fifth",
    -1: "last",
    -2: "second to last",
}
_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_UNSAID = frozenset(("BYWEEKNO", "BYYEARDAY"))  # parts without words
MOST_TIMES = 6  # of a day; more is easier to read as a rule
MOST_EXDATES = 3  # that are named; more are counted


class _UnsaidError(Exception):
    """A rule has something for which there are no words."""


def in_words(window: Window) -> str:
    """Return when a window opens, for how long and in which zone; "" when its rule has no words."""
    said = [_one_in_words(one) for one in (window, *window.also)]
    return "; and ".join(said) if all(said) else ""


def _one_in_words(window: Window) -> str:
    parts = filled(window.rrule, window.first)
    if window.first and _interval(parts) > 1 and parts["FREQ"] == "MONTHLY":
        return ""  # the months are not those that a rule without a first day means
    said = rule_in_words(";".join(f"{name}={value}" for name, value in parts.items()))
    if not said:
        return ""
    since = f", from {window.first[:10]}" if window.first else ""
    return (
        f"{said} for {durations.words(window.duration)}, {window.zone}"
        f"{since}{_excepted(window.exdates)}"
    )


def _excepted(exdates: Sequence[str]) -> str:
    if len(exdates) > MOST_EXDATES:
        return f", except {len(exdates)} times"
    return (
        f", except {_listed([text[:16].replace('T', ' ') for text in exdates])}" if exdates else ""
    )


def rule_in_words(rule: str) -> str:
    """Return what a valid rule says, such as ``Saturdays 22:00``; "" when there are no words."""
    parts = rule_parts(rule)
    try:
        _refuse(parts, *_UNSAID)
        if parts.get("WKST", "MO") != "MO" or _numbers(parts, "BYSECOND") != [0]:
            return ""
        said = _KINDS[parts["FREQ"]](parts)
    except _UnsaidError:
        return ""
    return f"{said[0].upper()}{said[1:]}{_until(parts.get('UNTIL', ''))}"


def _hourly(parts: Parts) -> str:
    _refuse(parts, "BYHOUR", "BYMONTHDAY", "BYSETPOS", "BYMONTH")
    if _interval(parts) > 1:
        raise _UnsaidError
    minutes = _listed([f":{minute:02}" for minute in _numbers(parts, "BYMINUTE")])
    return f"every hour at {minutes}" + (f", {_weekdays(parts)}" if "BYDAY" in parts else "")


def _daily(parts: Parts) -> str:
    _refuse(parts, "BYMONTHDAY", "BYSETPOS")
    days = _weekdays(parts) if "BYDAY" in parts else "every day"
    if _interval(parts) > 1:
        _refuse(parts, "BYDAY", "BYMONTH")
        days = f"every {_interval(parts)} days"
    return f"{days} {_times(parts)}{_in_months(parts)}"


def _weekly(parts: Parts) -> str:
    _refuse(parts, "BYMONTHDAY", "BYSETPOS")
    weeks = ""
    if _interval(parts) > 1:
        _refuse(parts, "BYMONTH")
        weeks = f"every {_interval(parts)} weeks, "
    return f"{weeks}{_weekdays(parts)} {_times(parts)}{_in_months(parts)}"


def _monthly(parts: Parts) -> str:
    days = _month_days(parts) if "BYMONTHDAY" in parts else _nth_weekdays(parts)
    if days:
        months = _months(parts)
        return f"{days} of {_listed(months) if months else 'every month'} {_times(parts)}"
    if _interval(parts) > 1:
        raise _UnsaidError
    return f"{_weekdays(parts)} {_times(parts)}{_in_months(parts)}"


def _yearly(parts: Parts) -> str:
    _refuse(parts, "BYSETPOS")
    counts_in_year = "BYMONTH" not in parts and any(
        nth for nth, _ in _days(parts) if "BYDAY" in parts
    )
    if _interval(parts) > 1 or counts_in_year:
        raise _UnsaidError
    return _monthly(parts)


_KINDS: Mapping[str, Callable[[Parts], str]] = {
    "HOURLY": _hourly,
    "DAILY": _daily,
    "WEEKLY": _weekly,
    "MONTHLY": _monthly,
    "YEARLY": _yearly,
}


def _refuse(parts: Parts, *names: str) -> None:
    if parts.keys() & set(names):
        raise _UnsaidError


def _interval(parts: Parts) -> int:
    return int(parts.get("INTERVAL", "1"))


def _numbers(parts: Parts, name: str) -> list[int]:
    """Return the numbers of a part, ascending; 0 where it is missing, as rules count."""
    return sorted({int(number) for number in parts.get(name, "0").split(",")})


def _times(parts: Parts) -> str:
    times = [
        f"{hour:02}:{minute:02}"
        for hour in _numbers(parts, "BYHOUR")
        for minute in _numbers(parts, "BYMINUTE")
    ]
    if len(times) > MOST_TIMES:
        raise _UnsaidError
    return _listed(times)


def _days(parts: Parts) -> list[tuple[int, str]]:
    """Return the days of ``BYDAY`` with which one of them is meant, 0 for each."""
    found = []
    for text in parts.get("BYDAY", "").split(",") if "BYDAY" in parts else ():
        match = _DAY.fullmatch(text.strip())
        if match is None:
            raise _UnsaidError
        found.append((int(match[1] or 0), match[2]))
    return found


def _weekdays(parts: Parts) -> str:
    days = _days(parts)
    if any(nth for nth, _ in days):
        raise _UnsaidError
    places = sorted({_WEEK.index(day) for _, day in days})
    names = [f"{day_name[place]}s" for place in places]
    if len(places) == len(_WEEK):
        return "every day"
    if len(places) > 2 and places[-1] - places[0] == len(places) - 1:
        return f"{names[0]} to {names[-1]}"
    return _listed(names)


def _nth_weekdays(parts: Parts) -> str:
    """Return ``second Tuesday``; "" where each such day of the month is meant."""
    days = _days(parts)
    if "BYSETPOS" in parts:  # of all times in the month: the n-th day only if it has one time
        if len(days) > 1 or days[0][0] or ":" in _times(parts)[5:]:
            raise _UnsaidError
        days = [(nth, days[0][1]) for nth in _numbers(parts, "BYSETPOS")]
    if not any(nth for nth, _ in days):
        return ""
    if any(nth not in _ORDINALS for nth, _ in days):
        raise _UnsaidError
    return _listed([f"{_ORDINALS[nth]} {day_name[_WEEK.index(day)]}" for nth, day in days])


def _month_days(parts: Parts) -> str:
    _refuse(parts, "BYDAY", "BYSETPOS")
    days = _numbers(parts, "BYMONTHDAY")
    if any(day < 0 and day not in _ORDINALS for day in days):
        raise _UnsaidError
    forward = [f"day {day}" for day in days if day > 0]
    return _listed(forward + [f"{_ORDINALS[day]} day" for day in days if day < 0])


def _months(parts: Parts) -> list[str]:
    """Return the months that are meant by name; none of them means all."""
    every = _interval(parts)
    if every == 1:
        return [month_name[number] for number in _numbers(parts, "BYMONTH") if number]
    if "BYMONTH" in parts or 12 % every:
        raise _UnsaidError
    return [month_name[number] for number in range(EPOCH.month, 13, every)]


def _in_months(parts: Parts) -> str:
    months = [month_name[number] for number in _numbers(parts, "BYMONTH") if number]
    return f" in {_listed(months)}" if months else ""


def _until(value: str) -> str:
    if not value:
        return ""
    day = f", until {value[:4]}-{value[4:6]}-{value[6:8]}"
    time = f" {value[9:11]}:{value[11:13]}" if "T" in value else ""
    return f"{day}{time}{' UTC' if value.endswith('Z') else ''}"


def _listed(words: Sequence[str]) -> str:
    """Return ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))

"""How values look to people: numbers, times, severities and states. Registered as Jinja filters."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import Flask

from patchmgr.domain import durations
from patchmgr.domain.advisories import Severity
from patchmgr.domain.content import window_from_json
from patchmgr.domain.recurrence import in_words
from web import times
from web.context import now, viewer_or_none, zone

DASH = "\N{EN DASH}"  # where there is no value
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

# state or status -> tone; one place for every badge. Unknown words are neutral.
TONES = {
    # findings
    "affected": "bad",
    "no_fix": "warn",
    "undetermined": "quiet",
    "not_affected": "good",
    # exceptions
    "in_force": "info",
    "revoked": "quiet",
    # plans
    "draft": "quiet",
    "proposed": "wait",
    "approved": "info",
    "running": "live",
    "completed": "good",
    "completed_with_failures": "warn",
    "paused": "wait",
    "halted": "bad",
    "rejected": "bad",
    "cancelled": "quiet",
    "expired": "quiet",
    "superseded": "quiet",
    # rings
    "pending": "quiet",
    "waiting_gate": "wait",
    "waiting_window": "wait",
    "rolling": "live",
    "soaking": "info",
    "passed": "good",
    "failed": "bad",
    "inconclusive": "warn",
    "skipped": "quiet",
    # tasks
    "queued": "quiet",
    "leased": "info",
    "installed": "info",
    "reboot_pending": "warn",
    "verified": "good",
    "timed_out": "bad",
    "lost": "bad",
    "deferred": "wait",
    "rolled_back": "warn",
    # of jobs, feeds and imports
    "succeeded": "good",
    "interrupted": "warn",
    "ok": "good",
    "never": "quiet",
    "stale": "warn",
    "held": "wait",
    "new": "info",
    "changed": "warn",
    "withdrawn": "quiet",
    "applied": "good",
    "previewed": "wait",
    "discarded": "quiet",
    "blocked": "wait",
}


def register(app: Flask) -> None:
    app.jinja_env.filters.update(
        number=number,
        relative=relative,
        exact=exact,
        typed_as_of=times.typed_as_of,
        exact_if_instant=exact_if_instant,
        to_the_minute=to_the_minute,
        iso=iso,
        day=day,
        words=words,
        tone=tone,
        severity_word=severity_word,
        span=span,
        length_words=durations.words,
        plural=plural,
        percent=percent,
        capitalize_first=capitalize_first,
        days=days,
        in_words=in_words,
        window_in_words=window_in_words,
    )


def number(value: int | None) -> str:
    """Return ``value`` with thousands apart: 12,480; a dash for None."""
    return DASH if value is None else f"{value:,}"


def percent(part: int, whole: int) -> str:
    """Return a whole percentage, rounded down: 99.9 % is not all. A dash without a whole."""
    return f"{part * 100 // whole} %" if whole else DASH


def plural(count: int, one: str, many: str = "") -> str:
    """Return the count and its noun: ``1 host``, ``12 hosts``."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def days(seconds: float) -> str:
    """Return a length of time in whole days, at least one: ``6 days``."""
    return plural(max(1, round(seconds / DAY.total_seconds())), "day")


def capitalize_first(text: str) -> str:
    """Return ``text`` with its first letter large and the others as they are."""
    return text[:1].upper() + text[1:]


def span(seconds: float) -> str:
    """Return a length of time in its two largest units at most: ``2 d 4 h``, ``40 s``."""
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts) or f"{seconds:.1f} s".replace("0.0 s", "0 s")


def relative(at: datetime | None) -> str:
    """Return ``at`` as people say it from the request's instant: ``5 min ago``, ``in 3 days``."""
    if at is None:
        return "never"
    distance = abs(at - now())
    if distance < MINUTE:
        return "just now" if at <= now() else "in a moment"
    for unit, size in (("day", DAY), ("h", HOUR), ("min", MINUTE)):
        if distance >= size * (2 if unit == "day" else 1):
            count = distance // size
            text = f"{count} {unit}" + ("s" if unit == "day" else "")
            break
    return f"{text} ago" if at <= now() else f"in {text}"


def exact(at: datetime) -> str:
    """Return ``at`` to the second in the viewer's zone, the zone named."""
    there = at.astimezone(zone())
    who = viewer_or_none()
    name = who.zone if who and who.zone else "UTC"
    return f"{there:%Y-%m-%d %H:%M:%S} {name}"


def exact_if_instant(text: str) -> str:
    """Return an instant that is written out as `exact` says it, and any other text as it is."""
    if not INSTANT.fullmatch(text):
        return text
    return exact(datetime.fromisoformat(text))


def to_the_minute(at: datetime) -> str:
    """Return ``at`` with its weekday in the viewer's zone, which the page names at its foot."""
    return f"{at.astimezone(zone()):%a %d %b %Y, %H:%M}"


def day(at: datetime) -> str:
    """Return the day of ``at`` in the viewer's zone."""
    return f"{at.astimezone(zone()):%Y-%m-%d}"


def window_in_words(document: Mapping[str, Any]) -> str:
    """Return a plan's window in words, or as its rule is written where there are none."""
    return in_words(window_from_json(document)) or document["rrule"]


def iso(at: datetime) -> str:
    return at.isoformat()


def words(text: str) -> str:
    """Return a state's or status's word for people: ``no_fix`` is "no fix"."""
    said = str(text)
    for state, so in (
        ("waiting_gate", "waiting for its gate"),
        ("waiting_window", "waiting for its window"),
    ):
        said = said.replace(state, so)
    return said.replace("_", " ")


def tone(word: str) -> str:
    """Return the tone of a state or status: good, info, live, wait, warn, bad or quiet."""
    return TONES.get(str(word), "quiet")


def severity_word(severity: int) -> str:
    return Severity(severity).word

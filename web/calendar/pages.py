"""Calendar: when hosts may change, when nothing may, and what is coming."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import accumulate
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from patchmgr.db.queries import agenda as queries
from patchmgr.db.queries import freezes as freeze_queries
from patchmgr.db.queries import windows as window_queries
from patchmgr.domain import agenda, durations
from patchmgr.domain.accounts import Role
from patchmgr.domain.agenda import KINDS, MOST_WEEKS, Entry, Stretch
from patchmgr.domain.recurrence import rule_in_words
from patchmgr.domain.rings import FIELDS
from patchmgr.domain.rules import YEARS, zone_exists
from patchmgr.domain.windows import Window
from web.auth import requires
from web.calendar import grid
from web.context import now, session, viewer

pages = Blueprint("calendar", __name__, url_prefix="/calendar")

WEEKS = (1, 2, 4, 8, MOST_WEEKS)
LISTED = 200  # lines of the list
PRESETS = tuple(
    (rule, rule_in_words(rule))
    for rule in (
        "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22",
        "FREQ=WEEKLY;BYDAY=TU,TH;BYHOUR=2",
        "FREQ=DAILY;BYHOUR=3",
        "FREQ=MONTHLY;BYDAY=2TU;BYHOUR=20",
    )
)


@dataclass(frozen=True, slots=True)
class Listed:
    """Something that begins, on the wall clock of the chosen zone."""

    entry: Entry
    time: str
    until: str  # the last of the days on which it begins so; empty: only on the one


@dataclass(frozen=True, slots=True)
class Days:
    """A day of the list, or days of which little is to be said."""

    words: str
    is_today: bool
    is_repeat: bool  # weeks, as the one before
    lines: tuple[Listed, ...]


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at; all of it is in the address."""

    first: date  # a Monday
    weeks: int
    zone: str
    kinds: tuple[str, ...]
    window: str

    @classmethod
    def asked(cls) -> "View":
        """Return what the address asks for; what it has wrong is left at its default."""
        asked = request.args
        zone = asked.get("zone", "")
        zone = zone if zone_exists(zone) else viewer().zone or "UTC"
        today = now().astimezone(ZoneInfo(zone)).date()
        try:
            first = date.fromisoformat(asked.get("from", ""))
        except ValueError:
            first = today
        first = first if first.year in YEARS[1:-1] else today
        weeks = asked.get("weeks", type=int)
        kinds = tuple(kind for kind in KINDS if kind in asked.getlist("show")) or KINDS
        return cls(
            agenda.monday(first),
            weeks if weeks in WEEKS else 4,
            zone,
            kinds,
            asked.get("window", ""),
        )

    @property
    def query(self) -> str:
        """Return the filters that were asked for, as the forms of the page carry them along."""
        if not request.args:
            return ""
        return self.address(self.first if "from" in request.args else None).partition("?")[2]

    def address(self, first: date | None) -> str:
        """Return the address of this view from another day on; None: from today."""
        asked: list[tuple[str, str]] = [("weeks", str(self.weeks)), ("zone", self.zone)]
        asked += [("show", kind) for kind in self.kinds] if self.kinds != KINDS else []
        asked += [("window", self.window)] if self.window else []
        asked += [("from", first.isoformat())] if first else []
        return f"{url_for('calendar.index')}?{urlencode(asked)}"


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    """Show windows, freezes and planned rings of some weeks, and what there is of them.

    ``?change=NAME`` has the form filled with that window, to be changed.
    """
    return page(MultiDict(), {}), 200


def page(given: MultiDict[str, str], problems: dict[str, str], form: str = "") -> str:
    """Return the calendar; ``given`` is what a form had that was refused."""
    view = View.asked()
    shown = window_queries.overview(session(), now=now())
    changing = request.args.get("change", "") if not form else ""
    for line in shown.windows:
        if line.window.name == changing and (typed := as_typed(line.window)):
            given, form = MultiDict(typed), "window"
    after, before = agenda.span(view.first, view.weeks, view.zone)
    found = queries.agenda(session(), shown.windows, after, before)
    entries = agenda.chosen(found.entries, view.kinds, view.window)
    length = before - after
    listed, left_out = _first(agenda.stretches(entries, view.first, view.weeks, view.zone), LISTED)
    return render_template(
        "calendar/index.html",
        view=view,
        unknown=found.unknown if "ring" in view.kinds else (),
        asked=f"?{view.query}" if view.query else "",
        grids=[
            grid.draw(week, view.zone, now())
            for week in agenda.weeks_of(entries, view.first, view.weeks, view.zone)
        ],
        coming=_days(listed, view.zone),
        left_out=left_out,
        earlier=view.address((after - length / view.weeks).astimezone(ZoneInfo(view.zone)).date()),
        later=view.address((after + length / view.weeks).astimezone(ZoneInfo(view.zone)).date()),
        today=view.address(None),
        zones=_zones(shown.windows),
        choices={"weeks": WEEKS, "kinds": KINDS, "fields": FIELDS},
        windows=shown.windows,
        rules=shown.rules,
        missing=shown.missing,
        freezes=freeze_queries.freezes(session(), now=now(), over=False),
        presets=PRESETS,
        can_be_typed={line.window.name for line in shown.windows if as_typed(line.window)},
        given=given,
        problems=problems,
        form=form,
    )


def as_typed(window: Window) -> dict[str, str]:
    """Return the form's fields as they would be typed for ``window``.

    Empty for one that the form cannot say: each of its recurrences has a length or zone of its own.
    """
    one = replace(window, also=())
    rules = [part.rrule for part in window.parts]
    if any(part != replace(one, rrule=part.rrule) for part in window.also):
        return {}
    return {
        "name": window.name,
        "rrule": "\n".join(rules),
        "duration": durations.text(window.duration),
        "zone": window.zone,
        "exdates": " ".join(window.exdates),
        "first": window.first,
        "change": "yes",
    }


def _zones(lines: tuple[window_queries.WindowLine, ...]) -> list[str]:
    found = {part.zone for line in lines for part in line.window.parts}
    return sorted({*found, viewer().zone or "UTC", "UTC"})


def _days(stretches: Sequence[Stretch], zone: str) -> list[Days]:
    there = ZoneInfo(zone)
    today = now().astimezone(there).date()
    return [
        Days(
            _in_words(one.first, one.last),
            one.first <= today <= one.last,
            one.is_repeat,
            tuple(
                Listed(
                    run.entry,
                    f"{run.entry.starts.astimezone(there):%H:%M}",
                    _in_words(run.last, run.last) if run.last > run.day else "",
                )
                for run in one.runs
            ),
        )
        for one in stretches
    ]


def _in_words(first: date, last: date) -> str:
    """Return days as people say them: Monday 2 March; Monday 2 to Sunday 8 March."""
    end = f"{last:%A} {last.day} {last:%B}"
    if first == last:
        return end
    month = "" if (first.year, first.month) == (last.year, last.month) else f" {first:%B}"
    return f"{first:%A} {first.day}{month} to {end}"


def _first(stretches: Sequence[Stretch], lines: int) -> tuple[list[Stretch], int]:
    """Return the first stretches with no more than so many lines, and how many lines are left."""
    counts = accumulate(len(one.runs) for one in stretches)
    shown = [one for one, count in zip(stretches, counts, strict=True) if count <= lines]
    return shown, sum(len(one.runs) for one in stretches[len(shown) :])

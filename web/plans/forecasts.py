"""When a plan's rings run: the time line, the forecast, and what a change would do to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import forecasts as kept_forecasts
from patchmgr.db.queries import plan_progress
from patchmgr.db.queries import plans as queries
from patchmgr.db.queries import windows as window_queries
from patchmgr.db.queries.forecasts import KeptForecast
from patchmgr.db.queries.plans import PlanDetail
from patchmgr.domain import durations
from patchmgr.domain.accounts import Role
from patchmgr.domain.rings import ANY_TIME
from patchmgr.domain.rollout.states import ACTIVE_PLANS, OPEN_PLANS
from patchmgr.domain.simulation.forecast import RingForecast, WhatIf
from patchmgr.domain.windows import Window
from patchmgr.errors import InputError
from patchmgr.services import forecasts as service
from web import timeline
from web.auth import requires
from web.context import now, session
from web.plans.frame import around, picture
from web.plans.pages import pages
from web.times import read as read_time

NAMED = 100  # late hosts that the page names
SETTINGS = ("start", "soak", "max_concurrent", "window")


@dataclass(slots=True)
class WhatIfForm:
    """What was typed, and by field what is wrong with it."""

    values: dict[str, str] = field(default_factory=lambda: dict.fromkeys(SETTINGS, ""))
    problems: dict[str, str] = field(default_factory=dict)

    @classmethod
    def asked(cls) -> "WhatIfForm":
        return cls({name: request.args.get(name, "").strip() for name in SETTINGS})

    def read(self) -> WhatIf:
        """Return the changes that were asked for. Raises `InputError`; ``problems`` says which."""
        found: dict[str, Any] = {}
        for name, text in self.values.items():
            if not text:
                continue
            try:
                found[name] = _READERS[name](text)
            except InputError as error:
                self.problems[name] = "; ".join(error.problems.values())
        if not self.problems and not found:
            self.problems["soak"] = "change at least one of these"
        if self.problems:
            raise InputError(self.problems)
        return WhatIf(**found)

    def take(self, error: InputError) -> None:
        """Put each problem to the field that it is about."""
        for at, why in error.problems.items():
            self.problems[next((one for one in SETTINGS if at.startswith(one)), "soak")] = why


@dataclass(frozen=True, slots=True)
class Shift:
    """A ring as it is expected, and as it would be."""

    now: RingForecast
    then: RingForecast

    @property
    def later(self) -> timedelta | None:
        """Return by how much it would end later; None where an end is not in sight."""
        return apart(self.now.ends, self.then.ends)


@pages.get("/<int:plan_id>/times")
@requires(Role.VIEWER)
def times(plan_id: int) -> ResponseReturnValue:
    """Show rings, windows, freezes and soaks on a time line."""
    plan = queries.get(session(), plan_id, now=now())
    kept = kept_forecasts.of_plan(session(), plan_id)
    stages = timeline.course(plan, kept, plan_progress.soaked(session(), plan_id))
    return render_template(
        "plans/times.html",
        kept=kept,
        picture=picture(plan, stages),
        stages=stages,
        **around(plan, "times", kept=kept),
    )


@pages.get("/<int:plan_id>/forecast")
@requires(Role.VIEWER)
def forecast(plan_id: int) -> ResponseReturnValue:
    """Show when each ring runs, what it brings and who will be late."""
    return _page(queries.get(session(), plan_id, now=now()), WhatIfForm())


@pages.get("/<int:plan_id>/forecast/what-if")
@requires(Role.VIEWER)
def what_if(plan_id: int) -> ResponseReturnValue:
    """Show the forecast beside what it would be with other settings; nothing is saved."""
    plan = queries.get(session(), plan_id, now=now())
    form = WhatIfForm.asked()
    if plan.state not in OPEN_PLANS:
        return _page(plan, form)
    try:
        asked = form.read()
        windows = window_queries.known_windows(session())
        kept = kept_forecasts.of_plan(session(), plan_id)
        base, changed = service.compared(
            session(), plan, windows, now=now(), what_if=asked, kept=kept
        )
    except InputError as error:
        form.take(error)
        return _page(plan, form), 422
    rings = zip(base.rings, changed.rings, strict=True)
    return _page(
        plan,
        form,
        (windows, kept),
        as_it_is=base,
        as_asked=changed,
        later=apart(base.ends, changed.ends),
        shifts=[Shift(ring, other) for ring, other in rings],
    )


def apart(before: datetime | None, after: datetime | None) -> timedelta | None:
    return None if before is None or after is None else after - before


def _page(
    plan: PlanDetail,
    form: WhatIfForm,
    known: tuple[Mapping[str, Window], KeptForecast | None] | None = None,
    **compared: Any,
) -> str:
    every, kept = known or _known(plan)
    windows = sorted({*every, *plan.windows})
    return render_template(
        "plans/forecast.html",
        kept=kept,
        named=NAMED,
        is_live=plan.state in ACTIVE_PLANS,
        form=form,
        beside=kept_forecasts.beside(session(), plan.id) if plan.state in OPEN_PLANS else (),
        windows=[(ANY_TIME, "any time"), *((name, name) for name in windows)],
        **compared,
        **around(plan, "forecast", kept=kept),
    )


def _known(plan: PlanDetail) -> tuple[Mapping[str, Window], KeptForecast | None]:
    is_open = plan.state in OPEN_PLANS
    kept = kept_forecasts.of_plan(session(), plan.id) if is_open else None
    return window_queries.known_windows(session()), kept


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 7 and int(text)):
        raise InputError({"max_concurrent": "a number of hosts, 1 or more"})
    return int(text)


_READERS: dict[str, Callable[[str], object]] = {
    "start": lambda text: read_time(text, "start"),
    "soak": durations.parse,
    "max_concurrent": _number,
    "window": str,
}

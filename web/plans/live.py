"""What moves on the page of a rollout, for everybody who looks at it: read once, rendered once.

A browser asks every few seconds. A plan under way is another each time, and a hundred browsers must
not cost a hundred readings of it: it is read at most once in that time, and rendered once for all
who may do the same and read times in the same zone (`web.plans.rights`). What is one viewer's alone
is put in when the answer is theirs: the token of their forms.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from flask import current_app, render_template, request
from flask.blueprints import BlueprintSetupState
from flask_wtf.csrf import generate_csrf

from patchmgr.db.queries import plan_progress
from patchmgr.db.queries.plans import PlanDetail
from web.context import now, session, viewer
from web.plans.pages import pages
from web.plans.rights import Rights
from web.shared import Shared

EVERY = timedelta(seconds=3)  # after which a page asks again, and what was read is looked at again
MOMENTS, TEXTS = 32, 64  # kept by each process; a text has some 150 kB
_KEY = "patchmgr-live"

# Stand in a text for what is put in for each viewer. Nobody can guess them and have a host say one.
_TOKEN, _CLOCK = secrets.token_hex(16), secrets.token_hex(16)

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """A plan and the rows of one view of it, as they were in one minute of one state of it."""

    stamp: str
    minute: int
    asked: datetime  # when the stamp was looked at last
    address: str  # of the view
    plan: PlanDetail
    values: Values  # of the templates

    @property
    def name(self) -> tuple[str, int, str]:
        return self.stamp, self.minute, self.address


@dataclass(frozen=True, slots=True)
class _Text:
    of: tuple[str, int, str]  # the moment
    text: str


@dataclass(frozen=True, slots=True)
class _Live:
    moments: Shared[Moment]
    texts: Shared[_Text]


@pages.record
def _install(state: BlueprintSetupState) -> None:
    state.app.extensions[_KEY] = _Live(Shared(MOMENTS), Shared(TEXTS))


def moment(plan_id: int, read: Callable[[], tuple[PlanDetail, Values]]) -> Moment:
    """Return the view of a plan that the request names, no older than a browser waits.

    ``read`` reads it, which is done when it has changed or the minute has. It may find more than
    the stamp tells, when a step comes between: then the next stamp is another.
    Raises `NotFoundError`.
    """
    minute = int(now().timestamp()) // 60
    address = f"{plan_id}?{request.query_string.decode()}"

    def is_good(known: Moment) -> bool:
        return known.minute == minute and timedelta(0) <= now() - known.asked < EVERY

    def make(known: Moment | None) -> Moment:
        stamp = plan_progress.stamp(session(), plan_id)
        if known and (known.stamp, known.minute) == (stamp, minute):
            return replace(known, asked=now())
        plan, values = read()
        return Moment(stamp, minute, now(), address, plan, values)

    return _live().moments.get(address, is_good, make)


def mark(moment: Moment, mine: Rights) -> str:
    """Return the name of what one viewer is shown of ``moment``."""
    shown = repr((moment.name, mine, viewer().name))
    return hashlib.sha256(shown.encode()).hexdigest()[:32]


def text(moment: Moment, mine: Rights) -> str:
    """Return what one viewer is shown of ``moment``."""

    def make(_: _Text | None) -> _Text:
        return _Text(moment.name, _render(moment, mine))

    made = _live().texts.get((moment.address, mine), lambda known: known.of == moment.name, make)
    filled = made.text.replace(_CLOCK, now().isoformat())
    return filled.replace(_TOKEN, generate_csrf()) if _TOKEN in filled else filled


def _render(moment: Moment, mine: Rights) -> str:
    """Return the text for all who have the rights; its template knows no more of who asks."""
    return render_template(
        "plans/_rollout.html",
        **moment.values,
        **mine.values(),
        viewer=mine.anybody(),
        frame=None,
        csrf_token=lambda: _TOKEN,
        clock=_CLOCK,
    )


def _live() -> _Live:
    found: _Live = current_app.extensions[_KEY]
    return found

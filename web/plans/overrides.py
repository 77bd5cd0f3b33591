"""What people overrule in a rollout: hosts accepted, taken back or left out, rings skipped."""

from collections.abc import Callable
from typing import Any

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from patchmgr.domain.accounts import Role
from patchmgr.domain.rollout.events import Outcome
from patchmgr.errors import BadFileError, ConflictError, ForbiddenError, InputError, NotFoundError
from patchmgr.services import going_back, rollouts
from patchmgr.services import plans as service
from patchmgr.services.rollouts import ResultRow
from web.auth import requires
from web.context import db, now, viewer
from web.plans.pages import pages, sentence
from web.show import plural


@pages.post("/<int:plan_id>/accept")
@requires(Role.OPERATOR)
def accept(plan_id: int) -> ResponseReturnValue:
    """Accept that hosts ended without success; open halt signals stay."""
    hosts = _ticked()
    said = f"Accepted: {plural(len(hosts), 'host')}. Open signals are let pass by themselves."
    return _done(service.acknowledge, plan_id, said, hosts=hosts)


@pages.post("/<int:plan_id>/roll-back")
@requires(Role.OPERATOR)
def roll_back(plan_id: int) -> ResponseReturnValue:
    """Ask that hosts, or those of a ring or of the plan, go back to their old versions."""
    if request.form.get("scope") in ("ring", "plan"):
        ring = request.form.get("ring", "") if request.form["scope"] == "ring" else ""
        said = f"The hosts of {f'ring {ring}' if ring else 'the plan'} must be rolled back."
        more: dict[str, Any] = {"ring": ring, "everything": not ring}
    else:
        more = {"hosts": _ticked()}
        said = f"{plural(len(more['hosts']), 'host')} must be rolled back."
    return _done(
        going_back.roll_back, plan_id, f"{said} Beside each host stands how far that is.", **more
    )


@pages.post("/<int:plan_id>/withdraw-roll-back")
@requires(Role.OPERATOR)
def withdraw_roll_back(plan_id: int) -> ResponseReturnValue:
    """Let hosts keep what they have that were to go back and have not begun."""
    if request.form.get("scope") in ("ring", "plan"):
        ring = request.form.get("ring", "") if request.form["scope"] == "ring" else ""
        more: dict[str, Any] = {"ring": ring, "everything": not ring}
    else:
        more = {"hosts": _ticked()}
    said = "Withdrawn. Hosts that had not begun to go back keep what they have."
    return _done(going_back.withdraw, plan_id, said, **more)


@pages.post("/<int:plan_id>/skip-ring")
@requires(Role.APPROVER)
def skip_ring(plan_id: int) -> ResponseReturnValue:
    """Go on without a ring and its evidence."""
    ring = request.form.get("ring", "")
    return _done(service.skip_ring, plan_id, f"Ring {ring} is skipped.", ring=ring)


@pages.post("/<int:plan_id>/hosts/<host>/leave-out")
@requires(Role.OPERATOR)
def leave_out(plan_id: int, host: str) -> ResponseReturnValue:
    """Leave a host out that has not begun: it keeps what it has."""

    def skip(*_: Any, reason: str, **who: Any) -> None:
        if not reason:
            raise InputError({"reason": f"say why {host} is left out"})
        row = ResultRow(host, Outcome.SKIPPED, output=reason)
        rollouts.report_results(db(), plan_id, [row], **who)

    return _done(skip, plan_id, f"{host} is left out.")


def _ticked() -> list[str]:
    """Return the hosts that were ticked; none is an unknown host, not the whole plan."""
    return request.form.getlist("host") or ["(no host was ticked)"]


def _done(
    command: Callable[..., object], plan_id: int, said: str, **values: Any
) -> ResponseReturnValue:
    reason = request.form.get("reason", "").strip()[:4000]
    try:
        command(
            db(),
            plan_id,
            reason=reason,
            actor=viewer().name,
            role=viewer().role,
            now=now(),
            **values,
        )
    except BadFileError as error:
        flash(f"{error.rows[0].value}: {error.rows[0].remedy}.", "error")
    except (InputError, ConflictError, NotFoundError, ForbiddenError) as error:
        flash(sentence(error), "error")
    else:
        flash(said)
    return redirect(url_for(".show", plan_id=plan_id), code=303)

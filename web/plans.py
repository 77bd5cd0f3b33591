"""Plans: the list, making one, and the pages on which people decide and follow it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import plan_content, plan_progress, plan_review
from patchmgr.db.queries import plans as queries
from patchmgr.db.queries import windows as window_queries
from patchmgr.db.queries.plan_progress import TaskLine
from patchmgr.db.queries.plans import PlanDetail
from patchmgr.domain.accounts import Role
from patchmgr.domain.advisories import Severity
from patchmgr.domain.content import window_from_json
from patchmgr.domain.rollout.events import Outcome
from patchmgr.domain.rollout.states import (
    ACTIVE_PLANS,
    AT_WORK,
    OPEN_PLANS,
    UNSUCCESSFUL,
    UNVERIFIED,
    WAITING_TASKS,
    PlanState,
    TaskState,
)
from patchmgr.errors import BadFileError, ConflictError, InputError, NotFoundError, PatchmgrError
from patchmgr.services import exports, result_files, rollouts
from patchmgr.services import plans as service
from patchmgr.services.rollouts import ResultRow
from web import choices, risks, timeline
from web.auth import requires
from web.context import db, now, session, settings, viewer, zone
from web.forms import ReasonForm
from web.plan_form import FIELDS, PlanForm, row_of, window_options
from web.show import plural
from web.tables import Column, Fetched, Filter, Table, View, answer, plain

pages = Blueprint("plans", __name__, url_prefix="/plans")

STATES = tuple((state.value, state.value.replace("_", " ").capitalize()) for state in PlanState)
PLANS = Table(
    "plans",
    (
        Column("title", "Plan", sort=True),
        Column("state", "State"),
        Column("progress", "Progress", lambda row: f"{row.verified} of {row.counted}"),
        Column("hosts", "Hosts", numeric=True),
        Column("findings", "Closes", numeric=True),
        Column("due", "Earliest due", sort=True),
        Column("author", "Author"),
        Column("state_since", "Since", sort=True, descending=True),
        Column("severity", "Worst", shown=False),
        Column("changes", "Changes", numeric=True, shown=False),
        Column("created_at", "Made", shown=False),
        Column("reason", "Reason", shown=False),
    ),
    filters=(
        Filter("state", "State", (("open", "Open"), ("over", "Over"), *STATES)),
        Filter("mine", "Mine", (("awaiting", "Awaiting me"), ("author", "Made by me"))),
        Filter("author", "Author", is_choice=False),
    ),
    sort="-id",
    search="Title or number",
)


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        mine = view.get("mine")
        found = plan_review.listing(
            session(),
            search=view.q,
            state=view.get("state"),
            author=viewer().name if mine == "author" else view.get("author"),
            awaiting=viewer().name if mine == "awaiting" else "",
            sort=view.sort_key,
            descending=view.is_descending,
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    return answer("plans/list.html", PLANS, fetch)


# Making and editing


@pages.get("/new")
@requires(Role.OPERATOR)
def new() -> ResponseReturnValue:
    return _form_page(PlanForm.fresh(request.args))


@pages.post("/new")
@requires(Role.OPERATOR)
def create() -> ResponseReturnValue:
    """Make a draft; a button of the form that adds or removes a ring only sends it back."""
    form = PlanForm.read(request.form)
    if form.change_rings(request.form):
        return _form_page(form)
    try:
        plan_id = service.create(
            db(),
            selection=form.selection(),
            title=form.title,
            rings=form.ring_settings(),
            approvals_needed=form.approvals_needed(),
            actor=viewer().name,
            role=viewer().role,
            now=now(),
        )
    except InputError as error:
        form.take(error)
    except (ConflictError, NotFoundError) as error:
        form.problems.append(_sentence(error))
    else:
        flash("The draft is made. Nothing happens before it is proposed, approved and started.")
        return redirect(url_for(".show", plan_id=plan_id), code=303)
    return _form_page(form), 422


@pages.get("/<int:plan_id>/rings")
@requires(Role.OPERATOR)
def edit(plan_id: int) -> ResponseReturnValue:
    plan = queries.get(session(), plan_id, now=now())
    form = PlanForm(
        title=plan.title,
        approvals=str(plan.approvals_needed),
        rings=[row_of(ring.settings) for ring in plan.rings],
    )
    return _form_page(form, plan)


@pages.post("/<int:plan_id>/rings")
@requires(Role.OPERATOR)
def save(plan_id: int) -> ResponseReturnValue:
    """Give a plan other rings; approvals fall when anything changed."""
    with db().reading() as reading:
        kept = [ring.settings for ring in queries.get(reading, plan_id, now=now()).rings]
    form = PlanForm.read(request.form, kept)
    if not form.change_rings(request.form):
        try:
            changed = service.edit(
                db(),
                plan_id,
                rings=form.ring_settings(),
                approvals_needed=form.approvals_needed(),
                actor=viewer().name,
                role=viewer().role,
                now=now(),
            )
        except InputError as error:
            form.take(error)
        else:
            said = f"Changed: {'; '.join(changed)}." if changed else "Nothing was changed."
            flash(said[:600])
            return redirect(url_for(".times", plan_id=plan_id), code=303)
    status = 422 if form.problems or any(row.problems for row in form.rings) else 200
    return _form_page(form, queries.get(session(), plan_id, now=now())), status


def _form_page(form: PlanForm, plan: PlanDetail | None = None) -> str:
    return render_template(
        "plans/form.html",
        form=form,
        plan=plan,
        fields=FIELDS,
        severities=choices.AT_LEAST,
        windows=window_options(window_queries.known_windows(session())),
        missing=plan_review.missing_windows(session()),
    )


def _sentence(error: PatchmgrError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


# One plan


@dataclass(frozen=True, slots=True)
class Tab:
    endpoint: str
    label: str
    count: int | None = None


CHANGES = Table(
    "changes",
    (
        Column("package", "Package"),
        Column("change", "From and to", lambda row: f"{row.from_version} to {row.to_version}"),
        Column("hosts", "Hosts", numeric=True),
        Column("severity", "Worst"),
        Column("closes", "Closes", lambda row: " ".join(row.advisories)),
        Column("platform", "Platform"),
    ),
    search="Package, source or version",
)
EXCLUDED = Table(
    "excluded",
    (
        Column("package", "Package"),
        Column("version", "Installed"),
        Column("hosts", "Hosts", numeric=True),
        Column("reason", "Why it is not in the plan"),
        Column("advisories", "Advisories"),
    ),
)
HOSTS = Table(
    "hosts",
    (
        Column("host", "Host"),
        Column("ring", "Ring"),
        Column("window", "Window", lambda row: row.window or "any time"),
        Column("state", "State"),
        Column(
            "changes",
            "What changes",
            lambda row: [f"{one.package} {one.to_version}" for one in row.changes],
        ),
    ),
    filters=(Filter("ring", "Ring"),),
    search="Host name",
)
WHY = Table(
    "closes",
    (
        Column("ref", "Advisory"),
        Column("severity", "Severity"),
        Column("findings", "Findings closed", numeric=True),
        Column("packages", "Packages"),
        Column("cves", "CVEs"),
        Column("published", "Published"),
    ),
)
TASKS = Table(
    "tasks",
    (
        Column("host", "Host"),
        Column("ring", "Ring"),
        Column("state", "State"),
        Column("attempt", "Attempt", numeric=True),
        Column("said", "What happened", lambda row: row.reason or row.output),
        Column("next", "What happens next"),
        Column("act", "Report", lambda _: ""),
    ),
    filters=(
        Filter("state", "State", tuple((s.value, s.value.replace("_", " ")) for s in TaskState)),
        Filter("ring", "Ring", is_choice=False),
    ),
    search="Host name",
)


@pages.get("/<int:plan_id>")
@requires(Role.VIEWER)
def show(plan_id: int) -> ResponseReturnValue:
    """Show what matters now: the rollout of a plan that was started, else what it changes."""
    plan = queries.get(session(), plan_id, now=now())
    return _rollout_page(plan) if plan.started_at else _changes_page(plan)


@pages.get("/<int:plan_id>/changes")
@requires(Role.VIEWER)
def changes(plan_id: int) -> ResponseReturnValue:
    return _changes_page(queries.get(session(), plan_id, now=now()))


@pages.get("/<int:plan_id>/rollout")
@requires(Role.VIEWER)
def rollout(plan_id: int) -> ResponseReturnValue:
    return _rollout_page(queries.get(session(), plan_id, now=now()))


def _changes_page(plan: PlanDetail) -> ResponseReturnValue:
    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        found = plan_content.changes(
            session(), plan.id, search=view.q, limit=limit, cursor=cursor or ""
        )
        return Fetched.of(found)

    def excluded() -> Any:
        return plain(plan_content.exclusions(session(), plan.id, limit=200).lines, EXCLUDED)

    return answer(
        "plans/changes.html", CHANGES, fetch, excluded=excluded, **_frame(plan, "changes")
    )


@pages.get("/<int:plan_id>/hosts")
@requires(Role.VIEWER)
def hosts(plan_id: int) -> ResponseReturnValue:
    plan = queries.get(session(), plan_id, now=now())

    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        found = plan_content.hosts(
            session(),
            plan_id,
            ring=view.get("ring"),
            search=view.q,
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    options = {"ring": [(ring.name, ring.name) for ring in plan.rings]}
    return answer("plans/hosts.html", HOSTS, fetch, options=options, **_frame(plan, "hosts"))


@pages.get("/<int:plan_id>/why")
@requires(Role.VIEWER)
def why(plan_id: int) -> ResponseReturnValue:
    plan = queries.get(session(), plan_id, now=now())

    def fetch(_: View, limit: int, cursor: str | None) -> Fetched:
        closes = plan_review.advisories(session(), plan_id)
        start = int(cursor) if cursor and cursor.isascii() and cursor.isdigit() else 0
        rest = str(start + limit) if len(closes) > start + limit else ""
        return Fetched(closes[start : start + limit], len(closes), rest)

    return answer("plans/why.html", WHY, fetch, **_frame(plan, "why"))


@pages.get("/<int:plan_id>/times")
@requires(Role.VIEWER)
def times(plan_id: int) -> ResponseReturnValue:
    """Show rings, windows, freezes and soaks on a time line."""
    plan = queries.get(session(), plan_id, now=now())
    plotted = _Plotted(plan)
    return render_template(
        "plans/times.html",
        picture=plotted.picture(),
        stages=plotted.stages,
        **_frame(plan, "times"),
    )


@pages.get("/<int:plan_id>/risks")
@requires(Role.VIEWER)
def risk_list(plan_id: int) -> ResponseReturnValue:
    plan = queries.get(session(), plan_id, now=now())
    found = _risks(plan)
    return render_template("plans/risks.html", risks=found, **_frame(plan, "risk_list", found))


@pages.get("/<int:plan_id>/history")
@requires(Role.VIEWER)
def history(plan_id: int) -> ResponseReturnValue:
    plan = queries.get(session(), plan_id, now=now())
    with_hosts = request.args.get("hosts") == "yes"
    cursor = request.args.get("cursor", "")
    found = plan_progress.events(session(), plan_id, tasks=with_hosts, limit=100, cursor=cursor)
    return render_template(
        "plans/history.html", events=found, with_hosts=with_hosts, **_frame(plan, "history")
    )


def _rollout_page(plan: PlanDetail) -> ResponseReturnValue:
    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        found = plan_progress.tasks(
            session(),
            plan.id,
            ring=view.get("ring"),
            state=view.get("state"),
            search=view.q,
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    return answer(
        "plans/rollout.html",
        TASKS,
        fetch,
        groups=GROUPS,
        may_report=_may_report,
        outcomes=Outcome,
        is_live=plan.state in ACTIVE_PLANS or (plan.started_at and plan.live > 0),
        **_frame(plan, "rollout"),
    )


GROUPS: Mapping[str, tuple[tuple[TaskState, ...], str]] = {
    "verified": ((TaskState.VERIFIED,), "good"),
    "unverified": (UNVERIFIED, "info"),
    "at work": (AT_WORK, "live"),
    "without success": (UNSUCCESSFUL, "bad"),
    "waiting": (WAITING_TASKS, "quiet"),
    "skipped": ((TaskState.SKIPPED,), "quiet"),
    "cancelled": ((TaskState.CANCELLED,), "quiet"),
}
_REPORTABLE = (
    *AT_WORK,
    TaskState.REBOOT_PENDING,
    TaskState.TIMED_OUT,
    TaskState.FAILED,
)


def _may_report(task: TaskLine) -> bool:
    return task.attempt > 0 and task.state in _REPORTABLE


class _Plotted:
    """The timing of a plan, worked out once."""

    def __init__(self, plan: PlanDetail, placement: timeline.Placement | None = None) -> None:
        self.rollout = timeline.rollout_of(plan)
        self.placement = placement or plan_review.placement(session(), plan.id)
        self.windows = {name: window_from_json(one) for name, one in plan.windows.items()}
        self.freezes = [
            line.freeze for line in window_queries.freezes(session(), now=now(), over=False)
        ]
        self.stages = timeline.estimate(
            self.rollout, self.placement, self.windows, self.freezes, now()
        )

    def picture(self) -> timeline.Picture:
        return timeline.draw(
            self.stages,
            self.rollout,
            placement=self.placement,
            windows=self.windows,
            freezes=self.freezes,
            now=now(),
            days=timeline.Days(zone()),
        )


def _risks(plan: PlanDetail) -> list[risks.Risk]:
    standing = plan_review.standing(
        session(), plan.id, now=now(), silent_days=settings().silent_days
    )
    return risks.of(
        plan,
        standing,
        stages=_Plotted(plan, standing.placement).stages,
        excluded=plan_content.reasons(session(), plan.id) if plan.summary["excluded"] else {},
        now=now(),
    )


UNDECIDED = (PlanState.DRAFT, PlanState.PROPOSED, PlanState.APPROVED)


def _frame(plan: PlanDetail, here: str, found: list[risks.Risk] | None = None) -> dict[str, Any]:
    """Return what stands around every page of a plan."""
    worst = [risk for risk in found or () if risk.tone == "bad"]
    if found is None and plan.state in UNDECIDED:
        worst = risks.worst(plan, _Plotted(plan).stages, now())
    serious = len(worst) if plan.state in UNDECIDED else 0  # under way only its own page counts
    tabs = [
        *([Tab("rollout", "Rollout")] if plan.started_at else []),
        Tab("changes", "What changes", plan.summary["changes"]),
        Tab("hosts", "Hosts", plan.summary["hosts"]),
        Tab("why", "Why", plan.summary["advisories"]),
        Tab("times", "Rings and windows", len(plan.rings)),
        *([Tab("risk_list", "Risks", serious or None)] if plan.state in OPEN_PLANS else []),
        Tab("history", "History"),
    ]
    return {
        "plan": plan,
        "is_over": plan.state not in OPEN_PLANS,
        "worst": Severity[plan.summary["severity"].upper()],
        "tabs": tabs,
        "here": here,
        "worst_risks": worst,
        "why_not": _why_not(plan),
        "rings_to_approve": _rings_to_approve(plan),
        "changed": plan.changed,
    }


def _why_not(plan: PlanDetail) -> dict[str, str]:
    """Return for each command of the plan's state that this viewer cannot give, why not."""
    found = {}
    for command in plan.commands:
        needed = Role.APPROVER if command in ("approve", "reject") else Role.OPERATOR
        if not viewer().role.covers(needed):
            found[command] = f"This needs the role {needed.value}; you have {viewer().role.value}."
    if "approve" in plan.commands and "approve" not in found:
        if viewer().name in plan.authors:
            found["approve"] = "You made or edited this plan, so somebody else must approve it."
        elif _has_approved(plan, ""):
            found["approve"] = "You approved this plan; it needs somebody else's approval too."
    return found


def _has_approved(plan: PlanDetail, ring: str) -> bool:
    return any(
        one.by == viewer().name
        and one.ring == ring
        and one.void_at is None
        and one.decision == "approve"
        for one in plan.approvals
    )


def _rings_to_approve(plan: PlanDetail) -> list[str]:
    """Return the rings that need an approval of their own and do not have it."""
    given = {
        one.ring for one in plan.approvals if one.void_at is None and one.decision == "approve"
    }
    is_time = plan.state in (PlanState.APPROVED, *ACTIVE_PLANS)
    return [
        ring.name
        for ring in plan.rings
        if is_time and ring.settings.needs_approval and ring.name not in given
    ]


# Commands


@pages.post("/<int:plan_id>/propose")
@requires(Role.OPERATOR)
def propose(plan_id: int) -> ResponseReturnValue:
    return _done(service.propose, plan_id, "Proposed. An approver who is not an author decides.")


@pages.post("/<int:plan_id>/approve")
@requires(Role.APPROVER)
def approve(plan_id: int) -> ResponseReturnValue:
    """Approve the content that the page showed, or one ring of it."""
    ring = request.form.get("ring", "")
    return _done(
        service.approve,
        plan_id,
        f"Ring {ring} is approved." if ring else "Approved.",
        content_hash=request.form.get("content_hash") or None,
        ring=ring,
        comment=request.form.get("comment", "").strip()[:4000],
    )


@pages.post("/<int:plan_id>/reject")
@requires(Role.APPROVER)
def reject(plan_id: int) -> ResponseReturnValue:
    reason = request.form.get("comment", "").strip() or request.form.get("reason", "").strip()
    return _done(service.reject, plan_id, "Rejected.", reason=reason[:4000])


@pages.post("/<int:plan_id>/start")
@requires(Role.OPERATOR)
def start(plan_id: int) -> ResponseReturnValue:
    return _done(service.start, plan_id, "Started.")


@pages.post("/<int:plan_id>/pause")
@requires(Role.OPERATOR)
def pause(plan_id: int) -> ResponseReturnValue:
    said = "Paused. Hosts at work finish; nothing else begins."
    return _done(service.pause, plan_id, said, reason=_reason())


@pages.post("/<int:plan_id>/resume")
@requires(Role.OPERATOR)
def resume(plan_id: int) -> ResponseReturnValue:
    return _done(service.resume, plan_id, "Resumed.", reason=_reason())


@pages.post("/<int:plan_id>/acknowledge")
@requires(Role.OPERATOR)
def acknowledge(plan_id: int) -> ResponseReturnValue:
    return _done(service.acknowledge, plan_id, "Let pass. The plan goes on.", reason=_reason())


@pages.post("/<int:plan_id>/halt")
@requires(Role.OPERATOR)
def halt(plan_id: int) -> ResponseReturnValue:
    return _done(service.halt, plan_id, "Halted.", reason=_reason())


@pages.get("/<int:plan_id>/cancel")
@requires(Role.OPERATOR)
def ask_cancel(plan_id: int) -> ResponseReturnValue:
    return _cancel_page(plan_id, ReasonForm(formdata=None))


@pages.post("/<int:plan_id>/cancel")
@requires(Role.OPERATOR)
def cancel(plan_id: int) -> ResponseReturnValue:
    form = ReasonForm()
    if not form.validate_on_submit():
        return _cancel_page(plan_id, form), 422
    return _done(service.cancel, plan_id, "Cancelled.", reason=form.reason.data)


def _consequences(waiting: int, at_work: int) -> list[str]:
    """Return what cancelling means for the hosts that wait and for those at work."""
    said = []
    if waiting:
        said.append(f"{plural(waiting, 'host')} will not get what the plan says.")
    if at_work:
        finish = "finishes" if at_work == 1 else "finish"
        said.append(f"{plural(at_work, 'host')} at work {finish}; results are still taken.")
    said.append(
        "What is installed stays installed. A cancelled plan cannot be taken up again; "
        "make a new one."
    )
    return said


def _cancel_page(plan_id: int, form: ReasonForm) -> str:
    plan = queries.get(session(), plan_id, now=now())
    waiting = sum(plan.counts.get(state.value, 0) for state in WAITING_TASKS)
    at_work = sum(plan.counts.get(state.value, 0) for state in AT_WORK)
    return render_template(
        "confirm.html",
        title=f"Cancel plan {plan.id}, {plan.title}",
        consequences=_consequences(waiting, at_work),
        form=form,
        action=url_for(".cancel", plan_id=plan_id),
        label="Cancel the plan",
        back=url_for(".show", plan_id=plan_id),
    )


@pages.post("/<int:plan_id>/retry")
@requires(Role.OPERATOR)
def retry(plan_id: int) -> ResponseReturnValue:
    """Give hosts that ended without success another turn."""
    try:
        service.retry(
            db(),
            plan_id,
            request.form.getlist("host"),
            reason=_reason(),
            actor=viewer().name,
            role=viewer().role,
            now=now(),
        )
    except (InputError, ConflictError, NotFoundError) as error:
        flash(_sentence(error), "error")
    else:
        flash("It gets another turn.")
    return redirect(url_for(".show", plan_id=plan_id), code=303)


def _done(command: Callable[..., None], plan_id: int, said: str, **values: Any) -> Response:
    """Give a command and go back to the plan; a refusal is said there, above everything else."""
    try:
        command(db(), plan_id, actor=viewer().name, role=viewer().role, now=now(), **values)
    except (InputError, ConflictError) as error:
        flash(_sentence(error), "error")
    else:
        flash(said)
    return redirect(url_for(".show", plan_id=plan_id), code=303)  # type: ignore[return-value] # Flask's own


def _reason() -> str:
    return request.form.get("reason", "").strip()[:4000]


# Work by hand


FORMS = {"csv": "csv", "yml": "ansible", "zip": "ansible-zip"}  # by the suffix of the file


@pages.get("/<int:plan_id>/work.<suffix>")
@requires(Role.OPERATOR)
def export(plan_id: int, suffix: str) -> ResponseReturnValue:
    """Give the work that may be done now as a file; ``?whole=yes`` gives the plan for reading."""
    if suffix not in FORMS:
        raise NotFoundError("form of the work", suffix)
    made = exports.export(
        db(),
        plan_id,
        FORMS[suffix],
        whole=request.args.get("whole") == "yes",
        actor=viewer().name,
        role=viewer().role,
        now=now(),
    )
    return Response(
        made.body,
        content_type=made.media_type,
        headers={"Content-Disposition": f'attachment; filename="{made.name}"'},
    )


@pages.post("/<int:plan_id>/results")
@requires(Role.OPERATOR)
def upload_results(plan_id: int) -> ResponseReturnValue:
    """Take a file of results, all of it or none; show every row that cannot be true."""
    sent = request.files.get("file")
    body = sent.stream.read() if sent else b""
    if not sent or not body:
        flash("Choose a results file: host, result, and if you like package and output.", "error")
        return redirect(url_for(".show", plan_id=plan_id), code=303)
    try:
        taken = result_files.report_file(
            db(),
            plan_id,
            body,
            file=sent.filename or "results.csv",
            actor=viewer().name,
            role=viewer().role,
            now=now(),
        )
    except BadFileError as error:
        plan = queries.get(session(), plan_id, now=now())
        return render_template("plans/results.html", plan=plan, rows=error.rows), 422
    flash(f"Taken: {plural(taken.changed, 'result')}, {taken.unchanged} said nothing new.")
    return redirect(url_for(".show", plan_id=plan_id), code=303)


@pages.post("/<int:plan_id>/hosts/<host>/result")
@requires(Role.OPERATOR)
def report(plan_id: int, host: str) -> ResponseReturnValue:
    """Take one host's result from a button."""
    try:
        row = ResultRow(
            host,
            Outcome(request.form.get("outcome", "")),
            package=request.form.get("package", "").strip()[:200],
            output=request.form.get("output", "").strip()[:20_000],
            reboot_pending="reboot" in request.form,
        )
        rollouts.report_results(
            db(), plan_id, [row], actor=viewer().name, role=viewer().role, now=now()
        )
    except ValueError:
        flash("That is no result.", "error")
    except BadFileError as error:
        flash(f"{host}: {error.rows[0].remedy}.", "error")
    except (InputError, ConflictError) as error:
        flash(_sentence(error), "error")
    else:
        counts = " It counts once its next inventory shows the new versions."
        said = f"{host}: {row.outcome.value.replace('_', ' ')}."
        flash(said + (counts if row.outcome is Outcome.INSTALLED else ""))
    return redirect(url_for(".show", plan_id=plan_id), code=303)

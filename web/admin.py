"""Admin: jobs, users and tokens, the audit log, and the health of the service."""

import json
from collections.abc import Sequence

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db import migrate
from patchmgr.db.queries import accounts as account_queries
from patchmgr.db.queries import audit as audit_queries
from patchmgr.db.queries import feeds as feed_queries
from patchmgr.db.queries import jobs as job_queries
from patchmgr.db.queries.accounts import Account
from patchmgr.db.queries.audit import AuditFilter
from patchmgr.domain.accounts import Role
from patchmgr.domain.numbers import whole
from patchmgr.errors import ConflictError, InputError, NotFoundError
from patchmgr.services import accounts, audit, jobs, tokens
from web.auth import requires
from web.context import db, now, session, settings, viewer
from web.feeds import is_unused
from web.forms import ConfirmForm, RoleForm, TokenForm, UserForm
from web.tables import Column, Fetched, Filter, Table, View, answer, plain

pages = Blueprint("admin", __name__, url_prefix="/admin")

RUNS_SHOWN = 50

JOBS = Table(
    "jobs",
    (
        Column("name", "Job"),
        Column("every", "Every"),
        Column("state", "Last run"),
        Column("summary", "Outcome"),
        Column("next_at", "Next"),
        Column("run", ""),
    ),
)
DOES = {
    "scan": "compares what is installed with what vendors say",
    "tick": "moves rollouts on: hands out turns, checks gates and deadlines",
    "forecast": "plays open plans ahead: when their rings run, and who is late",
    "propose": "makes and proposes plans whose policy has a schedule",
    "report": "keeps the nightly compliance report",
    "imports": "looks into uploaded files and carries out those confirmed",
    "housekeeping": "removes what is no longer needed, such as old uploads",
    "sync": "brings a vendor's feed up to date",
}
RUNS = Table(
    "runs",
    (
        Column("started_at", "Started"),
        Column("job", "Job"),
        Column("state", "State"),
        Column("took", "Took"),
        Column("trigger", "Started by"),
        Column("outcome", "Outcome"),
    ),
)
USERS = Table(
    "users",
    (
        Column("name", "Name"),
        Column("role", "Role"),
        Column("state", "State"),
        Column("seen_at", "Last seen"),
        Column("created_at", "Added"),
        Column("actions", ""),
    ),
)
TOKENS = Table(
    "tokens",
    (
        Column("name", "Name"),
        Column("role", "Role"),
        Column("state", "State"),
        Column("used_at", "Last used"),
        Column("created_by", "Made by"),
        Column("created_at", "Made"),
        Column("actions", ""),
    ),
)
AUDIT = Table(
    "audit",
    (
        Column("id", "Entry"),
        Column("at", "When"),
        Column("actor", "Who"),
        Column("action", "Did"),
        Column("subject", "To what"),
        Column("details", "Details", lambda row: json.dumps(row.details) if row.details else ""),
        Column("hash", "Hash", shown=False),
    ),
    filters=(Filter("action", "Action"), Filter("actor", "Who", is_choice=False)),
    search="Who, what or to what",
)


@pages.get("/jobs", endpoint="jobs")
@requires(Role.VIEWER)
def jobs_page() -> ResponseReturnValue:
    return render_template(
        "admin/jobs.html",
        jobs=plain(job_queries.listing(session()), JOBS),
        does=does,
        runs=plain(job_queries.history(session(), limit=RUNS_SHOWN), RUNS),
    )


@pages.get("/jobs/<path:name>")
@requires(Role.VIEWER)
def job(name: str) -> ResponseReturnValue:
    runs = job_queries.history(
        session(), job=name, before=whole(request.args.get("before", "")), limit=RUNS_SHOWN
    )
    known = {line.name: line for line in job_queries.listing(session())}
    if not runs and name not in known:
        raise NotFoundError("job", name)
    return render_template(
        "admin/job.html",
        name=name,
        job=known.get(name),
        does=does(name),
        runs=plain(runs, RUNS),
        older=runs[-1].id if len(runs) == RUNS_SHOWN else None,
    )


def does(job: str) -> str:
    """Return what a job does, such as ``sync:debian``; empty when nothing is known of it."""
    return DOES.get(job.partition(":")[0], "")


@pages.post("/jobs/<path:name>")
@requires(Role.OPERATOR)
def run_job(name: str) -> ResponseReturnValue:
    """Ask the scheduler to run a job now."""
    jobs.request(db(), name, actor=viewer().name, now=now())
    flash(f"{name} is asked for; it starts within seconds.")
    return redirect(url_for(".jobs"), code=303)


@pages.get("/users")
@requires(Role.ADMIN)
def users() -> ResponseReturnValue:
    return _users_page(UserForm(formdata=None), TokenForm(formdata=None))


@pages.post("/users")
@requires(Role.ADMIN)
def add_user() -> ResponseReturnValue:
    form = UserForm()
    if form.validate_on_submit():
        name = form.name.data.strip()
        try:
            accounts.add_user(
                db(),
                name,
                Role(form.role.data),
                form.password.data,
                actor=viewer().name,
                now=now(),
            )
        except InputError as error:
            form.take(error)
        except ConflictError as error:
            form.take(InputError({"name": str(error)}))
        else:
            flash(f"{name} can sign in.")
            return redirect(url_for(".users"), code=303)
    return _users_page(form, TokenForm(formdata=None)), 422


@pages.post("/tokens")
@requires(Role.ADMIN)
def add_token() -> ResponseReturnValue:
    """Make a token and show its key: the only page that ever does."""
    form = TokenForm(prefix="token")
    if form.validate_on_submit():
        try:
            token_id, key = tokens.create_for(
                db(), form.name.data, form.role.data, actor=viewer().name, now=now()
            )
        except InputError as error:
            form.take(error)
        else:
            return render_template(
                "admin/token.html", name=form.name.data, token_id=token_id, key=key
            )
    return _users_page(UserForm(formdata=None), form), 422


def _users_page(form: UserForm, token_form: TokenForm) -> str:
    if not token_form.data.get("name"):
        token_form = TokenForm(formdata=None, prefix="token")
    found = account_queries.users(session())
    return render_template(
        "admin/users.html",
        users=plain(found, USERS),
        last_admin=_last_admin(found),
        tokens=plain(account_queries.tokens(session()), TOKENS),
        form=form,
        token_form=token_form,
    )


def _last_admin(accounts: Sequence[Account]) -> str:
    """Return the name of the only admin who can sign in; empty when there are others."""
    admins = [one.name for one in accounts if one.role is Role.ADMIN and one.disabled_at is None]
    return admins[0] if len(admins) == 1 else ""


@pages.get("/users/<int:user_id>")
@requires(Role.ADMIN)
def user(user_id: int) -> ResponseReturnValue:
    account = _account(user_id)
    return render_template(
        "admin/user.html",
        account=account,
        form=RoleForm(data={"role": account.role.value}),
        last_admin=_last_admin(account_queries.users(session())),
    )


@pages.post("/users/<int:user_id>/role")
@requires(Role.ADMIN)
def set_role(user_id: int) -> ResponseReturnValue:
    form = RoleForm()
    account = _account(user_id)
    if form.validate_on_submit():
        role = Role(form.role.data)
        accounts.set_role(db(), account.name, role, actor=viewer().name, now=now())
        flash(f"{account.name} is now {role}.")
        return redirect(url_for(".users"), code=303)
    return render_template("admin/user.html", account=account, form=form), 422


@pages.get("/users/<int:user_id>/disable")
@requires(Role.ADMIN)
def ask_disable(user_id: int) -> ResponseReturnValue:
    account = _account(user_id)
    return render_template(
        "confirm.html",
        title=f"Disable {account.name}",
        consequences=[
            "Every sign-in of the account ends at once.",
            "The account stays in the audit log, and can be enabled again.",
        ],
        form=ConfirmForm(),
        action=url_for(".disable", user_id=user_id),
        label=f"Disable {account.name}",
        back=url_for(".users"),
    )


@pages.post("/users/<int:user_id>/disable")
@requires(Role.ADMIN)
def disable(user_id: int) -> ResponseReturnValue:
    account = _account(user_id)
    accounts.disable(db(), account.name, actor=viewer().name, now=now())
    flash(f"{account.name} is disabled.")
    return redirect(url_for(".users"), code=303)


@pages.post("/users/<int:user_id>/enable")
@requires(Role.ADMIN)
def enable(user_id: int) -> ResponseReturnValue:
    account = _account(user_id)
    accounts.enable(db(), account.name, actor=viewer().name, now=now())
    flash(f"{account.name} can sign in again.")
    return redirect(url_for(".users"), code=303)


@pages.get("/tokens/<int:token_id>/revoke")
@requires(Role.ADMIN)
def ask_revoke(token_id: int) -> ResponseReturnValue:
    name = account_queries.token_name(session(), token_id)
    return render_template(
        "confirm.html",
        title=f"Revoke token {token_id} ({name})",
        consequences=["Programs that use it are refused from now on. This cannot be taken back."],
        form=ConfirmForm(),
        action=url_for(".revoke", token_id=token_id),
        label=f"Revoke {name}",
        back=url_for(".users"),
    )


@pages.post("/tokens/<int:token_id>/revoke")
@requires(Role.ADMIN)
def revoke(token_id: int) -> ResponseReturnValue:
    tokens.revoke(db(), token_id, actor=viewer().name, now=now())
    flash(f"Token {token_id} is revoked.")
    return redirect(url_for(".users"), code=303)


def _account(user_id: int) -> Account:
    with db().reading() as reading:
        found = account_queries.user(reading, user_id)
    if found is None:
        raise NotFoundError("user", user_id)
    return found


@pages.get("/audit", endpoint="audit")
@requires(Role.VIEWER)
def audit_log() -> ResponseReturnValue:
    """List the audit log; with ``check`` in the address also recompute its chain."""

    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        filters = AuditFilter(actor=view.get("actor"), action=view.get("action"), search=view.q)
        found = audit_queries.listing(session(), filters, limit=limit, cursor=cursor or "")
        return Fetched.of(found)

    options = {"action": [(name, name) for name in audit_queries.actions(session())]}
    checked = "check" in request.args
    return answer(
        "admin/audit.html",
        AUDIT,
        fetch,
        options=options,
        checked=checked,
        broken=audit.first_broken(session()) if checked else None,
    )


@pages.get("/health")
@requires(Role.VIEWER)
def health() -> ResponseReturnValue:
    known = feed_queries.listing(session(), now=now(), stale_hours=settings().stale_feed_hours)
    used = [feed for feed in known if not is_unused(feed)]
    return render_template(
        "admin/health.html",
        feeds=used,
        unused=len(known) - len(used),
        jobs=job_queries.listing(session()),
        schema=migrate.state(db()),
        kind=db().engine.dialect.name,
        settings=settings(),
    )

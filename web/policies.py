"""Policies: decision tables of when a finding must be closed, and how plans are made."""

from collections.abc import Sequence
from itertools import pairwise

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import planning_policies
from patchmgr.db.queries import policies as queries
from patchmgr.db.queries.policies import StoredPolicy
from patchmgr.domain.accounts import Role
from patchmgr.domain.urgency import INPUTS, Clock, Policy
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import NotFoundError
from patchmgr.services import policies as service
from web.auth import requires
from web.context import db, now, session, viewer
from web.forms import ConfirmForm
from web.tables import Column, Table, plain

pages = Blueprint("policies", __name__, url_prefix="/policies")

CLOCKS = {
    Clock.LATER: "from the later of the advisory's publication and its first detection on the host",
    Clock.PUBLISHED: "from the advisory's publication",
    Clock.DETECTED: "from its first detection on the host",
}
VERSIONS = Table(
    "policies",
    (
        Column("name", "Policy", lambda one: one.policy.name),
        Column("version", "Version", lambda one: one.policy.version, numeric=True),
        Column("made_at", "In force since"),
        Column("until", "Until", lambda _: ""),
        Column("made_by", "By"),
    ),
)


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    """Show the policy in force, every version that was, and what could take its place."""
    versions = queries.listing(session())
    active = next((one for one in versions if one.active), None)
    return render_template(
        "policies/show.html",
        policy=active.policy if active else service.DEFAULT,
        stored=active,
        inputs=_inputs,
        clock=CLOCKS,
        versions=plain(versions, VERSIONS),
        until=_until(versions),
        others=_others(versions),
        planning=planning_policies.listing(session()),
    )


@pages.get("/<int:policy_id>")
@requires(Role.VIEWER)
def version(policy_id: int) -> ResponseReturnValue:
    """Show a version that is or was in force."""
    stored = queries.get(session(), policy_id)
    return _table_page(stored.policy, stored)


@pages.get("/preset/<name>")
@requires(Role.VIEWER)
def preset(name: str) -> ResponseReturnValue:
    """Show a table that comes with the service."""
    if name not in PRESETS:
        raise NotFoundError("policy", name)
    return _table_page(PRESETS[name])


@pages.get("/<name>/activate")
@requires(Role.ADMIN)
def ask_activate(name: str) -> ResponseReturnValue:
    stored = queries.latest(session(), name)
    if stored is None and name not in PRESETS:
        raise NotFoundError("policy", name)
    return render_template(
        "confirm.html",
        title=f"Put policy {name} in force",
        consequences=[
            "Due dates of open findings change at once; counts change with the next scan.",
            "Reports for instants before now keep the policy that was in force then.",
            "The policy that is in force now can be put back in the same way.",
        ],
        form=ConfirmForm(),
        action=url_for(".activate", name=name),
        label="Put in force",
        back=url_for(".index"),
    )


@pages.post("/<name>/activate")
@requires(Role.ADMIN)
def activate(name: str) -> ResponseReturnValue:
    made = service.activate(db(), name, actor=viewer().name, role=viewer().role, now=now())
    flash(f"Policy {made.name}, version {made.version}, is in force.")
    return redirect(url_for(".index"), code=303)


def _table_page(policy: Policy, stored: StoredPolicy | None = None) -> str:
    return render_template(
        "policies/show.html", policy=policy, stored=stored, inputs=_inputs, clock=CLOCKS
    )


def _inputs(policy: Policy) -> list[str]:
    """Return the inputs that some row asks for: the columns of its table."""
    return [name for name in INPUTS if any(name in row.when for row in policy.rows)]


def _until(versions: Sequence[StoredPolicy]) -> dict[int, StoredPolicy]:
    """Return for each version the one that took its place; versions come newest first."""
    return {earlier.id: later for later, earlier in pairwise(versions)}


def _others(versions: Sequence[StoredPolicy]) -> list[tuple[str, str]]:
    """Return the policies that are not in force by name, each with the address of its table."""
    latest: dict[str, StoredPolicy] = {}
    for one in versions:
        latest.setdefault(one.policy.name, one)
    in_force = next((one.policy.name for one in versions if one.active), service.DEFAULT.name)
    stored = {name: url_for(".version", policy_id=one.id) for name, one in latest.items()}
    presets = {name: url_for(".preset", name=name) for name in PRESETS}
    return sorted(
        (name, address) for name, address in {**presets, **stored}.items() if name != in_force
    )

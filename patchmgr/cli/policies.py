"""``patchmgr policies``: the decision tables that give findings their due dates."""

import click

from patchmgr.cli.app import App, pass_app, show_json, show_listing, show_table
from patchmgr.db.queries import policies as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.urgency import Policy, Row, to_json
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import NotFoundError
from patchmgr.services import policies as service


@click.group()
def policies() -> None:
    """SLA policies: when a finding must be closed."""


@policies.command("list")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def list_(app: App, as_json: bool) -> None:
    """List the versions that were in force, the newest first, and presets that never were."""
    with app.db.reading() as session:
        stored = queries.listing(session)
    rows: list[tuple[object, ...]] = [
        (each.policy.name, each.policy.version, each.active, each.made_at, each.made_by)
        for each in stored
    ]
    known = {each.policy.name for each in stored}
    rows += [(name, None, False, None, "preset") for name in PRESETS if name not in known]
    show_listing(("name", "version", "active", "since", "by"), rows, as_json)


@policies.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def show(app: App, name: str, as_json: bool) -> None:
    """Show the table of the policy NAME: the first row that matches decides."""
    with app.db.reading() as session:
        stored = queries.latest(session, name)
    policy = stored.policy if stored else PRESETS.get(name)
    if policy is None:
        raise NotFoundError("policy", name)
    if as_json:
        show_json(to_json(policy))
        return
    _say(policy)


def _say(policy: Policy) -> None:
    click.echo(f"{policy.name}, version {policy.version}; the clock: {policy.clock}")
    rows = [
        (row.id, _when(row), "none" if row.days is None else row.days, row.label)
        for row in policy.rows
    ]
    show_table(("row", "when", "days", "meaning"), rows)


def _when(row: Row) -> str:
    asked = (f"{name} is {' or '.join(words)}" for name, words in row.when.items())
    return " and ".join(asked) or "always"


@policies.command()
@click.argument("name")
@pass_app
def activate(app: App, name: str) -> None:
    """Put the policy NAME in force; findings get their due dates by it from now on."""
    policy = service.activate(app.db, name, actor=app.actor, role=Role.ADMIN, now=app.now)
    click.echo(f"{policy.name} version {policy.version} is in force")

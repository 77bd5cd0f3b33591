"""``patchmgr policies``: by when findings must be closed (SLA), how plans are made (planning)."""

from pathlib import Path

import click

from patchmgr.cli.acting import acting, as_option
from patchmgr.cli.app import ID, App, pass_app, show_json, show_listing, show_table
from patchmgr.cli.plan_files import read_document
from patchmgr.db.queries import planning_policies
from patchmgr.db.queries import policies as queries
from patchmgr.domain.planning_policies import KIND as PLANNING
from patchmgr.domain.planning_policies import brief
from patchmgr.domain.urgency import Policy, Row, from_json
from patchmgr.domain.urgency_presets import PRESETS
from patchmgr.errors import InputError
from patchmgr.services import planning_policies as planning_service
from patchmgr.services import policies as service
from patchmgr.services import policy_files
from patchmgr.services.policy_files import FORMATS, SLA

_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_version = click.option("--version", type=ID, help="This version, not the last.")


@click.group()
def policies() -> None:
    """Policies: when a finding must be closed (sla), and how plans are made (planning)."""


@policies.command("list")
@_json
@pass_app
def list_(app: App, as_json: bool) -> None:
    """List the SLA versions that were in force, presets that never were, and planning policies."""
    with app.db.reading() as session:
        stored = queries.listing(session)
        planning = planning_policies.listing(session)
    rows: list[tuple[object, ...]] = [
        (each.policy.name, SLA, each.policy.version, each.active, each.made_at, each.made_by)
        for each in stored
    ]
    known = {each.policy.name for each in stored}
    rows += [(name, SLA, None, False, None, "preset") for name in PRESETS if name not in known]
    rows += [
        (each.policy.name, PLANNING, each.policy.version, True, each.made_at, each.made_by)
        for each in planning
    ]
    show_listing(("name", "kind", "version", "active", "since", "by"), rows, as_json)


@policies.command()
@click.argument("name")
@_json
@pass_app
def versions(app: App, name: str, as_json: bool) -> None:
    """List the versions of the planning policy NAME, the newest first."""
    with app.db.reading() as session:
        planning_policies.get(session, name)
        stored = planning_policies.versions(session, name)
    rows = [(one.policy.version, one.made_at, one.made_by) for one in stored]
    show_listing(("version", "since", "by"), rows, as_json)


@policies.command()
@click.argument("name")
@_version
@_json
@pass_app
def show(app: App, name: str, version: int | None, as_json: bool) -> None:
    """Show the policy NAME, of either kind; of an SLA table the first row that matches decides."""
    with app.db.reading() as session:
        document = policy_files.document_of(session, name, version)
        is_planning = document["kind"] == PLANNING
        stored = planning_policies.get(session, name, version) if is_planning else None
        occasions = planning_policies.occasions(session, name)
    if stored is None:
        document.pop("kind")
        if as_json:
            show_json(document)
        else:
            _say(from_json(document))
        return
    if as_json:
        show_json(document)
        return
    click.echo(policy_files.written(brief(stored.policy), "toml"), nl=False)
    if stored.policy.schedule:
        click.echo(f"\n# a plan is proposed {stored.policy.schedule.words}")
        show_table(
            ("due", "plan", "outcome"),
            [(one.occasion, one.plan_id, one.outcome) for one in occasions],
        )


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
@as_option
@pass_app
def activate(app: App, name: str, as_name: str | None) -> None:
    """Put the SLA policy NAME in force; findings get their due dates by it from now on."""
    who = acting(app, as_name)
    policy = service.activate(app.db, name, actor=who.name, role=who.role, now=app.now)
    click.echo(f"{policy.name} version {policy.version} is in force")


@policies.command()
@click.argument("name")
@click.option("--format", "form", type=click.Choice(FORMATS), default="toml", show_default=True)
@_version
@pass_app
def export(app: App, name: str, form: str, version: int | None) -> None:
    """Print the policy NAME, of either kind, as a file that `import` takes."""
    with app.db.reading() as session:
        click.echo(policy_files.export(session, name, form, version), nl=False)


@policies.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@as_option
@pass_app
def import_(app: App, file: Path, as_name: str | None) -> None:
    """Take a policy from FILE, TOML or JSON; one for an SLA is in force at once. - is stdin."""
    who = acting(app, as_name)
    document = read_document(file)
    try:
        kind, name, version = policy_files.take(
            app.db, document, actor=who.name, role=who.role, now=app.now
        )
    except InputError as error:
        raise InputError({str(file): str(error)}) from error
    click.echo(f"{kind} policy {name} is at version {version}")


@policies.command()
@_json
@pass_app
def propose(app: App, as_json: bool) -> None:
    """Propose the plans whose policies have come due; the scheduler does the same by itself."""
    seen = planning_service.propose_due(app.db, now=app.now)
    rows = [(one.policy, one.occasion, one.plan_id, one.outcome) for one in seen]
    show_listing(("policy", "due", "plan", "outcome"), rows, as_json)

"""``patchmgr tokens``: keys with which programs use the API, and machines enrol."""

import click

from patchmgr.cli.app import ID, App, pass_app, show_json, show_listing
from patchmgr.db.queries import accounts as queries
from patchmgr.db.queries import identity
from patchmgr.domain.accounts import Role
from patchmgr.services import enrolment
from patchmgr.services import tokens as service


@click.group()
def tokens() -> None:
    """Keys of programs that use the API, and with which machines enrol."""


@tokens.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([*(role.value for role in Role), service.RUNNER]),
    required=True,
    help="What it may do; runner: carry out orders, and nothing else.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_app
def create(app: App, name: str, role: str, as_json: bool) -> None:
    """Make a token for NAME and print its key, which cannot be shown again."""
    token_id, key = service.create_for(app.db, name, role, actor=app.actor, now=app.now)
    if as_json:
        show_json({"id": token_id, "name": name, "role": role, "key": key})
        return
    click.echo(
        f"token {token_id} for {name} ({role}); keep the key, it is not shown again", err=True
    )
    click.echo(key)


@tokens.command()
@click.argument("name")
@click.option(
    "--uses", type=int, default=1, show_default=True, help="How many machines may use it."
)
@click.option(
    "--hours", type=int, default=enrolment.HOURS, show_default=True, help="How long it is valid."
)
@click.option(
    "--host", default="", help="Whatever machine brings it is this host, also a reinstalled one."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_app
def enrol(app: App, name: str, uses: int, hours: int, host: str, as_json: bool) -> None:
    """Make a token with which machines enrol, and print its key, which cannot be shown again."""
    token_id, key = enrolment.create_token(
        app.db, name, uses=uses, hours=hours, host=host, actor=app.actor, now=app.now
    )
    if as_json:
        show_json({"id": token_id, "name": name, "uses": uses, "hours": hours, "key": key})
        return
    click.echo(
        f"enrolment token {token_id} for {name} ({uses} uses within {hours} hours); keep the key, "
        "it is not shown again",
        err=True,
    )
    click.echo(key)


@tokens.command("list")
@click.option("--enrol", is_flag=True, help="Those with which machines enrol, instead.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_app
def list_(app: App, enrol: bool, as_json: bool) -> None:
    """List the tokens, without their keys."""
    if enrol:
        _list_enrolment(app, as_json)
        return
    with app.db.reading() as session:
        found = queries.tokens(session)
    columns = ("id", "name", "role", "state", "created_by", "created_at", "used_at")
    rows = [
        (
            each.id,
            each.name,
            each.may,
            "revoked" if each.revoked_at else "active",
            each.created_by,
            each.created_at,
            each.used_at,
        )
        for each in found
    ]
    show_listing(columns, rows, as_json)


def _list_enrolment(app: App, as_json: bool) -> None:
    with app.db.reading() as session:
        found = identity.enrolment_tokens(session)
    columns = (
        *("id", "name", "host", "state", "uses_left", "expires_at"),
        *("created_by", "created_at", "used_at"),
    )
    rows = [
        [each.state(app.now) if name == "state" else getattr(each, name) for name in columns]
        for each in found
    ]
    show_listing(columns, rows, as_json)


@tokens.command()
@click.argument("token_id", metavar="ID", type=ID)
@pass_app
def revoke(app: App, token_id: int) -> None:
    """Make token ID useless at once."""
    service.revoke(app.db, token_id, actor=app.actor, now=app.now)
    click.echo(f"revoked token {token_id}")

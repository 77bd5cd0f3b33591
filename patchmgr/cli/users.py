"""``patchmgr users``: the accounts that can sign in to the console."""

import secrets
import sys

import click

from patchmgr.cli.app import App, pass_app, show_listing
from patchmgr.db.queries import accounts as queries
from patchmgr.domain.accounts import Role
from patchmgr.errors import InputError
from patchmgr.services import accounts

GENERATED = 18  # random bytes of a generated password

_role = click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    required=True,
    help="What it may do.",
)
_from_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of stdin."
)
_generate = click.option("--generate", is_flag=True, help="Make a password and print it once.")


@click.group()
def users() -> None:
    """Accounts that can sign in."""


@users.command()
@click.argument("name")
@_role
@_from_stdin
@_generate
@pass_app
def add(app: App, name: str, role: str, password_stdin: bool, generate: bool) -> None:
    """Add an account called NAME."""
    password = _password(password_stdin, generate)
    accounts.add_user(app.db, name, Role(role), password, actor=app.actor, now=app.now)
    click.echo(f"added {name} ({role})")
    _show(password, generate)


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_app
def list_(app: App, as_json: bool) -> None:
    """List the accounts."""
    with app.db.reading() as session:
        found = queries.users(session)
    columns = ("name", "role", "state", "created_at", "seen_at")
    rows = [
        (each.name, each.role.value, _state(each), each.created_at, each.seen_at) for each in found
    ]
    show_listing(columns, rows, as_json)


@users.command()
@click.argument("name")
@_role
@pass_app
def role(app: App, name: str, role: str) -> None:
    """Give NAME another role."""
    accounts.set_role(app.db, name, Role(role), actor=app.actor, now=app.now)
    click.echo(f"{name} is now {role}")


@users.command()
@click.argument("name")
@pass_app
def disable(app: App, name: str) -> None:
    """Bar NAME from signing in, and end its sign-ins."""
    accounts.disable(app.db, name, actor=app.actor, now=app.now)
    click.echo(f"disabled {name}")


@users.command()
@click.argument("name")
@pass_app
def enable(app: App, name: str) -> None:
    """Let NAME sign in again."""
    accounts.enable(app.db, name, actor=app.actor, now=app.now)
    click.echo(f"enabled {name}")


@users.command()
@click.argument("name")
@_from_stdin
@_generate
@pass_app
def passwd(app: App, name: str, password_stdin: bool, generate: bool) -> None:
    """Give NAME another password, and end its sign-ins."""
    password = _password(password_stdin, generate)
    accounts.set_password(app.db, name, password, actor=app.actor, now=app.now)
    click.echo(f"changed the password of {name}")
    _show(password, generate)


def _password(from_stdin: bool, generate: bool) -> str:
    """Return the password: made, read, or asked for twice. Raises `InputError`."""
    if generate:
        return secrets.token_urlsafe(GENERATED)
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InputError("there is no terminal to ask on; use --password-stdin or --generate")
    answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return answer


def _show(password: str, generate: bool) -> None:
    if generate:
        click.echo(f"password: {password}")


def _state(account: queries.Account) -> str:
    return "disabled" if account.disabled_at else "active"

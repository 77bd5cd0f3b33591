"""Who acts at the command line: whoever has the shell, or with ``--as`` a user of the service."""

from dataclasses import dataclass

import click
from sqlalchemy import select

from patchmgr.cli.app import App
from patchmgr.db import models
from patchmgr.domain.accounts import Role
from patchmgr.errors import ForbiddenError, NotFoundError

as_option = click.option(
    "--as",
    "as_name",
    metavar="NAME",
    help="Act as this user of the service, with that user's role; by default as the shell's user.",
)


@dataclass(frozen=True, slots=True)
class Acting:
    """A name for the audit, and what it may do."""

    name: str
    role: Role


def acting(app: App, name: str | None) -> Acting:
    """Return who acts: the shell's user, who may everything, or the user ``name``.

    A plan's author cannot approve it under either name: two people need two names here too.
    Raises `NotFoundError`, `ForbiddenError` for a disabled user.
    """
    if name is None:
        return Acting(app.actor, Role.ADMIN)
    with app.db.reading() as session:
        row = session.scalar(select(models.User).where(models.User.name == name))
    if row is None:
        raise NotFoundError("user", name)
    if row.disabled_at is not None:
        raise ForbiddenError(f"user {name!r} is disabled")
    return Acting(row.name, Role(row.role))

"""What a host says of itself, as ``patchmgr hosts show`` prints it."""

import click

from patchmgr.cli.app import instant
from patchmgr.db.queries.facts import Said
from patchmgr.db.queries.hosts import HostDetail
from patchmgr.domain.host_facts import NOT_REPORTED, words


def show_facts(host: HostDetail, said: Said) -> None:
    """Print every fact, and what was not reported or could not be read."""
    click.echo()
    click.echo(f"facts: {instant(said.at) if said.at else NOT_REPORTED}")
    for name, text in words(said.facts).items():
        click.echo(f"  {name}: {text}")
    if said.covered is None:
        click.echo(f"  repositories: {NOT_REPORTED}")
    for each in said.withheld:
        click.echo(f"  kept back: {each.name} {each.withheld}, {each.pin}")
    for section, why in said.facts.unreadable.items():
        click.echo(f"  could not be read: {section}: {why}")
    if host.held and said.facts.holds is None:
        click.echo(f"  held, by an earlier report: {', '.join(host.held)}")

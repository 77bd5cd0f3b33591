"""``patchmgr sources``: how the files of each source are read, and which exports are known."""

import click

from inventory import presets
from inventory import sources as service
from patchmgr.cli.app import App, pass_app, show_json, show_listing
from patchmgr.db.queries import imports as queries

COLUMNS = ("name", "kind", "preset", "encoding", "columns", "hosts", "saved_by", "saved_at")


@click.group()
def sources() -> None:
    """How the files of each source are read."""


@sources.command("list")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def list_(app: App, as_json: bool) -> None:
    """List the sources; imports save them with --save-mapping."""
    with app.db.reading() as session:
        lines = queries.sources(session)
    rows = [
        [len(line.mapping) if name == "columns" else getattr(line, name) for name in COLUMNS]
        for line in lines
    ]
    show_listing(COLUMNS, rows, as_json)


@sources.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
@pass_app
def show(app: App, name: str, as_json: bool) -> None:
    """Show what the columns of a source stand for."""
    with app.db.reading() as session:
        line = queries.source(session, name)
    facts = {each: getattr(line, each) for each in COLUMNS if each != "columns"}
    if as_json:
        show_json(facts | {"mapping": dict(line.mapping)})
        return
    for key, value in facts.items():
        click.echo(f"{key.replace('_', ' ')}: {value}")
    for theirs, ours in line.mapping.items():
        click.echo(f"  {theirs} = {ours}")


@sources.command()
@click.argument("name")
@pass_app
def delete(app: App, name: str) -> None:
    """Forget how the files of a source are read; its hosts stay."""
    service.delete(app.db, name, actor=app.actor, now=app.now)
    click.echo(f"{name} is forgotten")


@sources.command("presets")
@click.option("--json", "as_json", is_flag=True)
def presets_(as_json: bool) -> None:
    """List the exports that are recognised by their header."""
    rows = [(each.name, each.kind, each.title, each.source) for each in presets.presets().values()]
    show_listing(("name", "kind", "title", "made by"), rows, as_json)

"""``patchmgr plans export|results|tick``: the work that goes out, and what comes back of it."""

import sys
from pathlib import Path
from typing import Any

import click

from patchmgr.cli.acting import acting, as_option
from patchmgr.cli.app import ID, App, pass_app, show_json
from patchmgr.cli.plan_files import read_bytes, write_bytes
from patchmgr.services import (
    exports,
    outbox,
    probing,
    result_files,
    rollouts,
)

_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")


_id = click.argument("plan_id", metavar="ID", type=ID)


@click.command()
@_id
@click.option(
    "--format", "form", type=click.Choice(["csv", "ansible"]), required=True, help="What to write."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A file; for ansible a name in .zip gives playbook and inventory apart. Default: stdout.",
)
@click.option("--whole", is_flag=True, help="All rings, to read; not only what may be done now.")
@click.option("--rollback", is_flag=True, help="The way back of hosts that must be rolled back.")
@as_option
@pass_app
def export(
    app: App,
    plan_id: int,
    form: str,
    out: Path | None,
    whole: bool,
    rollback: bool,
    as_name: str | None,
) -> None:
    """Write the work that may be done now, for people or for Ansible."""
    who = acting(app, as_name)
    if form == "ansible" and out is not None and out.suffix.lower() == ".zip":
        form = "ansible-zip"
    exported = service_export(app, plan_id, form, who, whole=whole, rollback=rollback)
    if out is None:
        sys.stdout.buffer.write(exported.body)
        sys.stdout.buffer.flush()
        return
    write_bytes(out, exported.body)
    click.echo(f"{out}: {exported.hosts} hosts")


def service_export(
    app: App, plan_id: int, form: str, who: Any, *, whole: bool, rollback: bool
) -> exports.Exported:
    """Return the export as ``who``."""
    return exports.export(
        app.db,
        plan_id,
        form,
        whole=whole,
        rollback=rollback,
        actor=who.name,
        role=who.role,
        now=app.now,
    )


@click.command()
@_id
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@as_option
@_json
@pass_app
def results(app: App, plan_id: int, file: Path, as_name: str | None, as_json: bool) -> None:
    """Take results from FILE: CSV with host,result[,package,output,attempt,reboot]; - is stdin."""
    body = read_bytes(file)
    name = "stdin" if str(file) == "-" else str(file)
    who = acting(app, as_name)
    taken = result_files.report_file(
        app.db, plan_id, body, file=name, actor=who.name, role=who.role, now=app.now
    )
    if as_json:
        show_json({"changed": taken.changed, "unchanged": taken.unchanged})
    else:
        click.echo(f"{taken.changed} taken, {taken.unchanged} said nothing new")


@click.command()
@_json
@pass_app
def tick(app: App, as_json: bool) -> None:
    """Move every plan on to where it must be now; the scheduler does the same by itself."""
    probing.probe(app.db, now=app.now)
    result = rollouts.tick(app.db, now=app.now)
    outbox.deliver(app.db, now=app.now)
    counts = {
        "plans": result.plans,
        "changed": result.changed,
        "dispatched": result.dispatched,
        "verified": result.verified,
        "failed": {str(number): why for number, why in result.failed.items()},
    }
    if as_json:
        show_json(counts)
    else:
        click.echo(
            f"{result.changed} of {result.plans} plans moved, {result.dispatched} hosts handed out"
        )
    for number, why in result.failed.items():
        click.echo(f"patchmgr: plan {number} cannot be moved: {why}", err=True)
    if result.failed:
        sys.exit(1)

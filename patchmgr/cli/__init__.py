"""The `patchmgr` command: the composition root, the only place that sees every layer.

Noun then verb. To add a noun, write `patchmgr/cli/<noun>.py` and name its module in `NOUNS`; it is
imported when the noun is used, so that ``patchmgr versions compare`` does not wait for reports.
"""

from importlib import import_module
from typing import Any

import click

from patchmgr.cli.app import App, Commands, prepare_output

NOUNS = {  # name of the command and of its object -> module in this package
    "advisories": "advisories",
    "calendar": "calendar",
    "cves": "advisories",
    "db": "db",
    "demo": "demo",
    "doctor": "doctor",
    "exceptions": "exceptions",
    "feeds": "feeds",
    "findings": "scan",
    "freezes": "freezes",
    "holds": "holds",
    "hosts": "hosts",
    "jobs": "jobs",
    "packages": "hosts",
    "plans": "plans",
    "policies": "policies",
    "report": "report",
    "reports": "reports",
    "scan": "scan",
    "scheduler": "serve",
    "serve": "serve",
    "simulate": "simulate",
    "sources": "sources",
    "tokens": "tokens",
    "users": "users",
    "versions": "versions",
    "web": "serve",
    "windows": "windows",
}


class Nouns(Commands):
    """The commands of `NOUNS`."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        prepare_output()
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NOUNS:
            return None
        module = import_module(f"patchmgr.cli.{NOUNS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=Nouns)
@click.version_option(package_name="patchmgr")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Patch and update management."""
    ctx.obj = ctx.obj or App()

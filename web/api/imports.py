"""Importing files in one step."""

from typing import Literal

from flask import request
from pydantic import Field

from inventory import uploads
from patchmgr.domain.accounts import Role
from web.api.routing import Raw, actor, route
from web.api.values import Flag, In, Out, Text, Words
from web.context import db, now, settings

CSV = Raw(("text/csv",), "The file: UTF-8, a header row; comma, semicolon or tab.", is_binary=True)


class Change(Out):
    host: str
    kind: str = Field(description="new or changed")
    details: Words


class Difference(Out):
    """What an import did, or would do."""

    dry_run: bool
    rows: int
    new: int
    changed: int
    unchanged: int
    packages_added: int
    packages_removed: int
    changes: list[Change] = Field(description="The first few.")


class HostsQuery(In):
    dry_run: Flag = Field(False, description="Only say what it would do.")
    map: Text = Field(
        "", description="Columns: `theirs=ours`, separated by commas; `theirs=-` leaves one out."
    )


class PackagesQuery(HostsQuery):
    mode: Literal["snapshot", "merge"] = Field(
        "snapshot", description="`snapshot`: all that each named host has."
    )


@route(
    "POST", "/imports/hosts", tag="imports", role=Role.OPERATOR, query=HostsQuery, raw=CSV,
    answer=Difference,
)  # fmt: skip
def import_hosts(query: HostsQuery) -> object:
    """Import hosts.csv: all of it, or nothing."""
    return _import("hosts", query, "")


@route(
    "POST", "/imports/packages", tag="imports", role=Role.OPERATOR, query=PackagesQuery, raw=CSV,
    answer=Difference,
)  # fmt: skip
def import_packages(query: PackagesQuery) -> object:
    """Import packages.csv: all of it, or nothing."""
    return _import("packages", query, query.mode)


def _import(kind: str, query: HostsQuery, mode: str) -> object:
    pairs = (pair.partition("=") for pair in query.map.split(",") if pair.strip())
    made = uploads.direct(
        db(),
        request.stream,  # type: ignore[arg-type] # read in blocks, which it offers
        kind=kind,
        mode=mode,
        mapping={theirs.strip(): ours.strip() for theirs, _, ours in pairs},
        dry_run=query.dry_run,
        uploads=settings().uploads,
        actor=actor(),
        now=now(),
    )
    return {"dry_run": query.dry_run, "changes": made.changes, **made.summary()}

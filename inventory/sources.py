"""Sources of files: a name for whose export it is, and how its files are read."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from inventory import csv_header, hosts_csv, packages_csv, presets, text_file
from inventory.csv_header import Kind, Reading
from inventory.presets import IGNORE
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.errors import InputError, NotFoundError
from patchmgr.services import audit

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (hosts_csv.KIND, packages_csv.KIND)}
SHOWN = 20  # other sources
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def check_name(name: str) -> str:
    """Return ``name`` when a source may have it. Raises `InputError`."""
    if not _NAME.fullmatch(name):
        why = "is no name of a source (up to 64 letters, digits, dots, hyphens, underscores)"
        raise InputError({"source": f"{name[:80]!r} {why}"})
    return name


def standing(session: Session, name: str) -> dict[str, Any]:
    """Return whether nothing is known of the source ``name`` yet, and who the others are.

    A source is known by how its files are read, or by a host that it named last.
    """
    saved = set(session.scalars(select(models.ImportSource.name)))
    named = set(session.scalars(select(models.Host.source).distinct())) - {""}
    others = sorted((saved | named) - {name})
    return {"new_source": name not in saved | named, "sources": others[:SHOWN]}


def reading(session: Session, name: str, kind: str, how: Reading) -> Reading:
    """Return how files of the source ``name`` are read; what ``how`` says itself wins.

    Raises `NotFoundError` for a source that was never saved, `InputError` for one of another kind.
    """
    row = session.get(models.ImportSource, name)
    if row is None:
        raise NotFoundError("source", name)
    if row.kind != kind:
        raise InputError({"source": f"{name!r} is a source of {row.kind}, not of {kind}"})
    return Reading(
        {**row.mapping, **how.mapping}, how.preset or row.preset, how.encoding or row.encoding
    )


def store(
    session: Session, name: str, kind: str, how: Reading, *, actor: str, now: datetime
) -> None:
    """Remember ``how`` files of the source ``name`` are read; replaces what was saved before.

    Raises `InputError` for what cannot be read so, or a source of another kind.
    """
    check_name(name)
    check(kind, how)
    row = session.get(models.ImportSource, name)
    if row is not None and row.kind != kind:
        raise InputError({"source": f"{name!r} is a source of {row.kind} already"})
    if row is None:
        row = models.ImportSource(name=name, kind=kind)
        session.add(row)
    elif (row.mapping, row.preset, row.encoding) == (dict(how.mapping), how.preset, how.encoding):
        return
    row.mapping, row.preset, row.encoding = dict(how.mapping), how.preset, how.encoding
    row.saved_by, row.saved_at = actor, now
    details = {"kind": kind, "mapping": dict(how.mapping), "preset": how.preset}
    _record(session, "import.source.save", name, details, actor, now)


def save(db: Database, name: str, kind: str, how: Reading, *, actor: str, now: datetime) -> None:
    """Do what `store` does, in a transaction of its own."""
    with db.writing() as session:
        store(session, name, kind, how, actor=actor, now=now)


def delete(db: Database, name: str, *, actor: str, now: datetime) -> None:
    """Forget how the files of a source are read; its hosts stay. Raises `NotFoundError`."""
    with db.writing() as session:
        row = session.get(models.ImportSource, name)
        if row is None:
            raise NotFoundError("source", name)
        session.delete(row)
        _record(session, "import.source.delete", name, {"kind": row.kind}, actor, now)


def _record(
    session: Session,
    action: str,
    name: str,
    details: Mapping[str, object],
    actor: str,
    now: datetime,
) -> None:
    audit.record(
        session, at=now, actor=actor, action=action, subject=f"source {name}", details=details
    )


def check(kind: str, how: Reading) -> None:
    """Raise `InputError` when no file of ``kind`` can be read so."""
    if kind not in KINDS:
        raise InputError({"kind": f"{kind!r} is not one of {', '.join(KINDS)}"})
    known = KINDS[kind].columns
    for left, right in how.mapping.items():
        if right not in (*known, IGNORE) and left not in known:
            raise InputError({left[:80]: f"is mapped to no column that we know: {right[:80]!r}"})
    preset = presets.presets().get(how.preset)
    if how.preset not in ("", csv_header.NO_PRESET) and (preset is None or preset.kind != kind):
        raise InputError({"preset": f"{how.preset[:80]!r} is no preset for {kind}"})
    if how.encoding and how.encoding.lower() not in text_file.ENCODINGS:
        known_ones = ", ".join(text_file.ENCODINGS)
        raise InputError({"encoding": f"{how.encoding[:80]!r} is not one of {known_ones}"})

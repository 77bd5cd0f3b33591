"""Files that arrive through the browser: kept, looked into, confirmed or discarded.

An upload lies in the uploads folder under a name of ours until somebody decides on it, so going
away and coming back finds it where it was. What it would do is worked out by the same import that
carries it out, as a dry run.
"""

import csv
import difflib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from inventory import csv_file, hosts_csv, packages_csv
from inventory.host_import import import_hosts
from inventory.intake import MODES, Difference, import_packages
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.errors import BadFileError, BadRow, ConflictError, InputError, NotFoundError
from patchmgr.services import audit, jobs

SAMPLES = 5  # rows shown
REJECTS_SHOWN = 100
BLOCK = 1 << 20  # bytes copied at a time
REJECTS = ".rejects.csv"  # after the stored name
_HINTS = {  # what others call our columns
    "hostname": ("host", "fqdn", "server", "computer", "machine", "node", "system", "host name"),
    "external_id": ("id", "uuid", "asset id", "asset", "cmdb id", "instance id", "serial"),
    "os_id": ("os", "distribution", "distro", "os name", "operating system"),
    "os_release": ("release", "os version", "version id", "os release"),
    "arch": ("architecture", "cpu"),
    "environment": ("env", "stage", "tier"),
    "site": ("location", "datacenter", "data center", "dc", "region"),
    "owner": ("team", "responsible", "contact", "group"),
    "criticality": ("priority", "importance", "business criticality"),
    "exposure": ("zone", "internet facing", "network"),
    "tags": ("labels",),
    "window": ("maintenance window", "patch window"),
    "ring": ("wave", "patch group"),
    "manager": ("package manager", "type"),
    "name": ("package", "package name", "pkg", "software"),
    "version": ("package version", "installed version", "installed"),
    "source": ("source package", "src"),
    "source_version": ("source package version",),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file can hold."""

    columns: Sequence[str]
    required: Sequence[str]


KINDS = {
    "hosts": Kind(hosts_csv.COLUMNS, hosts_csv.REQUIRED),
    "packages": Kind(packages_csv.COLUMNS, packages_csv.REQUIRED),
}


def receive(
    db: Database,
    content: BinaryIO,
    *,
    kind: str,
    mode: str = "",
    filename: str,
    uploads: Path,
    actor: str,
    now: datetime,
) -> int:
    """Keep the uploaded ``content``, look into it, and return the import's id.

    ``filename`` is what the uploader calls it. A file that cannot be read is kept too, with what
    is wrong with it. Raises `InputError` for an unknown kind or mode, or an empty upload.
    """
    if kind not in KINDS:
        raise InputError({"kind": f"{kind!r} is not one of {', '.join(KINDS)}"})
    mode = _mode(kind, mode)
    stored = f"{kind}-{secrets.token_hex(12)}.csv"
    path = uploads / stored
    if not _store(content, path):
        path.unlink()
        raise InputError({"file": "is empty; choose a CSV file"})
    preview = look(db, path, kind=kind, mode=mode, mapping={}, actor=actor, now=now)
    with db.writing() as session:
        row = models.Import(
            kind=kind,
            mode=mode,
            filename=Path(filename.replace("\\", "/")).name[:200] or "unnamed.csv",
            stored=stored,
            state="previewed",
            mapping={},
            preview=preview,
            uploaded_by=actor,
            uploaded_at=now,
            finished_at=None,
            error="",
        )
        session.add(row)
        session.flush()
        return row.id


def remap(
    db: Database,
    import_id: int,
    mapping: Mapping[str, str],
    *,
    mode: str = "",
    uploads: Path,
    actor: str,
    now: datetime,
) -> None:
    """Look into the file again with other columns: the file's name -> ours, ``-`` leaves it out."""
    with db.reading() as session:
        row = _pending(session, import_id)
    path = _file(uploads, row.stored)
    wanted = _mode(row.kind, mode or row.mode)
    known = {*KINDS[row.kind].columns, csv_file.IGNORE}
    if bad := [name for name, ours in mapping.items() if ours not in known]:
        raise InputError({bad[0]: "is mapped to no column that we know"})
    preview = look(db, path, kind=row.kind, mode=wanted, mapping=mapping, actor=actor, now=now)
    with db.writing() as session:
        row = _pending(session, import_id)
        row.mapping, row.preview, row.mode = dict(mapping), preview, wanted


def apply(
    db: Database,
    import_id: int,
    *,
    take_good: bool,
    uploads: Path,
    actor: str,
    now: datetime,
) -> Difference:
    """Carry an import out and ask for a scan; return the difference it made.

    With ``take_good`` the rows that cannot be taken are left in a file of their own; without it
    one of them refuses the whole import. Repeating it after a crash changes nothing.
    Raises `BadFileError`, `ConflictError` when it was decided on already, `NotFoundError`.
    """
    with db.reading() as session:
        row = _pending(session, import_id)
    path = _file(uploads, row.stored)
    rejects = rejects_file(uploads, row.stored) if take_good else None
    difference = _import(
        db,
        path,
        kind=row.kind,
        mode=row.mode,
        mapping=row.mapping,
        actor=actor,
        now=now,
        rejects=rejects,
    )
    with db.writing() as session:
        row = _pending(session, import_id)
        row.state, row.finished_at = "applied", now
        row.preview = {**row.preview, **_outcome(difference)}
        jobs.want(session, "scan", now=now)
        audit.record(
            session,
            at=now,
            actor=actor,
            action="import.apply",
            subject=f"import {import_id}",
            details={"file": row.filename, "kind": row.kind, **difference.summary()},
        )
    path.unlink(missing_ok=True)
    return difference


def discard(db: Database, import_id: int, *, uploads: Path, actor: str, now: datetime) -> None:
    """Forget an upload that was not carried out. Raises `ConflictError`, `NotFoundError`."""
    with db.writing() as session:
        row = _pending(session, import_id)
        row.state, row.finished_at = "discarded", now
        stored = row.stored
        audit.record(
            session,
            at=now,
            actor=actor,
            action="import.discard",
            subject=f"import {import_id}",
            details={"file": row.filename},
        )
    (uploads / stored).unlink(missing_ok=True)
    rejects_file(uploads, stored).unlink(missing_ok=True)


def rejects_file(uploads: Path, stored: str) -> Path:
    """Return where the rows of an upload that cannot be taken are written."""
    return uploads / f"{stored}{REJECTS}"


def direct(
    db: Database,
    content: BinaryIO,
    *,
    kind: str,
    mode: str = "",
    mapping: Mapping[str, str] | None = None,
    dry_run: bool,
    uploads: Path,
    actor: str,
    now: datetime,
) -> Difference:
    """Import a file in one step, as programs do: all of it or nothing.

    Raises `BadFileError` naming every bad row, `InputError`.
    """
    mode = _mode(kind, mode)
    path = uploads / f"{kind}-{secrets.token_hex(12)}.csv"
    try:
        if not _store(content, path):
            raise InputError({"file": "is empty; send a CSV file as the body"})
        difference = _import(
            db,
            path,
            kind=kind,
            mode=mode,
            mapping=mapping or {},
            actor=actor,
            now=now,
            dry_run=dry_run,
        )
    finally:
        path.unlink(missing_ok=True)
    if not dry_run:
        with db.writing() as session:
            jobs.want(session, "scan", now=now)
    return difference


def look(
    db: Database,
    path: Path,
    *,
    kind: str,
    mode: str,
    mapping: Mapping[str, str],
    actor: str,
    now: datetime,
) -> dict[str, Any]:
    """Return what is in a file and what importing it would do, as JSON.

    ``delimiter``, ``columns`` (name, ours, suggestion, samples), ``missing`` (required columns
    that nothing stands for), ``problem`` (why it cannot be read at all), and unless one of these
    stops it ``summary`` and ``changes`` of the good rows, ``rejected`` and the first ``rejects``.
    """
    known = KINDS[kind].columns
    try:
        delimiter, names = csv_file.header(path, known)
        samples = _samples(path, delimiter)
    except BadFileError as error:
        return {"problem": _said(error.rows), "columns": [], "missing": [], "rejected": 0}
    columns = _columns(names, samples, known, mapping)
    taken = [column["ours"] for column in columns if column["ours"] not in ("", csv_file.IGNORE)]
    found: dict[str, Any] = {
        "delimiter": delimiter,
        "columns": columns,
        "missing": [name for name in KINDS[kind].required if name not in taken],
        "problem": "",
        "rejected": 0,
        "rejects": [],
    }
    if twice := sorted({name for name in taken if taken.count(name) > 1}):
        found["problem"] = f"two columns stand for {twice[0]}; leave one of them out"
    if found["problem"] or found["missing"] or any(not column["ours"] for column in columns):
        return found
    return {
        **found,
        **_trial(db, path, kind=kind, mode=mode, mapping=mapping, actor=actor, now=now),
    }


def _trial(db: Database, path: Path, **options: Any) -> dict[str, Any]:
    """Return what a dry run says: of the whole file, or of its good rows and which are bad."""
    found: dict[str, Any] = {"rejected": 0, "rejects": []}
    left = rejects_file(path.parent, path.name)
    try:
        difference = _import(db, path, dry_run=True, **options)
    except BadFileError as error:
        if any(row.row == 0 for row in error.rows):
            return {"problem": _said(error.rows)}
        layout = csv_file.recognise(
            path,
            known=KINDS[options["kind"]].columns,
            required=KINDS[options["kind"]].required,
            mapping=options["mapping"],
        )
        csv_file.write_rejects(left, layout, error.rows)
        found = {
            "rejected": error.total,
            "rejects": [
                {"row": bad.row, "column": bad.column, "value": bad.value, "remedy": bad.remedy}
                for bad in error.rows[:REJECTS_SHOWN]
            ],
        }
        try:
            difference = _import(db, path, dry_run=True, rejects=left, **options)
        except BadFileError as whole:
            left.unlink(missing_ok=True)
            return {"problem": _said(whole.rows)}
    return {**found, **_outcome(difference)}


def _import(
    db: Database,
    path: Path,
    *,
    kind: str,
    mode: str,
    mapping: Mapping[str, str],
    actor: str,
    now: datetime,
    dry_run: bool = False,
    rejects: Path | None = None,
) -> Difference:
    if kind == "hosts":
        return import_hosts(
            db, path, actor=actor, now=now, mapping=mapping, dry_run=dry_run, rejects=rejects
        )
    return import_packages(
        db, path, actor=actor, now=now, mode=mode, mapping=mapping, dry_run=dry_run, rejects=rejects
    )


def _outcome(difference: Difference) -> dict[str, Any]:
    return {
        "summary": difference.summary(),
        "changes": [asdict(change) for change in difference.changes],
    }


def _store(content: BinaryIO, path: Path) -> int:
    """Write ``content`` to ``path`` and return its size in bytes."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    size = 0
    with path.open("xb") as file:
        while block := content.read(BLOCK):
            size += file.write(block)
    return size


def _samples(path: Path, delimiter: str) -> list[list[str]]:
    """Return the first rows below the header; a row that is not CSV ends them."""
    found: list[list[str]] = []
    with csv_file.open_text(path) as text:
        reader = csv.reader(text, delimiter=delimiter)
        try:
            found.extend(islice((row for row in islice(reader, 1, None) if row), SAMPLES))
        except UnicodeDecodeError as error:
            raise csv_file.undecodable(path) from error
        except csv.Error:
            return found  # the import says which row it is
    return found


def _columns(
    names: Sequence[str],
    samples: Sequence[Sequence[str]],
    known: Sequence[str],
    mapping: Mapping[str, str],
) -> list[dict[str, Any]]:
    ours = [mapping.get(name, name if name in known else "") for name in names]
    free = [name for name in known if name not in ours]
    found = []
    for position, name in enumerate(names):
        suggestion = "" if ours[position] else _suggestion(name, free)
        if suggestion:
            free.remove(suggestion)
        found.append(
            {
                "name": name,
                "ours": ours[position],
                "suggestion": suggestion,
                "samples": [row[position][:80] if position < len(row) else "" for row in samples],
            }
        )
    return found


def _suggestion(name: str, free: Sequence[str]) -> str:
    """Return which of the columns not yet in the file ``name`` probably means; "" when unclear."""
    plain = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
    for column in free:
        if plain == column.replace("_", " ") or plain in _HINTS.get(column, ()):
            return column
    close = difflib.get_close_matches(plain.replace(" ", "_"), free, n=1, cutoff=0.8)
    return close[0] if close else ""


def _mode(kind: str, mode: str) -> str:
    if kind == "hosts":
        return ""
    if (mode or MODES[0]) not in MODES:
        raise InputError({"mode": f"{mode!r} is not one of {', '.join(MODES)}"})
    return mode or MODES[0]


def _said(rows: Sequence[BadRow]) -> str:
    return str(rows[0]) if rows else "cannot be read"


def _pending(session: Session, import_id: int) -> models.Import:
    row = session.get(models.Import, import_id)
    if row is None:
        raise NotFoundError("import", import_id)
    if row.state != "previewed":
        raise ConflictError(f"import {import_id} is {row.state} already")
    return row


def _file(uploads: Path, stored: str) -> Path:
    path = uploads / stored
    if not path.is_file():
        raise NotFoundError("uploaded file", stored)
    return path

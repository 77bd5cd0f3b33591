"""Files that arrive through the browser or the API: kept, looked into, confirmed or discarded.

An upload lies in the uploads folder under a name of ours until somebody decides on it, so going
away and coming back finds it where it was. Looking into it and carrying it out are work that takes
its time: here it is only asked for, `inventory.import_work` does it.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy.orm import Session

from inventory import preview, sources
from inventory.csv_header import NO_PRESET, Reading
from inventory.difference import Difference
from inventory.package_import import MODES
from inventory.presets import IGNORE
from inventory.sources import KINDS
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.errors import BadFileError, ConflictError, InputError, NotFoundError
from patchmgr.services import audit, jobs

JOB = "imports"  # looks into what waits, and carries out what was confirmed
BLOCK = 1 << 20  # bytes copied at a time
ALL = "all"  # retire every host that is gone
REST = "POST /api/v1/imports keeps them all, and can leave them out"  # of bad rows
UNDECIDED = ("waiting", "checking", "previewed", "confirmed", "applying", "interrupted")
rejects_file = preview.rejects_file


@dataclass(frozen=True, slots=True)
class Wish:
    """What an uploader says of a file."""

    kind: str
    mode: str = ""  # of packages
    source: str = ""  # whose export it is
    full_export: bool = False  # the source names all its hosts in it
    save: bool = False  # how it is read, for the next file of the source
    how: Reading = field(default_factory=Reading)


def receive(
    db: Database,
    content: IO[bytes],
    wish: Wish,
    *,
    filename: str,
    uploads: Path,
    actor: str,
    now: datetime,
) -> int:
    """Keep the uploaded ``content``, ask for a look into it, and return the import's id.

    ``filename`` is what the uploader calls it. Raises `InputError` for what cannot be wished, or
    an empty upload.
    """
    found = checked(db, wish)
    stored = new_name(wish.kind)
    size = _stored(content, uploads / stored)
    with db.writing() as session:
        return add(
            session,
            found,
            filename=shown_name(filename),
            stored=stored,
            size=size,
            actor=actor,
            now=now,
        )


def new_name(kind: str) -> str:
    """Return a name that no file in the uploads folder has."""
    return f"{kind}-{secrets.token_hex(12)}.csv"


def shown_name(filename: str) -> str:
    """Return what to call a file that its uploader calls ``filename``."""
    return Path(filename.replace("\\", "/")).name[:200] or "unnamed.csv"


def add(
    session: Session,
    wish: Wish,
    *,
    filename: str,
    stored: str,
    size: int,
    actor: str,
    now: datetime,
) -> int:
    """Make an import of a file that lies in the uploads folder, and ask for a look into it."""
    how = wish.how
    row = models.Import(
        kind=wish.kind,
        mode=wish.mode,
        filename=filename,
        stored=stored,
        state="waiting",
        source=wish.source,
        mapping=dict(how.mapping),
        options={
            "preset": how.preset,
            "encoding": how.encoding,
            "full_export": wish.full_export,
            "save": wish.save,
        },
        preview={},
        size=size,
        progress=0,
        attempts=0,
        uploaded_by=actor,
        uploaded_at=now,
        confirmed_by="",
        finished_at=None,
        error="",
    )
    session.add(row)
    session.flush()
    details = {"file": row.filename, "kind": row.kind, "source": row.source}
    _record(session, "import.upload", row.id, details, actor, now)
    jobs.want(session, JOB, now=now)
    return row.id


def remap(
    db: Database,
    import_id: int,
    mapping: Mapping[str, str],
    *,
    mode: str = "",
    preset: str = NO_PRESET,
    encoding: str | None = None,
    actor: str,
    now: datetime,
) -> None:
    """Ask for another look with other columns: the file's name -> ours, ``-`` leaves it out.

    Raises `ConflictError` when it was decided on already, `InputError`, `NotFoundError`.
    """
    with db.writing() as session:
        row = _pending(session, import_id, "previewed")
        known = {*KINDS[row.kind].columns, IGNORE}
        if bad := [name for name, ours in mapping.items() if ours not in known]:
            raise InputError({bad[0]: "is mapped to no column that we know"})
        options = row.options | {"preset": preset}
        if encoding is not None:
            options["encoding"] = encoding
        sources.check(row.kind, reading(mapping, options))
        row.mapping, row.options = dict(mapping), options
        row.mode = _mode(row.kind, mode or row.mode)
        _ask(session, row, "waiting", now)
        _record(session, "import.remap", import_id, {"mapping": dict(mapping)}, actor, now)


def confirm(
    db: Database,
    import_id: int,
    *,
    take_good: bool,
    retire: list[str] | str = (),  # type: ignore[assignment] # no names; read only
    save: bool | None = None,
    actor: str,
    now: datetime,
) -> None:
    """Ask for an import to be carried out as it was previewed.

    With ``take_good`` the rows that cannot be taken are left in a file of their own; without it
    one of them refuses the whole import. Hosts that are gone are retired when ``retire`` names
    them; `ALL` means each. Raises `ConflictError`, `InputError`, `NotFoundError`.
    """
    with db.writing() as session:
        row = _pending(session, import_id, "previewed")
        found = row.preview
        if found.get("problem") or "summary" not in found:
            raise ConflictError(f"import {import_id} cannot be carried out: see what it lacks")
        if found["rejected"] and not take_good:
            raise ConflictError(
                f"{found['rejected']} rows cannot be taken: correct them, or take the good ones"
            )
        if retire and not row.options.get("full_export"):
            why = "takes hosts that a full export lacks; this import is none"
            raise InputError({"retire": why})
        options = row.options | {
            "take_good": take_good,
            "retire": retire if retire == ALL else sorted(retire),
        }
        if save is not None:
            options["save"] = save
        if options.get("save") and row.source:
            sources.check_name(row.source)
        row.options = options
        row.confirmed_by = actor
        _ask(session, row, "confirmed", now)
        details = {"take_good": take_good, "retire": options["retire"]}
        _record(session, "import.confirm", import_id, details, actor, now)


def retry(db: Database, import_id: int, *, actor: str, now: datetime) -> None:
    """Ask again for what was interrupted. Raises `ConflictError`, `NotFoundError`."""
    with db.writing() as session:
        row = _pending(session, import_id, "interrupted")
        _ask(session, row, "confirmed" if row.confirmed_by else "waiting", now)
        _record(session, "import.retry", import_id, {"file": row.filename}, actor, now)


def discard(db: Database, import_id: int, *, uploads: Path, actor: str, now: datetime) -> None:
    """Forget an upload that was not carried out. Raises `ConflictError`, `NotFoundError`."""
    with db.writing() as session:
        row = _pending(session, import_id, "waiting", "previewed", "interrupted")
        row.state, row.finished_at = "discarded", now
        stored = row.stored
        _record(session, "import.discard", import_id, {"file": row.filename}, actor, now)
    (uploads / stored).unlink(missing_ok=True)
    rejects_file(uploads, stored).unlink(missing_ok=True)


def direct(
    db: Database,
    content: IO[bytes],
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
    path = uploads / new_name(kind)
    _stored(content, path)
    try:
        with called(f"{kind}.csv", REST):
            difference = preview.carry_out(
                db,
                path,
                kind=kind,
                mode=mode,
                how=Reading(mapping or {}),
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


@contextmanager
def called(filename: str, rest: str = "") -> Iterator[None]:
    """Let what a file is refused for name it as its uploader does, and not as it is kept here.

    ``rest`` says where rows are found that are too many to be named.
    """
    try:
        yield
    except BadFileError as error:
        raise BadFileError(filename, error.rows, error.total, rest=rest) from error


def reading(mapping: Mapping[str, str], options: Mapping[str, Any]) -> Reading:
    """Return how an upload is read, as its row keeps it."""
    return Reading(mapping, options.get("preset", ""), options.get("encoding", ""))


def checked(db: Database, wish: Wish) -> Wish:
    """Return ``wish`` with what is saved for its source. Raises `InputError`."""
    if wish.kind not in KINDS:
        raise InputError({"kind": f"{wish.kind!r} is not one of {', '.join(KINDS)}"})
    wish = replace(wish, mode=_mode(wish.kind, wish.mode))
    sources.check(wish.kind, wish.how)
    if wish.source:
        sources.check_name(wish.source)
    elif wish.full_export or wish.save:
        raise InputError({"source": "is needed: a full export is all hosts of one source"})
    if not wish.source:
        return wish
    try:
        with db.reading() as session:
            return replace(wish, how=sources.reading(session, wish.source, wish.kind, wish.how))
    except NotFoundError:  # the first file of a source
        return wish


def _ask(session: Session, row: models.Import, state: str, now: datetime) -> None:
    row.state, row.attempts, row.progress, row.error = state, 0, 0, ""
    jobs.want(session, JOB, now=now)


def _record(
    session: Session,
    action: str,
    import_id: int,
    details: Mapping[str, object],
    actor: str,
    now: datetime,
) -> None:
    audit.record(
        session, at=now, actor=actor, action=action, subject=f"import {import_id}", details=details
    )


def _stored(content: IO[bytes], path: Path) -> int:
    """Write ``content`` to ``path`` and return its size; leave nothing of what breaks off.

    Raises `InputError` for nothing at all.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    size = 0
    try:
        with path.open("xb") as file:
            while block := content.read(BLOCK):
                size += file.write(block)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    if not size:
        path.unlink()
        raise InputError({"file": "is empty; choose a CSV file"})
    return size


def _mode(kind: str, mode: str) -> str:
    if kind == "hosts":
        return ""
    if (mode or MODES[0]) not in MODES:
        raise InputError({"mode": f"{mode!r} is not one of {', '.join(MODES)}"})
    return mode or MODES[0]


def _pending(session: Session, import_id: int, *states: str) -> models.Import:
    """Return an import in one of ``states``, locked: of two that decide on it, one is refused."""
    row = session.get(models.Import, import_id, with_for_update=True)
    if row is None:
        raise NotFoundError("import", import_id)
    if row.state not in states:
        done = "" if row.state in UNDECIDED else " already"
        raise ConflictError(f"import {import_id} is {row.state}{done}")
    return row

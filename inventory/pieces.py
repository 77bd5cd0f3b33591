"""Large files that arrive in pieces, so that a connection that breaks off costs one piece.

What has come of an upload lies in the uploads folder, its row says how much of that counts: any
process may take the next piece, and any may end at any point. A piece says where it begins and the
digest of all that came up to its end; so no piece is lost, taken twice, or glued on another file.

The digest of a file's pieces: of the first, SHA-256; of each further one, SHA-256 over the digest
so far and the SHA-256 of that piece, both in lower-case hexadecimal.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO

from sqlalchemy import select
from sqlalchemy.orm import Session

from inventory import uploads as imports
from inventory.csv_header import Reading
from inventory.uploads import Wish
from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.errors import (
    ConflictError,
    DiskFullError,
    ForbiddenError,
    InputError,
    NotFoundError,
    is_full_disk,
)
from patchmgr.services import audit

PIECE = 4 << 20  # bytes
MOST = 5  # unfinished uploads of one account
MEBIBYTE = 1 << 20


def chained(before: str, piece: bytes) -> str:
    """Return the digest of pieces with the digest ``before``, if any, and ``piece`` after them."""
    digest = hashlib.sha256(piece).hexdigest()
    return hashlib.sha256((before + digest).encode()).hexdigest() if before else digest


def begin(
    db: Database,
    wish: Wish,
    *,
    filename: str,
    size: int,
    modified: int,
    anew: bool = False,
    largest: int,
    uploads: Path,
    actor: str,
    now: datetime,
) -> int:
    """Return the id of an upload of a file: the one that ``actor`` left unfinished, or a new one.

    It is the same file when name, size and time of its last change are, unless ``anew`` says
    that it is another; then what was kept of that one is thrown away. ``wish`` is the latest that
    was said of it. Raises `ConflictError` for more than `MOST` at a time, `InputError`.
    """
    wish = imports.checked(db, wish)
    if not size:
        raise InputError({"file": "is empty; choose a CSV file"})
    if size > largest:
        limit = f"{largest // MEBIBYTE} MiB"
        why = f"is larger than {limit}; split it, or import it by command, which has no limit"
        raise InputError({"file": why})
    name = imports.shown_name(filename)
    with db.writing() as session:
        unfinished = _unfinished(session, actor)
        same = [
            row
            for row in unfinished
            if (row.filename, row.size, row.modified) == (name, size, modified)
        ]
        if same and not anew and _is_kept(uploads / same[0].stored, same[0].received):
            same[0].wish = _plain(wish)
            return same[0].id
        if not same and len(unfinished) >= MOST:
            raise ConflictError(f"{MOST} of your uploads are unfinished: finish or discard one")
        for row in same:
            session.delete(row)
        row = models.Upload(
            wish=_plain(wish),
            filename=name,
            stored=imports.new_name(wish.kind),
            size=size,
            modified=modified,
            piece=PIECE,
            received=0,
            digest="",
            uploaded_by=actor,
            begun_at=now,
            heard_at=now,
            import_id=None,
        )
        session.add(row)
        session.flush()
        _record(session, "upload.begin", row, actor, now)
    for other in same:
        (uploads / other.stored).unlink(missing_ok=True)
    return row.id


def take(
    db: Database,
    upload_id: int,
    piece: bytes,
    *,
    offset: int,
    digest: str,
    uploads: Path,
    actor: str,
    now: datetime,
) -> None:
    """Keep a ``piece`` that begins at ``offset``; the last one makes an import of the file.

    The same piece again changes nothing. Raises `ConflictError` when another is due, `InputError`
    when it is not as it was sent or of another file, `ForbiddenError`, `NotFoundError`.
    """
    with db.reading() as session:
        path = uploads / _own(session, upload_id, actor).stored
    with _alone(path) as file:
        with db.reading() as session:
            row = _own(session, upload_id, actor)
        if (offset + len(piece), digest) == (row.received, row.digest):
            return  # the answer to it was lost on its way
        _check(row, piece, offset, digest)
        if os.fstat(file.fileno()).st_size < offset:
            raise ConflictError(
                f"of upload {upload_id} nothing is kept on this machine: discard it, and send the "
                "file again; where there are several, they need the uploads folder in common"
            )
        _write(file, piece, offset)
        with db.writing() as session:
            row = _own(session, upload_id, actor, locked=True)
            row.received, row.digest, row.heard_at = offset + len(piece), digest, now
            if row.received == row.size:
                row.import_id = imports.add(
                    session,
                    _wish(row),
                    filename=row.filename,
                    stored=row.stored,
                    size=row.size,
                    actor=actor,
                    now=now,
                )


def discard(db: Database, upload_id: int, *, uploads: Path, actor: str, now: datetime) -> str:
    """Throw away what is kept of an upload; return its file's name.

    Raises `ConflictError` once it is whole, `NotFoundError`.
    """
    with db.writing() as session:
        row = _get(session, upload_id, locked=True)
        if row.import_id is not None:
            raise ConflictError(f"upload {upload_id} is whole: see import {row.import_id}")
        session.delete(row)
        _record(session, "upload.discard", row, actor, now)
    (uploads / row.stored).unlink(missing_ok=True)
    return row.filename


def _check(row: models.Upload, piece: bytes, offset: int, digest: str) -> None:
    """Raise `ConflictError` or `InputError` unless ``piece`` is the next one of ``row``."""
    if row.import_id is not None:
        raise ConflictError(f"upload {row.id} is whole: see import {row.import_id}")
    if offset != row.received:
        raise ConflictError(f"upload {row.id} goes on at {row.received}, not at {offset}")
    due = min(row.piece, row.size - offset)
    if len(piece) != due:
        raise InputError({"body": f"has {len(piece)} bytes; the piece at {offset} has {due}"})
    if digest != chained(row.digest, piece):
        why = "is not that of what was sent: the piece came damaged, or is of another file"
        raise InputError({"digest": why})


def _write(file: IO[bytes], piece: bytes, offset: int) -> None:
    """Let ``file`` end with ``piece`` at ``offset``. Raises `DiskFullError`: then it ends there."""
    try:
        file.seek(offset)
        rest = memoryview(piece)
        while rest:
            rest = rest[file.write(rest) :]
        file.truncate()
        os.fsync(file.fileno())
    except OSError as error:
        if not is_full_disk(error):
            raise
        with suppress(OSError):
            file.truncate(offset)
        raise DiskFullError("what came before this piece is kept") from error


@contextmanager
def _alone(path: Path) -> Iterator[IO[bytes]]:
    """Open the file at ``path``, made when missing; others who want to write to it wait."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _is_kept(path: Path, received: int) -> bool:
    return not received or (path.is_file() and path.stat().st_size >= received)


def _unfinished(session: Session, actor: str) -> list[models.Upload]:
    upload = models.Upload
    mine = select(upload).where(upload.uploaded_by == actor, upload.import_id.is_(None))
    return list(session.scalars(mine.order_by(upload.id)))


def _plain(wish: Wish) -> dict[str, object]:
    """Return ``wish`` as `_wish` reads it back."""
    return asdict(wish)


def _wish(row: models.Upload) -> Wish:
    return Wish(**{**row.wish, "how": Reading(**row.wish["how"])})


def _own(session: Session, upload_id: int, actor: str, *, locked: bool = False) -> models.Upload:
    row = _get(session, upload_id, locked=locked)
    if row.uploaded_by != actor:
        raise ForbiddenError(f"upload {upload_id} is {row.uploaded_by}'s, who alone can go on")
    return row


def _get(session: Session, upload_id: int, *, locked: bool) -> models.Upload:
    row = session.get(models.Upload, upload_id, with_for_update=locked)
    if row is None:
        raise NotFoundError("upload", upload_id)
    return row


def _record(session: Session, action: str, row: models.Upload, actor: str, now: datetime) -> None:
    details = {"file": row.filename, "size": row.size}
    subject = f"upload {row.id}"
    audit.record(session, at=now, actor=actor, action=action, subject=subject, details=details)

"""Whose bundles are taken: keys that somebody named by their fingerprint, once.

They are kept in a file of the home, a line each: the fingerprint, when and by whom. Taking a line
out ends the trust.
"""

import re
from datetime import datetime
from pathlib import Path

from patchmgr.db.session import Database
from patchmgr.errors import ConflictError, InputError
from patchmgr.feeds.bundle.reading import Bundle
from patchmgr.services import audit, drafts, signing

FILE = "trusted-bundle-keys"
_FINGERPRINT = re.compile(r"(?:SHA256:)?([0-9a-f]{64})", re.IGNORECASE | re.ASCII)
_LARGEST = 1024 * 1024  # bytes of a key or of the file


def signed_by(bundle: Bundle) -> str:
    """Return the fingerprint of the key that signed ``bundle``.

    Raises `InputError` when the signature is not of its manifest, or not by the key it names.
    """
    where = f"{bundle.where}: manifest.json"
    key = signing.public_key(bundle.signer.public.encode(), where)
    if not signing.signed(key, bundle.signature, bundle.signed):
        raise InputError({where: "not as it was signed: changed since, or signed by another key"})
    return signing.fingerprint(key)


def require(bundle: Bundle, fingerprint: str, *, key: str | None, home: Path) -> None:
    """Raise `ConflictError`, saying what to do, unless the bundle's key is trusted.

    ``key`` is the one that must have signed this time: a fingerprint, or a file with it in PEM.
    """
    if key is not None:
        wanted = fingerprint_of(key)
        if fingerprint != wanted:
            raise ConflictError(f"{bundle.where}: signed by {fingerprint}, not by {wanted}")
        return
    if fingerprint not in trusted(home):
        raise ConflictError(
            f"{bundle.where}: signed by {fingerprint}, which is not trusted here; compare it with "
            "what patchmgr reports key prints where the bundle was made, then add: "
            f"--trust {fingerprint}"
        )


def fingerprint_of(key: str) -> str:
    """Return the fingerprint that ``key`` is, or that of the public key in the file it names."""
    if match := _FINGERPRINT.fullmatch(key):
        return f"SHA256:{match[1].lower()}"
    path = Path(key)
    return signing.fingerprint(signing.public_key(_bounded(path), key))


def trusted(home: Path) -> set[str]:
    """Return the fingerprints that are trusted. Raises `InputError` for a line that is none."""
    path = home / FILE
    if not path.exists():
        return set()
    found = set()
    lines = _bounded(path).decode("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, 1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        match = _FINGERPRINT.fullmatch(word)
        if match is None:
            raise InputError({f"{path}: line {number}": f"{word[:80]!r} is no key's fingerprint"})
        found.add(f"SHA256:{match[1].lower()}")
    return found


def remember(db: Database, fingerprint: str, *, home: Path, actor: str, now: datetime) -> None:
    """Trust the key ``fingerprint`` from now on."""
    if fingerprint in trusted(home):
        return
    with db.writing() as session:
        audit.record(session, at=now, actor=actor, action="feeds.trust", subject=fingerprint)
    path = home / FILE
    before = _bounded(path) if path.exists() else b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    line = f"{fingerprint}  # {now:%Y-%m-%dT%H:%M:%SZ} {actor}\n"
    try:
        with drafts.draft(path, mode=drafts.PRIVATE) as begun:
            begun.write_bytes(before + line.encode())
    except OSError as error:
        raise ConflictError(f"{path}: {error.strerror}") from error


def _bounded(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError({str(path): "too large to hold a key"})
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(
            {str(path): f"neither a fingerprint nor a readable file: {why}"}
        ) from error

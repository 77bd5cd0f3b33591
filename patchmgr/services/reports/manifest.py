"""The manifest of a report: the digest of every file, signed, so that a changed file shows.

The signature is Ed25519 over the manifest's bytes. It says that nothing was changed since, and by
its key's fingerprint who vouches for it; whoever verifies compares that with one they trust.
Verifying needs neither database nor home, and OpenSSL can do it as well (docs/reports.md).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from patchmgr.errors import InputError, NotFoundError
from patchmgr.services import signing
from patchmgr.services.signing import PUBLIC_FILE, fingerprint, public_pem

MANIFEST = "manifest.json"
SIGNATURE = ".sig"  # after the manifest's name
FORMAT = "patchmgr report manifest 1"
LARGEST = 16 * 1024 * 1024  # bytes of a manifest that verification is willing to read


@dataclass(frozen=True, slots=True)
class FileCheck:
    """A file that the manifest names, or one that lies beside them without being named."""

    name: str
    state: str  # "good", "changed", "missing", "extra"


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a report since it was signed. An extra file is told, and changes nothing."""

    manifest: Path
    files: tuple[FileCheck, ...]
    signed: bool  # the signature is of this manifest, by the key that it names
    fingerprint: str  # of that key
    trusted: bool | None  # it is the key that was asked for; None: none was
    as_of: str

    @property
    def good(self) -> bool:
        intact = all(file.state in ("good", "extra") for file in self.files)
        return self.signed and intact and self.trusted is not False


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(
    path: Path, files: Mapping[str, Path], content: Mapping[str, object], key: Ed25519PrivateKey
) -> None:
    """Write the manifest of ``files`` to ``path``, and its signature beside it.

    ``files`` are named as they will lie beside the manifest; ``content`` is what it says besides.
    """
    public = key.public_key()
    body = {
        "format": FORMAT,
        **content,
        "files": {
            name: {"sha256": digest(file), "bytes": file.stat().st_size}
            for name, file in sorted(files.items())
        },
        "key": {
            "algorithm": "Ed25519",
            "fingerprint": fingerprint(public),
            "public": public_pem(public).decode(),
        },
    }
    data = (json.dumps(body, ensure_ascii=False, indent=1) + "\n").encode()
    path.write_bytes(data)
    path.with_name(path.name + SIGNATURE).write_bytes(key.sign(data))


def verify(path: Path, *, key: Path | None = None) -> Verification:
    """Return whether a report is as it was signed.

    ``path`` is a report's folder, its manifest, or a single report file with its manifest beside
    it; ``key`` a public key (PEM) that must have signed it. Raises `NotFoundError` when there is
    no manifest, `InputError` when it cannot be read.
    """
    where = _manifest_of(path)
    data = _bounded(where)
    body = _read(where, data)
    public = signing.public_key(body["key"]["public"].encode(), str(where))
    signature = where.with_name(where.name + SIGNATURE)
    given = None if key is None else fingerprint(signing.public_key(_bounded(key), str(key)))
    return Verification(
        manifest=where,
        files=(*_checked(where.parent, body["files"]), *_extra(where, body["files"])),
        signed=signature.is_file() and signing.signed(public, _bounded(signature), data),
        fingerprint=fingerprint(public),
        trusted=None if given is None else given == fingerprint(public),
        as_of=str(body.get("as_of", "")),
    )


def _manifest_of(path: Path) -> Path:
    if path.is_dir():
        candidates = [path / MANIFEST]
        if not candidates[0].is_file():
            candidates = sorted(path.glob(f"*.{MANIFEST}"))
        if len(candidates) > 1:
            raise InputError(f"{path} holds several reports; name one of the files")
    elif path.name == MANIFEST or path.name.endswith(f".{MANIFEST}"):
        candidates = [path]
    else:
        candidates = [path.with_name(f"{path.name}.{MANIFEST}"), path.with_name(MANIFEST)]
    found = next((each for each in candidates if each.is_file()), None)
    if found is None:
        raise NotFoundError("manifest for", str(path))
    return found


def _bounded(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise InputError({str(path): "too large to be part of a manifest"})
        return path.read_bytes()
    except OSError as error:
        raise InputError({str(path): str(error.strerror)}) from error


def _read(path: Path, data: bytes) -> dict[str, Any]:
    """Return the manifest, checked for what verification reads of it."""
    try:
        body = json.loads(data)
        files = {str(name): str(entry["sha256"]) for name, entry in body["files"].items()}
        known = body["format"] == FORMAT and isinstance(body["key"]["public"], str)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError({str(path): "is not a report's manifest"}) from error
    if not known:
        raise InputError({str(path): f"is not a manifest of the form {FORMAT!r}"})
    if outside := [name for name in files if Path(name).name != name or name in ("", ".", "..")]:
        raise InputError({str(path): f"names a file elsewhere: {outside[0]!r}"})
    return {**body, "files": files}


def _checked(folder: Path, files: Mapping[str, str]) -> Iterable[FileCheck]:
    for name, expected in sorted(files.items()):
        file = folder / name
        if not file.is_file():
            yield FileCheck(name, "missing")
        else:
            yield FileCheck(name, "good" if digest(file) == expected else "changed")


def _extra(manifest: Path, files: Mapping[str, str]) -> Iterable[FileCheck]:
    """Yield what else lies in a folder that is a report's own."""
    if manifest.name != MANIFEST:
        return
    own = {*files, MANIFEST, MANIFEST + SIGNATURE, PUBLIC_FILE}
    for each in sorted(manifest.parent.iterdir()):
        if each.name not in own:
            yield FileCheck(each.name, "extra")

"""The manifest of a report: the digest of every file, signed, so that a changed file shows.

The signature is Ed25519 over the manifest's bytes. It says that nothing was changed since, and by
its key's fingerprint who vouches for it; whoever verifies compares that with one they trust.
Verifying needs neither database nor home, and OpenSSL can do it as well (docs/reports.md).
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from patchmgr.errors import ConflictError, InputError, NotFoundError

MANIFEST = "manifest.json"
SIGNATURE = ".sig"  # after the manifest's name
KEY_FILE = "report-key.pem"
PUBLIC_FILE = "report-key.pub"
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


def signing_key(home: Path) -> Ed25519PrivateKey:
    """Return the key that signs this installation's reports, made on first use (mode 0600)."""
    path = home / KEY_FILE
    if not path.exists():
        _make_key(path)
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConflictError(f"{path} holds no usable private key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConflictError(f"{path} holds no Ed25519 key")
    return key


def _make_key(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    )
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)  # whole or not at all; the first one stays
    draft.unlink()


def public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return "SHA256:" and the digest of the key in DER, hex."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"SHA256:{hashlib.sha256(der).hexdigest()}"


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
    public = _public_key(body["key"]["public"].encode(), str(where))
    signature = where.with_name(where.name + SIGNATURE)
    given = None if key is None else fingerprint(_public_key(_bounded(key), str(key)))
    return Verification(
        manifest=where,
        files=(*_checked(where.parent, body["files"]), *_extra(where, body["files"])),
        signed=signature.is_file() and _signed(public, _bounded(signature), data),
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


def _public_key(pem: bytes, where: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError({where: "holds no public key in PEM form"}) from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError({where: "holds a key that is not Ed25519"})
    return key


def _signed(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


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

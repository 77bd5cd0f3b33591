"""The key that signs what leaves this installation, and who signed what comes in.

Ed25519. A signature is worth as much as its key: whoever verifies compares the key's fingerprint
with one they trust.
"""

import hashlib
from pathlib import Path

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

from patchmgr.errors import ConflictError, InputError
from patchmgr.services import drafts

KEY_FILE = "report-key.pem"
PUBLIC_FILE = "report-key.pub"


def signing_key(home: Path) -> Ed25519PrivateKey:
    """Return the key that signs this installation's reports and bundles, made on first use.

    Only its owner can read it. Raises `ConflictError` when the file holds no such key.
    """
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
    with drafts.draft(path, mode=drafts.PRIVATE, first_stays=True) as begun:
        begun.write_bytes(
            Ed25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            )
        )


def public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return "SHA256:" and the digest of the key in DER, hex."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"SHA256:{hashlib.sha256(der).hexdigest()}"


def public_key(pem: bytes, where: str) -> Ed25519PublicKey:
    """Return the key in ``pem``. Raises `InputError` naming ``where``."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError({where: "holds no public key in PEM form"}) from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError({where: "holds a key that is not Ed25519"})
    return key


def signed(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    """Return whether ``signature`` is of ``data``, by ``key``."""
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True

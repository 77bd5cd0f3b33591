"""The signature that apk's indexes carry.

Source: apk-tools 2, ``apk_sign_ctx``: `APKINDEX.tar.gz` is two gzip streams one after the other.
The first is a tar archive of ``.SIGN.RSA.<name of the key>`` (``RSA256``, ``RSA512``), a PKCS#1
v1.5 signature of the second stream as it is sent.
"""

import zlib
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import tar

_LARGEST = 1 << 16  # bytes of all signatures, unpacked
_KINDS: dict[str, hashes.HashAlgorithm] = {
    ".SIGN.RSA.": hashes.SHA1(),  # noqa: S303 -- what apk-tools has signed with ever since
    ".SIGN.RSA256.": hashes.SHA256(),
    ".SIGN.RSA512.": hashes.SHA512(),
}


def check(url: str, body: bytes, keys: Mapping[str, bytes]) -> None:
    """Raise `FeedMalformedError` unless one of ``keys`` signed ``body``; they are PEM, by name."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        head = unpacker.decompress(body, _LARGEST)
        signatures = list(tar.members(url, head)) if unpacker.eof and tar.is_tar(head) else []
    except zlib.error as error:
        raise FeedMalformedError(f"{url}: damaged or cut off: {error}") from error
    signed = unpacker.unused_data
    signers: list[str] = []
    for member, signature in signatures:
        kind = next((each for each in _KINDS if member.startswith(each)), "")
        if not (kind and signed):
            continue
        name = member.removeprefix(kind)
        signers.append(name[:100])
        if name in keys and _holds(_key(name, keys[name]), signature, signed, _KINDS[kind]):
            return
    if not signers:
        raise FeedMalformedError(f"{url}: is not signed, and keys of its vendor are set")
    raise FeedMalformedError(
        f"{url}: its signature does not hold: none of {', '.join(signers)} is a key that is set"
        " and signed this"
    )


def _key(name: str, pem: bytes) -> RSAPublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FeedMalformedError(f"the key {name} cannot be read: {error}") from error
    if not isinstance(key, RSAPublicKey):
        raise FeedMalformedError(f"the key {name} is none of RSA")
    return key


def _holds(
    key: RSAPublicKey, signature: bytes, signed: bytes, algorithm: hashes.HashAlgorithm
) -> bool:
    try:
        key.verify(signature, signed, PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True

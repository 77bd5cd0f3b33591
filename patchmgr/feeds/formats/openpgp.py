"""Documents signed in clear text with OpenPGP, such as an archive's InRelease.

Source: RFC 9580, section 7 (cleartext signature framework); verified by Sequoia.
"""

from collections.abc import Iterable

from pysequoia import Cert, verify

from patchmgr.errors import FeedMalformedError

BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"


def verified(url: str, clearsigned: bytes, keyrings: Iterable[bytes]) -> bytes:
    """Return the text of ``clearsigned`` that a key of ``keyrings`` has signed.

    Each keyring holds certificates, armoured or not. Keys and signatures must be valid now: an
    expired or revoked key signs nothing. What stands before or after the signed text is not
    returned. Raises `FeedMalformedError` when there is no signature, no key, or none that fits.
    """
    if not clearsigned.startswith(BEGIN):
        raise FeedMalformedError(f"{url}: is not signed in clear text; give the signed InRelease")
    keys = [key for keyring in keyrings for key in _keys(url, keyring)]
    if not keys:
        raise FeedMalformedError(
            f"{url}: there is no key to verify its signature with; name the directory of the"
            " vendor's keyrings in the setting archive_keys"
        )
    signers: list[str] = []

    def candidates(wanted: list[str]) -> list[Cert]:
        signers.extend(wanted)
        return keys

    try:
        signed = verify(clearsigned, candidates).bytes
    except RuntimeError as error:  # what Sequoia raises for everything
        why = str(error).partition("\n")[0].rstrip(".")
        by = f" (signed by {', '.join(signers)})" if signers else ""
        raise FeedMalformedError(f"{url}: its signature does not hold: {why}{by}") from error
    if not signed:
        raise FeedMalformedError(f"{url}: there is nothing in what is signed")
    return signed


def _keys(url: str, keyring: bytes) -> list[Cert]:
    try:
        return Cert.split_bytes(keyring)
    except RuntimeError as error:
        why = str(error).partition("\n")[0]
        raise FeedMalformedError(
            f"{url}: a keyring to verify its signature with cannot be read: {why}"
        ) from error

"""Documents signed with OpenPGP: in clear text, such as an archive's InRelease, or beside.

Source: RFC 9580, section 7 (cleartext signature framework) and 10.4 (detached signatures);
verified by Sequoia.
"""

from collections.abc import Iterable

from pysequoia import Cert, Sig, verify

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
    signed = _verify(url, clearsigned, None, keyrings)
    if not signed:
        raise FeedMalformedError(f"{url}: there is nothing in what is signed")
    return signed


def check_detached(url: str, body: bytes, signature: bytes, keyrings: Iterable[bytes]) -> None:
    """Raise `FeedMalformedError` unless ``signature`` is one of ``body`` by a key of ``keyrings``.

    Keys and signatures must be valid now.
    """
    _verify(url, body, _signature(url, signature), keyrings)


def binary(url: str, signature: bytes) -> bytes:
    """Return a detached signature without its armour. Raises `FeedMalformedError` for none."""
    return bytes(_signature(url, signature))


def _signature(url: str, signature: bytes) -> Sig:
    try:
        return Sig.from_bytes(signature)
    except RuntimeError as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise FeedMalformedError(f"{url}: is no OpenPGP signature: {why}") from error


def _verify(url: str, body: bytes, beside: Sig | None, keyrings: Iterable[bytes]) -> bytes | None:
    """Return what ``body`` says that was signed, in itself or with a signature ``beside`` it."""
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
        return verify(body, candidates, signature=beside).bytes
    except RuntimeError as error:  # what Sequoia raises for everything
        why = str(error).partition("\n")[0].rstrip(".")
        by = f" (signed by {', '.join(signers)})" if signers else ""
        raise FeedMalformedError(f"{url}: its signature does not hold: {why}{by}") from error


def _keys(url: str, keyring: bytes) -> list[Cert]:
    try:
        return Cert.split_bytes(keyring)
    except RuntimeError as error:
        why = str(error).partition("\n")[0]
        raise FeedMalformedError(
            f"{url}: a keyring to verify its signature with cannot be read: {why}"
        ) from error

"""What vendors sign, and the keys that say whether it is theirs.

apt's archives sign their `InRelease` in clear text. An rpm-md repository has a signature of its
`repomd.xml` beside it, `repomd.xml.asc`; apk's `APKINDEX.tar.gz` carries its own. Not every vendor
signs, so the two latter are asked for only where keys of that vendor are known: then what is not
signed by one of them is refused, and so is what a signed index names without a digest.
"""

import base64
import binascii

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Page
from patchmgr.feeds.formats import apk_signature, openpgp, repomd
from patchmgr.feeds.formats.labels import labelled, labels_of, says_its_digest, without_labels
from patchmgr.feeds.keys import Keys

SIGNATURE = ".asc"  # behind the name of what is signed
_LABEL = "signature"
_LONGEST = 1500  # bytes of a signature, for it becomes a part of an address; of RSA 4096: 566
_BEGIN = b"-----BEGIN PGP SIGNATURE-----"


def check_apk(keys: Keys, url: str, body: bytes, platform: str) -> bool:
    """Return whether ``body``, as it was sent, is an index signed by a key of its platform.

    False when no key must have signed it. Raises `FeedMalformedError` when one must have.
    """
    known = keys.of_apk(url, platform)
    if known:
        apk_signature.check(url, body, known)
    return bool(known)


def rpm_index(keys: Keys, url: str, body: bytes, platform: str, *wanted: str) -> Page | None:
    """Return what of a `repomd.xml` to read, each ``wanted`` type of data; None: it has none.

    Where keys are known, that is its signature first, and then itself again with that signature in
    its address. Raises `FeedMalformedError` for one that no known key has signed.
    """
    keyrings = keys.of_rpm(url, platform)
    if not keyrings:
        found = repomd.addresses(url, body, *wanted)
        return Page(follow=tuple(found.values())) if found else None
    said = labels_of(url)
    if _LABEL not in said:
        return Page(follow=(labelled(f"{without_labels(url)}{SIGNATURE}", **said),))
    try:
        signature = base64.urlsafe_b64decode(said[_LABEL])
    except binascii.Error as error:
        raise FeedMalformedError(f"{without_labels(url)}: its signature is none") from error
    openpgp.check_detached(without_labels(url), body, signature, keyrings)
    plain = labelled(without_labels(url), **{n: word for n, word in said.items() if n != _LABEL})
    found = repomd.addresses(plain, body, *wanted)
    for address in found.values():
        if not says_its_digest(address):
            raise FeedMalformedError(f"{plain}: is signed, but gives no digest of {address}")
    return Page(follow=tuple(found.values()), is_verified=True) if found else None


def is_of_rpm_index(url: str, body: bytes) -> bool:
    """Return whether ``body`` is what an rpm-md repository has in the place of a signature."""
    return without_labels(url).endswith(f"repomd.xml{SIGNATURE}") or body.startswith(_BEGIN)


def rpm_signature(url: str, body: bytes) -> Page:
    """Return the index that the signature ``body`` is of, to be read with it."""
    signature = openpgp.binary(without_labels(url), body)
    if len(signature) > _LONGEST:
        raise FeedMalformedError(f"{without_labels(url)}: a signature of {len(signature)} bytes")
    index = without_labels(url).removesuffix(SIGNATURE)
    text = base64.urlsafe_b64encode(signature).decode()
    return Page(follow=(labelled(index, **labels_of(url), **{_LABEL: text}),))


def refuse_unnamed(keys: Keys, url: str, platform: str) -> None:
    """Raise `FeedMalformedError` for a document of an rpm-md repository that nobody vouches for."""
    if keys.of_rpm(url, platform) and not says_its_digest(url):
        raise FeedMalformedError(
            f"{url}: keys of its vendor are set, and no signed index names it with a digest"
        )

"""The index of an rpm-md repository, `repodata/repomd.xml`: where its other documents are.

Source: createrepo_c's `repomd.xml`: of each data its type, location relative to the repository,
and the digests of the document packed (``checksum``) and unpacked (``open-checksum``).
"""

from urllib.parse import urljoin, urlsplit

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.formats import xml
from patchmgr.feeds.formats.labels import DIGESTS, labelled, labels_of, without_labels

INDEX = "repodata/repomd.xml"


def addresses(url: str, body: bytes, *wanted: str) -> dict[str, str]:
    """Return the address of each ``wanted`` type of data that the repository has, by type.

    An address has the labels of ``url`` and the digest of the document behind it. Raises
    `FeedMalformedError` for what is not such an index, and for a location on another server.
    """
    index = xml.root(url, body, "repomd")
    found: dict[str, str] = {}
    for data in xml.children(index, "data"):
        kind = data.get("type", "")
        if kind in wanted and kind not in found:
            found[kind] = _address(url, data)
    if not found and xml.child(index, "data") is None:
        raise FeedMalformedError(f"{url}: an index of no documents at all")
    return found


def _address(url: str, data: xml.Element) -> str:
    location = xml.child(data, "location")
    href = location.get("href", "") if location is not None else ""
    here = without_labels(url)
    try:
        target = urljoin(here.removesuffix("repomd.xml").removesuffix("repodata/"), href)
        elsewhere = urlsplit(target)[:2] != urlsplit(here)[:2]
    except ValueError as error:
        raise FeedMalformedError(f"{url}: {href[:200]!r} is not an address: {error}") from error
    if not href or elsewhere:
        raise FeedMalformedError(f"{url}: {href[:200]!r} is not a location in its repository")
    return labelled(without_labels(target), **labels_of(url), **_digest(data))


def _digest(data: xml.Element) -> dict[str, str]:
    """Return the digest of the content; a document that is not packed has only one."""
    checksum = xml.child(data, "open-checksum")
    if checksum is None:
        checksum = xml.child(data, "checksum")
    kind = checksum.get("type", "") if checksum is not None else ""
    return {kind: xml.text(checksum)} if kind in DIGESTS else {}

"""XML read safely: no entities, no network, no document type; large documents piece by piece."""

import io
from collections.abc import Iterator
from typing import Any, TypeAlias

from lxml import etree

from patchmgr.errors import FeedMalformedError

Element: TypeAlias = Any  # of lxml, which is published without types
_SAFE = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}


def root(url: str, body: bytes, *expected: str) -> Element:
    """Return the root element of ``body``; its local name must be one of ``expected``.

    Raises `FeedMalformedError` when it is not whole XML, has a document type, or another root.
    """
    try:
        found = etree.fromstring(body, etree.XMLParser(**_SAFE))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise FeedMalformedError(f"{url}: not whole XML: {error}") from error
    _check(url, found, expected)
    return found


def root_name(url: str, body: bytes) -> str:
    """Return the local name of the root element without reading further.

    Raises `FeedMalformedError` when ``body`` does not begin like XML, or has a document type.
    """
    try:
        events = etree.iterparse(io.BytesIO(body), events=("start",), **_SAFE)
        _event, found = next(events)
    except (etree.XMLSyntaxError, ValueError, StopIteration) as error:
        raise FeedMalformedError(f"{url}: not whole XML: {error}") from error
    _check(url, found, (local(found),))
    return local(found)


def elements(
    url: str, body: bytes, tag: str | tuple[str, ...], *expected: str
) -> Iterator[Element]:
    """Yield each element whose local name is ``tag`` or one of them, forgetting it afterwards.

    Memory stays that of the largest element, however long the document, as long as it consists of
    such elements. Raises as `root` does, the end of a document that is cut off included.
    """
    tags = frozenset((tag,) if isinstance(tag, str) else tag)
    checked = False
    try:
        for _event, element in etree.iterparse(io.BytesIO(body), events=("end",), **_SAFE):
            if not checked:
                _check(url, element.getroottree().getroot(), expected)
                checked = True
            if local(element) in tags:
                yield element
                _forget(element)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise FeedMalformedError(f"{url}: not whole XML: {error}") from error


def local(element: Element) -> str:
    """Return the name of ``element`` without its namespace; "" for a comment."""
    # Not `etree.QName`, which refuses some namespaces that the parser lets pass.
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def children(element: Element, name: str) -> Iterator[Element]:
    """Yield the children of local name ``name``, whatever namespace the vendor gives them."""
    return (child for child in element if local(child) == name)


def child(element: Element, name: str) -> Element | None:
    """Return the first child of local name ``name``."""
    return next(children(element, name), None)


def text(element: Element | None, name: str = "") -> str:
    """Return the text of ``element``, or of its child ``name``, without blanks around; else ""."""
    found = child(element, name) if element is not None and name else element
    return (found.text or "").strip() if found is not None else ""


def _check(url: str, found: Element, expected: tuple[str, ...]) -> None:
    if found.getroottree().docinfo.doctype:
        raise FeedMalformedError(f"{url}: has a document type, which is refused")
    if local(found) not in expected:
        raise FeedMalformedError(
            f"{url}: a document of <{local(found)[:80]}>, not of <{'> or <'.join(expected)}>"
        )


def _forget(element: Element) -> None:
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]

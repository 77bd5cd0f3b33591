"""CVRF, the Common Vulnerability Reporting Framework, versions 1.1 and 1.2, as plain values.

Source: ICASI's CVRF 1.1 and OASIS' CSAF CVRF 1.2. Vendors differ in namespaces, in prefixes and in
what they leave out, so that everything but the document's id may be empty, and names of products
are to be looked up. Microsoft adds fields to a remediation: the build that has the fix, whether a
restart is needed, and the kind of update.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.formats import xml

ROOT = "cvrfdoc"
NAME = 200  # characters of the longest name or id that is believed
_DEEP = 20  # branches within branches


@dataclass(frozen=True, slots=True)
class Product:
    name: str
    cpe: str
    branches: tuple[tuple[str, str], ...]  # (type, name) of the branches it is on, outermost first


@dataclass(frozen=True, slots=True)
class Component:
    """A product that is a part of another one; both by their ids."""

    part: str
    whole: str


@dataclass(frozen=True, slots=True)
class Threat:
    kind: str  # "Impact", "Severity"
    text: str
    products: tuple[str, ...]  # none: all


@dataclass(frozen=True, slots=True)
class Remediation:
    kind: str  # "Vendor Fix", "Known Issue", "Workaround"
    text: str
    products: tuple[str, ...]
    subtype: str
    fixed_build: str
    restart: str  # "Yes", "No", "Maybe"


@dataclass(frozen=True, slots=True)
class Vulnerability:
    id: str  # a CVE, or the vendor's own
    title: str
    published: datetime | None
    statuses: tuple[tuple[str, tuple[str, ...]], ...]  # ("Fixed", ids of products)
    threats: tuple[Threat, ...]
    remediations: tuple[Remediation, ...]

    def products(self, *statuses: str) -> tuple[str, ...]:
        """Return the products that have one of ``statuses``, each once."""
        found = (each for status, ids in self.statuses if status in statuses for each in ids)
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Document:
    id: str
    title: str
    published: datetime | None
    severity: str  # for the document as a whole
    url: str  # of the vendor's page about it
    tree: tuple[tuple[str, Product], ...]  # (id, product); a vendor may give an id several times
    components: Mapping[str, Component]
    vulnerabilities: tuple[Vulnerability, ...]

    @property
    def products(self) -> dict[str, Product]:
        """Return the products by id, the first of each: it is the one that is on a branch."""
        return dict(reversed(self.tree))


def document(url: str, body: bytes) -> Document:
    """Return what the CVRF document at ``url`` says.

    Raises `FeedMalformedError` when it is not whole XML, not CVRF, or has no id.
    """
    head, found = None, []
    for element in xml.elements(url, body, "Vulnerability", ROOT):
        if head is None:  # what precedes the first vulnerability is complete now, and gone after it
            head = _head(url, element.getroottree().getroot())
        found.append(_vulnerability(element))
    if head is None:
        head = _head(url, xml.root(url, body, ROOT))
    return replace(head, vulnerabilities=tuple(found))


def instant(text: str) -> datetime | None:
    """Return the instant that ``text`` names in ISO 8601, in UTC when it names no zone."""
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _head(url: str, root: xml.Element) -> Document:
    tracking, tree = xml.child(root, "DocumentTracking"), xml.child(root, "ProductTree")
    ident = xml.text(xml.child(tracking, "Identification"), "ID") if tracking is not None else ""
    if not is_name(ident):
        raise FeedMalformedError(f"{url}: a CVRF document without an id")
    return Document(
        id=ident,
        title=xml.text(root, "DocumentTitle"),
        published=instant(xml.text(tracking, "InitialReleaseDate")),
        severity=xml.text(root, "AggregateSeverity") or _noted(root, "Severity"),
        url=_page(root),
        tree=tuple(_products(tree, ())) if tree is not None else (),
        components=dict(_components(tree)) if tree is not None else {},
        vulnerabilities=(),
    )


def is_name(text: str) -> bool:
    return 0 < len(text) <= NAME and text.isprintable()


def _noted(root: xml.Element, title: str) -> str:
    notes = xml.child(root, "DocumentNotes")
    found = xml.children(notes, "Note") if notes is not None else ()
    return next((xml.text(note) for note in found if note.get("Title") == title), "")


def _page(root: xml.Element) -> str:
    references = xml.child(root, "DocumentReferences")
    found = xml.children(references, "Reference") if references is not None else ()
    own = (xml.text(each, "URL") for each in found if each.get("Type") == "Self")
    return next((url for url in own if is_name(url)), "")


def _products(
    branch: xml.Element, above: tuple[tuple[str, str], ...]
) -> Iterator[tuple[str, Product]]:
    for child in branch:
        name = xml.local(child)
        if name == "FullProductName":
            text = xml.text(child)[: NAME + 1]  # too long stays too long
            yield child.get("ProductID", ""), Product(text, child.get("CPE", ""), above)
        elif name == "Branch" and len(above) < _DEEP:
            here = child.get("Type", ""), child.get("Name", "")
            yield from _products(child, (*above, here))


def _components(tree: xml.Element) -> Iterator[tuple[str, Component]]:
    for each in xml.children(tree, "Relationship"):
        part = each.get("ProductReference", "")
        whole = each.get("RelatesToProductReference", "")
        for name in xml.children(each, "FullProductName"):
            yield name.get("ProductID", ""), Component(part, whole)


def _vulnerability(element: xml.Element) -> Vulnerability:
    parts = {xml.local(child): child for child in element}
    return Vulnerability(
        id=xml.text(parts.get("CVE")),
        title=xml.text(parts.get("Title")),
        published=_first(parts.get("RevisionHistory", ()))
        or instant(xml.text(parts.get("ReleaseDate"))),
        statuses=tuple(
            (each.get("Type", ""), _ids(each))
            for each in xml.children(parts.get("ProductStatuses", ()), "Status")
        ),
        threats=tuple(
            Threat(each.get("Type", ""), xml.text(each, "Description"), _ids(each))
            for each in xml.children(parts.get("Threats", ()), "Threat")
        ),
        remediations=tuple(
            _remediation(each)
            for each in xml.children(parts.get("Remediations", ()), "Remediation")
        ),
    )


def _first(revisions: Iterable[xml.Element]) -> datetime | None:
    dates = (instant(xml.text(each, "Date")) for each in revisions)
    return min((at for at in dates if at), default=None)


def _ids(element: xml.Element) -> tuple[str, ...]:
    return tuple(xml.text(each) for each in xml.children(element, "ProductID"))


def _remediation(element: xml.Element) -> Remediation:
    return Remediation(
        kind=element.get("Type", ""),
        text=xml.text(element, "Description"),
        products=_ids(element),
        subtype=xml.text(element, "SubType"),
        fixed_build=xml.text(element, "FixedBuild"),
        restart=xml.text(element, "RestartRequired"),
    )

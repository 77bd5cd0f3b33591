"""CSAF documents (advisories and VEX) about rpm packages, read into plain values.

Source: CSAF 2.0 of OASIS. Every product of the tree has an id; a relationship makes another one of
two: a package as a component of a product stream, or of a module that is itself a component of a
stream. A stream is known by its CPE, a package by its package URL, or by its id in documents that
have none.
"""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import msgspec

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import SetAside
from patchmgr.feeds.formats.purl import Package, package_of_id, package_url

_DEPTH = 4  # relationships from a package to its stream


class Helper(msgspec.Struct, frozen=True):
    cpe: str | None = None
    purl: str | None = None


class Product(msgspec.Struct, frozen=True):
    product_id: str
    product_identification_helper: Helper | None = None


class Branch(msgspec.Struct, frozen=True):
    product: Product | None = None
    branches: list["Branch"] = []


class Named(msgspec.Struct, frozen=True):
    product_id: str


class Relationship(msgspec.Struct, frozen=True):
    full_product_name: Named
    product_reference: str
    relates_to_product_reference: str


class Tree(msgspec.Struct, frozen=True):
    branches: list[Branch] = []
    full_product_names: list[Product] = []
    relationships: list[Relationship] = []


class Word(msgspec.Struct, frozen=True):
    """A threat or a remediation: of some products, or of all when it names none."""

    category: str
    details: str | None = None
    url: str | None = None
    date: str | None = None
    product_ids: list[str] | None = None


class Vulnerability(msgspec.Struct, frozen=True):
    cve: str | None = None
    product_status: dict[str, list[str]] = {}
    threats: list[Word] = []
    remediations: list[Word] = []


class Text(msgspec.Struct, frozen=True):
    text: str | None = None


class Publisher(msgspec.Struct, frozen=True):
    name: str | None = None


class Tracking(msgspec.Struct, frozen=True):
    id: str
    initial_release_date: str | None = None


class About(msgspec.Struct, frozen=True):
    tracking: Tracking
    category: str | None = None
    title: str | None = None
    publisher: Publisher | None = None
    aggregate_severity: Text | None = None


class _Csaf(msgspec.Struct, frozen=True):
    document: About
    product_tree: Tree = Tree()
    vulnerabilities: list[msgspec.Raw] = []


_decode = msgspec.json.Decoder(_Csaf).decode
_decode_vulnerability = msgspec.json.Decoder(Vulnerability).decode


@dataclass(frozen=True, slots=True)
class Component:
    """What a status speaks of: a product, the module it is in, the stream it is of and its CPE."""

    product: str  # "" for the stream itself
    module: str
    cpe: str
    stream: str = ""  # id of it


class OddProductError(Exception):
    """A product is not to be found in the tree, or is not described as a package."""


class Document:
    """The document at ``url``. Raises `FeedMalformedError` when it is none."""

    def __init__(self, url: str, body: bytes) -> None:
        whole = _whole(url, body)
        self.about = whole.document
        self.vulnerabilities: list[Vulnerability] = []
        self.set_aside: list[SetAside] = []
        self._products = {each.product_id: each for each in _products(whole.product_tree)}
        self._related = {
            each.full_product_name.product_id: each for each in whole.product_tree.relationships
        }
        for number, raw in enumerate(whole.vulnerabilities, 1):
            try:
                self.vulnerabilities.append(_decode_vulnerability(raw))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                ref = self.about.tracking.id[:80]
                self.set_aside.append(SetAside(ref, f"vulnerability {number}", str(error)))

    @property
    def products(self) -> Iterable[str]:
        """Return the ids of all products of the tree."""
        return self._products

    def component(self, product: str) -> Component:
        """Return what the id ``product`` stands for. Raises `OddProductError`."""
        named, module = "", ""
        at = product
        for _level in range(_DEPTH):
            relationship = self._related.get(at)
            if relationship is None:
                break
            reference = relationship.product_reference
            if not named:
                named = reference
            else:
                within = package_url(self._purl(reference))
                module = module or (within.module if within else "")
            at = relationship.relates_to_product_reference
        return Component(named, module, self._helper(at).cpe or "", at)

    def package(self, component: Component) -> Package | None:
        """Return the package that ``component`` is; None for a stream or a module itself.

        Raises `OddProductError`.
        """
        if not component.product:
            return None
        purl = self._purl(component.product)
        found = package_url(purl) if purl else package_of_id(component.product)
        if found is None:
            raise OddProductError(f"{(purl or component.product)[:120]!r} names no package")
        return replace(found, module=found.module or component.module) if found.name else None

    def _purl(self, product: str) -> str:
        return self._helper(product).purl or ""

    def _helper(self, product: str) -> Helper:
        found = self._products.get(product)
        if found is None:
            raise OddProductError(f"{product[:120]!r} is not in the product tree")
        return found.product_identification_helper or Helper()


def _whole(url: str, body: bytes) -> _Csaf:
    body = body.removeprefix(codecs.BOM_UTF8)
    if body[:64].lstrip().startswith(b"<"):
        raise FeedMalformedError(f"{url}: this is a page of HTML or XML, not a CSAF document")
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        raise FeedMalformedError(f"{url}: not a CSAF document: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedMalformedError(f"{url}: not whole JSON: {error}") from error


def _products(tree: Tree) -> Iterator[Product]:
    yield from tree.full_product_names
    waiting = list(tree.branches)
    while waiting:
        branch = waiting.pop()
        if branch.product is not None:
            yield branch.product
        waiting += branch.branches

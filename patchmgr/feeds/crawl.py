"""The one loop that walks a feed, over the network or over files alike."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from patchmgr.domain.advisories import Advisory, Kind
from patchmgr.domain.flaws import FlawNote, merged
from patchmgr.domain.lifecycle import Support
from patchmgr.domain.offers import Offer
from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.errors import FeedError, FeedGoneError, FeedMalformedError
from patchmgr.feeds.base import Feed, Page, SetAside
from patchmgr.feeds.formats.labels import says_its_state, without_labels
from patchmgr.feeds.formats.offers import newest
from patchmgr.feeds.unpack import MAX_UNPACKED, unpack

MOST_UNREAD = 20_000  # documents of a feed that may be set aside


@dataclass(frozen=True, slots=True)
class Document:
    """The body at an address, and what lets us ask later whether it has changed."""

    body: bytes  # as sent: perhaps compressed, or an archive of documents
    etag: str = ""
    last_modified: str = ""
    digest: str = ""  # SHA-256 of the body as it was sent, hex


class Fetch(Protocol):
    def __call__(self, url: str, *, unless_known: bool) -> Document | None:
        """Return the document; None when ``unless_known`` and it is the one already known."""
        ...


@dataclass(frozen=True, slots=True)
class Harvest:
    """All that a feed says now."""

    advisories: tuple[Advisory, ...]  # by ref
    documents: Mapping[str, Document]  # by URL, without their bodies
    set_aside: tuple[SetAside, ...]
    skipped: Mapping[str, int]
    notes: tuple[FlawNote, ...] = ()  # by CVE
    # Whether a document could not be read: what it said before may still hold.
    is_partial: bool = False
    offers: tuple[Offer, ...] = ()  # the newest of each package of each suite
    left_out: int = 0  # offers that were not wanted
    support: tuple[Support, ...] = ()  # by platform, package and level
    # When the first of its documents stops being true, and which; None: none of them says.
    expires: tuple[datetime, str] | None = None
    # When its documents were made, by address without labels, of those that say so.
    made: Mapping[str, datetime] = field(default_factory=dict)
    verified: tuple[str, ...] = ()  # addresses of documents that known keys have signed
    known: frozenset[str] = frozenset()  # addresses of ``documents`` that were not read again
    unread: frozenset[str] = frozenset()  # addresses of ``documents`` that are to be read again
    stands: frozenset[str] = frozenset()  # refs of advisories that stand, though not told again
    in_part: frozenset[str] = frozenset()  # refs of ``advisories`` that are not told whole

    @property
    def is_empty(self) -> bool:
        found = (self.advisories, self.notes, self.offers, self.support)
        return not (any(found) or self.left_out or self.known)


@dataclass(slots=True)
class _Basket:
    advisories: dict[str, Advisory] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    set_aside: list[SetAside] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    read: int = 0  # documents
    unread: list[FeedError] = field(default_factory=list)
    notes: dict[str, FlawNote] = field(default_factory=dict)
    offers: list[Offer] = field(default_factory=list)
    left_out: int = 0
    support: dict[tuple[str, str, str], Support] = field(default_factory=dict)
    expires: list[tuple[datetime, str]] = field(default_factory=list)
    made: dict[str, datetime] = field(default_factory=dict)
    verified: list[str] = field(default_factory=list)
    known: dict[str, Document] = field(default_factory=dict)
    not_read: set[str] = field(default_factory=set)  # addresses, or only in part
    stands: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)  # refs of which all there is has been told now
    in_part: dict[str, bool] = field(default_factory=dict)  # ref -> whether no document told it all


def crawl(
    feed: Feed,
    start: Iterable[str],
    fetch: Fetch,
    *,
    platform: str = "",
    follow: bool = True,
    max_unpacked: int = MAX_UNPACKED,
    wanted: Callable[[Offer], bool] = lambda _offer: True,
    keep: Callable[[str, Document], None] = lambda _url, _document: None,
    read_before: Mapping[str, Document] | None = None,
) -> Harvest | None:
    """Return everything ``feed`` says, read breadth first, each URL once; None when unchanged.

    As soon as one start document has changed, those that had not are read as well, so that a
    harvest is always whole; offers that are not ``wanted`` are only counted. A document that is not
    the vendor's, or that another one names and is gone, is set aside with its reason, and the
    harvest is partial; when there is no other, that is raised. ``keep`` is told of each document
    that could be read. What was ``read_before`` is not read again where it has not changed, of a
    feed whose documents stand one by one. Raises whatever ``fetch`` raises (`FeedError`), and
    `FeedGoneError` for a start document.
    """
    queue = deque(start)
    first = frozenset(queue)
    before = {
        url: document
        for url, document in (read_before or {}).items()
        if feed.one_by_one and url not in first
    }
    seen = set(queue)
    known: list[str] = []
    basket = _Basket()
    while queue:
        url = queue.popleft()
        try:
            document = _fetched(fetch, url, before, unless_known=not basket.documents)
        except FeedGoneError as error:
            if url in first:
                raise
            _unread(basket, error)
            continue
        if document is None:
            if url in before:
                basket.known[url] = before[url]
            else:
                known.append(url)
            continue
        basket.documents[url] = replace(document, body=b"")
        queue.extend(known)
        known = []
        unread = len(basket.unread)
        for page in _pages(feed, url, document.body, platform, max_unpacked, basket):
            _add(basket, page, url, wanted)
            fresh = [link for link in dict.fromkeys(page.follow) if follow and link not in seen]
            queue.extend(fresh)
            seen.update(fresh)
        if len(basket.unread) == unread:
            keep(url, document)
        else:
            basket.not_read.add(url)
    if not basket.documents:
        return None
    harvest = _harvest(feed, basket)
    if basket.unread and (not basket.read or harvest.is_empty):
        raise basket.unread[0]
    return harvest


def _fetched(
    fetch: Fetch, url: str, before: Mapping[str, Document], *, unless_known: bool
) -> Document | None:
    """Return the document; None when it is one of ``before``, or known and need not be read."""
    if url in before and says_its_state(url):
        return None
    return fetch(url, unless_known=unless_known or url in before)


def _harvest(feed: Feed, basket: _Basket) -> Harvest:
    return Harvest(
        feed.join(tuple(basket.advisories[ref] for ref in sorted(basket.advisories))),
        basket.documents | basket.known,
        (*basket.set_aside, *(_aside(error) for error in basket.unread)),
        dict(sorted(basket.skipped.items())),
        tuple(basket.notes[cve] for cve in sorted(basket.notes)),
        bool(basket.unread),
        _newest(basket.offers),
        basket.left_out,
        tuple(basket.support[place] for place in sorted(basket.support)),
        min(basket.expires, default=None),
        dict(sorted(basket.made.items())),
        tuple(dict.fromkeys(basket.verified)),
        frozenset(basket.known),
        frozenset(basket.not_read),
        frozenset(basket.stands - basket.told),
        frozenset(ref for ref, is_part in basket.in_part.items() if is_part),
    )


def _pages(
    feed: Feed, url: str, body: bytes, platform: str, max_unpacked: int, basket: _Basket
) -> Iterator[Page]:
    """Yield what each document in ``body`` says; those that say nothing readable go aside."""
    try:
        if feed.check(url, body, platform):
            basket.verified.append(without_labels(url))
    except FeedMalformedError as error:
        _unread(basket, error)
        return
    documents = unpack(url, body, feed.suffixes, max_unpacked)
    while True:
        try:
            found = next(documents, None)
            if found is None:
                return
            page = feed.read(*found, platform)
        except FeedMalformedError as error:
            _unread(basket, error)
            continue
        basket.read += 1
        yield page


def _unread(basket: _Basket, error: FeedError) -> None:
    """Note a document that could not be read. Raises `FeedMalformedError` when too many could not.

    What is kept of the error is what it says: its traceback would hold the document.
    """
    basket.unread.append(type(error)(str(error)))
    if len(basket.unread) > MOST_UNREAD:
        raise FeedMalformedError(f"{error}; {MOST_UNREAD} before it could not be read either")


def _aside(error: FeedError) -> SetAside:
    where, _, why = str(error).partition(": ")
    return _shown(SetAside("", where, why))


def _shown(aside: SetAside) -> SetAside:
    """Return ``aside`` as a terminal and a page can show it: it quotes what is not as it should."""
    said = (aside.ref, aside.where, aside.reason)
    if all(text.isprintable() for text in said):
        return aside
    return SetAside(*("".join(s if s.isprintable() else "?" for s in text) for text in said))


def _newest(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """Return the newest of what several documents of a suite offer."""
    by_manager: dict[str, list[Offer]] = {}
    for offer in offers:
        by_manager.setdefault(offer.manager, []).append(offer)
    return tuple(
        offer
        for manager, found in sorted(by_manager.items())
        for offer in newest(found, SCHEME_OF_MANAGER[manager])
    )


def _add(basket: _Basket, page: Page, url: str, wanted: Callable[[Offer], bool]) -> None:
    """Put a page in the basket.

    An advisory that several documents speak of has all their fixes, a CVE all that is said of it.
    """
    basket.set_aside += map(_shown, page.set_aside)
    basket.skipped.update(page.skipped)
    basket.stands.update(page.stands)
    basket.told.add(page.tells)
    told = {each.ref for each in page.advisories}.difference(page.in_part)
    if not told <= basket.stands:
        basket.not_read.add(url)  # no index will say whether that stands
    for advisory in page.advisories:
        known = basket.advisories.get(advisory.ref)
        basket.advisories[advisory.ref] = united(known, advisory) if known else advisory
        is_part = advisory.ref in page.in_part
        basket.in_part[advisory.ref] = basket.in_part.get(advisory.ref, True) and is_part
    for note in page.notes:
        said = basket.notes.get(note.cve)
        basket.notes[note.cve] = (merged((said, note)) or note) if said else note
    kept = [offer for offer in page.offers if wanted(offer)]
    basket.offers += kept
    basket.left_out += len(page.offers) - len(kept)
    for each in page.support:
        basket.support[each.platform, each.package, each.level] = each
    if page.made_at is not None:
        basket.made[without_labels(url)] = page.made_at
    if page.is_verified:
        basket.verified.append(without_labels(url))
    if page.expires is not None:
        basket.expires.append((page.expires, url))


def united(known: Advisory, more: Advisory) -> Advisory:
    """Return what two documents say of one advisory."""
    return replace(
        known,
        cves=tuple(dict.fromkeys(known.cves + more.cves)),
        title=known.title or more.title,
        severity=max(known.severity, more.severity),
        kind=known.kind if known.kind is more.kind else Kind.SECURITY,
        aliases=tuple(dict.fromkeys(known.aliases + more.aliases)),
        published=min((at for at in (known.published, more.published) if at), default=None),
        fixes=tuple(dict.fromkeys(known.fixes + more.fixes)),
    )

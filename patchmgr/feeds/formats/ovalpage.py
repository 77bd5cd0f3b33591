"""An OVAL document read record by record: what is odd goes aside, the rest is kept."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from patchmgr.domain.advisories import Advisory
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Page, SetAside
from patchmgr.feeds.formats.oval import Definition, UnknownTestError

NAME = 80  # characters of a definition's id that are shown
ODD_SHARE = 4  # more than one definition in this many: not the vendor's document at all


class RecordError(Exception):
    """A definition is not what its vendor publishes; the message says why."""


class Reading:
    """What has been read of the document at ``url``; ``own`` begins the ids of its definitions."""

    def __init__(self, url: str, own: str) -> None:
        self.url = url
        self.skipped: Counter[str] = Counter()
        self._own = own
        self._read = 0
        self._advisories: dict[str, Advisory] = {}
        self._aside: list[SetAside] = []

    def own(self, definitions: Iterable[Definition]) -> Iterator[Definition]:
        """Yield ``definitions``. Raises `FeedMalformedError` at the first of another vendor."""
        for definition in definitions:
            self._read += 1
            if not definition.id.startswith(self._own):
                raise FeedMalformedError(
                    f"{self.url}: {definition.id[:NAME]!r} is not a definition of {self._own}…"
                )
            yield definition

    def add(self, definition: Definition, read: Callable[[Definition], Advisory | None]) -> None:
        """Keep what ``read`` makes of ``definition``; what it refuses goes aside."""
        try:
            advisory = read(definition)
        except (RecordError, UnknownTestError) as error:
            refs = definition.refs("cve")
            ref = refs[0] if refs else ""
            self._aside.append(SetAside(ref[:NAME], definition.id[:NAME], str(error)))
            return
        if advisory is not None:
            known = self._advisories.get(advisory.ref)
            self._advisories[advisory.ref] = _merged(known, advisory) if known else advisory

    def page(self) -> Page:
        """Return all of it. Raises `FeedMalformedError` when there is nothing, or too much odd."""
        if not self._read:
            raise FeedMalformedError(f"{self.url}: a document without a definition")
        if len(self._aside) * ODD_SHARE > self._read:
            first = self._aside[0]
            raise FeedMalformedError(
                f"{self.url}: {len(self._aside)} of {self._read} definitions are not the"
                f" vendor's, such as {first.where}: {first.reason}"
            )
        return Page(
            tuple(self._advisories[ref] for ref in sorted(self._advisories)),
            set_aside=tuple(self._aside),
            skipped=dict(sorted(self.skipped.items())),
        )


def _merged(known: Advisory, more: Advisory) -> Advisory:
    dates = [at for at in (known.published, more.published) if at]
    return replace(
        known,
        cves=tuple(dict.fromkeys(known.cves + more.cves)),
        title=known.title or more.title,
        severity=max(known.severity, more.severity),
        published=min(dates, default=None),
        fixes=tuple(dict.fromkeys(known.fixes + more.fixes)),
    )

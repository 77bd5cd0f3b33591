"""Amazon Linux's security bulletins (ALAS), as RSS: a catalogue, which claims nothing.

Source: https://alas.aws.amazon.com/AL2/alas.rss and its siblings - per advisory its id, severity,
packages, CVEs and date, but no fixed version. The page that each links to lists the new packages
without their epoch, so a comparison with it would call every package that has one up to date. So
these advisories carry no statements; those come from ``updateinfo``, where Amazon names them whole.
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar

from patchmgr.domain.advisories import Advisory, Severity
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page, SetAside
from patchmgr.feeds.formats import xml
from patchmgr.feeds.formats.text import shortened

SITE = "https://alas.aws.amazon.com/"
ODD_SHARE = 4  # more than one item in this many: not Amazon's document at all
SEVERITIES = {
    "critical": Severity.CRITICAL,
    "important": Severity.HIGH,
    "high": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "low": Severity.LOW,
}
FOLDERS = {"amzn:2": "AL2/", "amzn:2022": "AL2022/", "amzn:2023": "AL2023/"}
FIRST = "amzn:201"  # the first Amazon Linux has dates as releases, 2018.03, and the site's root

_TITLE = re.compile(r"(?P<ref>ALAS[0-9A-Z._-]{1,60}) *\((?P<severity>[^)]*)\) *:(?P<packages>.*)")
_FOLDER = re.compile(r"/AL(2[0-9]*)/")
_UNNUMBERED = re.compile(r"ALAS(?![0-9])")
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")


class Amazon(Feed):
    name: ClassVar[str] = "amazon"
    title: ClassVar[str] = "Amazon Linux bulletins (RSS, no versions)"
    start: ClassVar[tuple[str, ...]] = (f"{SITE}AL2/alas.rss", f"{SITE}AL2023/alas.rss")
    suffixes: ClassVar[tuple[str, ...]] = (".rss", ".xml")
    serves: ClassVar[tuple[str, ...]] = ("amzn",)
    judges: ClassVar[bool] = False

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        folders = {FOLDERS[platform] for platform in platforms if platform in FOLDERS}
        if any(platform.startswith(FIRST) for platform in platforms):
            folders.add("")
        return tuple(f"{SITE}{folder}alas.rss" for folder in sorted(folders))

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return the advisories of the document, without statements about packages.

        Raises `FeedMalformedError` for what is not such a document, also when more than a quarter
        of it is odd.
        """
        found: dict[str, Advisory] = {}
        odd: list[SetAside] = []
        count = 0
        for count, item in enumerate(xml.elements(url, body, "item", "rss"), start=1):
            advisory = _advisory(item)
            if advisory is None:
                title = shortened(xml.text(item, "title"))
                odd.append(SetAside("", f"item {count}", f"no title of an advisory: {title!r}"))
            else:
                found[advisory.ref] = advisory
        if not count:
            raise FeedMalformedError(f"{url}: a document without any item")
        if len(odd) * ODD_SHARE > count:
            raise FeedMalformedError(
                f"{url}: {len(odd)} of {count} items are not advisories,"
                f" such as {odd[0].where}: {odd[0].reason}"
            )
        return Page(tuple(found[ref] for ref in sorted(found)), set_aside=tuple(odd))


def _advisory(item: xml.Element) -> Advisory | None:
    title = _TITLE.fullmatch(" ".join(xml.text(item, "title").split()))
    if title is None:
        return None
    link = xml.text(item, "link")
    return Advisory(
        ref=_ref(title["ref"], link),
        cves=tuple(dict.fromkeys(_CVE.findall(xml.text(item, "description")))),
        title=shortened(title["packages"]),
        severity=SEVERITIES.get(title["severity"].strip().lower(), Severity.UNKNOWN),
        published=_published(xml.text(item, "pubDate")),
        url=link if link.startswith(SITE) and link.isprintable() else "",
    )


def _ref(said: str, link: str) -> str:
    """Return the id with the number of its Amazon Linux, as the pages and updateinfo have it.

    In RSS both ALAS2-2018-939 and ALAS-2018-939 are called ALAS-2018-939; the link tells them
    apart.
    """
    folder = _FOLDER.search(link)
    return _UNNUMBERED.sub(f"ALAS{folder[1]}", said, count=1) if folder else said


def _published(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None

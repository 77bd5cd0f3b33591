"""Red Hat: its CSAF documents, an advisory (RHSA) or a CVE (VEX) each.

Source: https://security.access.redhat.com/data/csaf/v2/ - an advisory names the builds that have
its fixes. A VEX document says of every product stream and package how a CVE stands: ``fixed`` (and
by which advisory: the address of its ``vendor_fix``), ``known_affected`` (``no_fix_planned`` or
``none_available``, with Red Hat's word: "Will not fix", "Fix deferred"), ``under_investigation``,
``known_not_affected``. What is fixed is a statement of the advisory that fixes it, so that both
kinds of document tell of the same advisories; what is not stays a record of the CVE.

A sync over the network reads the newest `NEWEST` documents of each kind that ``changes.csv`` lists,
not the tens of thousands there are, and of those only what has changed since. What earlier syncs
read stands for as long as the list has it: a document that Red Hat deletes is gone from there. So
the feed begins with what Red Hat said last, and grows. Whoever wants the whole at once unpacks Red
Hat's archives (``csaf_vex_….tar.zst``) and reads the directory with ``--from``, or uses the feed
redhat-oval.
"""

import csv
import io
import re
from dataclasses import replace
from typing import ClassVar
from urllib.parse import urljoin

from patchmgr.domain.advisories import Advisory, Fix, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page
from patchmgr.feeds.formats import csaf, rpmfixes
from patchmgr.feeds.formats.dates import instant
from patchmgr.feeds.formats.labels import labelled
from patchmgr.feeds.vendors.redhat_csaf.reading import CVE, ERRATUM, Reading

DATA = "https://security.access.redhat.com/data/csaf/v2/"
NEWEST = 500  # documents of each kind that a sync over the network reads
_LISTED = re.compile(r"\d{4}/[a-z0-9_-]+\.json")


class RedhatCsaf(Feed):
    name: ClassVar[str] = "redhat-csaf"
    title: ClassVar[str] = "Red Hat CSAF advisories and VEX"
    start: ClassVar[tuple[str, ...]] = (
        f"{DATA}advisories/changes.csv",
        f"{DATA}vex/changes.csv",
    )
    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    serves: ClassVar[tuple[str, ...]] = ("rhel",)
    one_by_one: ClassVar[bool] = True

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        return self.start if any(each.startswith("rhel:") for each in platforms) else ()

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return the advisories that a document tells of, or the documents that an index lists.

        ``platform`` is not needed: the CPEs name streams. Raises `FeedMalformedError`.
        """
        if url.endswith(".csv"):
            return _index(url, body)
        document = csaf.Document(url, body)
        _refuse_others(url, document.about)
        return Reading(document).page(url)

    def join(self, advisories: tuple[Advisory, ...]) -> tuple[Advisory, ...]:
        """Return ``advisories`` with one statement for what several documents say of a build.

        What a CVE's record says is fixed without naming the advisory, or has no fix, is left out
        where an advisory fixes that CVE in the same package of the same stream.
        """
        covered = {
            (cve, *_subject(fix))
            for each in advisories
            if not each.is_record
            for cve in each.cves
            for fix in each.fixes
        }
        return tuple(filter(_speaks, (_joined(each, covered) for each in advisories)))


def _joined(advisory: Advisory, covered: set[tuple[str, ...]]) -> Advisory:
    fixes = (
        fix
        for fix in advisory.fixes
        if not (
            advisory.is_record
            and fix.status in (Status.AFFECTED, Status.NO_FIX)
            and (advisory.ref, *_subject(fix)) in covered
        )
    )
    return replace(advisory, fixes=rpmfixes.united(fixes))


def _subject(fix: Fix) -> tuple[str, ...]:
    return fix.platform, fix.channel, fix.module, fix.package


def _speaks(advisory: Advisory) -> bool:
    return bool(advisory.fixes) or not advisory.is_record


def _index(url: str, body: bytes) -> Page:
    """Return the newest documents that the index ``changes.csv`` lists, and all that stand."""
    try:
        rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FeedMalformedError(f"{url}: not an index of documents: {error}") from error
    listed = [(at, row[0]) for row in rows if len(row) == 2 and (at := instant(row[1]))]
    if not listed or len(listed) < len(rows):
        raise FeedMalformedError(f"{url}: not an index of documents and the times they changed")
    listed.sort(key=lambda each: (-each[0].timestamp(), each[1]))
    named = [(at, path) for at, path in listed if _LISTED.fullmatch(path)]
    return Page(
        follow=tuple(
            labelled(urljoin(url, path), changed=at.isoformat()) for at, path in named[:NEWEST]
        ),
        stands=tuple(_ref(path) for _at, path in named),
    )


def _ref(path: str) -> str:
    """Return of which advisory or CVE a document is: 2024/rhsa-2024_0811.json, RHSA-2024:0811."""
    return path.rpartition("/")[2].removesuffix(".json").upper().replace("_", ":")


def _refuse_others(url: str, about: csaf.About) -> None:
    publisher = (about.publisher.name if about.publisher else None) or "Red Hat"
    if "red hat" not in publisher.lower():
        raise FeedMalformedError(f"{url}: published by {publisher[:80]!r}, not by Red Hat")
    ref = about.tracking.id
    if not (ERRATUM.fullmatch(ref) or CVE.fullmatch(ref)):
        raise FeedMalformedError(f"{url}: {ref[:80]!r} is neither an advisory of Red Hat nor a CVE")

"""An organisation's own advisories, as a table (design.md 5.2).

One row is one statement: advisory, platform, package, and whether ``match`` means the source or the
binary package. ``status`` is one of our four words; an empty one is ``affected`` where ``fixed``
names a version, else ``no_fix``. Rows of one advisory make one advisory; ``severity``, ``cves``,
``published``, ``title`` and ``url`` may stand on any of them. Versions follow the scheme of the
platform. As with every import, one bad row refuses the file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

from patchmgr.domain.advisories import Advisory, Fix, Match, Severity, Status
from patchmgr.domain.packages import ECOSYSTEMS, scheme_of_platform
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import BadRow, FeedMalformedError, VersionError
from patchmgr.feeds.base import Feed, Page
from patchmgr.feeds.formats import table
from patchmgr.feeds.formats.text import shortened

REQUIRED = ("advisory", "platform", "package", "match")
COLUMNS = (
    *REQUIRED,
    "status",
    "fixed",
    "introduced",
    "severity",
    "cves",
    "published",
    "title",
    "url",
)
MOST_ROWS = 1_000_000
_LONGEST = {"advisory": 200, "platform": 64, "package": 200, "fixed": 200, "introduced": 200}
_LONGEST_TEXT = 4000
SEVERITIES = {"": Severity.UNKNOWN, **{each.word: each for each in Severity}} | {
    "important": Severity.HIGH,  # what vendors call them
    "moderate": Severity.MEDIUM,
}

_WORD = re.compile(r"[^\s\x00-\x1f\x7f\ud800-\udfff]+")
_PLATFORM = re.compile(r"[a-z0-9._-]+:(?:[0-9][A-Za-z0-9._+~-]*|rolling)")
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")
_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f\ud800-\udfff]+")
_SEPARATORS = re.compile(r"[-_.]+")

Problem = tuple[str, str]  # column, remedy


class Csv(Feed):
    name: ClassVar[str] = "csv"
    title: ClassVar[str] = "Own advisories (CSV)"
    start: ClassVar[tuple[str, ...]] = ()  # nobody publishes them but the organisation itself
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return the advisories of the table; ``platform`` is for rows that name none.

        Raises `FeedMalformedError` naming the first bad rows: row, column, value and remedy.
        """
        required = [name for name in REQUIRED if name != "platform" or not platform]
        drafts: dict[str, _Draft] = {}
        bad: list[BadRow] = []
        said: dict[tuple[str, ...], _Said] = {}
        count = 0
        for number, row in table.rows(url, body, known=COLUMNS, required=required):
            count += 1
            if count > MOST_ROWS:
                raise FeedMalformedError(f"{url}: has more than {MOST_ROWS} rows; split it")
            if isinstance(row, BadRow):
                bad.append(row)
                continue
            values = _values(row, platform)
            if problem := _problem(values) or _contradiction(values, number, said):
                column, remedy = problem
                bad.append(BadRow(number, column, values[column], remedy))
            else:
                drafts.setdefault(values["advisory"], _Draft()).add(values)
        table.refuse(url, bad)
        if not drafts:
            raise FeedMalformedError(f"{url}: has no row below its header")
        return Page(tuple(drafts[ref].advisory(ref) for ref in sorted(drafts)))


def _values(row: Mapping[str, str], platform: str) -> dict[str, str]:
    """Return every column of a row, written as we write it."""
    values = {column: row.get(column, "") for column in COLUMNS}
    values["platform"] = values["platform"] or platform
    values["severity"] = values["severity"].lower()
    values["cves"] = " ".join(values["cves"].upper().split())
    values["match"] = values["match"].lower()
    values["status"] = values["status"].lower() or (
        Status.AFFECTED if values["fixed"] else Status.NO_FIX
    )
    if values["platform"] == "pypi":
        values["package"] = _SEPARATORS.sub("-", values["package"]).lower()  # PEP 503
    return values


def _problem(values: Mapping[str, str]) -> Problem | None:
    return _bad_text(values) or _bad_word(values) or _bad_status(values) or _bad_version(values)


def _bad_text(values: Mapping[str, str]) -> Problem | None:
    for column, value in values.items():
        longest = _LONGEST.get(column, _LONGEST_TEXT)
        if len(value) > longest:
            return column, f"is longer than {longest} characters"
        if value and column in _LONGEST and not _WORD.fullmatch(value):
            return column, "has blanks or control characters in it; write it in one word"
    for column in REQUIRED:
        if not values[column]:
            return column, "is empty; every row needs it"
    return None


def _bad_word(values: Mapping[str, str]) -> Problem | None:
    platform, published, url = values["platform"], values["published"], values["url"]
    if platform not in ECOSYSTEMS and not _PLATFORM.fullmatch(platform):
        return "platform", "is no platform; write ID:VERSION_ID of os-release, such as debian:12"
    if values["match"] not in list(Match):
        return "match", f"is no kind of package name; write {' or '.join(Match)}"
    if values["status"] not in list(Status):
        return "status", f"is no status; write {', '.join(Status)}, or nothing"
    if values["severity"] not in SEVERITIES:
        return "severity", f"is no severity; write {', '.join(filter(None, SEVERITIES))}"
    if not all(_CVE.fullmatch(cve) for cve in values["cves"].split()):
        return "cves", "are not CVE ids separated by spaces, such as CVE-2026-1000 CVE-2026-1001"
    if published and _instant(published) is None:
        return "published", "is no date; write it as 2026-03-31 or 2026-03-31T12:00:00Z"
    if url and not _URL.fullmatch(url):
        return "url", "is no http or https address"
    return None


def _bad_status(values: Mapping[str, str]) -> Problem | None:
    """Return what does not go together: only `Status.AFFECTED` has a fixed version, and must."""
    status = values["status"]
    if status == Status.AFFECTED and not values["fixed"]:
        return "fixed", f"is empty; name the version, or write {Status.NO_FIX} as the status"
    if status != Status.AFFECTED and values["fixed"]:
        return "fixed", f"does not go with the status {status}; leave one of them empty"
    if status == Status.NOT_AFFECTED and values["introduced"]:
        return "introduced", f"does not go with the status {status}; leave it empty"
    return None


def _bad_version(values: Mapping[str, str]) -> Problem | None:
    scheme = scheme_of_platform(values["platform"])
    key = SCHEMES.get(scheme)
    if key is None:
        return None  # the matcher says undetermined
    keys = {}
    for column in ("introduced", "fixed"):
        try:
            keys[column] = key(values[column]) if values[column] else None
        except VersionError:
            return column, f"is not a {scheme} version, which {values['platform']} has"
    if keys["introduced"] and keys["fixed"] and keys["introduced"] >= keys["fixed"]:
        return "introduced", f"is not older than the fixed version {values['fixed']}"
    return None


@dataclass(frozen=True, slots=True)
class _Said:
    """What the first row about a package said."""

    row: int
    harmless: bool


def _contradiction(
    values: Mapping[str, str], row: int, said: dict[tuple[str, ...], _Said]
) -> Problem | None:
    """Return a problem when an earlier row of the advisory says the opposite of the package."""
    about = tuple(values[column] for column in REQUIRED)
    harmless = values["status"] == Status.NOT_AFFECTED
    first = said.setdefault(about, _Said(row, harmless))
    if first.harmless is harmless:
        return None
    return "status", f"contradicts row {first.row}, which speaks of the same package"


def _instant(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@dataclass(slots=True)
class _Draft:
    """What the rows of one advisory have said so far."""

    fixes: dict[Fix, None] = field(default_factory=dict)
    cves: dict[str, None] = field(default_factory=dict)
    published: datetime | None = None
    title: str = ""
    url: str = ""

    def add(self, values: Mapping[str, str]) -> None:
        self.fixes[_fix(values)] = None
        self.cves |= dict.fromkeys(values["cves"].split())
        at = _instant(values["published"])
        self.published = min((each for each in (self.published, at) if each), default=None)
        self.title = self.title or shortened(values["title"])
        self.url = self.url or values["url"]

    def advisory(self, ref: str) -> Advisory:
        return Advisory(
            ref=ref,
            cves=tuple(self.cves),
            title=self.title,
            severity=max(fix.severity for fix in self.fixes),
            published=self.published,
            url=self.url,
            fixes=tuple(self.fixes),
        )


def _fix(values: Mapping[str, str]) -> Fix:
    status = Status(values["status"])
    return Fix(
        platform=values["platform"],
        package=values["package"],
        match=Match(values["match"]),
        status=status,
        fixed=values["fixed"],
        introduced=values["introduced"],
        severity=SEVERITIES[values["severity"]],
        reason="no fixed version named" if status is Status.NO_FIX else "",
        scheme=scheme_of_platform(values["platform"]),
    )

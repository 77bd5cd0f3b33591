"""Arch Linux's security tracker.

Source: https://security.archlinux.org/all.json and the tracker's own source - a list of groups
(``AVG-...``) of flaws that one update fixes: package names, the version in which it was seen
(``affected``), and the one that fixed it. Every version before the fixed one is affected;
``affected`` is no lower bound. ``advisories`` (``ASA-...``) say the same to people.
"""

import codecs
import re
from typing import Any, ClassVar

import msgspec

from patchmgr.domain.advisories import Advisory, Fix, Match, Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page, SetAside
from patchmgr.feeds.formats.names import LONGEST, is_name
from patchmgr.feeds.formats.text import shortened

SITE = "https://security.archlinux.org/"
PLATFORM = "arch:rolling"
SCHEME = "alpm"
ODD_SHARE = 4  # more than one group in this many: not the tracker's document at all
SEVERITIES = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
    "unknown": Severity.UNKNOWN,
}

_GROUP = re.compile(r"AVG-[0-9]{1,9}")
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")


class Group(msgspec.Struct, frozen=True):
    name: str
    packages: list[str]
    status: str
    severity: str = ""
    type: str = ""
    fixed: str | None = None
    issues: list[str] = []
    advisories: list[str] = []


class Arch(Feed):
    name: ClassVar[str] = "arch"
    title: ClassVar[str] = "Arch Linux security tracker"
    start: ClassVar[tuple[str, ...]] = (f"{SITE}all.json",)
    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    serves: ClassVar[tuple[str, ...]] = ("arch",)

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        return self.start if PLATFORM in platforms else ()

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return one advisory per group; ``platform`` is not needed, there is only one Arch.

        Raises `FeedMalformedError` for what is not the tracker's document, also when more than a
        quarter of it is odd.
        """
        groups = _groups(url, body)
        found: dict[str, Advisory] = {}
        odd: list[SetAside] = []
        for position, raw in enumerate(groups, start=1):
            try:
                group = msgspec.convert(raw, Group)
            except msgspec.ValidationError as error:
                odd.append(SetAside("", f"group {position}", str(error)))
                continue
            why = _why_odd(group)
            if why:
                odd.append(SetAside(group.name[:LONGEST], f"group {position}", why))
            else:
                found[group.name] = _advisory(group)
        if len(odd) * ODD_SHARE > len(groups):
            raise FeedMalformedError(
                f"{url}: {len(odd)} of {len(groups)} groups are not the security tracker's,"
                f" such as {odd[0].where}: {odd[0].reason}"
            )
        return Page(tuple(found[ref] for ref in sorted(found)), set_aside=tuple(odd))


def _groups(url: str, body: bytes) -> list[Any]:
    try:
        groups = msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8), type=list[Any])
    except msgspec.ValidationError as error:
        raise FeedMalformedError(f"{url}: not a list of groups: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedMalformedError(f"{url}: not whole JSON: {error}") from error
    if not groups:
        raise FeedMalformedError(f"{url}: a list without any group")
    return groups


def _why_odd(group: Group) -> str:
    if not _GROUP.fullmatch(group.name):
        return "its name is not that of a group (AVG-...)"
    names = [*group.packages, *group.advisories, *([group.fixed] if group.fixed else [])]
    if not group.packages or not all(map(is_name, names)):
        return "not names of packages, advisories and a version"
    return ""


def _advisory(group: Group) -> Advisory:
    severity = SEVERITIES.get(group.severity.lower(), Severity.UNKNOWN)
    status, fixed, reason = _said(group)
    return Advisory(
        ref=group.name,
        cves=tuple(dict.fromkeys(cve for cve in group.issues if _CVE.fullmatch(cve))),
        title=shortened(group.type),
        severity=severity,
        url=SITE + group.name,
        fixes=tuple(
            Fix(
                platform=PLATFORM,
                package=package,
                match=Match.BINARY,
                status=status,
                fixed=fixed,
                severity=severity,
                reason=reason,
                scheme=SCHEME,
            )
            for package in dict.fromkeys(group.packages)
        ),
        aliases=tuple(dict.fromkeys(group.advisories)),
    )


def _said(group: Group) -> tuple[Status, str, str]:
    """Return status, fixed version and reason."""
    match group.status.lower():
        case "not affected":
            return Status.NOT_AFFECTED, "", "not affected"
        case "fixed" if group.fixed:
            return Status.AFFECTED, group.fixed, ""
        case "testing" if group.fixed:
            return Status.AFFECTED, group.fixed, "the fix is still in testing"
        case "vulnerable" if group.fixed:
            return Status.AFFECTED, group.fixed, "Arch calls it vulnerable"
        case "vulnerable":
            return Status.NO_FIX, "", "no fixed version yet"
        case "unknown":
            return Status.UNDETERMINED, "", "Arch has not determined whether it is affected"
    fixed = "" if group.fixed else ", without a fixed version"
    return Status.UNDETERMINED, "", f"the tracker says {group.status[:80]!r}{fixed}"

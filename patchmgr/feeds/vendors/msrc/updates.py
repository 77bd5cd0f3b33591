"""What a document of MSRC's says of one installation of Windows: which updates fix a flaw.

Windows updates are cumulative within their kind, so of updates of one kind that fix a flaw the last
is needed, and of several kinds ("Monthly Rollup", "Security Only") one is enough. The build number
is what a host shows, and the build an update has is in ``FixedBuild`` since about 2021; it may also
be a web page, a file's version, or that of a sister release (10.0.19041 for 10.0.19044). Then the
build counts that the same document gives the same KB on the same release elsewhere.

A hotpatch changes the build of hosts that are enrolled for them, and of no others: it is of a
channel.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from patchmgr.domain.advisories import Fix, Match, Severity, Status
from patchmgr.feeds.formats import cvrf
from patchmgr.feeds.formats.text import shortened
from patchmgr.feeds.vendors.msrc import windows

SCHEME = "nuget"  # dotted numbers, one by one
HOTPATCH = "hotpatch"
AFFECTED = "Known Affected"
VENDOR_FIX = "Vendor Fix"
NO_UPDATE = "Microsoft names no update for it"
AFTER = {"Yes": "reboot"}
SEVERITIES = {
    "low": Severity.LOW,
    "moderate": Severity.MEDIUM,
    "important": Severity.HIGH,
    "critical": Severity.CRITICAL,
}

Builds = Mapping[tuple[str, str], str]  # (KB, major.minor.build) -> the build it has there


class Update(NamedTuple):
    name: str  # "KB5033371"
    kind: str  # "Monthly Rollup"
    build: str  # "" when none is given that is of the release
    given: str  # what is given instead
    after: str

    @property
    def channel(self) -> str:
        return HOTPATCH if HOTPATCH in self.kind.lower() else ""


def builds(document: cvrf.Document) -> Builds:
    """Return the build of each KB on each release, from wherever ``document`` gives a sound one."""
    products, found = document.products, defaultdict[tuple[str, str], set[str]](set)
    for flaw in document.vulnerabilities:
        for each in flaw.remediations:
            release = windows.release_of(each.fixed_build)
            for ident in each.products if release else ():
                product = products.get(ident)
                known = windows.installation(product.name) if product else None
                if known is not None and known.build in (release, ""):
                    found[_name(each), release].add(each.fixed_build)
    return {at: max(several, key=windows.key) for at, several in found.items()}


def statements(
    flaw: cvrf.Vulnerability, ident: str, known: windows.Installation, sound: Builds
) -> Iterator[Fix]:
    """Yield what ``flaw`` says of the product ``ident``, which is ``known`` as an installation."""
    meant = [
        each
        for each in flaw.remediations
        if each.kind == VENDOR_FIX and (not each.products or ident in each.products)
    ]
    release = known.build or next(
        filter(None, (windows.release_of(m.fixed_build) for m in meant)), ""
    )
    if not release:
        return
    blank = Fix(
        platform=f"windows:{release}",
        package=known.package,
        match=Match.BINARY,
        status=Status.UNDETERMINED,
        severity=severity(flaw, ident),
        scheme=SCHEME,
    )
    updates = [_update(each, release, sound) for each in meant]
    if not updates:
        yield replace(blank, status=Status.NO_FIX, reason=NO_UPDATE)
    for channel in dict.fromkeys(update.channel for update in updates):
        yield _said(blank, [each for each in updates if each.channel == channel], channel)


def severity(flaw: cvrf.Vulnerability, ident: str) -> Severity:
    """Return the worst that ``flaw`` is called for the product ``ident``."""
    words = (
        each.text.lower()
        for each in flaw.threats
        if each.kind == "Severity" and (not each.products or ident in each.products)
    )
    return max((SEVERITIES.get(each, Severity.UNKNOWN) for each in words), default=Severity.UNKNOWN)


def _said(blank: Fix, updates: list[Update], channel: str) -> Fix:
    """Return the statement that any of ``updates``, all of one channel, is enough."""
    last: dict[str, Update] = {}
    for each in updates:
        if each.build and (each.kind not in last or _is_later(each, last[each.kind])):
            last[each.kind] = each
    after = next((each.after for each in updates if each.after), "")
    if not last:
        return replace(blank, reason=_without_build(updates), channel=channel, after=after)
    return replace(
        blank,
        status=Status.AFFECTED,
        fixed=min((each.build for each in last.values()), key=windows.key),
        reason=shortened(" or ".join(dict.fromkeys(each.name for each in last.values()))),
        channel=channel,
        after=after,
    )


def _is_later(one: Update, other: Update) -> bool:
    return windows.key(one.build) > windows.key(other.build)


def _without_build(updates: Iterable[Update]) -> str:
    names = " or ".join(dict.fromkeys(each.name for each in updates))
    given = next((each.given for each in updates if each.given), "")
    why = f"its build is given as {given!r}" if given else "no build number is given"
    return shortened(f"fixed by {names}; {why}")


def _update(each: cvrf.Remediation, release: str, sound: Builds) -> Update:
    own = each.fixed_build if windows.release_of(each.fixed_build) == release else ""
    name = _name(each)
    return Update(
        name=name,
        kind=each.subtype,
        build=own or sound.get((name, release), ""),
        given=each.fixed_build,
        after=AFTER.get(each.restart, ""),
    )


def _name(each: cvrf.Remediation) -> str:
    text = shortened(each.text)
    return f"KB{text}" if text.isdigit() else text or "an update without a name"

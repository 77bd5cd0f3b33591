"""What Debian's documents say together: an advisory where there is one, else the CVE.

A record of a CVE gives up what an advisory naming that CVE covers: the same package on the same
release, with the same or a higher fixed version. Where the record wants a higher version than all
advisories (a regression, a fix by point release), it stays beside them. What was only concluded
from unstable gives way to whatever is said of the release itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from patchmgr.domain.advisories import Advisory, Fix, Severity, Status
from patchmgr.domain.versions import SCHEMES
from patchmgr.feeds.vendors.debian.advisory_list import REF
from patchmgr.feeds.vendors.debian.cve_list import is_implied
from patchmgr.feeds.vendors.debian.statements import SCHEME, is_version

About: TypeAlias = tuple[str, str, str]  # CVE, platform, source package


def joined(advisories: tuple[Advisory, ...]) -> tuple[Advisory, ...]:
    """Return the advisories, and of the records what they do not cover; in the order given.

    An advisory takes the severity that the records give its flaws: the lists of advisories say
    nothing of it.
    """
    published = {each.ref: each for each in advisories if REF.fullmatch(each.ref)}
    covered = _covered(published.values())
    severities: dict[About, Severity] = {}
    told: list[Advisory] = []
    for advisory in advisories:
        if advisory.ref in published:
            told.append(advisory)
            continue
        for fix in advisory.fixes:
            about = (advisory.ref, fix.platform, fix.package)
            severities[about] = max(fix.severity, severities.get(about, Severity.UNKNOWN))
        left = _left(advisory, covered, published)
        if left.fixes or not advisory.fixes:
            told.append(left)
    return tuple(_rated(each, severities) if each.ref in published else each for each in told)


def _covered(published: Iterable[Advisory]) -> Mapping[About, list[Fix]]:
    """Return what advisories say of each CVE, platform and package."""
    covered = defaultdict(list)
    for advisory in published:
        for fix in advisory.fixes:
            for cve in advisory.cves:
                covered[cve, fix.platform, fix.package].append(fix)
    return covered


def _left(
    record: Advisory, covered: Mapping[About, list[Fix]], published: Mapping[str, Advisory]
) -> Advisory:
    """Return what a record says beyond the advisories that name its CVE."""
    said = {(fix.platform, fix.package) for fix in record.fixes if not is_implied(fix)}
    unread = next((ref for ref in record.aliases if ref not in published), "")
    fixes = []
    for fix in record.fixes:
        advised = covered.get((record.ref, fix.platform, fix.package), [])
        if not is_implied(fix):
            if not any(_covers(each, fix) for each in advised):
                fixes.append(fix)
        elif not advised and (fix.platform, fix.package) not in said:
            fixes.append(_doubted(fix, unread) if unread else fix)
    severity = max((fix.severity for fix in fixes), default=Severity.UNKNOWN)
    return replace(record, fixes=tuple(fixes), severity=severity, aliases=())


def _doubted(fix: Fix, unread: str) -> Fix:
    """Return an implied statement that an advisory may contradict which we have not seen."""
    reason = f"{unread}, which was not read, may say which version is fixed"
    return replace(fix, status=Status.UNDETERMINED, reason=reason)


def _covers(advised: Fix, said: Fix) -> bool:
    if advised.channel and said.status is Status.NO_FIX:
        return True  # what carries the release on has the fix that the record does without
    if advised.status is not said.status:
        return False
    if said.status is not Status.AFFECTED:
        return True
    readable = is_version(advised.fixed) and is_version(said.fixed)
    return readable and _key(advised.fixed) >= _key(said.fixed)


_key = SCHEMES[SCHEME]


def _rated(advisory: Advisory, severities: Mapping[About, Severity]) -> Advisory:
    fixes = tuple(
        replace(fix, severity=max(fix.severity, *_of(advisory, fix, severities)))
        for fix in advisory.fixes
    )
    severity = max((fix.severity for fix in fixes), default=advisory.severity)
    return replace(advisory, fixes=fixes, severity=severity)


def _of(advisory: Advisory, fix: Fix, severities: Mapping[About, Severity]) -> Iterator[Severity]:
    yield Severity.UNKNOWN
    for cve in advisory.cves:
        yield severities.get((cve, fix.platform, fix.package), Severity.UNKNOWN)

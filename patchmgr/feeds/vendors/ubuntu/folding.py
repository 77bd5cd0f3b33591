"""Notices and CVE records of the same fix, told once.

A CVE record repeats what a notice (USN) fixed, and adds what no notice covers: releases and
packages without a fix. Of a release past its standard support, records also keep a line without a
fix beside the one of ESM, which goes on with the same package: the line that is kept up decides.
"""

from collections.abc import Iterable
from dataclasses import replace

from patchmgr.domain.advisories import Advisory, Fix, Severity, Status
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

NOTICE, RECORD = "USN-", "UBUNTU-CVE-"
# Parts of the archive that carry on with the very packages of a release.
CARRYING_ON = ("esm-infra", "esm-infra-legacy", "esm-apps")

_Spot = tuple[str, str, str, str]  # CVE, platform, package, channel


def folded(advisories: Iterable[Advisory]) -> tuple[Advisory, ...]:
    """Return the notices, and the records with only what no notice of their CVE says.

    A record of which nothing is left is dropped. Notices do not say how severe a CVE is: they take
    the severities of their records.
    """
    everything = tuple(advisories)
    covered = _covered(everything)
    severities = _severities(everything)
    return tuple(
        left
        for each in everything
        if (left := _rest(each, covered) if _is_record(each) else _rated(each, severities))
    )


def _is_record(advisory: Advisory) -> bool:
    return advisory.ref.startswith(RECORD)


def _covered(advisories: Iterable[Advisory]) -> dict[_Spot, bytes]:
    """Return the newest fix that a notice names, by CVE and where."""
    newest: dict[_Spot, bytes] = {}
    for advisory in advisories:
        if not advisory.ref.startswith(NOTICE):
            continue
        for fix in advisory.fixes:
            key = _key(fix.fixed)
            for cve in advisory.cves:
                spot = (cve, fix.platform, fix.package, fix.channel)
                newest[spot] = max(key, newest.get(spot, b""))
    return newest


def _rest(record: Advisory, covered: dict[_Spot, bytes]) -> Advisory | None:
    fixes = [
        fix
        for fix in _kept_up(record.fixes)
        if fix.status is not Status.NOT_AFFECTED
        and not any(_says_it(fix, cve, covered) for cve in record.cves)
    ]
    if not fixes:
        return None
    return record if len(fixes) == len(record.fixes) else replace(record, fixes=tuple(fixes))


def _says_it(fix: Fix, cve: str, covered: dict[_Spot, bytes]) -> bool:
    """A notice with a fix also settles what a record leaves open; a later fix is more than that."""
    newest = covered.get((cve, fix.platform, fix.package, fix.channel))
    if newest is None:
        return False
    return fix.status is not Status.AFFECTED or _key(fix.fixed) <= newest


def _kept_up(fixes: tuple[Fix, ...]) -> list[Fix]:
    """Return ``fixes`` without those that another of the same package and release settles."""
    fixed = {
        (fix.platform, fix.package, fix.channel) for fix in fixes if fix.status is Status.AFFECTED
    }
    carried_on = {(fix.platform, fix.package) for fix in fixes if fix.channel in CARRYING_ON}
    return [
        fix
        for fix in fixes
        if fix.status is Status.AFFECTED
        or not (
            (fix.platform, fix.package, fix.channel) in fixed
            or (not fix.channel and (fix.platform, fix.package) in carried_on)
        )
    ]


def _severities(advisories: Iterable[Advisory]) -> dict[tuple[str, str, str], Severity]:
    """Return how severe records call each CVE: for a package on a platform, and ("", "") at all."""
    worst: dict[tuple[str, str, str], Severity] = {}
    for record in filter(_is_record, advisories):
        for cve in record.cves:
            for where, severity in (
                (("", ""), record.severity),
                *(((fix.platform, fix.package), fix.severity) for fix in record.fixes),
            ):
                worst[cve, *where] = max(severity, worst.get((cve, *where), severity))
    return worst


def _rated(notice: Advisory, severities: dict[tuple[str, str, str], Severity]) -> Advisory:
    if notice.severity or not severities:
        return notice
    severity = max(
        (severities.get((cve, "", ""), Severity.UNKNOWN) for cve in notice.cves),
        default=Severity.UNKNOWN,
    )
    fixes = tuple(
        fix if fix.severity else replace(fix, severity=_there(notice, fix, severities) or severity)
        for fix in notice.fixes
    )
    return replace(notice, severity=severity, fixes=fixes)


def _there(
    notice: Advisory, fix: Fix, severities: dict[tuple[str, str, str], Severity]
) -> Severity:
    return max(
        (severities.get((cve, fix.platform, fix.package), Severity.UNKNOWN) for cve in notice.cves),
        default=Severity.UNKNOWN,
    )


def _key(version: str) -> bytes:
    """Return how ``version`` sorts; one that cannot be read counts as older than all."""
    try:
        return SCHEMES["dpkg"](version) if version else b""
    except VersionError:
        return b""

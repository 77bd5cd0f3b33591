"""Decide what a vendor's statements mean for a package version. Never guesses.

Advisories speak of packages by name on a platform, of source or binary packages as the vendor
means it; never CPE. A statement concerns a package only if it is about that kind of package, its
architecture, its module stream and what the host is entitled to (`concerns`); then the versions
decide (`judge`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from patchmgr.domain.advisories import Fix, Match, Status
from patchmgr.domain.modules import NO_MODULES, Catalogue, is_modular, main_stream
from patchmgr.domain.origins import foreign
from patchmgr.domain.packages import (
    ECOSYSTEMS,
    SCHEME_OF_MANAGER,
    SYSTEMS,
    channels,
    release_of,
)
from patchmgr.domain.service_packs import packs_of, same_pack
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import VersionError

SOURCE_UNKNOWN = (
    "the report does not say from which source package it was built; judged by its own name"
)
_SAID = {"<": "is older than", "=": "is", ">": "is newer than"}
_EVERY_ARCH = {"noarch", "all", "any"}
# Channels that carry on where the release's own support ends: everybody is affected, the fix is
# for those who subscribe. The fixes of every other channel are a line of their own.
NEEDS = "the fix needs"
NAMES = {  # channel -> what must be subscribed to
    "esm-infra": "Ubuntu Pro (esm-infra)",
    "esm-infra-legacy": "Ubuntu Pro with Legacy support (esm-infra-legacy)",
    "esm-apps": "Ubuntu Pro (esm-apps)",
    "ltss": "Long Term Service Pack Support (LTSS)",
    "ltss-extended-security": "LTSS Extended Security",
    "els": "Extended Life Cycle Support (ELS)",
    "elts": "Freexian's Extended LTS (elts)",
}
EXTENDING = frozenset(NAMES)
# Oracle's builds of kinds of their own, which their release names. Having one is being on its line.
SPECIAL = ("ksplice", "fips")
_SPECIAL = re.compile(r"\.(ksplice)[0-9]*\.|_(fips)(?:\.|$)")
# Rolling releases whose VERSION_ID is the day of a snapshot.
SNAPSHOTS = {"opensuse-tumbleweed", "wolfi", "chainguard"}
# Their releases are service packs with fixes of their own: 15 is the one before 15.1.
SERVICE_PACKS = {"sles", "sled", "sles_sap", "sle_hpc", "sle_rt"}
# Rebuilds of another vendor's release, package by package and version by version.
REBUILDS = {"centos:6": "rhel:6", "centos:7": "rhel:7"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: an installed package under the names and versions advisories know it by."""

    platform: str  # as `packages.entitled` writes it
    manager: str
    name: str
    version: str
    source: str
    source_version: str
    arch: str = ""
    module: str = ""
    origin: str = ""
    reported_source: str | None = None  # "": the report does not say; None: nobody asks

    def named(self, match: Match) -> tuple[str, str]:
        """Return (name, version) of this package as ``match`` means it."""
        if match is Match.SOURCE:
            return self.source, self.source_version
        return self.name, self.version

    @property
    def is_source_unknown(self) -> bool:
        """Whether it is judged by its own name where its source package's would count."""
        return self.reported_source == "" and self.manager in SYSTEMS

    @property
    def foreign(self) -> str:
        """Who built it, if not the vendor of its platform; advisories do not mean it then."""
        if self.manager in ECOSYSTEMS:
            return ""
        return foreign(self.platform, self.origin, self.version)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one statement means for one version, and the comparison that says so."""

    status: Status
    reason: str  # a sentence part: "2.36-9 is older than 2.36-9+deb12u4"
    is_sure: bool = True  # False: only if it is of the module stream or service pack that is meant


def platforms_of(platform: str, manager: str = "") -> tuple[str, ...]:
    """Return the platforms whose advisories bear on packages of ``platform``, most exact first.

    What is written for ``rhel:9`` also holds for ``rhel:9.4`` (design.md 5.2), and what is for
    ``alpine:3.19`` for ``alpine:3.19.1``. A package of a language has the platform of its
    ``manager``, on whatever host.
    """
    if manager in ECOSYSTEMS:
        return (manager,)
    where = release_of(platform)
    os_id, _, release = where.partition(":")
    parts = release.split(".") if os_id not in SERVICE_PACKS else [release]
    shorter = [".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]
    found = (where, *(f"{os_id}:{each}" for each in shorter))
    packs = tuple(f"{os_id}:{pack}" for pack in packs_of(os_id, release))
    rolling = (f"{os_id}:rolling",) if os_id in SNAPSHOTS else ()
    return found + packs + rolling + tuple(REBUILDS[each] for each in found if each in REBUILDS)


def is_about(scheme: str, manager: str) -> bool:
    """Return whether a statement in versions of ``scheme`` can mean packages of ``manager``.

    A Python package on a Debian host is not the Debian package of the same name.
    """
    return not scheme or scheme == SCHEME_OF_MANAGER.get(manager, scheme)


def concerns(fix: Fix, subject: Subject, modules: Catalogue = NO_MODULES) -> bool:
    """Return whether ``fix``, which names ``subject``, is about this build of it."""
    return (
        is_about(fix.scheme, subject.manager)
        and _is_for_arch(fix.arch, subject.arch)
        and _is_for_channel(fix, subject)
        and _is_for_build(fix, subject, modules)
    )


def why_not(fix: Fix, subject: Subject, modules: Catalogue = NO_MODULES) -> str:
    """Return why ``fix``, which names ``subject``, is not about it; "" when it is.

    A part of a sentence, for people: "it is for i686, and this build is for x86_64".
    """
    if subject.foreign:
        return f"{subject.foreign} built it, and the vendor speaks of its own builds only"
    if not is_about(fix.scheme, subject.manager):
        return f"it compares versions as {fix.scheme}, and this is a package of {subject.manager}"
    if not _is_for_arch(fix.arch, subject.arch):
        return f"it is for {' and '.join(fix.arch.split())}, and this build is for {subject.arch}"
    if not _is_for_channel(fix, subject):
        return _why_not_for_channel(fix, subject)
    if not _is_for_build(fix, subject, modules):
        return f"it is for {_stream(fix)}, and this is {_build(subject)}"
    return ""


def _why_not_for_channel(fix: Fix, subject: Subject) -> str:
    kind = _kind(subject)
    if fix.channel in SPECIAL:
        return f"it is for {fix.channel} builds, and this is not one"
    if kind:
        return f"it is for ordinary builds, and this is a {kind} build"
    return f"it is for hosts entitled to {fix.channel}, and this one is not"


def _stream(fix: Fix) -> str:
    if fix.module:
        return f"the module stream {fix.module}"
    return "a module stream" if is_modular(fix.fixed) else "builds of no module"


def _build(subject: Subject) -> str:
    if subject.module:
        return f"a build of {subject.module}"
    return "a build of another stream" if is_modular(subject.version) else "a build of no module"


def _is_for_channel(fix: Fix, subject: Subject) -> bool:
    kind = _kind(subject)
    if fix.fixed and fix.channel in SPECIAL:
        return kind == fix.channel
    if kind:
        return not fix.fixed  # nothing to install is nothing to install for any build
    return not fix.channel or fix.channel in EXTENDING or fix.channel in channels(subject.platform)


def _kind(subject: Subject) -> str:
    """Return which kind of special build a package is; "" for an ordinary one."""
    found = _SPECIAL.search(subject.version) if subject.manager == "rpm" else None
    return found[1] or found[2] if found else ""


def _is_for_arch(listed: str, arch: str) -> bool:
    """A package may become, or stop being, independent of the machine; i686 is no x86_64."""
    wanted = set(listed.split())
    return not wanted or not arch or arch in _EVERY_ARCH or bool(wanted & {arch, *_EVERY_ARCH})


def _is_for_build(fix: Fix, subject: Subject, modules: Catalogue) -> bool:
    """A module's builds and the others have the same names; an update never crosses over."""
    if subject.manager != "rpm" or not (fix.fixed or fix.module):
        return True
    if _same_pack(fix, subject) is False:
        return False
    for_module = bool(fix.module) or is_modular(fix.fixed)
    if for_module != (bool(subject.module) or is_modular(subject.version)):
        return False
    if fix.module and subject.module:
        return main_stream(fix.module) == main_stream(subject.module)
    return not for_module or _same_stream(fix, subject, modules) is not False


def _same_stream(fix: Fix, subject: Subject, modules: Catalogue) -> bool | None:
    return modules.same_stream(fix.package, subject.version, fix.fixed, fix.module)


def _same_pack(fix: Fix, subject: Subject) -> bool | None:
    os_id, _, release = release_of(subject.platform).partition(":")
    if fix.platform.partition(":")[2] not in packs_of(os_id, release):
        return True
    return same_pack(subject.version, fix.fixed)


def assess(subject: Subject, fix: Fix, modules: Catalogue = NO_MODULES) -> Verdict | None:
    """Return what ``fix`` means for ``subject``; None when it is not about it.

    ``modules`` is what all statements about the platform tell of its module streams.
    """
    if not concerns(fix, subject, modules):
        return None
    verdict = judge(subject.named(fix.match)[1], fix)
    if fix.match is Match.SOURCE and subject.is_source_unknown:
        why = "; ".join(filter(None, (verdict.reason, SOURCE_UNKNOWN)))
        verdict = replace(verdict, reason=why)
    if verdict.status not in _AFFECTED:
        return verdict
    if (fix.module or is_modular(fix.fixed)) and not (fix.module and subject.module):
        return replace(verdict, is_sure=_same_stream(fix, subject, modules) is True)
    if subject.manager == "rpm" and _same_pack(fix, subject) is None:
        return replace(verdict, is_sure=False)
    if (
        verdict.status is Status.AFFECTED
        and fix.channel in EXTENDING
        and fix.channel not in channels(subject.platform)
    ):
        needs = f"{verdict.reason}; {NEEDS} {NAMES[fix.channel]}"
        return Verdict(Status.AFFECTED, needs)
    return verdict


def judge(version: str, fix: Fix) -> Verdict:
    """Return what ``fix`` means for ``version``, a version of the package that it names.

    A version that cannot be read is `Status.UNDETERMINED`, never silence: an unreadable package
    must not count as safe.
    """
    if fix.status is Status.NOT_AFFECTED:
        return Verdict(Status.NOT_AFFECTED, fix.reason or "the vendor says it is not affected")
    try:
        if fix.introduced and _sign(fix.scheme, version, fix.introduced) == "<":
            return Verdict(Status.NOT_AFFECTED, f"{version} is older than {fix.introduced}")
        if fix.last_affected and _sign(fix.scheme, version, fix.last_affected) == ">":
            return Verdict(Status.NOT_AFFECTED, f"{version} is newer than {fix.last_affected}")
        if fix.fixed or fix.status is Status.AFFECTED:
            sign = _sign(fix.scheme, version, fix.fixed)
            if sign != "<" or fix.status is Status.AFFECTED:
                status = Status.AFFECTED if sign == "<" else Status.NOT_AFFECTED
                return Verdict(status, f"{version} {_SAID[sign]} {fix.fixed}")
    except VersionError as error:
        return Verdict(Status.UNDETERMINED, str(error))
    return Verdict(fix.status, fix.reason)


def overruled(said: Iterable[tuple[Fix, frozenset[str]]], subject: Subject) -> frozenset[str]:
    """Return the CVEs on which a line of fixes that ``subject`` is on has the word.

    A host on an extended update line (EUS, AUS) gets its own builds of a fix, which sort before
    those of the main line: what the main line says of the same CVEs is not for it. ``said`` are
    statements about it with the CVEs of each.
    """
    own = channels(subject.platform) - EXTENDING
    found = frozenset[str]()
    return found.union(*(cves for fix, cves in said if fix.channel in own))


_RANK = {
    Status.AFFECTED: 3,
    Status.NO_FIX: 2,
    Status.UNDETERMINED: 1,
    Status.NOT_AFFECTED: 0,
}


_AFFECTED = (Status.AFFECTED, Status.NO_FIX)  # whether or not there is something to install


def decisive(judged: Iterable[tuple[Fix, Verdict]]) -> tuple[Fix, Verdict] | None:
    """Return what decides when an advisory makes several statements about one package.

    A statement that calls it affected outweighs one that does not; None for no statements. Of two
    that both name a fix, the one that must be reached last decides. What holds only for a module
    stream or a service pack that may be another one is undetermined, unless all say the same or
    it is affected in any case.
    """
    pairs = list(judged)
    if not pairs:
        return None
    fix, verdict = _foremost(pairs)
    agreed = len(pairs) > 1 and all(other.status is verdict.status for _, other in pairs)
    if verdict.is_sure or agreed:
        return fix, verdict
    sure = [pair for pair in pairs if pair[1].is_sure and pair[1].status in _AFFECTED]
    if sure:
        return _foremost(sure)
    why = f"{verdict.reason}, if it is of that module stream or service pack, which is not known"
    return fix, Verdict(Status.UNDETERMINED, why)


def _foremost(pairs: Iterable[tuple[Fix, Verdict]]) -> tuple[Fix, Verdict]:
    return max(pairs, key=lambda pair: (_RANK[pair[1].status], _fixed_key(pair[0])))


def _fixed_key(fix: Fix) -> bytes:
    try:
        return _key(fix.scheme, fix.fixed) if fix.fixed else b""
    except VersionError:
        return b""


def _sign(scheme: str, left: str, right: str) -> str:
    have, other = _key(scheme, left), _key(scheme, right)
    return "<" if have < other else "=" if have == other else ">"


@lru_cache(maxsize=1 << 16)
def _key(scheme: str, version: str) -> bytes:
    if scheme not in SCHEMES:
        raise VersionError(scheme or "known", version)
    return SCHEMES[scheme](version)

"""Holds: package versions that are known to be bad, which no plan may install until a hold ends.

A hold names a package, installed or source, on one platform or on all, and versions: none for
every one, ``1.2-3`` for that one, or bounds that all must hold, such as ``>=1.2,<1.4``. They are
compared with what a plan goes to, in the package manager's own order. A plan that takes any newer
version too goes to all of them: it is held where it could bring one that is known to be bad.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from patchmgr.domain.packages import SCHEME_OF_MANAGER
from patchmgr.domain.plans import Change, Exclusion, Group, Proposal
from patchmgr.domain.versions import SCHEMES
from patchmgr.errors import InputError, VersionError

LONGEST = timedelta(days=366)
USUAL = timedelta(days=30)  # of a hold that a ring's failures made

_COMPARE: dict[str, Callable[[bytes, bytes], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# Whether the versions just above one are within a bound.
_COMPARE_ABOVE = {**_COMPARE, "=": lambda *_: False, "<=": operator.lt, ">": operator.ge}
_BOUND = re.compile(r"\s*(<=|>=|=|<|>)?\s*([^\s<>=,]{1,150})\s*", re.ASCII)


class State(StrEnum):
    PROPOSED = "proposed"  # hosts failed on it; a person has to say so
    IN_FORCE = "in_force"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Hold:
    """Raises `InputError` for a package or versions that cannot be."""

    package: str  # installed package, or its source
    versions: str = ""  # "" for every one
    platform: str = ""  # "" for every one
    reason: str = ""
    id: int = 0
    is_of_newer: bool = False  # not what is planned is bad, but what a host may get in its place
    is_proposed: bool = False  # hosts failed on it, and nobody has said yet that it is bad

    def __post_init__(self) -> None:
        if not self.package or self.package.strip() != self.package or len(self.package) > 200:
            raise InputError({"package": "name an installed package or its source"})
        for _, version in bounds(self.versions):
            if not any(_key(scheme, version) is not None for scheme in SCHEMES):
                raise InputError({"versions": f"{version!r} is no version of any package manager"})

    @property
    def what(self) -> str:
        """What is held, for people: "openssl 3.0.17-1 on debian:12"."""
        version = f" {self.versions}" if self.versions else ""
        return f"{self.package}{version}{f' on {self.platform}' if self.platform else ''}"

    @property
    def words(self) -> str:
        known = f"known to be bad (hold {self.id}: {self.reason})"
        return (
            f"planned at least, which may bring {self.what}, {known}" if self.is_of_newer else known
        )

    def covers(self, change: Change) -> bool:
        """Return whether ``change`` would install what is held.

        A version that cannot be read in the package manager's order is held by its very text only.
        """
        return self._is_for(change) and self._has(change, change.to_version, _COMPARE)

    def against(self, change: Change, *, or_newer: bool) -> "Hold | None":
        """Return the hold as it stands against ``change``, or any newer version in its place.

        None when it does not. Which newer versions there are is not known: all that could be are.
        """
        if self.covers(change):
            return self
        if not or_newer or not self._is_for(change):
            return None
        scheme = SCHEME_OF_MANAGER[change.manager]
        ends = [version for _, version in bounds(self.versions)]
        newer = [one for one in ends if _holds(scheme, ">", one, change.to_version)]
        if any(self._has(change, one, _COMPARE) for one in newer) or any(
            self._has(change, one, _COMPARE_ABOVE) for one in (change.to_version, *newer)
        ):
            return replace(self, is_of_newer=True)
        return None

    def _is_for(self, change: Change) -> bool:
        return self.package in (change.package, change.source) and self.platform in (
            "",
            change.platform,
        )

    def _has(
        self, change: Change, version: str, compare: Mapping[str, Callable[[bytes, bytes], bool]]
    ) -> bool:
        scheme = SCHEME_OF_MANAGER[change.manager]
        return all(
            _holds(scheme, sign, version, bound, compare) for sign, bound in bounds(self.versions)
        )


def bounds(text: str) -> list[tuple[str, str]]:
    """Return each bound as sign and version. Raises `InputError`."""
    found = []
    for part in text.split(",") if text.strip() else ():
        match = _BOUND.fullmatch(part)
        if match is None:
            raise InputError({"versions": f"{part!r} is no bound; write 1.2-3, or >=1.2,<1.4"})
        found.append((match[1] or "=", match[2]))
    return found


def state_of(
    confirmed_at: datetime | None,
    revoked_at: datetime | None,
    expires_at: datetime,
    now: datetime,
) -> State:
    if revoked_at is not None and revoked_at <= now:
        return State.REVOKED
    if expires_at <= now:
        return State.EXPIRED
    return State.IN_FORCE if confirmed_at is not None else State.PROPOSED


def hold_back(proposal: Proposal, holds: Sequence[Hold], *, or_newer: bool = False) -> Proposal:
    """Return ``proposal`` without what is held, and what moves together with it; both are said.

    With ``or_newer`` hosts may get any newer version, and that may be held too.
    """
    if not holds:
        return proposal
    return Proposal(tuple(_without(group, holds, or_newer) for group in proposal.groups))


def held_changes(
    changes: Iterable[Change], holds: Sequence[Hold], *, or_newer: bool = False
) -> list[tuple[Change, Hold]]:
    """Return which of ``changes`` would install what is held, with the first hold that says so."""
    found = []
    for change in changes:
        against = (one.against(change, or_newer=or_newer) for one in holds)
        hold = next(filter(None, against), None)
        if hold is not None:
            found.append((change, hold))
    return found


def _without(group: Group, holds: Sequence[Hold], or_newer: bool) -> Group:
    held = held_changes(group.changes.values(), holds, or_newer=or_newer)
    if not held:
        return group
    by_change = dict(held)
    first, because = held[0]
    together = f"moves together with {first.package}, which is {because.words}"
    left = [
        Exclusion(
            one.platform,
            one.package,
            one.arch,
            one.from_version,
            by_change[one].words if one in by_change else together,
            one.advisories,
        )
        for one in group.changes.values()
    ]
    return Group(group.hosts, {}, (*group.excluded, *left))


def _holds(
    scheme: str,
    sign: str,
    version: str,
    bound: str,
    compare: Mapping[str, Callable[[bytes, bytes], bool]] = _COMPARE,
) -> bool:
    if sign == "=" and version == bound and compare is _COMPARE:
        return True
    have, wanted = _key(scheme, version), _key(scheme, bound)
    return have is not None and wanted is not None and compare[sign](have, wanted)


def _key(scheme: str, version: str) -> bytes | None:
    try:
        return SCHEMES[scheme](version)
    except VersionError:
        return None

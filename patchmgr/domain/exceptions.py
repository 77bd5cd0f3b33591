"""Exceptions: recorded decisions not to act yet on some findings, until a day.

An exception covers a finding when every part of its scope that is named says so (`Scope`), while it
is in force: from its approval until it expires or is revoked. What it covers stays a finding; it is
neither overdue nor planned. After it the finding is as if there had been no exception.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum

from patchmgr.domain.accounts import Role
from patchmgr.errors import ConflictError, ForbiddenError, InputError


class Type(StrEnum):
    """Why nothing is done yet."""

    RISK_ACCEPTED = "risk_accepted"
    FALSE_POSITIVE = "false_positive"
    VENDOR_WILL_NOT_FIX = "vendor_will_not_fix"
    COMPENSATING_CONTROL = "compensating_control"
    DEFERRAL = "deferral"


class State(StrEnum):
    PROPOSED = "proposed"  # nobody with the right to has approved it; it covers nothing
    IN_FORCE = "in_force"
    EXPIRED = "expired"  # approved or not
    REVOKED = "revoked"


LONGEST_FALSE_POSITIVE = 3650  # days; what is not so will not become so, but people should look
REASON_LENGTH = 4000


@dataclass(frozen=True, slots=True)
class Scope:
    """What an exception is about; an empty part does not restrict.

    ``cve`` covers findings of advisories that name this CVE and no other: where an advisory names
    more, its other flaws are still to be dealt with, and only the advisory itself can be named.
    ``package`` is the installed one or its source. Raises `InputError` when nothing is named.
    """

    cve: str = ""
    advisory: str = ""
    package: str = ""
    host: str = ""  # hostname
    tag: str = ""  # of the host

    def __post_init__(self) -> None:
        if not any(getattr(self, each.name) for each in fields(self)):
            names = ", ".join(each.name for each in fields(self))
            raise InputError({"scope": f"name at least one of {names}"})

    def is_about(self, package: str, source: str, advisory: str, cves: Collection[str]) -> bool:
        """Return whether it is about what ``advisory`` says of ``package``, on whatever host."""
        return (
            self.advisory in ("", advisory)
            and self.package in ("", package, source)
            and (not self.cve or set(cves) == {self.cve})
        )

    def is_on(self, host: str, tags: Collection[str]) -> bool:
        """Return whether it holds on ``host``, whatever the finding."""
        return self.host in ("", host) and (not self.tag or self.tag in tags)

    def __str__(self) -> str:
        named = ((each.name, getattr(self, each.name)) for each in fields(self))
        return ", ".join(f"{name} {value}" for name, value in named if value)


@dataclass(frozen=True, slots=True)
class Exempting:
    """An exception as far as findings ask for it."""

    id: int
    type: Type
    scope: Scope
    approved_at: datetime | None
    expires_at: datetime
    revoked_at: datetime | None = None

    def state(self, at: datetime) -> State:
        """Return how it stood at ``at``; both ends of its time are sharp: the last is outside."""
        if self.revoked_at is not None and self.revoked_at <= min(at, self.expires_at):
            return State.REVOKED
        if self.expires_at <= at:
            return State.EXPIRED
        if self.approved_at is None or self.approved_at > at:
            return State.PROPOSED
        return State.IN_FORCE

    @property
    def label(self) -> str:
        """How findings name it: ``12 false_positive``."""
        return f"{self.id} {self.type.value}"


class InForce:
    """The exceptions in force at an instant, to ask of each finding which of them cover it.

    ``tags`` are the tags that each host had then, of those that exceptions name.
    """

    def __init__(
        self,
        exceptions: Iterable[Exempting],
        at: datetime,
        tags: Mapping[int, Collection[str]] | None = None,
    ) -> None:
        found = [each for each in exceptions if each.state(at) is State.IN_FORCE]
        self.all = tuple(sorted(found, key=lambda each: each.id))
        self._tags = tags or {}
        self._by_advisory: dict[str, list[Exempting]] = defaultdict(list)
        for each in self.all:
            self._by_advisory[each.scope.advisory].append(each)

    def about(
        self, package: str, source: str, advisory: str, cves: Collection[str]
    ) -> tuple[Exempting, ...]:
        """Return those about such a finding, on some host at least; by id."""
        if not self.all:
            return ()
        candidates = (*self._by_advisory.get("", ()), *self._by_advisory.get(advisory, ()))
        found = [
            each for each in candidates if each.scope.is_about(package, source, advisory, cves)
        ]
        return tuple(sorted(found, key=lambda each: each.id))

    def on(self, host_id: int, host: str, about: Iterable[Exempting]) -> tuple[Exempting, ...]:
        """Return those of ``about`` that hold on a host."""
        tags = self._tags.get(host_id, ())
        return tuple(each for each in about if each.scope.is_on(host, tags))


def check_decision(
    scope: Scope, type_: Type, reason: str, expires_at: datetime, now: datetime, longest: int
) -> None:
    """Raise `InputError` for a decision that cannot be recorded.

    ``longest`` is how many days an exception may last; a false positive may last longer.
    """
    problems = {}
    if not reason.strip():
        problems["reason"] = "say why; it is kept with the decision"
    elif len(reason) > REASON_LENGTH:
        problems["reason"] = f"use at most {REASON_LENGTH} characters"
    days = LONGEST_FALSE_POSITIVE if type_ is Type.FALSE_POSITIVE else longest
    if expires_at <= now:
        problems["expires"] = "must be after now"
    elif expires_at > now + timedelta(days=days + 1):  # the end of the last day is still that day
        problems["expires"] = f"{type_.value.replace('_', ' ')} lasts {days} days at most"
    if type_ is Type.FALSE_POSITIVE and not (scope.cve or scope.advisory):
        problems["scope"] = "a false positive is of an advisory or a CVE; name one"
    if problems:
        raise InputError(problems)


def approves_itself(role: Role, *, four_eyes: bool) -> bool:
    """Return whether what somebody of ``role`` decides is in force without another person.

    Who may approve what others propose may decide alone, unless ``four_eyes`` are asked for.
    """
    return role.covers(Role.APPROVER) and not four_eyes


def check_approval(exception: Exempting, author: str, approver: str, now: datetime) -> None:
    """Raise `ForbiddenError` for the author, `ConflictError` when there is nothing to approve."""
    state = exception.state(now)
    if exception.approved_at is not None and state is State.IN_FORCE:
        raise ConflictError(f"exception {exception.id} is in force already")
    if state is not State.PROPOSED:
        raise ConflictError(f"exception {exception.id} is {state.value}; record a new one")
    if approver == author:
        raise ForbiddenError("who proposed an exception cannot approve it; ask somebody else")

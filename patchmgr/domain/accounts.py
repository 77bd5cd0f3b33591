"""Who may do what, what a password must be, and when sign-in is refused for a while."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum


class Role(StrEnum):
    """What an account may do; each role may do what the ones before it may."""

    VIEWER = "viewer"  # read everything
    OPERATOR = "operator"  # import, plan, start, pause
    APPROVER = "approver"  # approve or reject what others planned
    ADMIN = "admin"  # accounts, feeds, settings

    def covers(self, needed: "Role") -> bool:
        """Return whether this role may do what ``needed`` may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


PASSWORD_LENGTH = 12  # NIST SP 800-63B 3.1.1.2 asks for 15 without a second factor, 8 with one
PASSWORD_LONGEST = 256  # bounds the work of hashing
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-@")

FAILURES_OF_A_NAME = 5
FAILURES_OF_AN_ADDRESS = 30  # many people may share one
FAILURE_WINDOW = timedelta(minutes=15)


def name_problem(name: str) -> str | None:
    """Return why ``name`` cannot name an account; None when it can."""
    if not name or len(name) > 64 or not NAME_CHARACTERS.issuperset(name):
        return "use 1 to 64 of: a-z 0-9 . _ - @"
    return None


def password_problem(password: str, name: str) -> str | None:
    """Return why ``password`` is not accepted for the account ``name``; None when it is."""
    if len(password) < PASSWORD_LENGTH:
        return f"use at least {PASSWORD_LENGTH} characters"
    if len(password) > PASSWORD_LONGEST:
        return f"use at most {PASSWORD_LONGEST} characters"
    if len(set(password)) < 5:
        return "use more than 4 different characters"
    if name and not password.lower().replace(name.lower(), ""):
        return "do not use the name of the account"
    return None


def refused_until(failures: Sequence[datetime], limit: int, now: datetime) -> datetime | None:
    """Return when sign-in may be tried again after ``failures``; None when it may be tried now.

    ``limit`` failures within `FAILURE_WINDOW` refuse until the oldest of the last ``limit`` is
    older than that.
    """
    recent = sorted(at for at in failures if at > now - FAILURE_WINDOW)
    return recent[-limit] + FAILURE_WINDOW if len(recent) >= limit else None

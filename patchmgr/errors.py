"""Every error patchmgr raises on purpose, grouped by who has to act on it.

Raise the most specific class; catch the group. `web.errors` and `patchmgr.cli` each translate a
group once (to an HTTP status, to an exit code), so no view or command holds a mapping of its own.
"""

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SQLITE_FULL = 13  # the databases' own codes of a full disk
_POSTGRESQL_FULL = "53100"


class PatchmgrError(Exception):
    """Base of all deliberate errors; anything else that escapes is a bug."""

    code = "error"


class InputError(PatchmgrError):
    """The caller sent something we cannot accept, and can send it again corrected."""

    code = "invalid-input"
    SHOWN = 20

    def __init__(self, problems: Mapping[str, str] | str) -> None:
        if isinstance(problems, str):
            problems = {"": problems}
        said = [f"{at}: {why}" if at else why for at, why in problems.items()]
        if len(said) > self.SHOWN:
            said[self.SHOWN :] = [f"and {len(said) - self.SHOWN} more"]
        super().__init__("; ".join(said))
        self.problems = dict(problems)


class VersionError(InputError):
    """A version string is not one of its scheme's."""

    code = "invalid-version"

    def __init__(self, scheme: str, text: str) -> None:
        super().__init__(f"{text!r} is not a {scheme} version")
        self.scheme = scheme
        self.text = text


@dataclass(frozen=True, slots=True)
class BadRow:
    """One refused row of an imported file: where, what, and what to do about it."""

    row: int  # line of the file on which the record starts; the header is 1; 0: the whole file
    column: str  # empty when the whole row is at fault
    value: str
    remedy: str
    record: str = ""  # the row as it stood in the file, for the rejects file

    def __str__(self) -> str:
        where = ([f"row {self.row}"] if self.row else []) + (
            [f"column {self.column}"] if self.column else []
        )
        value = f"{self.value[:80]!r} " if self.value else ""
        return f"{', '.join(where)}: {value}{self.remedy}" if where else f"{value}{self.remedy}"


class BadFileError(InputError):
    """A file has rows we cannot accept; nothing of it was written.

    ``rest`` says where those are found that are too many to be named.
    """

    code = "bad-file"

    def __init__(
        self, file: str, rows: Sequence[BadRow], total: int | None = None, *, rest: str = ""
    ) -> None:
        self.file = file
        self.rows = tuple(rows)
        self.total = total if total is not None else len(self.rows)
        said = list(dict.fromkeys(f"{file}: {row}".replace("\n", "\\n") for row in self.rows))
        shown = said[: self.SHOWN]
        more = (self.total - len(self.rows)) + len(said) - len(shown)
        if more > 0:
            shown.append(f"{file}: and {more} more" + (f"; {rest}" if rest else ""))
        super().__init__("\n".join(shown))


class NotFoundError(PatchmgrError):
    """A named thing does not exist."""

    code = "not-found"

    def __init__(self, kind: str, ref: object, remedy: str = "") -> None:
        super().__init__(f"no {kind} {ref!r}" + (f"; {remedy}" if remedy else ""))
        self.kind = kind
        self.ref = ref


class ConflictError(PatchmgrError):
    """The request is well formed, but the current state forbids it."""

    code = "conflict"


class HostConflictError(ConflictError):
    """What is wanted of a host of a plan is not possible; the rules know it by number."""

    def __init__(self, host: int | str, why: str) -> None:
        super().__init__(f"host {host} {why}")
        self.host, self.why = host, why


class IllegalTransitionError(ConflictError):
    """A plan was told to do what its state does not allow."""

    code = "illegal-transition"

    def __init__(self, state: str, event: str) -> None:
        super().__init__(f"{event} is not possible while the plan is {state}")


class FeedHeldError(ConflictError):
    """A feed would lose more of what it says than is believed without a person's word."""

    code = "feed-held"


class ForbiddenError(PatchmgrError):
    """Who asks may not do this."""

    code = "forbidden"


class AuthenticationError(PatchmgrError):
    """Who asks did not prove who they are."""

    code = "unauthenticated"


class BusyError(PatchmgrError):
    """Somebody else is at work on the same thing; the same call later can succeed."""

    code = "busy"


class DiskFullError(BusyError):
    """There is no room to write; the same call succeeds when there is."""

    code = "disk-full"
    NOTHING = "nothing of this was kept"

    def __init__(self, kept: str = NOTHING, where: str = "of the service") -> None:
        super().__init__(
            f"the disk {where} is full, and {kept}; make room on it (patchmgr doctor says how "
            "much the service has), then try again"
        )


class OverloadedError(BusyError):
    """Too many want to write at the same time; the same call succeeds when it comes later."""

    code = "overloaded"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too much is being written just now; try again in {seconds} seconds")
        self.seconds = seconds


class TooOftenError(BusyError):
    """Who asks has asked too often of late; the same call succeeds when it comes later."""

    code = "too-often"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"asked too often; ask again in {seconds} seconds")
        self.seconds = seconds


def is_full_disk(error: BaseException) -> bool:
    """Return whether ``error``, be it a file's or a database's, says that there is no room."""
    if isinstance(error, DiskFullError):
        return True
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    said = getattr(error, "orig", None)  # what the database's driver raised
    code = getattr(said, "sqlite_errorcode", 0) & 0xFF
    return code == _SQLITE_FULL or getattr(said, "sqlstate", None) == _POSTGRESQL_FULL


class FeedError(PatchmgrError):
    """An upstream feed failed us; the operator can only wait or reconfigure."""

    code = "feed"


class FeedUnreachableError(FeedError):
    """A feed's document could not be fetched."""

    code = "feed-unreachable"


class FeedGoneError(FeedUnreachableError):
    """A feed's server says that there is no such document."""

    code = "feed-gone"


class FeedMalformedError(FeedError):
    """A feed's document is not what its vendor publishes."""

    code = "feed-malformed"


class SettingsError(InputError):
    """A setting is unknown or has a value that cannot be used."""

    code = "settings"

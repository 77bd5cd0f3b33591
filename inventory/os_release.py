"""Which system a host runs, as its own files say: os-release, and what older ones have instead.

Source: os-release(5), whose values are assignments as a shell reads them. ``ID`` and ``VERSION_ID``
are kept as they are (in lower case, as the manual wants it); a rolling release has no
``VERSION_ID``. ``/etc/debian_version``, ``/etc/alpine-release`` and ``/etc/redhat-release`` count
where there is no os-release; they are told apart by their names.
"""

import re
from dataclasses import dataclass

from inventory import hosts_csv
from patchmgr.domain import os_names
from patchmgr.domain.packages import Platform, platform
from patchmgr.errors import BadFileError, BadRow

LARGEST = 1 << 16  # bytes; the real ones have a few hundred

_ASSIGNMENT = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.ASCII)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_QUOTES = ("'", '"')
_REDHAT = re.compile(
    r"(?P<name>.+?)(?: Server| Client| Workstation| ComputeNode| AMI)?"
    r" release (?P<release>[0-9][0-9.]*)\b.*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class OsRelease:
    """What os-release says: the words that tell which advisories are for the host."""

    os_id: str
    os_release: str = ""  # VERSION_ID; "" for a rolling release
    like: tuple[str, ...] = ()  # ID_LIKE, nearest first
    name: str = ""  # PRETTY_NAME, for people

    @property
    def platform(self) -> Platform:
        return platform(self.os_id, self.os_release)

    @property
    def system(self) -> str:
        """``ID:RELEASE``, as ``report submit --os`` takes it."""
        return str(self.platform)


def read(text: str, file: str = "os-release") -> OsRelease:
    """Return what ``text``, the content of ``file``, says of the system.

    Raises `BadFileError` when it does not say which one it is.
    """
    name = file.replace("\\", "/").rpartition("/")[2]
    if len(text) > LARGEST:
        raise _bad(name, 0, "", "", "is longer than any such file is")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    older = _OLDER.get(name.lower())
    if older is None and not any(map(_ASSIGNMENT.match, text.split("\n"))):
        older = "redhat" if " release " in text else None
    if older is not None:
        return _older(text, name, older)
    return _assigned(text, name)


def _assigned(text: str, name: str) -> OsRelease:
    values: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if assignment := _ASSIGNMENT.fullmatch(line):
            values[assignment[1]] = _unquoted(assignment[2].strip()), number  # the last one counts
    if not values.get("ID", ("", 0))[0]:
        raise _bad(name, 0, "ID", "", "is missing; it says which distribution this is")
    for key, column in (("ID", "os_id"), ("VERSION_ID", "os_release")):
        value, number = values.get(key, ("", 0))
        if (why := hosts_csv.wrong(column, value)) is not None:
            raise _bad(name, number, key, value, why)
    said = {key: value for key, (value, _) in values.items()}
    return OsRelease(
        said["ID"].lower(),
        said.get("VERSION_ID", ""),
        tuple(said.get("ID_LIKE", "").lower().split()),
        said.get("PRETTY_NAME", ""),
    )


def _unquoted(value: str) -> str:
    """Return an assigned value as a shell would: quotes taken off, escapes resolved."""
    quote = value[:1]
    if quote not in _QUOTES or not quote:
        return _ESCAPED.sub(r"\1", value.split(" #", maxsplit=1)[0].split(" ", maxsplit=1)[0])
    end = 1
    while end < len(value) and value[end] != quote:
        end += 2 if quote == '"' and value[end] == "\\" else 1
    inner = value[1:end]
    return _ESCAPED.sub(r"\1", inner) if quote == '"' else inner


_OLDER = {
    "debian_version": "debian",
    "alpine-release": "alpine",
    "redhat-release": "redhat",
    "centos-release": "redhat",
    "fedora-release": "redhat",
    "oracle-release": "redhat",
    "system-release": "redhat",
    "rocky-release": "redhat",
    "almalinux-release": "redhat",
}


def _older(text: str, name: str, kind: str) -> OsRelease:
    line = next((each.strip() for each in text.split("\n") if each.strip()), "")
    if kind == "redhat":
        match = _REDHAT.fullmatch(line)
        found = os_names.system(match["name"], match["release"]) if match else ""
    else:
        found = os_names.system(kind, line)
    os_id, _, release = found.partition(":")
    if not os_id or (" " in line and kind != "redhat"):
        raise _bad(name, 1, "", line, f"does not say which release of {kind} this is")
    return OsRelease(os_id, "" if release == "rolling" else release, (), line)


def _bad(file: str, row: int, column: str, value: str, why: str) -> BadFileError:
    return BadFileError(file, [BadRow(row, column, value, why)])

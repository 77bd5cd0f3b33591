"""What a row of a packages file says: a package, why it is none, or what is wrong with it.

Beside our own columns an export may have an rpm's parts apart (``release``, ``epoch``) or whole
(``nvra``, ``nvrea``), or name the file that a package came from (``package_file``), which tells the
package manager too.

Sources: Foreman's report template "Host - All Installed Packages", whose rows of Debian's packages
have their version and architecture where rows of rpm have NVRA and NVREA; Katello's epoch before
the name; the application gatherer of AWS's agent, for what its PackageId holds.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from inventory import csv_file, spreadsheets
from inventory.csv_file import Layout
from inventory.managers import dpkg, rpm
from inventory.refusals import Problem, Reason, Refusal
from inventory.report import shown
from patchmgr.domain.packages import MANAGERS, Package, Platform, manager_of

REQUIRED = ("hostname", "manager", "name", "version")
PACKAGE = (  # of a `Package`, in its order
    "manager",
    "name",
    "version",
    "arch",
    "source",
    "source_version",
    "module",
    "origin",
)
WRITTEN = ("release", "epoch", "package_file", "nvra", "nvrea")  # become what a package is
COLUMNS = ("hostname", *PACKAGE, *WRITTEN)
INSTEAD: Mapping[str, tuple[str, ...]] = {  # our column -> those that say it as well
    "manager": WRITTEN,
    "name": ("nvra", "nvrea"),
    "version": ("nvra", "nvrea"),
}
SYSTEM = "system"  # in place of a manager: that of the host's system
_NOT_INSTALLED = "has no version: it is not installed"
_KEY = "is a key of signatures, and no package"
_NO_MANAGER = "is of no package manager: a program of Windows, or a snap"

_TEXT = re.compile(r"[^\s\x00-\x1f\x7f]+")
_LONGEST = dict.fromkeys(("name", "version", "source", "source_version", "module", "origin"), 200)
_LONGEST |= dict.fromkeys(("package_file", "nvra", "nvrea"), 500)
_SPACED = {"origin"}  # a name such as "Red Hat, Inc."
_WORD = 64
_DEB = re.compile(r"[^_\s]+_[^_\s]+_([a-z0-9-]+)\.deb", re.ASCII)
_MADE_OF: Mapping[str, tuple[str, ...]] = {  # our column -> those that it may be read from
    "manager": ("package_file",),
    "name": ("nvrea", "nvra"),
    "version": ("nvrea", "nvra", "release"),
    "arch": ("nvrea", "nvra", "package_file"),
    "source": ("package_file",),
    "source_version": ("package_file",),
}
_KATELLO = re.compile(r"([0-9]+):(.+)-([^-]+-[^-]+)", re.ASCII)
_NO_EPOCH = ("", "0", "(none)")
_NO_EPOCH_BEFORE = re.compile(r"^(?:0|\(none\)):")
_SOURCE = re.compile(r"\S+ \(\S+\)")  # dpkg's field, with the source's version

Cells = Mapping[str, str]


def read(
    layout: Layout, fields: Sequence[str], manager: str, *, is_ours: bool
) -> Package | Problem | str:
    """Return the package of a row, what is wrong with it, or why it tells of none.

    The hostname is not judged. ``manager`` is what an export is of throughout; `SYSTEM` leaves it
    to `of_system`, as an empty one. A row that ``is_ours`` says all in our own columns.
    """
    if (shape := csv_file.misshapen(fields, layout, but=layout.index["hostname"])) is not None:
        return shape
    cells = {
        column: spreadsheets.unwrapped(fields[position].strip())
        for column, position in layout.index.items()
        if column != "hostname"
    }
    told = _told(cells, manager, is_ours=is_ours)
    return as_filed(told, layout, fields) if isinstance(told, tuple) else told


def _told(cells: Cells, manager: str, *, is_ours: bool) -> Package | Problem | str:
    if not is_ours:
        told = _exported(cells, manager)
        if isinstance(told, str):
            return f"{shown(cells.get('name', ''))} {told}"
        if not isinstance(told, Package):
            return told
        cells = {column: getattr(told, column) for column in PACKAGE if column != "manager"}
        cells |= {"manager": told.manager} if told.manager or manager != SYSTEM else {}
    cells = _as_reported(cells)
    return _problem(cells) or _as_judged(Package(*(cells.get(column, "") for column in PACKAGE)))


def _as_reported(cells: Cells) -> Cells:
    """Return ``cells`` as the manager's own listing has them, so that it is one package.

    People write what other formats of the tools print: an architecture after dpkg's name, a source
    with its version, an epoch of an rpm that is none.
    """
    name, version = cells.get("name", ""), cells.get("version", "")
    if cells.get("manager") == rpm.MANAGER:
        return {**cells, "version": _NO_EPOCH_BEFORE.sub("", version)}
    if cells.get("manager") != "dpkg":
        return cells
    name, _, arch = name.partition(":")
    made = {**cells, "name": name, "arch": cells.get("arch") or arch}
    if _SOURCE.fullmatch(source := cells.get("source", "")) and not cells.get("source_version"):
        made["source"], made["source_version"] = dpkg.source_of(source, name, version)
    return made


def as_written(package: Package, columns: Collection[str]) -> Cells:
    """Return what says ``package`` in a file that has ``columns`` of ours alone."""
    cells = {column: getattr(package, column) for column in PACKAGE}
    if package.manager == "dpkg":
        if package.arch and "arch" not in columns:
            cells["name"] = f"{package.name}:{package.arch}"
        if package.source_version and "source_version" not in columns:
            cells["source"] = f"{package.source} ({package.source_version})"
    return cells


def _as_judged(package: Package) -> Package | Problem | str:
    """Return ``package``, why it is none, or why no advisory's version compares with its own."""
    if package.manager == rpm.MANAGER and package.name == rpm.KEYS:
        return f"{rpm.KEYS} {_KEY}"
    if package.manager == rpm.MANAGER and "-" not in package.version:
        return "version", package.version, Refusal.NO_RELEASE.said()
    return package


def of_system(package: Package, platform: Platform) -> Package | Problem | str:
    """Return ``package``, of which no manager is told, as one of its host's system."""
    if platform.startswith("windows:"):
        return f"{shown(package.name)} is a program of Windows, of which no advisory here speaks"
    manager = manager_of(platform)
    if not manager:
        return "name", package.name, Refusal.NO_MANAGER.said()
    if manager == rpm.MANAGER and "-" not in package.version:
        return "version", package.version, Refusal.NO_RELEASE.said()
    return replace(package, manager=manager)


def as_filed(problem: Problem, layout: Layout, fields: Sequence[str]) -> Problem:
    """Return ``problem`` of one of our columns as one of the file's: its name, and what it has."""
    ours, _, why = problem
    column = next((each for each in (ours, *_MADE_OF.get(ours, ())) if each in layout.index), "")
    if not column:
        return problem
    return layout.theirs(column), fields[layout.index[column]].strip(), why


def _problem(cells: Cells) -> Problem | None:
    for column, value in cells.items():
        if (why := _wrong(column, value)) is not None:
            return column, value, str(why)
    return None


def _wrong(column: str, value: str) -> Reason | None:
    """Return why ``value`` cannot stand in ``column``; None when it can."""
    if not value:
        return Refusal.NO_VALUE.of() if column in REQUIRED else None
    if column == "manager" and value not in MANAGERS:
        return Refusal.MANAGER.of(known=", ".join(MANAGERS))
    if len(value) > _LONGEST.get(column, _WORD):
        return Refusal.LONG.of(most=_LONGEST.get(column, _WORD))
    if column == "version" and (why := spreadsheets.spoilt(value)) is not None:
        return why
    if not (_TEXT.fullmatch(value) or (column in _SPACED and value.isprintable())):
        return Refusal.SPACES.of()
    return None


def _exported(cells: Cells, manager: str) -> Package | Problem | str:
    """Return the package of a row that is not in our own columns, as `read` does."""
    if cells.get("name") == rpm.KEYS:
        return _KEY
    if "nvra" in cells or "nvrea" in cells:
        return _whole(cells)
    if not cells.get("version") and not cells.get("release") and cells.get("name"):
        return _NOT_INSTALLED
    if "package_file" in cells:
        return _of_file(cells)
    if "release" in cells:
        return _parts(cells, "")
    given = cells.get("manager") or ("" if manager == SYSTEM else manager)
    return _made(cells, given, cells.get("version", ""))


def _whole(cells: Cells) -> Package | Problem | str:
    name, nvra = cells.get("name", ""), cells.get("nvra", "")
    for text in filter(None, (cells.get("nvrea", ""), nvra)):
        apart = _KATELLO.fullmatch(text)
        found = rpm.whole(f"{apart[2]}-{apart[1]}:{apart[3]}" if apart else text)
        if found is not None and found.name == (name or found.name):
            return found
    if name and nvra and not nvra.startswith(f"{name}-"):
        return Package("dpkg", name, nvra, cells.get("nvrea", ""))
    if not nvra and not cells.get("nvrea"):
        return _NOT_INSTALLED
    column = "nvrea" if cells.get("nvrea") else "nvra"
    return column, cells[column], Refusal.NVRA.said()


def _of_file(cells: Cells) -> Package | Problem | str:
    file = cells["package_file"]
    if file.endswith(("src.rpm", ".src")) or cells.get("release"):
        return _parts(cells, file)
    if (deb := _DEB.fullmatch(file)) is not None:
        return _made(cells, "dpkg", cells["version"], arch=deb[1])
    return _NO_MANAGER


def _parts(cells: Cells, source_rpm: str) -> Package | Problem:
    version, release, epoch = (cells.get(each, "") for each in ("version", "release", "epoch"))
    if cells.get("manager", rpm.MANAGER) != rpm.MANAGER:
        return _made(cells, cells["manager"], version)
    if not release:
        return "version", version, Refusal.NO_RELEASE.said()
    if epoch not in _NO_EPOCH and not (epoch.isascii() and epoch.isdigit()):
        return "epoch", epoch, Refusal.EPOCH.said()
    made = rpm.package(
        (epoch, version, release), cells.get("name", ""), cells.get("arch", ""), source_rpm, "", ""
    )
    return made if made.source else _made(cells, rpm.MANAGER, made.version, arch=made.arch)


def _made(cells: Cells, manager: str, version: str, arch: str = "") -> Package:
    return Package(
        manager,
        cells.get("name", ""),
        version,
        arch or cells.get("arch", ""),
        *(cells.get(each, "") for each in ("source", "source_version", "module", "origin")),
    )

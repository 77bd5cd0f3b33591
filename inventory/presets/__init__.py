"""What the exports of common systems call our columns: a file of data for each.

To add one, put a TOML file here. ``recognised_by`` lists the columns that tell the export: each is
a list of names of which the header must have one. ``columns`` says what a column stands for, by
the names that the export gives it in its versions; ``ignored`` lists what we have no use for;
``system`` is what runs on all its hosts, where the export names the release alone; ``manager`` the
package manager of all its packages, or ``system`` for that of each host's. ``refused`` says what to
send in place of an export that tells nothing which could be judged. What an export has
beside these is refused like any unknown column, unless it is mapped. A name in ``ignored`` that
ends in ``*`` stands for all that begin so.
Names are compared without regard to case, spaces and underscores.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

IGNORE = "-"
KINDS = ("hosts", "packages")


@dataclass(frozen=True, slots=True)
class Preset:
    """What one export calls our columns."""

    name: str
    title: str  # for people
    kind: str  # "hosts" or "packages"
    source: str  # how the export is made, and where its columns are documented
    recognised_by: tuple[frozenset[str], ...]
    columns: Mapping[str, str]  # comparable name -> our column, or `IGNORE`
    ignored: tuple[str, ...]  # beginnings of comparable names
    system: str  # that a bare release is one of; "" when the export has several systems
    manager: str = ""  # of its packages; "system": of the host's system; "" when it says it itself
    refused: str = ""  # why it is not read, and what to send; "" when it is

    def recognises(self, header: Sequence[str]) -> bool:
        have = {comparable(name) for name in header}
        return all(have & names for names in self.recognised_by)

    def mapping(self, header: Sequence[str]) -> dict[str, str]:
        """Return what the columns of ``header`` stand for, as far as the preset says.

        Where two stand for the same, the one that the preset names first does.
        """
        place = {comparable(name): name for name in header}
        found: dict[str, str] = {}
        for name, ours in self.columns.items():
            if name in place:
                taken = ours != IGNORE and ours in found.values()
                found[place[name]] = IGNORE if taken else ours
        for name, theirs in place.items():
            if name.startswith(self.ignored):
                found.setdefault(theirs, IGNORE)
        return found


def comparable(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())


@cache
def presets() -> Mapping[str, Preset]:
    """Return every preset by its name."""
    files = [each for each in resources.files(__name__).iterdir() if each.name.endswith(".toml")]
    found = (
        _read(each.name.removesuffix(".toml"), each.read_text(encoding="utf-8"))
        for each in sorted(files, key=lambda each: each.name)
    )
    return {each.name: each for each in found}


def recognised(kind: str, header: Sequence[str]) -> Preset | None:
    """Return the preset whose export has ``header``: of several the one that needs most of it."""
    fitting = [each for each in presets().values() if each.kind == kind and each.recognises(header)]
    return max(fitting, key=lambda each: len(each.recognised_by), default=None)


def _read(name: str, text: str) -> Preset:
    content = tomllib.loads(text)
    columns: dict[str, str] = {}
    for ours, theirs in content.get("columns", {}).items():
        columns |= {comparable(each): ours for each in theirs}
    ignored = content.get("ignored", [])
    columns |= {comparable(each): IGNORE for each in ignored if not each.endswith("*")}
    beginnings = (comparable(each[:-1]) for each in ignored if each.endswith("*"))
    return Preset(
        name,
        content["title"],
        content["kind"],
        content["source"],
        tuple(frozenset(map(comparable, names)) for names in content["recognised_by"]),
        columns,
        tuple(beginnings),
        content.get("system", ""),
        content.get("manager", ""),
        content.get("refused", ""),
    )

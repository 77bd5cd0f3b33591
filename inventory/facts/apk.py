"""What apk says can be upgraded: ``apk version -l '<'``.

Source: apk-version(8) and ``src/app_version.c``: after a heading each line is the installed
package, the relation, and the newest version that a repository has, with its tag if it has one.
"""

import re
from dataclasses import dataclass

from inventory.facts import UnreadableError, lines_of

_LINE = re.compile(r"(\S+?)-([0-9][^\s-]*(?:-r[0-9]+)?)\s+<\s+(\S+)(?:\s+(@\S+))?")
_HEADING = re.compile(r"\S+:\s+\S+:")
_NOISE = ("WARNING: ", "fetch ")


@dataclass(frozen=True, slots=True)
class Newer:
    name: str
    installed: str
    version: str
    tag: str  # "@edge", or ""


def upgradable(text: str) -> tuple[Newer, ...]:
    """Return what ``apk version -l '<'`` lists. Raises `UnreadableError`."""
    found = []
    for number, line in lines_of(text):
        if row := _LINE.fullmatch(line.strip()):
            found.append(Newer(row[1], row[2], row[3], row[4] or ""))
        elif not (line.startswith(_NOISE) or _HEADING.fullmatch(line.strip())):
            raise UnreadableError(number, line, "is not what apk version -l '<' prints")
    return tuple(found)

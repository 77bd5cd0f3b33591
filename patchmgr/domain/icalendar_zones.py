"""What the time zones of iCalendar files are called in the IANA database.

Outlook and Exchange write the names of Windows (``W. Europe Standard Time``), others put the name
into a path (``/example.org/Tzfile/Europe/Berlin``), or beside the zone's rules (X-LIC-LOCATION).
A zone that is known by its rules alone has no name here: many places share them.

Source: CLDR's windowsZones, as the package ``icalendar`` has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from patchmgr.domain.rules import zone_exists

_OTHERS = {"tzone://Microsoft/Utc": "UTC"}
_LONGEST = 3  # parts of a name: America/Argentina/Salta


@dataclass(frozen=True, slots=True)
class Zones:
    """The zones of one file; ``places`` are those that it gives for names of its own."""

    places: Mapping[str, str]

    def name(self, said: str) -> str:
        """Return the IANA name of the zone that a file calls ``said``; "" when it is not known."""
        for text in (said, self.places.get(said, "")):
            found = _OTHERS.get(text) or WINDOWS_TO_OLSON.get(text) or _in_path(text)
            if found and zone_exists(found):
                return found
        return ""


def _in_path(text: str) -> str:
    """Return the longest end of a path that is a zone; a plain name is its own."""
    parts = text.split("/")
    if text and text[0] != "/":
        return text
    ends = ("/".join(parts[-count:]) for count in range(min(_LONGEST, len(parts) - 1), 0, -1))
    return next((end for end in ends if zone_exists(end)), "")

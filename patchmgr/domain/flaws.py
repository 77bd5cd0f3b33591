"""What is known of a flaw itself, whichever package has it: by CVE, from catalogues.

Sources: CISA's KEV catalogue; FIRST's EPSS; NVD's CVSS and CWE; CISA's Vulnrichment for SSVC.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import date


@dataclass(frozen=True, slots=True)
class FlawNote:
    """What one catalogue says of one CVE. None and "" mean that it does not say.

    A catalogue of exploited flaws says nothing of those it does not list: whether a CVE is *not*
    exploited follows only from having read the whole of it.
    """

    cve: str
    kev_added: date | None = None
    kev_due: date | None = None
    kev_ransomware: bool | None = None  # known use in ransomware campaigns
    epss: float | None = None  # probability of exploitation in the next 30 days, 0 to 1
    epss_percentile: float | None = None
    cvss: float | None = None  # base score, 0 to 10, of the newest CVSS version given
    cvss_vector: str = ""
    cwes: tuple[str, ...] = ()
    ssvc_exploitation: str = ""  # "none", "poc", "active"
    ssvc_automatable: str = ""  # "yes", "no"
    ssvc_impact: str = ""  # technical impact: "partial", "total"
    rejected: bool = False  # the CVE was taken back by whoever gave it


def merged(notes: Iterable[FlawNote]) -> FlawNote | None:
    """Return what all ``notes`` of one CVE say together, the first that says something winning."""
    found: FlawNote | None = None
    for note in notes:
        if found is None:
            found = note
            continue
        missing = {
            each.name: getattr(note, each.name)
            for each in fields(FlawNote)
            if getattr(found, each.name) in (None, "", (), False)
        }
        found = replace(found, **missing)
    return found

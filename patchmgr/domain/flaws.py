"""What is known of a flaw itself, whichever package has it: by CVE, from catalogues.

    notes of a CVE, one a catalogue -> merged -> with the advisory's other CVEs: `Danger`

Sources: CISA's KEV catalogue; FIRST's EPSS; NVD's CVSS and CWE; CISA's Vulnrichment for SSVC.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any, NamedTuple

EPSS_PLACES = 3  # decimals of an EPSS score that anybody looks at
_SILENT = (None, "", (), False)  # what a field holds when the catalogue does not say


@dataclass(frozen=True, slots=True)
class FlawNote:
    """What one catalogue says of one CVE. None, "" and False mean that it does not say.

    A catalogue of exploited flaws says nothing of those it does not list: whether a CVE is *not*
    exploited follows only from having read the whole of it.
    """

    cve: str
    kev: bool = False  # listed among the known exploited
    kev_added: date | None = None
    kev_due: date | None = None  # the day by which CISA's directive wants it done
    kev_ransomware: bool | None = None  # known use in ransomware campaigns
    kev_name: str = ""  # what the catalogue calls it
    kev_action: str = ""  # what CISA requires
    epss: float | None = None  # probability of exploitation in the next 30 days, 0 to 1
    epss_percentile: float | None = None
    cvss: float | None = None  # base score, 0 to 10, of the newest CVSS version given
    cvss_vector: str = ""
    cvss_source: str = ""  # who scored it, such as "nvd@nist.gov"
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
            if getattr(found, each.name) in _SILENT
        }
        found = replace(found, **missing)
    return found


def visible(note: FlawNote) -> FlawNote:
    """Return ``note`` as people see it: two that look alike are the same.

    An EPSS score moves in its fifth decimal every day, and with it the percentile of every CVE.
    """
    if note.epss is None:
        return note
    return replace(note, epss=round(note.epss, EPSS_PLACES), epss_percentile=None)


def said(note: FlawNote) -> dict[str, Any]:
    """Return what ``note`` says and nothing else, as JSON has it; without the CVE."""
    found: dict[str, Any] = {}
    for name in _NAMES:
        value = getattr(note, name)
        if isinstance(value, date):
            found[name] = value.isoformat()
        elif isinstance(value, tuple):
            found |= {name: list(value)} if value else {}
        elif value is not None and value != "" and not (value is False and name in _FLAGS):
            found[name] = value
    return found


def note_of(cve: str, document: Mapping[str, Any]) -> FlawNote:
    """Return the note of which `said` made ``document``."""
    values = dict(document)
    for name in ("kev_added", "kev_due"):
        if name in values:
            values[name] = date.fromisoformat(values[name])
    if "cwes" in values:
        values["cwes"] = tuple(values["cwes"])
    return FlawNote(cve, **values)


_NAMES = tuple(each.name for each in fields(FlawNote) if each.name != "cve")
_FLAGS = ("kev", "rejected")  # False says nothing; of the others it is a statement


@dataclass(frozen=True, slots=True)
class Danger:
    """What is known of the flaws of an advisory together, as far as a due date can depend on it.

    The scores are whole numbers, so that comparing them is exact, and may be lowered to the highest
    threshold that they reach (`Thresholds`). 0 is no score, or one below every threshold.
    """

    kev: bool | None = None  # in a catalogue of known exploited vulnerabilities
    ransomware: bool = False  # known use in ransomware campaigns; there is no "known not"
    exploitation: str = ""  # SSVC: "none", "poc", "active"
    automatable: str = ""  # SSVC: "yes", "no"
    impact: str = ""  # SSVC, technical impact: "partial", "total"
    cvss: int = 0  # tenths
    epss: int = 0  # thousandths


NOTHING_KNOWN = Danger()


class Thresholds(NamedTuple):
    """The scores that some policy asks for, ascending: what lies between them makes no odds."""

    cvss: tuple[int, ...] = ()  # tenths
    epss: tuple[int, ...] = ()  # thousandths


def danger(
    cves: Iterable[str],
    notes: Mapping[str, FlawNote],
    *,
    catalogue: bool,
    thresholds: Thresholds,
) -> Danger:
    """Return what ``notes`` say of the flaws of an advisory that names ``cves``.

    The worst that is said of any of them is said of the advisory. Anything less than the worst
    is known only when it is known of every one. ``catalogue`` tells whether one of known exploited
    vulnerabilities has been read: only then is a flaw that it does not list "not listed".
    """
    found = [notes.get(cve) or FlawNote(cve) for cve in dict.fromkeys(cves)]
    known = [note for note in found if not note.rejected]

    def worst(field: str, words: tuple[str, ...]) -> str:
        said = {getattr(note, field) for note in known}
        if words[0] in said or "" not in said:
            return next((word for word in words if word in said), "")
        return ""

    return Danger(
        kev=any(note.kev for note in known) or (False if catalogue else None),
        ransomware=any(note.kev_ransomware for note in known),
        exploitation=worst("ssvc_exploitation", ("active", "poc", "none")),
        automatable=worst("ssvc_automatable", ("yes", "no")),
        impact=worst("ssvc_impact", ("total", "partial")),
        cvss=_reached(max((tenths(note.cvss) for note in known), default=0), thresholds.cvss),
        epss=_reached(max((thousandths(note.epss) for note in known), default=0), thresholds.epss),
    )


def tenths(score: float | None) -> int:
    """Return a CVSS score as a whole number."""
    return 0 if score is None else round(score * 10)


def thousandths(score: float | None) -> int:
    """Return an EPSS score as a whole number."""
    return 0 if score is None else round(score * 1000)


def _reached(score: int, thresholds: Iterable[int]) -> int:
    return max((each for each in thresholds if each <= score), default=0)

"""How bad vendors call a flaw: their many words, and CVSS vectors, as one `Severity`.

Source: FIRST's qualitative severity rating scales of CVSS v2, v3.1 and v4.0.
"""

from collections.abc import Iterable
from functools import lru_cache

from cvss import CVSS2, CVSS3, CVSS4, CVSSError

from patchmgr.domain.advisories import Severity

WORDS = {
    "unimportant": Severity.NEGLIGIBLE,
    "negligible": Severity.NEGLIGIBLE,
    "none": Severity.NEGLIGIBLE,
    "low": Severity.LOW,
    "moderate": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "important": Severity.HIGH,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}
_CEILINGS = {  # the score below which a severity ends
    2: ((4.0, Severity.LOW), (7.0, Severity.MEDIUM), (10.1, Severity.HIGH)),
    3: (
        (0.1, Severity.NEGLIGIBLE),
        (4.0, Severity.LOW),
        (7.0, Severity.MEDIUM),
        (9.0, Severity.HIGH),
        (10.1, Severity.CRITICAL),
    ),
}
_LONGEST = 300  # characters of a vector; the longest that CVSS 4.0 knows has 160


def from_word(word: str) -> Severity:
    """Return the severity that ``word`` means to its vendor; unknown for any other word."""
    return WORDS.get(word.strip().lower(), Severity.UNKNOWN)


def from_vectors(vectors: Iterable[str]) -> Severity:
    """Return the severity by the base score of the newest CVSS version among ``vectors``.

    Of two vectors of that version, the worse counts. A vector that cannot be read says nothing.
    """
    rated = [(_version(each), severity) for each in vectors if (severity := _rated(each))]
    return max(rated, default=(0, Severity.UNKNOWN))[1]


def _version(vector: str) -> int:
    return int(vector[5]) if vector.startswith(("CVSS:3", "CVSS:4")) else 2


@lru_cache(maxsize=1 << 14)
def _rated(vector: str) -> Severity:
    version = _version(vector)
    if len(vector) > _LONGEST:
        return Severity.UNKNOWN
    try:
        score = float({2: CVSS2, 3: CVSS3, 4: CVSS4}[version](vector).base_score)
    except (CVSSError, ArithmeticError, LookupError, ValueError):
        return Severity.UNKNOWN
    scale = _CEILINGS[min(version, 3)]
    return next((severity for ceiling, severity in scale if score < ceiling), Severity.UNKNOWN)

"""Severities: by the vendor's word, or by the score that a CVSS vector amounts to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.advisories import Severity
from patchmgr.feeds.formats.ratings import from_vectors, from_word

MEDIUM_3 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"  # 6.1
CRITICAL_3 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"  # 9.8
NONE_3 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"  # 0.0
LOW_4 = "CVSS:4.0/AV:L/AC:L/AT:N/PR:L/UI:N/VC:N/VI:N/VA:L/SC:N/SI:N/SA:N/E:P"  # 1.9
HIGH_2 = "AV:N/AC:L/Au:N/C:C/I:C/A:C"  # 10.0, and v2 knows nothing above high


@pytest.mark.parametrize(
    ("vectors", "severity"),
    [
        ([MEDIUM_3], Severity.MEDIUM),
        ([MEDIUM_3, CRITICAL_3], Severity.CRITICAL),
        ([CRITICAL_3, LOW_4], Severity.LOW),
        ([HIGH_2, MEDIUM_3], Severity.MEDIUM),
        ([HIGH_2], Severity.HIGH),
        ([NONE_3], Severity.NEGLIGIBLE),
        (["CVSS:4.0/AV:N", MEDIUM_3], Severity.MEDIUM),
        (["CVSS:3.1/" + "AV:N/" * 100], Severity.UNKNOWN),
        ([], Severity.UNKNOWN),
    ],
)
def test_the_newest_cvss_version_that_can_be_read_decides(vectors, severity):
    assert from_vectors(vectors) is severity


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("Important", Severity.HIGH),
        (" MODERATE ", Severity.MEDIUM),
        ("unimportant", Severity.NEGLIGIBLE),
        ("not yet assigned", Severity.UNKNOWN),
        ("", Severity.UNKNOWN),
    ],
)
def test_every_spelling_of_a_severity_is_known(word, severity):
    assert from_word(word) is severity


@given(st.text(max_size=60) | st.text(alphabet="CVSS:3.14/AVNLPRUIHXEW0", max_size=80))
def test_no_text_is_too_odd_for_a_vector(text):
    assert from_vectors([text]) in Severity
    assert from_vectors([f"CVSS:3.1/{text}", f"CVSS:4.0/{text}"]) in Severity

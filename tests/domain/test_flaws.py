"""What catalogues say of a flaw, and what several flaws come to."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.flaws import (
    Danger,
    FlawNote,
    Thresholds,
    danger,
    merged,
    note_of,
    said,
    visible,
)

A, B = "CVE-2026-1000", "CVE-2026-2000"
KEV = FlawNote(A, kev=True, kev_added=date(2026, 1, 2), kev_due=date(2026, 1, 23))
DECIDED = FlawNote(A, ssvc_exploitation="poc", ssvc_automatable="yes", ssvc_impact="partial")

days = st.none() | st.dates()
words = st.text(max_size=5)
shares = st.none() | st.floats(0, 1)
notes = st.builds(
    FlawNote,
    st.just(A),
    kev=st.booleans(),
    kev_added=days,
    kev_due=days,
    kev_ransomware=st.sampled_from([None, True, False]),
    kev_name=words,
    kev_action=words,
    epss=shares,
    epss_percentile=shares,
    cvss=st.none() | st.floats(0, 10),
    cvss_vector=words,
    cvss_source=words,
    cwes=st.lists(words, max_size=2).map(tuple),
    ssvc_exploitation=words,
    ssvc_automatable=words,
    ssvc_impact=words,
    rejected=st.booleans(),
)


@given(notes)
def test_a_note_survives_being_written_and_read(note):
    assert note_of(A, said(note)) == note


def test_only_what_is_said_is_written():
    assert said(KEV) == {"kev": True, "kev_added": "2026-01-02", "kev_due": "2026-01-23"}
    assert said(FlawNote(A)) == {}
    assert said(FlawNote(A, epss=0.0, cvss=0.0)) == {"epss": 0.0, "cvss": 0.0}


def test_catalogues_add_to_each_other_and_the_first_to_speak_wins():
    scored = FlawNote(A, cvss=9.8, kev_due=date(2027, 1, 1))

    assert merged([KEV, scored]) == FlawNote(
        A, kev=True, kev_added=KEV.kev_added, kev_due=KEV.kev_due, cvss=9.8
    )
    assert merged([]) is None


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({"epss": 0.01151}, {"epss": 0.01149}, False),
        ({"epss": 0.01151}, {"epss": 0.01163}, True),
        (
            {"epss": 0.5, "epss_percentile": 0.9},
            {"epss": 0.5, "epss_percentile": 0.8},
            True,
        ),
        ({"cvss": 7.1}, {"cvss": 7.2}, False),
    ],
)
def test_a_score_that_moved_in_its_fourth_decimal_has_not_moved(one, other, alike):
    assert (visible(FlawNote(A, **one)) == visible(FlawNote(A, **other))) is alike


ASKED = Thresholds((70,), (100,))


def together(*notes, cves=(A, B), catalogue=True):
    return danger(cves, {note.cve: note for note in notes}, catalogue=catalogue, thresholds=ASKED)


def test_nothing_is_known_of_what_no_catalogue_was_asked():
    assert together(catalogue=False) == Danger()


def test_a_flaw_is_not_listed_only_once_a_catalogue_was_read():
    assert together().kev is False
    assert together(catalogue=False).kev is None
    assert together(KEV).kev is True
    assert together(cves=()).kev is False  # none of its flaws, of which it names none


def test_the_worst_of_one_flaw_is_the_advisory_s_and_less_only_if_known_of_all():
    assert together(DECIDED) == Danger(kev=False, automatable="yes")
    assert together(DECIDED, FlawNote(B, ssvc_exploitation="none")).exploitation == "poc"
    assert together(DECIDED, FlawNote(B, ssvc_exploitation="active")).exploitation == "active"
    assert together(DECIDED, cves=(A,)).impact == "partial"
    assert together(DECIDED).impact == ""


def test_a_score_counts_by_the_highest_threshold_that_it_reaches():
    assert together(FlawNote(A, cvss=6.9, epss=0.0994)).cvss == 0
    assert together(FlawNote(A, cvss=6.9), FlawNote(B, cvss=9.8, epss=0.0996)) == Danger(
        kev=False, cvss=70, epss=100
    )


def test_a_rejected_flaw_says_nothing_of_its_own():
    assert together(FlawNote(A, cvss=9.8, rejected=True), cves=(A,)) == Danger(kev=False)

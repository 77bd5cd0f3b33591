"""Until when a finding is due, and what is known of its flaws."""

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchmgr.db.queries import findings as queries
from patchmgr.db.queries.finding_filters import FindingFilter
from patchmgr.db.session import Database
from patchmgr.domain.advisories import Severity, Status
from patchmgr.domain.flaws import NOTHING_KNOWN, Danger, FlawNote
from patchmgr.domain.urgency import Clock, Inputs, Policy, Row, decide, due_date
from tests.services.scan.conftest import (
    DANGEROUS,
    DAY,
    NOON,
    POLICIES,
    Fleet,
    advisory,
    dues,
    first_seen,
    fix,
)


def test_an_advisory_that_is_dated_later_moves_the_due_date(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()
    assert [line.due for line in fleet.lines()] == [NOON + 30 * DAY]

    fleet.wait(1)
    fleet.advise(advisory("A", fix("x", "2"), published=NOON + DAY))
    fleet.scan()

    (line,) = fleet.lines()
    assert (line.first_seen, line.due) == (NOON, NOON + 31 * DAY)
    assert fleet.explain("a", "x").installed[0].considered[0].due == line.due
    with fleet.db.reading() as session:
        assert dues(session) == {("a", NOON + 31 * DAY): 1}


def test_another_policy_gives_other_due_dates_with_the_next_scan(fleet):
    fleet.host("a", exposure="public")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2", severity=Severity.CRITICAL)))
    fleet.scan()
    assert [line.due for line in fleet.lines()] == [NOON + 7 * DAY]

    fleet.wait(1)
    fleet.adopt(POLICIES[1])
    fleet.scan()

    assert [(line.due, line.due_row) for line in fleet.lines()] == [(NOON + DAY, "public")]
    with fleet.db.reading() as session:
        assert dues(session) == {("a", NOON + DAY): 1}
    assert [line.due for line in fleet.lines(NOON)] == [NOON + 7 * DAY]


def test_a_fact_that_the_policy_asks_for_changes_the_due_date(fleet):
    fleet.adopt(POLICIES[1])
    fleet.host("a", exposure="internal")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.scan()

    fleet.hosts("hostname,exposure\na,public\n")
    fleet.scan()

    with fleet.db.reading() as session:
        assert dues(session) == {("a", NOON + DAY): 1}


WORDS = {
    "severity": [severity.word for severity in Severity],
    "exposure": ["public", "internal"],
    "environment": ["prod", "test"],
    "criticality": ["high", "low"],
    "kev": ["yes", "no"],
    "ransomware": ["yes"],
    "exploitation": ["none", "poc", "active"],
    "automatable": ["yes", "no"],
    "technical_impact": ["partial", "total"],
}
NUMBERS_ASKED = {"cvss_at_least": ["6.5", "7.0", "7.1"], "epss_at_least": ["0.25", "0.4"]}
ASKED = st.dictionaries(
    st.sampled_from(sorted(WORDS | NUMBERS_ASKED)), st.none(), min_size=1, max_size=4
).flatmap(lambda names: st.fixed_dictionaries({name: asked(name) for name in names}))


def asked(name):
    """What a row can ask of an input: words, or one number."""
    if name in NUMBERS_ASKED:
        return st.sampled_from(NUMBERS_ASKED[name]).map(lambda number: (number,))
    return st.lists(st.sampled_from(WORDS[name]), min_size=1, unique=True).map(tuple)


DAYS = st.one_of(st.none(), st.integers(0, 6))
TABLES = st.builds(
    lambda asked, last, clock: Policy(
        "made-up",
        1,
        (
            *(Row(str(i), when, days, "") for i, (when, days) in enumerate(asked)),
            Row("z", {}, last, ""),
        ),
        clock,
    ),
    st.lists(st.tuples(ASKED, DAYS), max_size=4),
    DAYS,
    st.sampled_from(Clock),
)


@pytest.fixture(scope="module")
def dated(_sqlite_template, tmp_path_factory):
    """Findings of every severity, published at several times or not, on hosts of all facts."""
    folder = tmp_path_factory.mktemp("dated")
    fleet = Fleet(Database(f"sqlite:///{shutil.copy(_sqlite_template, folder / 'p.db')}"), folder)
    fleet.hosts(
        "hostname,os_id,os_release,environment,exposure,criticality\n"
        "a,debian,12,prod,public,high\nb,debian,12,test,internal,low\nc,debian,12,,,\n"
    )
    fleet.packages(a=["x 1"], b=["x 1"], c=["x 1"])
    published = (None, NOON - 3 * DAY, NOON + 2 * DAY)
    fleet.advise(
        *(
            advisory(f"{severity.word}-{i}", fix("x", "2", severity=severity), published=at)
            for severity in Severity
            for i, at in enumerate(published)
        ),
        advisory("none", fix("x", status=Status.NO_FIX)),
    )
    names = [f"{severity.word}-{i}" for severity in Severity for i in range(3)]
    fleet.note("kev", *(KNOWN[name[-1]](name) for name in names if name[-1] == "1"))
    fleet.note("scores", *(KNOWN[name[-1]](name) for name in names if name[-1] == "2"))
    fleet.scan()
    yield fleet
    fleet.db.close()


# What catalogues say of an advisory's flaw, by the last letter of its name, and what it comes to.
KNOWN = {
    "1": lambda cve: FlawNote(
        cve, kev=True, kev_ransomware=True, ssvc_exploitation="active", ssvc_impact="total"
    ),
    "2": lambda cve: FlawNote(cve, cvss=7.0, epss=0.4, ssvc_automatable="no"),
}
DANGERS = {
    "0": Danger(kev=False),
    "1": Danger(True, True, "active", impact="total"),
    "2": Danger(False, automatable="no", cvss=70, epss=400),
}
FACTS = {"a": ("public", "prod", "high"), "b": ("internal", "test", "low"), "c": ("", "", "")}


@settings(max_examples=30)
@given(TABLES, st.integers(-4, 9))
def test_the_due_date_that_the_database_computes_is_the_policy_s(dated, table, day):
    dated.adopt(table)
    dated.scan()  # pages look only at hosts that a scan has counted as overdue
    moment, wanted = NOON + day * DAY, FindingFilter(overdue=True)

    lines = dated.lines()
    with dated.db.reading() as session:
        page = queries.listing(session, wanted, now=moment, limit=1000)

    for line in lines:
        danger = DANGERS.get(line.advisory[-1], NOTHING_KNOWN)
        row = decide(table, Inputs(line.severity, danger, *FACTS[line.host]))
        published = None if line.advisory == "none" else PUBLISHED[line.advisory[-1]]
        expected = due_date(row, published, NOON, table.clock)
        assert line.due == (expected if line.status == "affected" else None)
    overdue = [(line.host, line.advisory) for line in lines if line.due and line.due < moment]
    assert [(line.host, line.advisory) for line in page.lines] == overdue
    assert page.total == len(overdue)


PUBLISHED = {"0": None, "1": NOON - 3 * DAY, "2": NOON + 2 * DAY}


def exploited(cve):
    return FlawNote(cve, kev=True)


def known(fleet):
    return [(line.host, line.advisory, line.kev) for line in fleet.lines()]


def test_whether_a_flaw_is_exploited_is_not_known_until_a_catalogue_is_read(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")), advisory("B", fix("x", "2")))
    fleet.scan()
    assert known(fleet) == [("a", "A", None), ("a", "B", None)]

    fleet.wait(1)
    fleet.note("kev", exploited("A"))
    fleet.scan()

    assert known(fleet) == [("a", "A", True), ("a", "B", False)]
    assert [line.advisory for line in fleet.lines(kev="yes")] == ["A"]
    assert [line.advisory for line in fleet.lines(kev="no")] == ["B"]
    assert [line.kev for line in fleet.lines(NOON)] == [None, None]
    assert first_seen(fleet) == {("a", "A"): 0, ("a", "B"): 0}


def test_a_new_entry_of_the_catalogue_touches_only_what_it_is_about(fleet):
    for name in ("a", "b"):
        fleet.host(name)
    fleet.packages(a=["x 1"], b=["y 1"])
    fleet.advise(advisory("A", fix("x", "2")), advisory("B", fix("y", "2")))
    fleet.note("kev", exploited("Z"))
    fleet.adopt(DANGEROUS)
    fleet.scan()

    fleet.wait(1)
    fleet.note("kev", exploited("Z"), exploited("A"))
    result = fleet.scan()

    assert (result.full, result.versions, result.hosts) == (False, 1, 1)
    assert known(fleet) == [("a", "A", True), ("b", "B", False)]
    assert [(line.due, line.due_row) for line in fleet.lines()] == [
        (NOON + DAY, "kev"),
        (NOON + 60 * DAY, "quiet"),
    ]
    said = fleet.explain("a", "x").installed[0].considered[0]
    assert (said.due_row, said.danger.kev) == ("kev", True)
    assert [(line.feed, line.note) for line in said.notes] == [("kev", exploited("A"))]
    then = fleet.explain("a", "x", NOON).installed[0].considered[0]
    assert (then.due_row, then.notes) == ("quiet", ())


def test_a_score_that_moves_between_two_thresholds_changes_no_judgement(fleet):
    fleet.host("a")
    fleet.packages(a=["x 1"])
    fleet.advise(advisory("A", fix("x", "2")))
    fleet.adopt(DANGEROUS)
    fleet.note("scores", FlawNote("A", epss=0.2))
    fleet.scan()

    fleet.wait(1)
    fleet.note("scores", FlawNote("A", epss=0.4))
    assert fleet.scan().changed is False
    fleet.wait(1)
    fleet.note("scores", FlawNote("A", epss=0.5))
    fleet.scan()

    assert [line.due_row for line in fleet.lines()] == ["likely"]
    assert [line.due_row for line in fleet.lines(NOON)] == ["rest"]

"""What the feeds that speak of CVEs make of documents, good, odd and hostile."""

import json
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.flaws import FlawNote
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.base import Page

HERE = Path(__file__).parents[1] / "data" / "feeds"
CATALOGUES = ("epss", "kev", "nvd", "ssvc")
DOCUMENTS = {name: next((HERE / name).glob("document.*")).read_bytes() for name in CATALOGUES}
FIRST = "#model_version:v2025.03.14,score_date:2025-12-26T12:55:00Z"
HEADER = "cve,epss,percentile"
ROW = "CVE-1999-0001,0.01151,0.7802"
KEV = (
    '{WHEN "count": 1, "vulnerabilities": [{"cveID": "CVE-2024-1000",'
    ' "dateAdded": "2024-01-02", "dueDate": "2024-01-23"}]}'
)


def read(feed, body):
    return FEEDS[feed].read("https://feed.example/x", body)


@pytest.mark.parametrize("feed", CATALOGUES)
@given(data=st.data())
def test_a_mutated_document_is_read_or_refused_and_nothing_else(feed, data):
    body = bytearray(DOCUMENTS[feed])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        length = data.draw(st.integers(0, 40))
        body[at : at + length] = data.draw(st.binary(max_size=4))
        if not body:
            break

    with suppress(FeedMalformedError):
        assert isinstance(read(feed, bytes(body)), Page)


@pytest.mark.parametrize(
    ("feed", "body", "made_at"),
    [
        ("epss", f"{FIRST}\n{HEADER}\n{ROW}", "2025-12-26T12:55:00+00:00"),
        ("kev", KEV.replace("WHEN", '"dateReleased": "2024-01-05T17:01:17.2476Z",'),
         "2024-01-05T17:01:17.247600+00:00"),
        ("kev", KEV.replace("WHEN", '"dateReleased": "soon",'), None),
        ("kev", KEV.replace("WHEN", ""), None),
    ],
)  # fmt: skip
def test_a_catalogue_says_when_it_was_made(feed, body, made_at):
    found = read(feed, body.encode()).made_at

    assert (found and found.isoformat()) == made_at


def values_in(document, path=()):
    yield path
    pairs = document.items() if isinstance(document, dict) else ()
    pairs = enumerate(document) if isinstance(document, list) else pairs
    for key, value in pairs:
        yield from values_in(value, (*path, key))


ODD = st.sampled_from([None, True, -1, 1e308, 10**30, "", "\0", "x" * 5000, [], {}, [[]], "1.0"])


@pytest.mark.parametrize("feed", ["kev", "nvd", "ssvc"])
@given(data=st.data())
def test_a_value_of_the_wrong_kind_is_read_or_refused_and_nothing_else(feed, data):
    document = json.loads(DOCUMENTS[feed])
    *path, last = data.draw(st.sampled_from([p for p in values_in(document) if p]))
    place = document
    for key in path:
        place = place[key]
    place[last] = data.draw(ODD)

    with suppress(FeedMalformedError):
        assert isinstance(read(feed, json.dumps(document).encode()), Page)


# EPSS


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((HEADER, ROW), "does not say of which day"),
        (("#model_version:v2025.03.14", HEADER, ROW), "does not say of which day"),
        (("#model_version:v1,score_date:yesterday", HEADER, ROW), "does not say of which day"),
        ((FIRST, "cve,score,percentile", ROW), "the header is not cve,epss,percentile"),
        ((FIRST, ROW), "the header is not"),
        ((FIRST, HEADER), "without any score"),
        ((FIRST, HEADER, "CVE-1999-0001,high,0.7"), "line 3: .* is not cve,epss,percentile"),
        ((FIRST, HEADER, "CVE-1999-0001,nan,0.7"), "line 3"),
        ((FIRST, HEADER, "CVE-1999-0001,0.1"), "line 3"),
    ],
)
def test_scores_without_their_day_or_with_another_header_are_refused(lines, why):
    with pytest.raises(FeedMalformedError, match=why):
        read("epss", "\n".join(lines).encode())


@pytest.mark.parametrize("day", ["2025-12-26T12:55:00Z", "2022-01-01T00:00:00+0000", "2021-04-14"])
def test_the_day_of_the_scores_may_be_written_as_it_ever_was(day):
    lines = (f"#model_version:v1,score_date:{day}", HEADER, ROW)

    assert read("epss", "\r\n".join(lines).encode()).notes == (
        FlawNote("CVE-1999-0001", epss=0.01151, epss_percentile=0.7802),
    )


# KEV


def test_an_entry_that_is_odd_is_listed_all_the_same():
    document = json.loads(DOCUMENTS["kev"])
    entries = document["vulnerabilities"] = document["vulnerabilities"][:-1] * 2
    entries[0] = {**entries[0], "dateAdded": "2023-13-01"}
    entries[1] = {**entries[1], "cveID": "CVE-2026-1000", "cwes": 7}
    document["count"] = len(entries)

    page = read("kev", json.dumps(document).encode())

    assert page.notes[0].kev
    assert (page.notes[0].kev_added, page.notes[0].kev_due) == (None, date(2024, 1, 11))
    assert page.notes[1] == FlawNote("CVE-2026-1000", kev=True)
    assert [each.where for each in page.set_aside] == ["CVE-2023-49897", "CVE-2026-1000"]


# NVD


def page_of(start, total, *ids, **changed):
    records = [{"cve": {"id": each, "vulnStatus": "Rejected"}} for each in ids]
    answer = {"resultsPerPage": len(ids), "startIndex": start, "totalResults": total}
    return json.dumps(answer | {"vulnerabilities": records} | changed).encode()


@pytest.mark.parametrize(
    ("start", "total", "follow"),
    [
        (0, 2, ()),
        (0, 5, ("https://nvd.example/cves?keyword=x&startIndex=2",)),
        (2, 5, ("https://nvd.example/cves?keyword=x&startIndex=4",)),
        (3, 5, ()),
    ],
)
def test_the_next_page_starts_where_one_ends(start, total, follow):
    url = "https://nvd.example/cves?keyword=x&startIndex=0"
    if start == 0:
        url = "https://nvd.example/cves?keyword=x"

    page = FEEDS["nvd"].read(url, page_of(start, total, "CVE-2026-1000", "CVE-2026-2000"))

    assert page.follow == follow
    assert [note.rejected for note in page.notes] == [True, True]


def test_an_answer_without_any_result_is_an_answer():
    assert read("nvd", page_of(0, 0)) == Page()


@pytest.mark.parametrize(
    "body",
    [
        page_of(0, 3, "CVE-2026-1000", resultsPerPage=2),
        page_of(-1, 3, "CVE-2026-1000"),
        page_of(4, 3, "CVE-2026-1000"),
        page_of(0, 10**12, "CVE-2026-1000"),
    ],
)
def test_a_page_that_is_not_whole_is_refused(body):
    with pytest.raises(FeedMalformedError, match="records"):
        read("nvd", body)


# SSVC


def record(cve, **options):
    content = {"options": [{name.replace("_", " "): word} for name, word in options.items()]}
    metric = {"other": {"type": "ssvc", "content": content}}
    adp = {"title": "CISA ADP Vulnrichment", "metrics": [metric]}
    return json.dumps(
        {"cveMetadata": {"cveId": cve, "state": "PUBLISHED"}, "containers": {"adp": [adp]}}
    )


ONE = record("CVE-2026-1000", Exploitation="active", Automatable="Yes", Technical_Impact="total")
OTHER = record("CVE-2026-2000", Exploitation="none", Another="x")
SAYS = (
    FlawNote(
        "CVE-2026-1000", ssvc_exploitation="active", ssvc_automatable="yes", ssvc_impact="total"
    ),
    FlawNote("CVE-2026-2000", ssvc_exploitation="none"),
)


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        (ONE, SAYS[:1]),
        (json.dumps(json.loads(ONE), indent=2), SAYS[:1]),
        (f"[{ONE}, {OTHER}]", SAYS),
        (f"{ONE}\n{OTHER}\n", SAYS),
    ],
)
def test_decisions_come_as_a_record_as_an_array_or_one_a_line(text, notes):
    assert read("ssvc", text.encode()).notes == notes


def test_an_odd_record_that_is_a_file_of_its_own_is_set_aside_under_its_name():
    page = read("ssvc", record("CVE-2026-1000", Exploitation="maybe").encode())

    assert page.notes == ()
    assert [each.ref for each in page.set_aside] == ["CVE-2026-1000"]

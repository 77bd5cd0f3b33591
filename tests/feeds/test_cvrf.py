"""CVRF as three vendors write it, and what is left of it when it is damaged."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.base import Page
from patchmgr.feeds.formats import cvrf

URL = "https://feed.example/cvrf.xml"
DATA = Path(__file__).parents[1] / "data" / "feeds"
CAPTURED = [
    pytest.param(FEEDS[name], path.read_bytes(), id=f"{name}-{path.stem}")
    for name in ("msrc", "openeuler-cvrf", "suse-cvrf")
    for path in sorted((DATA / name).glob("document*"))
]
DEFAULT = """<cvrfdoc xmlns="http://www.icasi.org/CVRF/schema/cvrf/1.1">
 <DocumentTracking><Identification><ID>A-1</ID></Identification>
 <InitialReleaseDate>2023-12-12T08:00:00</InitialReleaseDate></DocumentTracking>
 <AggregateSeverity>Important</AggregateSeverity>
 <ProductTree xmlns="http://www.icasi.org/CVRF/schema/prod/1.1">
  <Branch Type="Vendor" Name="V"><Branch Type="Product Family" Name="F">
   <FullProductName ProductID="1" CPE="cpe:x">One</FullProductName></Branch></Branch>
  <FullProductName ProductID="1">One again</FullProductName>
  <Relationship ProductReference="1" RelatesToProductReference="2">
   <FullProductName ProductID="2:1">One of Two</FullProductName></Relationship></ProductTree>
 <Vulnerability xmlns="http://www.icasi.org/CVRF/schema/vuln/1.1"><Title>T</Title><CVE>C</CVE>
  <ProductStatuses><Status Type="Fixed"><ProductID>1</ProductID><ProductID>1</ProductID></Status>
  <Status Type="Known Affected"><ProductID>2</ProductID></Status></ProductStatuses>
  <RevisionHistory>
   <Revision><Date>2024-01-02</Date></Revision><Revision><Date>2024-01-01</Date></Revision>
  </RevisionHistory></Vulnerability>
</cvrfdoc>"""
PREFIXED = DEFAULT.replace("<", "<v:").replace("<v:/", "</v:").replace(' xmlns="', ' xmlns:v="')


@pytest.mark.parametrize("text", [DEFAULT, PREFIXED], ids=["default", "prefixed"])
def test_namespaces_may_be_default_or_prefixed(text):
    document = cvrf.document(URL, text.encode())

    assert (document.id, document.severity) == ("A-1", "Important")
    assert document.published.isoformat() == "2023-12-12T08:00:00+00:00"
    assert document.products["1"] == cvrf.Product(
        "One", "cpe:x", (("Vendor", "V"), ("Product Family", "F"))
    )
    assert document.components == {"2:1": cvrf.Component("1", "2")}
    (flaw,) = document.vulnerabilities
    assert (flaw.id, flaw.title) == ("C", "T")
    assert flaw.published.isoformat() == "2024-01-01T00:00:00+00:00"
    assert flaw.products("Fixed") == ("1",)
    assert flaw.products("Fixed", "Known Affected") == ("1", "2")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2019-06-21T08:27:12Z", "2019-06-21T08:27:12+00:00"),
        ("2023-12-12T08:00:00", "2023-12-12T08:00:00+00:00"),
        ("2021-02-05", "2021-02-05T00:00:00+00:00"),
        ("2021-02-05T01:00:00+02:00", "2021-02-04T23:00:00+00:00"),
        ("0001-01-01T00:00:00+02:00", None),
        ("in February", None),
        ("", None),
    ],
)
def test_dates_are_instants_of_utc(text, instant):
    at = cvrf.instant(text)

    assert (at.isoformat() if at else None) == instant


@pytest.mark.parametrize(
    "identification", ["", "<Identification/>", "<Identification><ID/></Identification>"]
)
def test_a_document_without_an_id_is_refused(identification):
    body = f"<cvrfdoc><DocumentTracking>{identification}</DocumentTracking></cvrfdoc>".encode()

    with pytest.raises(FeedMalformedError, match=f"^{URL}: a CVRF document without an id"):
        cvrf.document(URL, body)


def is_read_or_refused(feed, body):
    try:
        page = feed.read(URL, body)
    except FeedMalformedError as error:
        return str(error).startswith(f"{URL}: ")
    return isinstance(page, Page) and bool(feed.join(page.advisories)) is bool(page.advisories)


@pytest.mark.parametrize(("feed", "body"), CAPTURED)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_damaged_document_is_a_page_or_malformed(feed, body, data):
    at = data.draw(st.integers(0, len(body)))
    gone = data.draw(st.integers(0, 200))
    put = data.draw(
        st.one_of(st.binary(max_size=8), st.sampled_from([b"<", b"</Branch>", b"&x;", b"-", b'"']))
    )

    assert is_read_or_refused(feed, body[:at] + put + body[at + gone :])


@pytest.mark.parametrize(("feed", "body"), CAPTURED)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_document_with_texts_exchanged_is_a_page_or_malformed(feed, body, data):
    """Elements stay whole; what stands in them is another's, or nothing a vendor would write."""
    parts = body.decode().split(">")
    texts = [each.partition("<")[0] for each in parts]
    values = st.sampled_from([*texts, "", "-", "--", "9" * 400, "1.0", "CVE-", "\u0085x", "KB"])
    for _ in range(data.draw(st.integers(1, 20))):
        at = data.draw(st.integers(0, len(parts) - 2))
        parts[at] = data.draw(values) + parts[at][len(texts[at]) :]
        texts[at] = parts[at].partition("<")[0]

    assert is_read_or_refused(feed, ">".join(parts).encode())


@pytest.mark.parametrize(("feed", "body"), CAPTURED)
def test_nothing_is_longer_than_what_can_be_stored(feed, body):
    """Refs, packages and versions have columns of 200 characters."""
    for old, new in ((b"-1", b"-" + b"1" * 300), (b"CVE-2", b"CVE-" + b"2" * 300)):
        try:
            page = feed.read(URL, body.replace(old, new))
        except FeedMalformedError:
            continue
        for advisory in page.advisories:
            assert len(advisory.ref) <= cvrf.NAME
            for fix in advisory.fixes:
                assert max(map(len, (fix.platform, fix.package, fix.fixed))) <= cvrf.NAME

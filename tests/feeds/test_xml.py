import pytest

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.formats import xml

URL = "https://feed.example/doc.xml"


def test_elements_are_found_whatever_their_namespace():
    body = b'<updates xmlns:x="urn:x"><x:update><id>A-1</id></x:update><update/></updates>'

    assert [xml.text(each, "id") for each in xml.elements(URL, body, "update", "updates")] == [
        "A-1",
        "",
    ]


def test_a_namespace_that_is_none_does_no_harm():
    """The parser hands over what it has read before it says what is wrong with it."""
    body = b'<updates xmlns="http:/}x"><update><id>A-1</id></update></updates>'

    assert xml.root_name(URL, body) == "updates"
    with pytest.raises(FeedMalformedError, match="not a valid URI"):
        list(xml.elements(URL, body, "update", "updates"))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<!DOCTYPE html><html/>", b"\x00<updates/>", b"<1/>"]
)
def test_what_does_not_begin_like_a_document_has_no_root(body):
    with pytest.raises(FeedMalformedError, match=f"^{URL}: "):
        xml.root_name(URL, body)


def test_the_root_is_known_before_the_end():
    assert xml.root_name(URL, b"<a:updates xmlns:a='urn:a'><update>") == "updates"


def test_elements_of_several_names_come_in_the_order_of_the_document():
    body = b"<a><x/><b><y/></b><c><x/></c></a>"

    found = [xml.local(each) for each in xml.elements(URL, body, ("x", "y"), "a")]

    assert found == ["x", "y", "x"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<updates><update>",
        b"<html/>",
        b'<!DOCTYPE updates [<!ENTITY a "aaaa">]><updates><update>&a;</update></updates>',
        b'<!DOCTYPE u [<!ENTITY f SYSTEM "file:///etc/passwd">]><updates>&f;</updates>',
        b"<updates>" + b"<update>" * 100_000,
        b"<updates>\x00</updates>",
    ],
)
@pytest.mark.parametrize(
    "read",
    [
        lambda body: xml.root(URL, body, "updates"),
        lambda body: list(xml.elements(URL, body, "update", "updates")),
    ],
    ids=["root", "elements"],
)
def test_what_is_not_the_document_is_refused_by_name(body, read):
    with pytest.raises(FeedMalformedError, match=f"^{URL}: "):
        read(body)

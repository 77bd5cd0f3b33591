"""What every vendor must do: a new one is tested by adding a directory, not a test."""

import json
import pkgutil
import re
from dataclasses import fields
from pathlib import Path

import pytest

from patchmgr.domain.advisories import Kind
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS, vendors
from patchmgr.feeds.unpack import unpack

HERE = Path(__file__).parents[1] / "data" / "feeds"


@pytest.fixture(params=FEEDS.values(), ids=FEEDS.keys())
def feed(request):
    return request.param


def captured():
    """Return each captured document: (feed, path, what is expected of it).

    A feed of one format has ``document.<type>`` and ``expected.json``; one of several has
    ``document-<format>.<type>`` and ``expected-<format>.json`` of each.
    """
    return [
        pytest.param(feed, path, expected, id=f"{feed.name}-{expected.stem}")
        for feed in FEEDS.values()
        for path in sorted((HERE / feed.name).glob("document*"))
        for expected in [path.parent / f"{expectation_of(path)}.json"]
    ]


def expectation_of(path):
    return path.name.partition(".")[0].replace("document", "expected", 1)


PLATFORM = "debian:12"  # for documents that do not say of which platform they speak


def brief(advisory):
    """An advisory in lines that a reviewer can read."""
    return {
        advisory.ref: {
            "severity": advisory.severity.word,
            **({"kind": advisory.kind.value} if advisory.kind is not Kind.SECURITY else {}),
            **({"aliases": " ".join(advisory.aliases)} if advisory.aliases else {}),
            **({"published": advisory.published.isoformat()} if advisory.published else {}),
            "cves": " ".join(advisory.cves),
            "title": advisory.title,
            "url": advisory.url,
            "says": [
                " ".join(filter(None, words(fix)))
                for fix in sorted(advisory.fixes, key=lambda fix: (fix.package, fix.platform))
            ],
        }
    }


def words(fix):
    yield from (fix.platform, fix.match, fix.package, fix.status, fix.introduced, fix.fixed)
    yield f"up to {fix.last_affected}" if fix.last_affected else ""
    yield fix.severity.word
    for name in ("arch", "module", "channel", "after"):
        yield f"{name}={getattr(fix, name)}" if getattr(fix, name) else ""
    yield f"({fix.reason})" if fix.reason else ""


def said(value):
    """A note, an offer or a statement of support in one line: what it says, without the rest."""
    pairs = ((each, getattr(value, each.name)) for each in fields(value))
    return " ".join(
        f"{each.name}={said}"
        for each, said in pairs
        if said not in (None, "", (), False, each.default)
    )


def test_every_vendor_is_registered():
    modules = {module.name.replace("_", "-") for module in pkgutil.iter_modules(vendors.__path__)}

    assert modules == set(FEEDS)


def test_a_feed_says_whose_hosts_it_is_for_and_starts_nowhere_without_them(feed):
    fleet = frozenset({"haiku:1", "haiku:rolling"})

    assert (feed.addresses(fleet) == ()) is (
        bool(feed.serves) or not (feed.by_default and feed.start)
    )


def test_every_vendor_has_a_captured_document():
    assert {case.values[0].name for case in captured()} == set(FEEDS)


@pytest.mark.parametrize(("feed", "document", "expected"), captured())
def test_reads_its_captured_document_as_expected(feed, document, expected):
    (page,) = pages(feed, document, document.read_bytes())

    assert {
        "advisories": {
            ref: lines for each in page.advisories for ref, lines in brief(each).items()
        },
        "set_aside": [f"{each.where}: {each.reason}" for each in page.set_aside],
        "skipped": dict(page.skipped),
        **{
            kind: [said(each) for each in getattr(page, kind)]
            for kind in ("notes", "offers", "support")
            if getattr(page, kind)
        },
    } == json.loads(expected.read_text())


def pages(feed, document, body):
    return [
        feed.read(name, content, PLATFORM)
        for name, content in unpack(f"https://feed.example/{document.name}", body, feed.suffixes)
    ]


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"  \n",
        b"<html>maintenance</html>",
        b"<!DOCTYPE html><p>maintenance",
        b"[]",
        b"{}",
        b"null",
        b"17",
        b'"text"',
        b'{"packages": [{}]}',
        b'{"packages": {}}',
        b"\xff\xfe{\x00}\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\x00" * 100,
    ],
)
def test_says_so_when_a_document_is_not_its_own(feed, garbage):
    address = next(iter(feed.start), "https://feed.example/document")

    with pytest.raises(FeedMalformedError, match=f"^{re.escape(address)}: "):
        feed.read(address, garbage)


@pytest.mark.parametrize(
    ("feed", "document"),
    [
        pytest.param(*case.values[:2], id=case.id)
        for case in captured()
        if case.values[1].name.removesuffix(".gz").endswith((".json", ".xml"))
    ],
)
def test_every_truncation_is_noticed(feed, document):
    """Lines of text may end anywhere; what has brackets may not."""
    whole = document.read_bytes().rstrip()

    for length in range(0, len(whole) - 1, max(97, len(whole) // 200)):
        with pytest.raises(FeedMalformedError):
            pages(feed, document, whole[:length])

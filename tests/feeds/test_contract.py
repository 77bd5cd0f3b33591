"""What every vendor must do: a new one is tested by adding a directory, not a test."""

import json
import pkgutil
import re
from pathlib import Path

import pytest

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS, vendors

HERE = Path(__file__).parents[1] / "data" / "feeds"


@pytest.fixture(params=FEEDS.values(), ids=FEEDS.keys())
def feed(request):
    return request.param


def document_of(feed):
    (document,) = (HERE / feed.name).glob("document.*")
    return document.read_bytes()


def brief(advisory):
    """An advisory in lines that a reviewer can read."""
    return {
        advisory.ref: {
            "severity": advisory.severity.word,
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
    yield fix.severity.word
    yield f"({fix.reason})" if fix.reason else ""


def test_every_vendor_is_registered():
    assert {module.name for module in pkgutil.iter_modules(vendors.__path__)} == set(FEEDS)


def test_reads_its_captured_document_as_expected(feed):
    expected = json.loads((HERE / feed.name / "expected.json").read_text())

    page = feed.read(feed.start[0], document_of(feed))

    assert {
        "advisories": {
            ref: lines for each in page.advisories for ref, lines in brief(each).items()
        },
        "set_aside": [f"{each.where}: {each.reason}" for each in page.set_aside],
        "skipped": dict(page.skipped),
    } == expected


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
    with pytest.raises(FeedMalformedError, match=f"^{re.escape(feed.start[0])}: "):
        feed.read(feed.start[0], garbage)


def test_every_truncation_is_noticed(feed):
    whole = document_of(feed).rstrip()

    for length in range(0, len(whole) - 1, 97):
        with pytest.raises(FeedMalformedError):
            feed.read("https://feed.example/doc", whole[:length])

"""Every reader, on damaged documents: a page or a refusal, and never anything else."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.unpack import unpack

HERE = Path(__file__).parents[1] / "data" / "feeds"
ODD = [None, True, 0, -1, 10**400, 1e308, "", "\x00", "x" * 300, [], {}, [[]], {"": {}}, "CVE-1"]


def captured(*endings):
    return [
        pytest.param(feed, path, id=f"{name}-{path.name}")
        for name, feed in FEEDS.items()
        for path in sorted((HERE / name).glob("document*"))
        if path.name.endswith(endings)
    ]


def unpacked(feed, path):
    (document,) = unpack(path.name, path.read_bytes(), feed.suffixes)
    return document


def read(feed, name, body):
    """Return what can be said of a damaged document; whatever it is, it can be stored."""
    try:
        page = feed.read(name, body, "debian:12")
    except FeedMalformedError as error:
        assert str(error).startswith(f"{name}: ")  # noqa: PT017 -- most damage is no error at all
        return
    for advisory in feed.join(page.advisories):
        texts = [advisory.ref, advisory.title, advisory.url, *advisory.cves, *advisory.aliases]
        for fix in advisory.fixes:
            texts += [fix.platform, fix.package, fix.fixed, fix.introduced, fix.reason]
        assert all(text.isprintable() for text in texts)
        assert advisory.published is None or advisory.published.utcoffset() is not None


@pytest.mark.parametrize(("feed", "path"), captured(""))
@given(data=st.data())
def test_bytes_may_be_missing_or_others(feed, path, data):
    name, body = unpacked(feed, path)
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4), label="damages")):
        start = data.draw(st.integers(0, len(damaged)), label="at")
        length = data.draw(st.integers(0, 40), label="bytes")
        damaged[start : start + length] = data.draw(st.binary(max_size=8), label="become")

    read(feed, name, bytes(damaged))


@pytest.mark.parametrize(("feed", "path"), captured(".json", ".json.gz"))
@given(data=st.data())
def test_values_of_json_may_be_of_any_other_type(feed, path, data):
    name, body = unpacked(feed, path)
    document = json.loads(body)
    places = list(_places(document))
    for _ in range(data.draw(st.integers(1, 3), label="damages")):
        container, key = data.draw(st.sampled_from(places), label="place")
        container[key] = data.draw(st.sampled_from(ODD), label="becomes")

    read(feed, name, json.dumps(document).encode())


def _places(value):
    """Yield (container, key) of every value inside ``value``."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])

"""A feed's reader is known by the code that it is made of."""

import pytest

from patchmgr.feeds import FEEDS, reader
from patchmgr.feeds.reader import reader_of


def test_every_feed_has_a_reader_of_its_own_and_keeps_it():
    found = {name: reader_of(feed) for name, feed in FEEDS.items()}

    assert len(set(found.values())) == len(FEEDS)
    assert found == {name: reader_of(feed) for name, feed in FEEDS.items()}


@pytest.fixture
def changed(monkeypatch):
    """Let a file of the code say something more than it does."""

    def change(module):
        real = reader._sources

        def sources(asked):
            for name, source in real(asked):
                yield name, source + b"#" * name.endswith(module)

        reader._digest.cache_clear()
        monkeypatch.setattr(reader, "_sources", sources)

    yield change
    reader._digest.cache_clear()


@pytest.mark.parametrize(
    ("module", "concerns"),
    [
        ("vendors.kev", {"kev"}),
        ("debian.joining.py", {"debian"}),
        ("formats.xml.py", set(FEEDS)),
        ("versions.rpm.py", set(FEEDS)),
        ("domain.debian_releases", set(FEEDS)),
    ],
)
def test_a_change_of_what_reads_is_another_reader(changed, module, concerns):
    before = {name: reader_of(feed) for name, feed in FEEDS.items()}
    changed(module)

    assert {name for name, feed in FEEDS.items() if reader_of(feed) != before[name]} == concerns

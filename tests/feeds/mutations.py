"""Captured documents of feeds, and what becomes of them when bytes go missing or change."""

from pathlib import Path

from hypothesis import strategies as st

from patchmgr.feeds import FEEDS
from patchmgr.feeds.unpack import unpack

HERE = Path(__file__).parents[1] / "data" / "feeds"


def real_documents(feed):
    """Return the captured documents of ``feed``, unpacked."""
    return [
        body
        for path in sorted((HERE / feed).glob("document*"))
        for _name, body in unpack(path.name, path.read_bytes(), FEEDS[feed].suffixes)
    ]


@st.composite
def mutated(draw, body):
    """A document of which pieces were cut out, doubled, or replaced by other bytes."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 60)))
        piece = draw(
            st.sampled_from([b"", b"<", b">", b'"', b"\0", b"\xff", b"\n", b"\n\n", b"&x;"])
            | st.binary(max_size=8)
            | st.just(body[start:end] * 2)
        )
        body = body[:start] + piece + body[end:]
    return body

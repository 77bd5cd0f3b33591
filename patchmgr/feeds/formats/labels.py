"""What an address says, in its fragment, of the document behind it.

A repository's index names neither the release that it is for nor its own digest. Whoever writes
its address down knows: `https://mirror.example/9/repodata/repomd.xml#platform=rhel:9&suite=baseos`.
What one document says of the next travels the same way, such as `#sha256=...` of its content. A
fragment is never sent to the server.
"""

import hashlib
from urllib.parse import parse_qsl, urldefrag, urlencode

from patchmgr.errors import FeedMalformedError

DIGESTS = ("sha256", "sha384", "sha512")
PLATFORMS = "platforms"  # of an address: what alone is taken from the document behind it


def labelled(url: str, **says: str) -> str:
    """Return ``url`` saying ``says`` besides what it says already; empty words are left out."""
    bare, _fragment = urldefrag(url)
    said = {**labels_of(url), **{name: word for name, word in says.items() if word}}
    return f"{bare}#{urlencode(said, safe=':/')}" if said else bare


def labels_of(url: str) -> dict[str, str]:
    """Return the words that ``url`` says, by name."""
    return dict(parse_qsl(url.partition("#")[2]))


def without_labels(url: str) -> str:
    """Return ``url`` as a server knows it."""
    return url.partition("#")[0]


def says_its_digest(url: str) -> bool:
    """Return whether ``url`` says what is behind it so that it can be nothing else."""
    return any(name in labels_of(url) for name in DIGESTS)


def says_its_state(url: str) -> bool:
    """Return whether ``url`` says when what is behind it last changed, as an index listed it."""
    return "changed" in labels_of(url)


def check_digest(url: str, body: bytes) -> None:
    """Raise `FeedMalformedError` unless ``body`` has the digests that ``url`` says, if any."""
    said = labels_of(url)
    for name in DIGESTS:
        found = hashlib.new(name, body).hexdigest() if name in said else ""
        if found != said.get(name, "").lower():
            raise FeedMalformedError(
                f"{url}: is not the document that its index speaks of: its {name} is {found}"
            )

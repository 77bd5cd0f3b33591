"""Of which platform a document speaks that may not say so itself."""

from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.formats.labels import labels_of


def platform_of(url: str, given: str, example: str) -> str:
    """Return the platform that ``url`` says, else the ``given`` one.

    Raises `FeedMalformedError` when neither says; ``example`` is for the message.
    """
    found = labels_of(url).get("platform") or given
    if not found:
        raise FeedMalformedError(
            f"{url}: does not say which platform it speaks of; name it with --platform, such as"
            f" {example}"
        )
    return found

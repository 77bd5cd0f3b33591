"""Air gap: all feeds leave as one signed bundle, and enter another installation by it.

`making` writes a bundle of what is stored, `taking` verifies one and applies it, `trust` knows
whose bundles are taken. The form of a bundle is `patchmgr.feeds.bundle`'s.
"""

from patchmgr.services.bundles.making import Made, make
from patchmgr.services.bundles.taking import FeedChange, Taken, take

__all__ = ["FeedChange", "Made", "Taken", "make", "take"]

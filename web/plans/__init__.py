"""Plans: the list, making one, and the pages on which people decide and follow it.

Every view hangs on the one blueprint of `pages`; to add a page of a plan, write its view in the
module of its idea, and give it a tab in `frame`.
"""

from web.plans import (
    commands,
    forecasts,
    listing,
    making,
    overrides,
    review,
    rollout,
    work,
)
from web.plans.pages import pages

__all__ = [
    "commands",
    "forecasts",
    "listing",
    "making",
    "overrides",
    "pages",
    "review",
    "rollout",
    "work",
]

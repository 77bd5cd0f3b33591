"""The list of plans."""

from flask.typing import ResponseReturnValue

from patchmgr.db.queries import plan_review
from patchmgr.domain.accounts import Role
from patchmgr.domain.rollout.states import PlanState
from web.auth import requires
from web.context import session, viewer
from web.plans.pages import pages
from web.tables import Column, Fetched, Filter, Table, View, answer

STATES = tuple((state.value, state.value.replace("_", " ").capitalize()) for state in PlanState)
PLANS = Table(
    "plans",
    (
        Column("title", "Plan", sort=True),
        Column("state", "State"),
        Column("progress", "Progress", lambda row: f"{row.verified} of {row.counted}"),
        Column("hosts", "Hosts", numeric=True),
        Column("findings", "Findings", numeric=True),
        Column("due", "Earliest due", sort=True),
        Column("author", "Author"),
        Column("state_since", "Since", sort=True, descending=True),
        Column("severity", "Worst", shown=False),
        Column("changes", "Changes", numeric=True, shown=False),
        Column("created_at", "Made", shown=False),
        Column("reason", "Reason", shown=False),
    ),
    filters=(
        Filter("state", "State", (("open", "Open"), ("over", "Over"), *STATES)),
        Filter("mine", "Mine", (("awaiting", "Awaiting me"), ("author", "Made by me"))),
        Filter("author", "Author", is_choice=False),
    ),
    sort="-id",
    search="Title or number",
)


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    def fetch(view: View, limit: int, cursor: str | None) -> Fetched:
        mine = view.get("mine")
        found = plan_review.listing(
            session(),
            search=view.q,
            state=view.get("state"),
            author=viewer().name if mine == "author" else view.get("author"),
            awaiting=viewer().name if mine == "awaiting" else "",
            sort=view.sort_key,
            descending=view.is_descending,
            limit=limit,
            cursor=cursor or "",
        )
        return Fetched.of(found)

    return answer("plans/list.html", PLANS, fetch)

"""What stands around every page: navigation, what is wrong with the service, what awaits."""

from dataclasses import dataclass
from functools import cached_property

from flask import Flask, request

from patchmgr.db.queries import overview, plan_lists
from patchmgr.db.queries.overview import Presses, Trouble
from patchmgr.db.queries.plan_lists import PlanLine
from patchmgr.domain.accounts import Role
from patchmgr.services.accounts import THEMES
from patchmgr.services.sign_ins import Viewer
from web import navigation
from web.context import now, session, settings, viewer_or_none
from web.navigation import Link


class Frame:
    """Asked by ``base.html`` only, so that fragments and programs do not pay for it."""

    def __init__(self, viewer: Viewer | None) -> None:
        self.viewer = viewer

    @cached_property
    def links(self) -> list[Link]:
        return navigation.links(self.viewer) if self.viewer else []

    @cached_property
    def _presses(self) -> Presses:
        if self.viewer is None:
            return Presses([], 0, 0)
        approver = self.viewer.name if self.viewer.role.covers(Role.APPROVER) else ""
        return overview.presses(
            session(),
            now=now(),
            stale_hours=settings().stale_feed_hours,
            approver=approver,
            role=self.viewer.role.value,
        )

    @property
    def troubles(self) -> list[Trouble]:
        return self._presses.troubles

    @cached_property
    def approvals(self) -> list[PlanLine]:
        """Plans that this viewer may approve, or a ring of which they may, and have not."""
        if self.viewer is None or not self.viewer.role.covers(Role.APPROVER):
            return []
        return [
            line
            for line, _ in plan_lists.awaiting_approval(
                session(), self.viewer.name, self.viewer.role.value
            )
        ]

    @property
    def to_approve(self) -> int:
        """How many plans and rings those are."""
        return self._presses.approvals

    @property
    def proposed(self) -> int:
        """How many proposed exceptions this viewer may approve."""
        return self._presses.exceptions

    @property
    def awaiting(self) -> int:
        return self.to_approve + self.proposed

    @property
    def theme(self) -> str:
        if self.viewer and self.viewer.is_person:
            return self.viewer.theme
        chosen = request.cookies.get("patchmgr_theme", "auto")
        return chosen if chosen in THEMES else "auto"


@dataclass(frozen=True, slots=True)
class _Has:
    """Asked in templates whether the viewer may do what a button does."""

    viewer: Viewer | None

    def __call__(self, role: str) -> bool:
        return self.viewer is not None and self.viewer.role.covers(Role(role))


def register(app: Flask) -> None:
    @app.context_processor
    def values() -> dict[str, object]:
        viewer = viewer_or_none()
        return {
            "frame": Frame(viewer),
            "viewer": viewer,
            "may": _Has(viewer),
            "now": now(),
            "blueprints": app.blueprints,
        }

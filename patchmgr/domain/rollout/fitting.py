"""Whether work still fits: into its window, and before the next freeze."""

from datetime import datetime

from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import Tick
from patchmgr.domain.rollout.model import Task
from patchmgr.domain.rollout.work import Work


def latest_start(work: Work, task: Task, event: Tick) -> datetime | None:
    """Return until when ``task`` may begin and still end inside its window and before a freeze.

    None when it may not begin now. Without window and freeze it is the end of a lease.
    """
    settings = work.settings(task)
    ends = _ends(task.window, event)
    if ends is None:
        return None
    lease = event.at + settings.lease
    latest = min([lease, *(end - settings.needed_time for end in ends)])
    return latest if latest > event.at else None


def fits(settings: RingSettings, window: str | None, event: Tick) -> bool:
    """Return whether work that begins now ends inside its window and before a freeze."""
    ends = _ends(window, event)
    return ends is not None and all(end - settings.needed_time > event.at for end in ends)


def _ends(window: str | None, event: Tick) -> list[datetime] | None:
    """Return what work must end before; None when it may not begin at all."""
    if event.frozen or (window is not None and window not in event.windows):
        return None
    closes = [event.windows[window]] if window is not None else []
    return closes if event.frozen_from is None else [*closes, event.frozen_from]
